#pragma once

#include <set>
#include <string>
#include <vector>

#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/kube/cache.hpp"

namespace kn::assess {

/// What lies around a target, as the watches see it. Empty lists: not watched.
struct Surroundings {
    std::vector<kube::ObjectPtr> workloads;  ///< Deployments, StatefulSets, DaemonSets
    std::vector<kube::ObjectPtr> pods, services;
};

/// Keys of the objects that an action on `target` can hurt beside it: what selects it, what depends on it (an environment value that names one of its Services, or the
/// annotation depends-on), the nodes and claims of its pods, and the workloads that use it when it is a node, claim, Service, ConfigMap or Secret. For kinds that rule a
/// whole namespace: all its workloads. O(objects x their size).
std::set<std::string> neighbours_of(const ObjectKey& target, const Surroundings& around);

/// Did somebody who is neither us nor a part of Kubernetes write more than status since then? Unknown when the object does not tell who wrote it.
struct Drift {
    Truth seen = Truth::unknown;
    std::string manager;
};
Drift drift_of(const json::Value& object, Instant since);

/// Desired and available replicas of a workload as a share; none when it says neither.
std::optional<double> availability_of(const json::Value& workload);

/// A class that one object's trouble can bring upon another (no room, no dependency, no endpoints); others have a cause of their own.
bool can_be_an_effect(std::string_view fault_class);

}  // namespace kn::assess
