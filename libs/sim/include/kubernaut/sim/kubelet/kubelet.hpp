#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/sim/kubelet/behaviour.hpp"
#include "kubernaut/sim/kubelet/metrics.hpp"

namespace kn::sim {

struct NodeSpec {
    std::string name;
    double cpu = 8;                        ///< cores
    double memory = 32.0 * (1ULL << 30U);  ///< bytes
    int pods = 110;
    std::string zone = "zone-a";
    std::map<std::string, std::string> labels{};
    std::vector<std::string> taints{};  ///< "key=value:NoSchedule", at registration
};

struct KubeletOptions {
    std::string kubelet_version = "v1.36.0";
    Duration lease_every = 10s;
    Duration status_every = 5min;
    Duration pull_takes = 2s;  ///< first pull of an image on a node
    /// Mounted ConfigMap/Secret content reaches a pod this long after the change (even between the two).
    Duration config_delay_min = 60s, config_delay_max = 90s;
    Duration crash_backoff = 10s, crash_backoff_cap = 5min, crash_backoff_reset = 10min;
    Duration pull_backoff = 10s, pull_backoff_cap = 5min;
    /// Divides every time above and those of the behaviours: for runs on a real control plane that must be short. 1 = as in life.
    double hurry = 1;
};

/// Kubelets of many nodes in one object, as an ordinary API client: the same code serves the in-memory server and a real control plane.
/// Registers Nodes, renews their Leases, runs the containers of the pods bound to them as the BehaviourBook says, and reports as the real one does.
class Kubelet {
public:
    Kubelet(std::shared_ptr<kube::Client> client, async::Executor executor, RandomSource& random, KubeletOptions options,
            std::shared_ptr<BehaviourBook> book, std::shared_ptr<Metrics> metrics);
    ~Kubelet();
    Kubelet(const Kubelet&) = delete;
    Kubelet& operator=(const Kubelet&) = delete;

    /// Registers these nodes and begins to serve pods. Returns when the first lists are in and every node is registered.
    async::Task<Result<>> start(std::vector<NodeSpec> nodes);
    void stop();
    async::Task<> join();
    async::Task<Result<>> add_node(NodeSpec node);

    /// The machine is off: no Lease, no status, its containers are gone when it comes back.
    void stop_node(std::string_view name);
    void start_node(std::string_view name);
    /// A node condition by hand ("MemoryPressure", "DiskPressure", "PIDPressure" → true = trouble; "Ready" → false = trouble).
    void set_condition(std::string_view node, std::string_view type, bool status);
    [[nodiscard]] bool node_running(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> nodes() const;

    /// What `kubectl logs` shows; not_found when there was no such container.
    [[nodiscard]] Result<std::string> logs(std::string_view ns, std::string_view pod, std::string_view container, bool previous,
                                           int tail_lines) const;
    [[nodiscard]] std::size_t pod_count() const;
    BehaviourBook& book();
    Metrics& metrics();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kn::sim
