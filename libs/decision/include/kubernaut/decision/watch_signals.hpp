#pragma once

#include <memory>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/decision/options.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/signal_store.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::decision {

/// Finds trouble in the watch caches of all clusters without any alert (domain.md §7): crash loops, bad waiting reasons, unschedulable pods, failed rollouts,
/// nodes, claims, Jobs and creations, Services without endpoints. Each is read a second time 10 s later before it becomes a signal; when it is gone
/// the signal is resolved. Signals go through SignalStore::accept like any other.
class WatchSignalSource {
public:
    WatchSignalSource(async::EventLoop& loop, RandomSource& random, ports::ClusterGateway& gateway, ports::SignalStore& signals,
                      ports::Wakeups& wakeups, DecisionOptions options);
    ~WatchSignalSource();
    WatchSignalSource(const WatchSignalSource&) = delete;
    WatchSignalSource& operator=(const WatchSignalSource&) = delete;

    void set_options(DecisionOptions options);
    void start();
    void stop();
    async::Task<> join();
    /// One look at every cluster's caches. For tests.
    async::Task<Result<int>> run_once();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kn::decision
