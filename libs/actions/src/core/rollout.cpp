#include "core/rollout.hpp"

#include <set>

#include "kubernaut/kube/object.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

std::int64_t status_count(const Subject& workload, std::string_view field) {
    return json::int_at(workload.live, "status", std::string(field)).value_or(0);
}

constexpr Duration forget_after = std::chrono::hours{2};

}  // namespace

bool is_rolled_out(const Subject& workload) {
    if (status_count(workload, "observedGeneration") < kube::generation_of(workload.live)) return false;
    const auto desired = desired_replicas(workload);
    if (!desired) return true;
    if (workload.key.kind == "DaemonSet") {
        return status_count(workload, "updatedNumberScheduled") >= *desired && status_count(workload, "numberAvailable") >= *desired;
    }
    if (workload.key.kind == "StatefulSet") {
        const auto partition = json::int_at(workload.live, "spec", "updateStrategy", "rollingUpdate", "partition").value_or(0);
        const bool whole = partition <= 0;
        const auto updated = status_count(workload, "updatedReplicas");
        const bool current =
            json::string_at(workload.live, "status", "currentRevision") == json::string_at(workload.live, "status", "updateRevision");
        return status_count(workload, "replicas") == *desired && status_count(workload, "readyReplicas") == *desired &&
               (whole ? current || updated == *desired : updated >= *desired - partition);
    }
    if (workload.key.kind == "ReplicaSet") return status_count(workload, "availableReplicas") == *desired;
    return status_count(workload, "updatedReplicas") == *desired && status_count(workload, "replicas") == *desired &&
           status_count(workload, "availableReplicas") == *desired;
}

bool QuietWatch::lasts(const std::string& key, const std::string& state, SteadyTime now, Duration quiet) {
    std::erase_if(entries_, [now](const auto& each) { return now - each.second.seen > forget_after; });
    if (state.empty()) {
        entries_.erase(key);
        return false;
    }
    auto& entry = entries_[key];
    if (entry.state != state) entry = {.state = state, .since = now, .seen = now};
    entry.seen = now;
    return now - entry.since >= quiet;
}

Task<Result<bool>> is_settled(const ActionContext& context, QuietWatch& watch, const Subject& workload, Duration quiet) {
    const auto key = context.id.str() + " " + workload.key.str();
    if (!is_rolled_out(workload)) {
        watch.forget(key);
        co_return false;
    }
    KN_CO_TRY(const auto pods, co_await pods_of(context, workload));
    std::set<std::string> parts;  // in the order of uids: the same pods give the same text
    for (const auto& pod : pods) {
        if (!kube::is_deleting(pod) && !is_finished(pod)) parts.insert(std::string(kube::uid_of(pod)) + "=" + std::to_string(restarts_of(pod)));
    }
    std::string state = std::to_string(kube::generation_of(workload.live));
    for (const auto& part : parts) state += " " + part;
    co_return watch.lasts(key, state, context.clock->steady(), quiet);
}

}  // namespace kn::actions
