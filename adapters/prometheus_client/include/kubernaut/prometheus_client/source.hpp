#pragma once

#include <map>
#include <memory>

#include "kubernaut/kube/transport.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"

namespace kn::prometheus {

class PrometheusSource final : public ports::MetricsSource {
public:
    struct Server {
        std::shared_ptr<kube::Transport> transport;
        std::string prefix;  ///< of the path, "" for most
    };
    /// `servers` by cluster; `shared` (may be empty) for the others: of its answers, series whose label `cluster` names another one are left out. Queries must
    /// not sum that label away.
    PrometheusSource(std::map<ClusterId, Server> servers, Server shared, async::Clock& clock, Duration timeout);
    ports::Task<Result<std::vector<ports::Series>>> range(const ClusterId& cluster, std::string promql, Instant from, Instant to, Duration step,
                                                          Deadline deadline) override;

    /// A query_range answer as series. Pure.
    static Result<std::vector<ports::Series>> parse(const std::string& body);

private:
    std::map<ClusterId, Server> servers_;
    Server shared_;
    async::Clock& clock_;
    Duration timeout_;
};

}  // namespace kn::prometheus
