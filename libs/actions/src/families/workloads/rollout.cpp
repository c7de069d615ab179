#include <cmath>

#include "families/families.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

constexpr std::string_view paused_by = "kubernaut.io/paused-by";
constexpr std::string_view restarted_at = "kubernaut.io/restarted-at";

/// pause_rollout and resume_rollout: the annotation says whose pause it is.
class SwitchRollout final : public PatchAction {
public:
    SwitchRollout(std::string_view name, Shared& shared, bool pause) : PatchAction(name, shared), pause_(pause) {}

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        const bool is_paused = json::bool_at(subject.live, "spec", "paused").value_or(false);
        const bool ours = !kube::annotation_of(subject.live, paused_by).empty();
        if (!pause_ && is_paused && !ours) co_return refuse("not_ours", subject.key.str() + " was paused by somebody else");
        Change wanted;
        wanted.summary = (pause_ ? "pause the rollout of " : "resume the rollout of ") + place_text(subject.key);
        if (is_paused != pause_) {
            wanted.fields.push_back({.path = {"spec", "paused"}, .after = pause_ ? json::Value(true) : json::Value(nullptr)});
            wanted.fields.push_back(
                {.path = {"metadata", "annotations", std::string(paused_by)},
                 .after = pause_ ? json::Value(context.execution.str().empty() ? context.id.str() : context.execution.str()) : json::Value(nullptr)});
        }
        wanted.subject = std::move(subject);
        co_return wanted;
    }

private:
    bool pause_;
};

/// An int-or-percent of `total`; surge rounds up.
std::int64_t resolved(const json::Value* value, std::int64_t total, std::int64_t fallback) {
    if (value == nullptr) return fallback;
    if (const auto whole = json::to_int(value)) return *whole;
    const auto* text = value->if_string();
    if (text == nullptr || !text->ends_with('%')) return fallback;
    const auto percent = kube::parse_quantity(json::view(*text).substr(0, text->size() - 1));
    return percent ? static_cast<std::int64_t>(std::ceil(*percent * static_cast<double>(total) / 100.0)) : fallback;
}

class RestartWorkload final : public PatchAction {
public:
    explicit RestartWorkload(Shared& shared) : PatchAction("restart_workload", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        co_return co_await is_settled(context, shared().quiet, subject, settings().rollout_quiet);
    }

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        if (json::bool_at(subject.live, "spec", "paused").value_or(false)) co_return refuse("rollout_paused", subject.key.str() + " is paused");
        if (!params.flag("allow_interruption")) KN_CO_CHECK(co_await check_stays_up(context, subject));
        Change wanted;
        wanted.fields.push_back(
            {.path = {"spec", "template", "metadata", "annotations", std::string(restarted_at)}, .after = json::Value(context.id.str())});
        wanted.summary = "restart " + place_text(subject.key) + " step by step";
        wanted.subject = std::move(subject);
        co_return wanted;
    }

private:
    static Task<Result<>> check_stays_up(const ActionContext& context, const Subject& subject) {
        const bool deployment = subject.key.kind == "Deployment";
        const auto type = json::string_at(subject.live, "spec", deployment ? "strategy" : "updateStrategy", "type");
        if (!type.empty() && type != "RollingUpdate") {
            co_return refuse("not_rolling", subject.key.str() + " is not updated step by step (" + std::string(type) + ")");
        }
        if (subject.key.kind == "DaemonSet") co_return Result<>{};
        const auto replicas = desired_replicas(subject).value_or(1);
        if (replicas >= 2) co_return Result<>{};
        if (deployment && resolved(json::at(subject.live, "spec", "strategy", "rollingUpdate", "maxSurge"), replicas, 1) >= 1) co_return Result<>{};
        KN_CO_TRY(const auto pods, co_await pods_of(context, subject));
        for (const auto& pod : pods) {
            if (is_ready(pod)) co_return refuse("single_replica", "the only pod of " + subject.key.str() + " serves: a restart would interrupt it");
        }
        co_return Result<>{};  // nothing serves: there is nothing to interrupt
    }
};

}  // namespace

void add_rollout_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<SwitchRollout>("pause_rollout", shared, true));
    list.push_back(std::make_unique<SwitchRollout>("resume_rollout", shared, false));
    list.push_back(std::make_unique<RestartWorkload>(shared));
}

}  // namespace kn::actions
