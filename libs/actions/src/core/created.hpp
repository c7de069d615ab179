#pragma once

#include "core/base.hpp"

namespace kn::actions {

/// An action whose whole effect is one new object under a name of ours. Pre-image: {"object", "make"}; undone by deleting it while it still is what
/// we made.
class CreateAction : public BaseAction {
public:
    using BaseAction::BaseAction;
    Task<Result<ActionOutcome>> execute(const ActionContext& context) override;
    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override;
    Task<Result<bool>> verify(const ActionContext& context) override;
    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override;

protected:
    /// Why the object must stay although we made it; "" = it may be deleted.
    [[nodiscard]] virtual std::string must_stay(const json::Value&) const { return {}; }
    /// What is stored: the key and the whole object to make.
    static Prepared prepared_for(ObjectKey key, json::Value make, std::string summary);
    static Task<Result<Subject>> read_made(const ActionContext& context);
};

/// `base` cut so that base + "-" + the action's suffix is a valid name of at most `most` characters.
std::string own_name(const ActionContext& context, std::string_view base, std::size_t most);

}  // namespace kn::actions
