#pragma once

#include <memory>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/decision/options.hpp"
#include "kubernaut/decision/signal_map.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/ports/signal_store.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::decision {

/// Pending signals → incidents. Level-triggered over SignalStore::pending: woken by Wakeups::signals and at least once a second.
class Correlator {
public:
    Correlator(async::EventLoop& loop, RandomSource& random, ports::SignalStore& signals, ports::IncidentStore& incidents,
               ports::ClusterGateway& gateway, const SignalMap& map, ports::Wakeups& wakeups, ports::LiveFeed& feed, DecisionOptions options);
    void set_options(DecisionOptions options);
    ~Correlator();
    Correlator(const Correlator&) = delete;
    Correlator& operator=(const Correlator&) = delete;

    void start();
    void stop();
    async::Task<> join();
    /// One pass; the number of signals that were settled. For tests.
    async::Task<Result<int>> run_once();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Follows ownerReferences[controller] up to six steps: Pod → ReplicaSet → Deployment (or Rollout), StatefulSet, DaemonSet; Job → CronJob stops at the
/// Job. A pod that is gone resolves by tombstone, then by the name pattern (weak) when exactly one live workload fits.
struct OwnerAnswer {
    ObjectRef target;
    Resolution resolution = Resolution::unresolved;
};
async::Task<Result<OwnerAnswer>> resolve_owner(ports::ClusterGateway& gateway, ObjectKey object, Deadline deadline);

}  // namespace kn::decision
