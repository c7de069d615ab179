#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/ports/action_runner.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/notifier.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::engine {

using async::Task;

struct EngineOptions {
    std::string owner;  ///< name of this worker in leases; "" = made at start from random bits
    Duration lease = 15s, renew_every = 5s;
    int slots = 64;                  ///< executions at work at once
    int residents = 1'000;           ///< and those that wait in memory for a timer
    Duration park_after = 30s;       ///< an execution that has nothing to do for longer goes back to the store
    Duration look_every = 1s;        ///< without any wake-up
    Duration store_timeout = 5s;     ///< of one store call
    Duration combine_window = 50ms;  ///< how long an outcome may wait for the next step's intent, to share one commit
    bool server_dry_run = true;      ///< every mutating call is sent as a server-side dry run first
    int tries = 3;                   ///< of steps that do not say
    Duration backoff_base = 1s, backoff_cap = 60s;
    double backoff_factor = 2;
    Duration schedule_to_start = std::chrono::minutes{10};
    Duration read_back_limit = std::chrono::minutes{1};
    Duration verify_first = 500ms, verify_most = 5s;
    Duration compensation_limit = std::chrono::hours{1};
    Duration settle_restart = std::chrono::minutes{2}, settle = std::chrono::minutes{5}, settle_slow = std::chrono::minutes{10};
    Duration cooldown_ok = std::chrono::minutes{5}, cooldown_bad = std::chrono::minutes{10};
    Duration stop_grace = 20s;  ///< for calls in flight
};

/// Counts since start, for the metrics of the composition root.
struct EngineStats {
    std::uint64_t claimed = 0, finished = 0, commits = 0, calls = 0, ambiguous = 0, dropped = 0, retries = 0;
    std::size_t running = 0, resident = 0;
};

/// Carries executions out: claims them from the store, feeds their machines, makes the calls, stores every outcome. Any number of drivers may share a
/// store; one execution is only ever moved by the driver that holds its epoch. Killed at any instruction, the next driver goes on from the stored rows.
/// Loop thread only. All references outlive it.
class EngineDriver {
public:
    EngineDriver(ports::ExecutionStore& store, ports::ActionRegistry& actions, ports::ClusterGateway& clusters, ports::WriteGuard& guard,
                 ports::Notifier& notifier, ports::Wakeups& wakeups, ports::LiveFeed& feed, async::Clock& clock, RandomSource& random,
                 async::Executor executor, EngineOptions options = {});
    ~EngineDriver();
    EngineDriver(const EngineDriver&) = delete;
    EngineDriver& operator=(const EngineDriver&) = delete;

    void start();
    /// No new work; waits for calls in flight (stop_grace), stores their outcomes and gives the leases back. May be called twice.
    Task<> stop();
    [[nodiscard]] EngineStats stats() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace kn::engine
