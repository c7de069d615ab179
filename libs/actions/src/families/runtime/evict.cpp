#include <algorithm>
#include <set>

#include "families/families.hpp"
#include "families/runtime/node.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/capacity.hpp"
#include "pods/evictor.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

constexpr std::size_t max_calls_kept = 200;

/// What may be evicted at all: not the kubelet's own pods, not those that a DaemonSet would put back at once, not what has ended.
bool is_evictable(const json::Value& pod) { return !is_mirror(pod) && !is_of_daemon_set(pod) && !is_finished(pod) && !kube::is_deleting(pod); }

/// Never chosen by us to relieve a node: the cluster's own pods, and those that nobody would make again.
bool is_nobodys_victim(const json::Value& pod) {
    const auto ns = kube::namespace_of(pod);
    return json::string_at(pod, "spec", "priorityClassName").starts_with("system-") || ns.starts_with("kube-") || ns == "kubernaut-system" ||
           !kube::controller_of(pod);
}

std::string pod_names(const std::vector<json::Value>& pods) {
    std::string text;
    for (const auto& pod : pods) text += (text.empty() ? "" : ", ") + std::string(kube::namespace_of(pod)) + "/" + std::string(kube::name_of(pod));
    return text;
}

PodSet::Item item_of(const json::Value& pod) {
    return {.ns = std::string(kube::namespace_of(pod)),
            .name = std::string(kube::name_of(pod)),
            .uid = std::string(kube::uid_of(pod)),
            .node = std::string(node_of(pod))};
}

Result<> check_emptydir(const std::vector<json::Value>& pods, bool allowed) {
    if (allowed) return {};
    std::vector<json::Value> holders;
    std::ranges::copy_if(pods, std::back_inserter(holders), holds_emptydir_data);
    if (!holders.empty()) return refuse("emptydir_data", "these pods keep data in an emptyDir: " + pod_names(holders));
    return {};
}

/// Until when the action may go on waiting: its own parameter, counted from the start of the call, within the engine's deadline.
Deadline wait_limit(const ActionContext& context, const json::Value& stored) {
    const auto own = Duration{json::int_at(stored, "deadline_ms").value_or(600'000)};
    return context.deadline.earlier(context.clock->deadline_in(own));
}

void keep_short(Calls& calls) {
    if (calls.size() > max_calls_kept) calls.erase(calls.begin() + max_calls_kept / 2, calls.end() - max_calls_kept / 2);
}

class EvictPod final : public BaseAction {
public:
    explicit EvictPod(Shared& shared) : BaseAction("evict_pod", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        const auto limit = wait_limit(context, context.pre_image);
        Calls calls;
        std::string notes;
        for (const auto& item : set.pods) {
            for (;;) {
                KN_CO_TRY(const auto answer, co_await evict_once(context, item, calls));
                keep_short(calls);
                if (answer.what == Eviction::done) break;
                if (context.dry_run) {
                    notes += item.name + ": " + answer.why + "; ";
                    break;
                }
                const auto wait = std::max(settings().poll, answer.wait);
                if (limit.left(context.clock->steady()) <= wait) {
                    co_return refuse(answer.what == Eviction::busy ? "overload" : "DisruptionBudget",
                                     "pod " + item.name + " could not be evicted: " + answer.why);
                }
                co_await async::sleep_for(*context.clock, wait);
            }
        }
        auto outcome = pod_outcome(set, set.pods.size(), std::move(calls));
        if (!notes.empty()) outcome.output.get_object()["would_wait_for"] = notes;
        co_return outcome;
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
        std::vector<json::Value> pods;
        if (subject.key.kind == "Node") {
            KN_CO_TRY(pods, co_await pods_on_node(context, subject.key.name));
        } else {
            KN_CO_TRY(pods, co_await pods_of(context, subject));
        }
        std::erase_if(pods,
                      [&](const json::Value& pod) { return !is_evictable(pod) || (params.has("node") && node_of(pod) != params.text("node")); });
        const bool chosen_by_us = !params.has("pods") && subject.key.kind != "Pod";
        // Of a node's pods those with data are never chosen; a named one that holds data needs the parameter.
        if (chosen_by_us && !params.flag("delete_emptydir_data")) std::erase_if(pods, holds_emptydir_data);
        if (chosen_by_us && subject.key.kind == "Node") std::erase_if(pods, is_nobodys_victim);
        KN_CO_TRY(pods, pick_pods(params, subject, std::move(pods)));
        if (pods.empty()) co_return refuse("condition_cleared", "nothing to evict of " + subject.key.str());
        KN_CO_CHECK(check_emptydir(pods, params.flag("delete_emptydir_data")));
        KN_CO_TRY(const auto set, co_await make_pod_set(context, subject, pods, true));
        auto image = set.to_json();
        image.get_object()["deadline_ms"] = params.duration("deadline").count();
        co_return Prepared{.pre_image = std::move(image),
                           .writes = set.writes(context.target.key.cluster),
                           .request_digest = set.digest("EVICT"),
                           .summary = "evict pod " + set.names()};
    }
};

class DrainNode final : public BaseAction {
public:
    explicit DrainNode(Shared& shared) : BaseAction("drain_node", shared) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        const auto limit = wait_limit(context, context.pre_image);
        const auto parallel = static_cast<std::size_t>(json::int_at(context.pre_image, "parallel").value_or(2));
        Calls calls;
        std::set<std::string> evicted;
        std::string waiting_for;
        for (;;) {
            KN_CO_TRY(const auto node, co_await reread(context, set.subject, std::string(json::string_at(context.pre_image, "uid"))));
            if (!json::bool_at(node.live, "spec", "unschedulable").value_or(false)) {
                co_return refuse("target_changed", "node " + set.subject.name + " is not cordoned any more");
            }
            KN_CO_TRY(const auto pods, co_await pods_on_node(context, set.subject.name));
            std::vector<PodSet::Item> left;
            std::size_t leaving = 0;
            for (const auto& pod : pods) {
                if (is_evictable(pod)) left.push_back(item_of(pod));
                // A dead kubelet never finishes a deletion: then only the API's word counts.
                else if (kube::is_deleting(pod) && is_node_ready(node.live) && evicted.contains(std::string(kube::uid_of(pod))))
                    ++leaving;
            }
            if (left.empty()) break;
            Duration pause = settings().poll;
            waiting_for.clear();
            for (const auto& item : left) {
                if (leaving >= parallel && !context.dry_run) break;
                KN_CO_TRY(const auto answer, co_await evict_once(context, item, calls));
                keep_short(calls);
                if (answer.what == Eviction::done) {
                    evicted.insert(item.uid);
                    ++leaving;
                } else {
                    waiting_for += item.ns + "/" + item.name + ": " + answer.why + "; ";
                    pause = std::max(pause, answer.wait);
                    if (answer.what == Eviction::busy) break;
                }
            }
            if (context.dry_run) break;
            if (limit.left(context.clock->steady()) <= pause) {
                co_return refuse(waiting_for.empty() ? "drain_timeout" : "DisruptionBudget",
                                 std::to_string(left.size()) + " pods are left on node " + set.subject.name + ": " + waiting_for);
            }
            co_await async::sleep_for(*context.clock, pause);
        }
        auto outcome = pod_outcome(set, evicted.size(), std::move(calls));
        if (!waiting_for.empty()) outcome.output.get_object()["would_wait_for"] = waiting_for;
        co_return outcome;
    }

    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        const auto pods = co_await pods_on_node(context, set.subject.name);
        if (!pods) co_return unreadable_or(pods.error());
        co_return std::ranges::none_of(*pods, is_evictable) ? AppliedCheck::applied : AppliedCheck::not_applied;
    }

    /// None left (on a dead node: none that is not already being deleted), and the workloads have their pods back.
    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto set, PodSet::from_json(context.pre_image));
        const auto node = co_await context.client->get(kube::resources::nodes, "", set.subject.name, call_deadline(context));
        const bool alive = node && is_node_ready(*node);
        KN_CO_TRY(const auto pods, co_await pods_on_node(context, set.subject.name));
        for (const auto& pod : pods) {
            if (is_mirror(pod) || is_of_daemon_set(pod) || is_finished(pod)) continue;
            if (alive || !kube::is_deleting(pod)) co_return false;
        }
        for (const auto& owner : json::array_at(context.pre_image, "owners")) {
            KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(owner, "object")));
            const auto live = co_await read_object(context, key);
            if (!live && live.error().code == ErrorCode::not_found) continue;
            if (!live) co_return fail(live.error());
            const auto desired = desired_replicas(*live);
            if (!desired) continue;
            KN_CO_TRY(const auto ready, co_await ready_pods_of(context, key, std::string(kube::uid_of(live->live))));
            if (ready < std::min(*desired, json::int_at(owner, "ready").value_or(0))) co_return false;
        }
        co_return true;
    }

    /// Pods stay where they went; the node is opened again if it was we who closed it.
    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override { co_return co_await open_node_again(context, context.pre_image); }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(const auto node, co_await read_node(context, spec(), params));
        if (!json::bool_at(node.live, "spec", "unschedulable").value_or(false))
            co_return refuse("not_cordoned", "node " + node.key.name + " is not cordoned");
        KN_CO_TRY(auto pods, co_await pods_on_node(context, node.key.name));
        std::erase_if(pods, [](const json::Value& pod) { return !is_evictable(pod); });
        KN_CO_CHECK(check_emptydir(pods, params.flag("delete_emptydir_data")));
        KN_CO_CHECK(co_await check_room(context, node, pods));

        PodSet set{.subject = node.key};
        std::map<std::string, json::Object> owners;
        for (const auto& pod : pods) {
            KN_CO_TRY(const auto chain, co_await owners_of(context, pod_subject(context, pod)));
            if (chain.empty()) co_return refuse("no_controller", "nobody would make pod " + std::string(kube::name_of(pod)) + " again");
            set.pods.push_back(item_of(pod));
            const auto key = chain.back().key.str();
            if (owners.contains(key)) continue;
            KN_CO_TRY(const auto ready, co_await ready_pods_of(context, chain.back().key, std::string(kube::uid_of(chain.back().live))));
            owners[key]["object"] = key;
            owners[key]["ready"] = ready;
        }
        auto image = set.to_json();
        auto& stored = image.get_object();
        stored["uid"] = kube::uid_of(node.live);
        stored["deadline_ms"] = params.duration("deadline").count();
        stored["parallel"] = params.integer("parallel").value_or(2);
        json::Array listed;
        for (auto& [key, owner] : owners) listed.emplace_back(std::move(owner));
        stored["owners"] = std::move(listed);
        auto writes = set.writes(context.target.key.cluster);
        writes.push_back(node.key.str());
        co_return Prepared{.pre_image = std::move(image),
                           .writes = std::move(writes),
                           .request_digest = set.digest("DRAIN"),
                           .summary = "drain node " + node.key.name + " (" + std::to_string(set.pods.size()) + " pods)"};
    }

private:
    static Task<Result<>> check_room(const ActionContext& context, const Subject& node, const std::vector<json::Value>& pods) {
        KN_CO_TRY(auto rooms, co_await read_rooms(context, node.key.name));
        for (const auto& pod : pods) {
            if (!take_room(rooms, *json::at(pod, "spec"))) {
                co_return refuse("no_room",
                                 "pod " + std::string(kube::namespace_of(pod)) + "/" + std::string(kube::name_of(pod)) + " fits on no other node");
            }
        }
        co_return Result<>{};
    }
};

}  // namespace

void add_evict_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<EvictPod>(shared));
    list.push_back(std::make_unique<DrainNode>(shared));
}

}  // namespace kn::actions
