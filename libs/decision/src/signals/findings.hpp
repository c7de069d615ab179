#pragma once

#include <map>
#include <string>
#include <vector>

#include "kubernaut/decision/options.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/domain/signal.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"

namespace kn::decision {

/// One trouble that stands in the watch caches now.
struct Finding {
    std::string name;  ///< as in the alert map
    ObjectKey object;
    std::string container;
    Severity severity = Severity::warning;
    SignalSource source = SignalSource::watch;
    Duration must_last{0};  ///< how long it must have been seen before it counts, beside the second read
    auto operator<=>(const Finding&) const = default;
};

/// Everything that is wrong in the caches of one cluster, in a fixed order. Pure but for reading the caches.
std::vector<Finding> find_trouble(ports::ClusterGateway& gateway, const ClusterId& cluster, const DecisionOptions& options, Instant now);

}  // namespace kn::decision
