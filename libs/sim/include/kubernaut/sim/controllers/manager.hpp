#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/kube/client.hpp"

namespace kn::sim {

struct ControllerOptions {
    Duration node_grace = 50s;     ///< 40 s up to 1.31
    Duration pod_eviction = 300s;  ///< for pods without a toleration of their own
    Duration hpa_sync = 15s, hpa_downscale_window = 300s;
    Duration provision_takes = 2s, resize_takes = 8s;
    /// Names to run; empty = all: deployment replicaset statefulset daemonset job cronjob disruption endpoints node scheduler volume storage gc quota hpa namespace.
    /// `storage` alone (provisioner and resizer) is what a real control plane lacks.
    std::set<std::string, std::less<>> enabled{};
    /// Average CPU use of an HPA's pods as a part (1 = 100 %) of their request; nullopt: metric not available.
    std::function<std::optional<double>(std::string_view ns, std::string_view hpa, const json::Value& target_ref)> utilization{};
};

/// The controllers and the scheduler of a control plane, as API clients. Event-driven: a controller looks at an object when something about it changed.
class ControllerManager {
public:
    ControllerManager(std::shared_ptr<kube::Client> client, async::Executor executor, RandomSource& random, ControllerOptions options);
    ~ControllerManager();
    ControllerManager(const ControllerManager&) = delete;
    ControllerManager& operator=(const ControllerManager&) = delete;

    /// Returns when all caches are filled and the controllers run.
    async::Task<Result<>> start();
    void stop();
    async::Task<> join();

    /// Reconciliations so far; for tests and benchmarks.
    [[nodiscard]] std::uint64_t reconciled() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kn::sim
