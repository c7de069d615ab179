#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/decision/evidence.hpp"

namespace kn::decision {

enum class Blocker : std::uint8_t { resources, pod_count, taint, pool_taint, affinity, cordon, not_ready, volume };

struct TaintRef {
    std::string node, key, value, effect;
    auto operator<=>(const TaintRef&) const = default;
};

/// One pod against every node, by our own rules: resources, pod count, taints, selector and affinity, spread, cordon, volume zone.
struct Feasibility {
    bool known = false;
    int nodes = 0, fits_now = 0;
    /// Nodes on which exactly this one thing stands in the way (resources and pod_count count as one).
    std::map<Blocker, int> only;
    std::set<TaintRef> stray_taints;  ///< on nodes where nothing but stray taints blocks
    bool fits_empty_node = false;     ///< an eligible node would hold it if it were empty
    std::string short_resource;       ///< "cpu", "memory", "pods" or another resource: the first that lacks where resources are the only blocker
};

/// What a pod asks for, as the scheduler counts: max(sum of containers and sidecars, init containers) + overhead. Resource → amount (cores, bytes, counts).
std::map<std::string, double> requests_of(const json::Value& pod_spec);

Feasibility check_feasibility(const json::Value& pod, const EvidenceSnapshot& snapshot);

/// A pod-independent look: may pods of this template run on the node (selector, affinity, taints with the DaemonSet controller's own tolerations)?
bool daemon_pod_may_run(const json::Value& pod_spec, const json::Value& node);

/// Taints of the node lifecycle, autoscalers and pools are rules, not litter: the key is a label of the node too, or some workload tolerates it by name.
bool is_rule_taint(const json::Value& taint, const json::Value& node, const std::set<std::string>& tolerated_keys);

}  // namespace kn::decision
