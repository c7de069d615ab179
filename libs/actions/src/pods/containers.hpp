#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/subject.hpp"

namespace kn::actions {

/// The pod spec of a workload's template, or of a pod.
const json::Value* pod_spec_of(const Subject& subject);
const json::Value* find_container(const json::Value& pod_spec, std::string_view name);

/// The container that is meant: the named one; else the one that was OOM-killed (by `reason` in its last state) in one of the pods; else the only one.
Result<std::string> meant_container(const json::Value& pod_spec, const std::string& named, const std::vector<json::Value>& pods,
                                    std::string_view reason);

/// "memory" or "cpu" of "limits" or "requests", in base units.
std::optional<double> resource_amount(const json::Value& container, std::string_view which, std::string_view resource);
/// As people write it: whole MiB, or steps of 10 millicores, rounded up.
std::string resource_text(std::string_view resource, double amount);

/// The vertical autoscaler that owns this workload's resources, by name; nullopt when there is none or no such kind is served.
Task<Result<std::optional<std::string>>> vertical_autoscaler_of(const ActionContext& context, const Subject& workload);

/// The largest limit that this container may get: half the largest node, the namespace's LimitRange, the team's own bound (kubernaut.io/max-memory).
Task<Result<double>> resource_cap(const ActionContext& context, const Subject& workload, std::string resource);

}  // namespace kn::actions
