#pragma once

#include <map>
#include <memory>

#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/sim/kubelet/metrics.hpp"

namespace kn::app {

/// The simulators' generators as a MetricsSource: understands plain selectors, `name{label="value",...}`.
class SimMetricsSource final : public ports::MetricsSource {
public:
    void add(ClusterId cluster, std::shared_ptr<sim::Metrics> metrics) { clusters_[std::move(cluster)] = std::move(metrics); }
    ports::Task<Result<std::vector<ports::Series>>> range(const ClusterId& cluster, std::string promql, Instant from, Instant to, Duration step,
                                                          Deadline deadline) override;

private:
    std::map<ClusterId, std::shared_ptr<sim::Metrics>> clusters_;
};

}  // namespace kn::app
