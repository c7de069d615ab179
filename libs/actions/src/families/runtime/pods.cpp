#include <algorithm>

#include "families/families.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/capacity.hpp"
#include "pods/pod_set.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

std::unexpected<Error> out_of_time(std::string message) {
    return fail(Error{.code = ErrorCode::deadline_exceeded, .message = std::move(message), .applied = Applied::maybe});
}

bool time_is_up(const ActionContext& context, Duration poll) { return context.deadline.left(context.clock->steady()) <= 2 * poll; }

/// DaemonSet pods tolerate the node life cycle's taints by their controller, not by their template.
void drop_lifecycle_taints(Room& room) {
    json::Array kept;
    for (const auto& taint : room.taints) {
        if (!json::string_at(taint, "key").starts_with("node.kubernetes.io/")) kept.push_back(taint);
    }
    room.taints = std::move(kept);
}

class RestartPod final : public BaseAction {
public:
    explicit RestartPod(Shared& shared) : BaseAction("restart_pod", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        Calls calls;
        for (std::size_t i = 0; i < set.pods.size(); ++i) {
            KN_CO_TRY(auto pod, co_await still_there(context, set.pods[i]));
            if (pod.is_null()) continue;
            KN_CO_CHECK(co_await wait_for_floor(context, pod));
            KN_CO_CHECK(co_await delete_exactly(context, pod_subject(context, std::move(pod)), {}, calls));
            // The next one only when this one's successor is as well as it was.
            if (!context.dry_run && i + 1 < set.pods.size()) KN_CO_CHECK(co_await wait_replaced(context, set, i));
        }
        co_return pod_outcome(set, set.pods.size(), std::move(calls));
    }

    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        const auto gone = co_await all_gone(context, set, true);
        if (!gone) co_return unreadable_or(gone.error());
        co_return *gone ? AppliedCheck::applied : AppliedCheck::not_applied;
    }

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        co_return co_await replaced(context, set);
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(const auto subject, co_await read_subject(context, spec(), params.text("object")));
        KN_CO_TRY(auto pods, co_await pods_of(context, subject));
        if (params.text("select") == "misscheduled" && !params.has("pods")) {
            KN_CO_TRY(pods, co_await misscheduled(context, subject, std::move(pods)));
        }
        KN_CO_TRY(pods, pick_pods(params, subject, std::move(pods)));
        KN_CO_TRY(const auto set, co_await make_pod_set(context, subject, pods, true));
        KN_CO_TRY(const auto blocked, co_await floor_blocks(context, pods.front()));
        if (blocked) co_return refuse("floor", *blocked);
        co_return Prepared{.pre_image = set.to_json(),
                           .writes = set.writes(context.target.key.cluster),
                           .request_digest = set.digest("DELETE"),
                           .summary = "restart pod " + set.names()};
    }

private:
    /// Pods of a DaemonSet on nodes where its template may not run.
    static Task<Result<std::vector<json::Value>>> misscheduled(const ActionContext& context, const Subject& subject, std::vector<json::Value> pods) {
        const auto* pod_spec = json::at(subject.live, "spec", "template", "spec");
        if (subject.key.kind != "DaemonSet" || pod_spec == nullptr) co_return refuse("wrong_kind", "only a DaemonSet has misscheduled pods");
        KN_CO_TRY(auto rooms, co_await read_rooms(context));
        for (auto& room : rooms) drop_lifecycle_taints(room);
        std::erase_if(pods, [&](const json::Value& pod) {
            const auto room = std::ranges::find(rooms, node_of(pod), &Room::name);
            return room == rooms.end() || admits(*room, *pod_spec);
        });
        co_return pods;
    }

    Task<Result<>> wait_for_floor(const ActionContext& context, const json::Value& pod) {
        for (;;) {
            KN_CO_TRY(const auto blocked, co_await floor_blocks(context, pod));
            if (!blocked) co_return Result<>{};
            if (context.dry_run || time_is_up(context, settings().poll)) co_return refuse("floor", *blocked);
            co_await async::sleep_for(*context.clock, settings().poll);
        }
    }

    Task<Result<>> wait_replaced(const ActionContext& context, const PodSet& set, std::size_t index) {
        PodSet one = set;
        one.pods.assign(1, set.pods[index]);
        for (;;) {
            KN_CO_TRY(const bool done, co_await replaced(context, one));
            if (done) co_return Result<>{};
            if (time_is_up(context, settings().poll)) co_return out_of_time("pod " + set.pods[index].name + " has not been replaced in time");
            co_await async::sleep_for(*context.clock, settings().poll);
        }
    }
};

class ForceDeletePod final : public BaseAction {
public:
    explicit ForceDeletePod(Shared& shared) : BaseAction("force_delete_pod", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        Calls calls;
        for (const auto& item : set.pods) {
            const auto pod = co_await context.client->get(kube::resources::pods, item.ns, item.name, call_deadline(context));
            if (!pod && pod.error().code == ErrorCode::not_found) continue;
            if (!pod) co_return fail(pod.error());
            if (kube::uid_of(*pod) != item.uid) continue;
            KN_CO_CHECK(co_await delete_exactly(context, pod_subject(context, *pod), {.grace_seconds = 0}, calls));
        }
        co_return pod_outcome(set, set.pods.size(), std::move(calls));
    }
    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        const auto gone = co_await all_gone(context, set, false);
        if (!gone) co_return unreadable_or(gone.error());
        co_return *gone ? AppliedCheck::applied : AppliedCheck::not_applied;
    }
    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        co_return co_await all_gone(context, set, false);
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        // Not read_subject: this is the one action whose target must be on its way out.
        KN_CO_TRY(const auto key, subject_key(context, spec(), params.text("object")));
        auto subject = co_await read_object(context, key);
        if (!subject && subject.error().code == ErrorCode::not_found) co_return refuse("target_changed", key.str() + " is gone");
        if (!subject) co_return fail(subject.error());
        const auto& pod = subject->live;
        if (key == context.target.key && !context.target.uid.empty() && kube::uid_of(pod) != context.target.uid) {
            co_return refuse("target_changed", key.str() + " has been made anew since the plan");
        }
        // The API sets deletionTimestamp to the end of the grace period, not to the moment of the request.
        const auto ends = kube::time_at(pod, "metadata", "deletionTimestamp");
        if (!ends) co_return refuse("condition_cleared", key.str() + " is not being deleted");
        if (*ends + settings().terminating_slack > context.clock->now()) {
            co_return refuse("too_early", key.str() + " may still end by itself");
        }
        KN_CO_CHECK(co_await check_node_is_off(context, pod));
        KN_CO_TRY(const auto set, co_await make_pod_set(context, *subject, {pod}, false));
        co_return Prepared{.pre_image = set.to_json(),
                           .writes = set.writes(key.cluster),
                           .request_digest = set.digest("DELETE force"),
                           .summary = "force-delete pod " + place_text(key)};
    }

private:
    static Task<Result<>> check_node_is_off(const ActionContext& context, const json::Value& pod) {
        const std::string node(node_of(pod));
        if (node.empty()) co_return Result<>{};
        const auto live = co_await context.client->get(kube::resources::nodes, "", node, call_deadline(context));
        if (!live && live.error().code == ErrorCode::not_found) co_return Result<>{};
        if (!live) co_return fail(live.error());
        for (const auto& taint : json::array_at(*live, "spec", "taints")) {
            if (json::string_at(taint, "key") == "node.kubernetes.io/out-of-service") co_return Result<>{};
        }
        co_return refuse("node_not_off", "node " + node + " is not proven off: its containers may still run");
    }
};

class DeleteFailedPods final : public BaseAction {
public:
    explicit DeleteFailedPods(Shared& shared) : BaseAction("delete_failed_pods", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        Calls calls;
        for (const auto& item : set.pods) {
            KN_CO_TRY(auto pod, co_await still_there(context, item));
            if (pod.is_null() || json::string_at(pod, "status", "phase") != "Failed") continue;
            KN_CO_CHECK(co_await delete_exactly(context, pod_subject(context, std::move(pod)), {}, calls));
        }
        co_return pod_outcome(set, calls.size(), std::move(calls));
    }
    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        const auto gone = co_await all_gone(context, set, true);
        if (!gone) co_return unreadable_or(gone.error());
        co_return *gone ? AppliedCheck::applied : AppliedCheck::not_applied;
    }
    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        co_return co_await all_gone(context, set, false);
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(const auto subject, co_await read_subject(context, spec(), params.text("object")));
        KN_CO_TRY(auto pods, co_await candidates(context, subject));
        const auto before = context.clock->now() - settings().failed_pod_age;
        std::erase_if(pods, [&](const json::Value& pod) {
            const auto owner = kube::controller_of(pod);
            return json::string_at(pod, "status", "phase") != "Failed" || kube::is_deleting(pod) || (owner && owner->kind == "Job") ||
                   failed_at(pod).value_or(Instant::max()) > before;
        });
        std::ranges::sort(pods, {},
                          [](const json::Value& pod) { return std::string(kube::namespace_of(pod)) + "/" + std::string(kube::name_of(pod)); });
        const auto max = static_cast<std::size_t>(params.integer("max").value_or(50));
        if (pods.size() > max) pods.resize(max);
        PodSet set{.subject = subject.key};
        for (const auto& pod : pods) {
            set.pods.push_back({.ns = std::string(kube::namespace_of(pod)),
                                .name = std::string(kube::name_of(pod)),
                                .uid = std::string(kube::uid_of(pod)),
                                .node = std::string(node_of(pod))});
        }
        co_return Prepared{.pre_image = set.to_json(),
                           .writes = set.writes(context.target.key.cluster),
                           .request_digest = set.digest("DELETE failed"),
                           .summary = "delete " + std::to_string(set.pods.size()) + " failed pods of " + place_text(subject.key)};
    }

private:
    static Task<Result<std::vector<json::Value>>> candidates(const ActionContext& context, const Subject& subject) {
        if (subject.key.kind == "Node") co_return co_await pods_on_node(context, subject.key.name);
        if (subject.key.kind == "Namespace") {
            KN_CO_TRY(auto listed, co_await context.client->list(kube::resources::pods, subject.key.name, {}, call_deadline(context)));
            co_return std::move(listed.items);
        }
        co_return co_await pods_of(context, subject);
    }
    /// The latest time that the pod itself gives: a container's end, else its start, else its creation.
    static std::optional<Instant> failed_at(const json::Value& pod) {
        auto latest = kube::creation_time(pod);
        const auto later = [&latest](std::optional<Instant> time) {
            if (time && (!latest || *time > *latest)) latest = time;
        };
        later(kube::time_at(pod, "status", "startTime"));
        for (const auto* status : kube::container_statuses(pod)) later(kube::time_at(*status, "state", "terminated", "finishedAt"));
        return latest;
    }
};

}  // namespace

void add_pod_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<RestartPod>(shared));
    list.push_back(std::make_unique<ForceDeletePod>(shared));
    list.push_back(std::make_unique<DeleteFailedPods>(shared));
}

}  // namespace kn::actions
