#include "pods/pods.hpp"

#include <algorithm>
#include <set>

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/selector.hpp"

namespace kn::actions {
namespace {

using kube::Resource;

Task<Result<std::vector<json::Value>>> list_by_selector(const ActionContext& context, const Resource& resource, std::string ns,
                                                        const json::Value* selector) {
    kube::ListOptions options;
    if (selector != nullptr && selector->is_object()) options.label_selector = kube::to_query(*selector);
    KN_CO_TRY(auto listed, co_await context.client->list(resource, std::move(ns), options, call_deadline(context)));
    co_return std::move(listed.items);
}

bool mounts_claim(const json::Value& pod, std::string_view claim) {
    return std::ranges::any_of(json::array_at(pod, "spec", "volumes"),
                               [claim](const json::Value& volume) { return json::string_at(volume, "persistentVolumeClaim", "claimName") == claim; });
}

struct Budget {
    std::string name;
    std::int64_t allowed = 0, desired_healthy = 0;
};

Task<Result<std::vector<Budget>>> budgets_over(const ActionContext& context, const json::Value& pod) {
    const std::string ns(kube::namespace_of(pod));
    KN_CO_TRY(const auto listed, co_await context.client->list(kube::resources::pod_disruption_budgets, ns, {}, call_deadline(context)));
    std::vector<Budget> budgets;
    for (const auto& pdb : listed.items) {
        const auto* selector = json::at(pdb, "spec", "selector");
        if (!kube::label_selector_matches(selector, json::object_at(pod, "metadata", "labels"))) continue;
        KN_CO_TRY(const auto pods, co_await list_by_selector(context, kube::resources::pods, ns, selector));
        const auto healthy = std::ranges::count_if(pods, is_ready);
        const auto desired = json::int_at(pdb, "status", "desiredHealthy").value_or(0);
        const auto stated = json::int_at(pdb, "status", "disruptionsAllowed").value_or(0);
        budgets.push_back(
            {.name = std::string(kube::name_of(pdb)), .allowed = std::min<std::int64_t>(stated, healthy - desired), .desired_healthy = desired});
    }
    co_return budgets;
}

}  // namespace

bool is_ready(const json::Value& pod) {
    if (kube::is_deleting(pod)) return false;
    const auto ready = kube::condition_of(pod, "Ready");
    return ready && ready->status == "True";
}

bool is_finished(const json::Value& pod) {
    const auto phase = json::string_at(pod, "status", "phase");
    return phase == "Succeeded" || phase == "Failed";
}

bool is_mirror(const json::Value& pod) { return !kube::annotation_of(pod, "kubernetes.io/config.mirror").empty(); }

bool is_of_daemon_set(const json::Value& pod) {
    const auto owner = kube::controller_of(pod);
    return owner && owner->kind == "DaemonSet";
}

bool waits_with(const json::Value& pod, std::initializer_list<std::string_view> reasons) {
    return std::ranges::any_of(kube::container_statuses(pod), [reasons](const json::Value* status) {
        const auto reason = json::string_at(*status, "state", "waiting", "reason");
        return !reason.empty() && (reasons.size() == 0 || std::ranges::find(reasons, reason) != reasons.end());
    });
}

bool is_crashing(const json::Value& pod) {
    if (waits_with(pod, {"CrashLoopBackOff"})) return true;
    if (is_ready(pod) || is_finished(pod)) return false;
    return std::ranges::any_of(kube::container_statuses(pod), [](const json::Value* status) {
        if (json::bool_at(*status, "ready").value_or(false)) return false;
        const auto now = json::int_at(*status, "state", "terminated", "exitCode").value_or(0);
        const auto before = json::int_at(*status, "lastState", "terminated", "exitCode").value_or(0);
        return now != 0 || before != 0;
    });
}

bool holds_emptydir_data(const json::Value& pod) {
    return std::ranges::any_of(json::array_at(pod, "spec", "volumes"), [](const json::Value& volume) {
        return json::at(volume, "emptyDir") != nullptr && json::string_at(volume, "emptyDir", "medium") != "Memory";
    });
}

std::int64_t restarts_of(const json::Value& pod) {
    std::int64_t sum = 0;
    for (const auto* status : kube::container_statuses(pod)) sum += json::int_at(*status, "restartCount").value_or(0);
    return sum;
}

std::string_view node_of(const json::Value& pod) { return json::string_at(pod, "spec", "nodeName"); }

Subject pod_subject(const ActionContext& context, json::Value pod) {
    ObjectKey key{.cluster = context.target.key.cluster,
                  .ns = std::string(kube::namespace_of(pod)),
                  .kind = "Pod",
                  .group = "",
                  .name = std::string(kube::name_of(pod))};
    return {.resource = kube::resources::pods, .key = std::move(key), .live = std::move(pod)};
}

Task<Result<std::vector<json::Value>>> replica_sets_of(const ActionContext& context, const Subject& deployment) {
    KN_CO_TRY(auto all,
              co_await list_by_selector(context, kube::resources::replica_sets, deployment.key.ns, json::at(deployment.live, "spec", "selector")));
    const auto uid = kube::uid_of(deployment.live);
    std::erase_if(all, [uid](const json::Value& set) {
        const auto owner = kube::controller_of(set);
        return !owner || owner->uid != uid;
    });
    co_return all;
}

Task<Result<std::vector<json::Value>>> pods_of(const ActionContext& context, const Subject& subject) {
    if (subject.key.kind == "Pod") co_return std::vector<json::Value>{subject.live};
    const bool claim = subject.key.kind == "PersistentVolumeClaim";
    KN_CO_TRY(auto pods, co_await list_by_selector(context, kube::resources::pods, subject.key.ns,
                                                   claim ? nullptr : json::at(subject.live, "spec", "selector")));
    if (claim) {
        std::erase_if(pods, [&](const json::Value& pod) { return !mounts_claim(pod, subject.key.name); });
        co_return pods;
    }
    std::set<std::string, std::less<>> controllers{std::string(kube::uid_of(subject.live))};
    if (subject.key.kind == "Deployment") {
        KN_CO_TRY(const auto sets, co_await replica_sets_of(context, subject));
        for (const auto& set : sets) controllers.emplace(kube::uid_of(set));
    }
    std::erase_if(pods, [&](const json::Value& pod) {
        const auto owner = kube::controller_of(pod);
        return !owner || !controllers.contains(owner->uid);
    });
    co_return pods;
}

Task<Result<std::vector<json::Value>>> pods_on_node(const ActionContext& context, std::string node) {
    KN_CO_TRY(auto listed,
              co_await context.client->list(kube::resources::pods, "", {.field_selector = "spec.nodeName=" + node}, call_deadline(context)));
    co_return std::move(listed.items);
}

std::optional<std::int64_t> desired_replicas(const Subject& workload) {
    const auto& kind = workload.key.kind;
    if (kind == "DaemonSet") return json::int_at(workload.live, "status", "desiredNumberScheduled").value_or(0);
    if (kind == "Deployment" || kind == "StatefulSet" || kind == "ReplicaSet") return json::int_at(workload.live, "spec", "replicas").value_or(1);
    return std::nullopt;
}

Task<Result<std::optional<std::string>>> floor_blocks(const ActionContext& context, const json::Value& pod, Budgets mode) {
    std::optional<std::string> free;
    if (!is_ready(pod) || is_finished(pod)) co_return free;
    KN_CO_TRY(const auto budgets, co_await budgets_over(context, pod));
    for (const auto& budget : budgets) {
        if (mode == Budgets::count && budget.allowed < 1) {
            co_return std::optional("its disruption budget " + budget.name + " wants " + std::to_string(budget.desired_healthy) + " healthy pods");
        }
    }
    if (!budgets.empty()) co_return free;
    KN_CO_TRY(const auto workload, co_await workload_of(context, pod_subject(context, pod)));
    const auto desired = desired_replicas(workload);
    if (!desired) co_return free;
    KN_CO_TRY(const auto pods, co_await pods_of(context, workload));
    const std::int64_t available = std::ranges::count_if(pods, is_ready);
    const std::int64_t least = std::max<std::int64_t>(1, (*desired + 1) / 2);
    if (available - 1 >= least) co_return free;
    co_return std::optional(workload.key.str() + " has " + std::to_string(available) + " of " + std::to_string(*desired) +
                            " pods available and must keep " + std::to_string(least));
}

}  // namespace kn::actions
