#pragma once

#include <string>

#include "pods/pod_set.hpp"

namespace kn::actions {

enum class Eviction : std::uint8_t {
    done,     ///< accepted, or the pod is gone already
    blocked,  ///< a budget or the floor: try again when other pods are Ready
    busy,     ///< the server is overloaded: `wait` says how long to leave it alone
};

struct EvictionAnswer {
    Eviction what = Eviction::done;
    std::string why;
    Duration wait{0};
};

/// One try at one pod. Errors are those that make going on pointless (permission, a lost server).
Task<Result<EvictionAnswer>> evict_once(const ActionContext& context, const PodSet::Item& item, Calls& calls);

}  // namespace kn::actions
