#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/sim/controllers/manager.hpp"
#include "kubernaut/sim/kubelet/kubelet.hpp"
#include "kubernaut/sim/scenario/scenario.hpp"

namespace kn::sim {

class ApiServer;

struct ClusterSpec {
    std::string name = "sim";
    std::string environment = "staging";  ///< for the fleet's registration; the cluster itself does not know it
    int nodes = 3;
    int zones = 3;
    double node_cpu = 8;
    double node_memory = 32.0 * (1ULL << 30U);
    int node_pods = 110;
    std::string version = "v1.36.0";
    KubeletOptions kubelet{};
    ControllerOptions controllers{};
};

/// API server, controllers, kubelets and metrics of one cluster on one EventLoop. The parts meet only through the API.
class SimCluster {
public:
    SimCluster(async::EventLoop& loop, RandomSource& random, ClusterSpec spec);
    ~SimCluster();
    SimCluster(const SimCluster&) = delete;
    SimCluster& operator=(const SimCluster&) = delete;

    /// Returns when the nodes are Ready, the namespaces kube-system, kube-public, kube-node-lease, default and the StorageClass `standard` exist.
    async::Task<Result<>> start();
    /// Ends everything; join() before destruction while the loop runs on. Both may be called twice.
    void stop();
    async::Task<> join();

    [[nodiscard]] const ClusterSpec& spec() const;
    ApiServer& api();
    /// In process, without sockets, as this user ("system:serviceaccount:ns:name", "alice", ...). The default has all rights.
    std::shared_ptr<kube::Transport> transport(std::string user = "system:admin", std::vector<std::string> groups = {"system:masters"});
    std::shared_ptr<kube::Client> client();
    Kubelet& kubelet();
    ControllerManager& controllers();
    std::shared_ptr<BehaviourBook> book();
    std::shared_ptr<Metrics> metrics();
    Stage stage();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// A control plane that somebody else runs (a real one), with our kubelets as its nodes and our storage provisioner: the same stage for the same scenarios.
/// `spec.kubelet.hurry` shortens the waits of behaviours and scenarios; those of the control plane itself are its own.
class BorrowedCluster {
public:
    /// `transport` needs all rights (system:masters).
    BorrowedCluster(async::EventLoop& loop, RandomSource& random, std::shared_ptr<kube::Transport> transport, ClusterSpec spec);
    ~BorrowedCluster();
    BorrowedCluster(const BorrowedCluster&) = delete;
    BorrowedCluster& operator=(const BorrowedCluster&) = delete;

    /// Returns when the nodes are registered and the StorageClass `standard` exists.
    async::Task<Result<>> start();
    void stop();
    async::Task<> join();
    [[nodiscard]] Stage stage();
    Kubelet& kubelet();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kn::sim
