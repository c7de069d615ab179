#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/kube/client.hpp"

namespace kn::ports {

using async::Task;

/// The clusters as the core sees them. Loop thread only.
class ClusterGateway {
public:
    virtual ~ClusterGateway() = default;
    [[nodiscard]] virtual std::vector<ClusterRecord> clusters() const = 0;
    [[nodiscard]] virtual std::optional<ClusterRecord> cluster(const ClusterId& id) const = 0;

    /// Live calls in the cluster's own lane (its concurrency and deadlines). nullptr when not registered.
    virtual std::shared_ptr<kube::Client> client(const ClusterId& id) = 0;
    /// The watch cache of a resource; nullptr when it is not watched. Facts from it are as old as last_heard().
    virtual std::shared_ptr<const kube::ObjectCache> cache(const ClusterId& id, const kube::Resource& resource) = 0;
    /// A deleted object's controller: uid → owner, kept 30 minutes after the deletion was seen.
    virtual std::optional<ObjectRef> tombstone(const ClusterId& id, std::string_view kind, std::string_view ns, std::string_view name) = 0;

    /// No fence, no write: checks right before a mutating call that the endpoint is still the registered cluster (uid of kube-system) and that its verdict
    /// allows writes. failed_precondition with reason wrong_cluster, cluster_not_healthy or hub_isolated.
    virtual Task<Result<>> check_fence(const ClusterId& id, Deadline deadline) = 0;
};

/// Series of a cluster's Prometheus (or the simulator's generator). A missing series is an empty vector: unknown, not zero.
struct Sample {
    Instant at{};
    double value = 0;
};
struct Series {
    std::vector<std::pair<std::string, std::string>> labels;
    std::vector<Sample> samples;
};
class MetricsSource {
public:
    virtual ~MetricsSource() = default;
    virtual Task<Result<std::vector<Series>>> range(const ClusterId& cluster, std::string promql, Instant from, Instant to, Duration step,
                                                    Deadline deadline) = 0;
};

}  // namespace kn::ports
