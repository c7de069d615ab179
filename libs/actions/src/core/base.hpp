#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/rollout.hpp"
#include "core/specs.hpp"
#include "core/subject.hpp"
#include "core/write.hpp"
#include "kubernaut/actions/registry.hpp"
#include "pods/image.hpp"

namespace kn::actions {

using ports::ActionOutcome;
using ports::AppliedCheck;
using ports::Prepared;

/// What all actions of a registry share.
struct Shared {
    ports::Notifier* notifier = nullptr;
    ActionSettings settings;
    QuietWatch quiet;
};

/// Validated parameters, read by name.
class Params {
public:
    explicit Params(json::Object values) : values_(std::move(values)) {}
    [[nodiscard]] bool has(std::string_view name) const { return values_.contains(name); }
    /// A whole number gives its digits.
    [[nodiscard]] std::string text(std::string_view name) const;
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
    [[nodiscard]] std::optional<double> number(std::string_view name) const;
    [[nodiscard]] std::optional<double> quantity(std::string_view name) const;
    [[nodiscard]] bool flag(std::string_view name) const;
    [[nodiscard]] Duration duration(std::string_view name) const;
    [[nodiscard]] const json::Object& object(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> list(std::string_view name) const;

private:
    json::Object values_;
};

/// Validates the parameters, then leaves the rest to the action.
class BaseAction : public ports::Action {
public:
    BaseAction(std::string_view name, Shared& shared) : spec_(&spec_of(name)), shared_(&shared) {}
    [[nodiscard]] const ActionSpec& spec() const final { return *spec_; }
    Task<Result<Prepared>> prepare(const ActionContext& context) final;
    /// For what cannot be undone.
    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override;

protected:
    virtual Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) = 0;
    [[nodiscard]] Shared& shared() const { return *shared_; }
    [[nodiscard]] const ActionSettings& settings() const { return shared_->settings; }

private:
    const ActionSpec* spec_;
    Shared* shared_;
};

/// What a patching action wants: the object, the fields, and a sentence for people.
struct Change {
    Subject subject;
    std::vector<FieldChange> fields;
    std::string summary;
    kube::PatchType type = kube::PatchType::strategic;
    std::string subresource{};
    json::Object extra{};
};

/// An action that is one patch of one object: everything but the choice of fields is common.
class PatchAction : public BaseAction {
public:
    using BaseAction::BaseAction;
    Task<Result<ActionOutcome>> execute(const ActionContext& context) override;
    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override;
    /// The fields hold what we wrote.
    Task<Result<bool>> verify(const ActionContext& context) override;
    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override;

protected:
    virtual Task<Result<Change>> change(const ActionContext& context, const Params& params) = 0;
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) final;
};

/// The target's sentence: "shop/cart" or "node-1".
std::string place_text(const ObjectKey& key);
/// Outcome of a patch: the fields before and after, and where they are now.
ActionOutcome patch_outcome(const Image& image, const json::Value& now, Calls calls, bool restored);
/// An error of a read inside applied_already: unreadable when trying again may help.
Result<AppliedCheck> unreadable_or(const Error& error);

}  // namespace kn::actions
