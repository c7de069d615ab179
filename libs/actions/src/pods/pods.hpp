#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/subject.hpp"

namespace kn::actions {

// What a pod's own fields say.
bool is_ready(const json::Value& pod);     ///< condition Ready, and not being deleted
bool is_finished(const json::Value& pod);  ///< Succeeded or Failed
bool is_mirror(const json::Value& pod);    ///< a static pod's image in the API: the kubelet owns it
bool is_of_daemon_set(const json::Value& pod);
bool is_crashing(const json::Value& pod);  ///< in crash back-off, or not ready after an exit with an error
bool waits_with(const json::Value& pod, std::initializer_list<std::string_view> reasons);  ///< any container's state.waiting.reason
bool holds_emptydir_data(const json::Value& pod);                                          ///< an emptyDir on disk
std::int64_t restarts_of(const json::Value& pod);
std::string_view node_of(const json::Value& pod);

/// Pods that this object controls (a Deployment through its ReplicaSets), mounts (a PersistentVolumeClaim) or is.
Task<Result<std::vector<json::Value>>> pods_of(const ActionContext& context, const Subject& subject);
Task<Result<std::vector<json::Value>>> replica_sets_of(const ActionContext& context, const Subject& deployment);
Task<Result<std::vector<json::Value>>> pods_on_node(const ActionContext& context, std::string node);
Subject pod_subject(const ActionContext& context, json::Value pod);

/// How many pods the workload wants; nullopt when that is not its business (a Job, a custom controller).
std::optional<std::int64_t> desired_replicas(const Subject& workload);

/// The floor: why this pod must not be taken away now; nullopt when it may. A pod that is not Ready never counts; a budget of its own decides,
/// else at least max(1, ceil(desired/2)) of its workload must stay available. Counted from the pods themselves, since a status lags.
/// For an eviction the server itself minds the budgets.
enum class Budgets : std::uint8_t { count, leave_to_server };
Task<Result<std::optional<std::string>>> floor_blocks(const ActionContext& context, const json::Value& pod, Budgets budgets = Budgets::count);

}  // namespace kn::actions
