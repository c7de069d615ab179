#pragma once

#include "kubernaut/assess/score.hpp"
#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/learning_store.hpp"
#include "kubernaut/ports/registry_store.hpp"
#include "kubernaut/ports/signal_store.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::assess {

using async::Task;

struct AssessOptions {
    Duration final_after = 15min;       ///< settled + this: the final judgement
    Duration give_up = 30min;           ///< R still unknown then: unassessed
    Duration recurrence = 24h;
    Duration half_life = 30 * 24h;
    Duration claim = 60s, look_again = 60s;
    int batch = 500;
};

/// Judges executions some time after they ended: quick (worse? a side effect), final (the score that counts), recurrence (may only lower it).
class Assessor {
public:
    Assessor(async::EventLoop& loop, ports::Stores stores, ports::ClusterGateway& fleet, ports::Wakeups& wakeups, ports::LiveFeed& feed,
             metrics::Registry& metrics, AssessOptions options);
    void start();
    void stop();
    Task<> join() { return scope_.join(); }
    /// One pass over what is due; how many were looked at.
    Task<Result<int>> run_once();

private:
    Task<> run();
    Task<Result<>> judge(Assessment assessment);
    Task<Result<Inputs>> gather(const Assessment& assessment, Deadline deadline);
    Task<Result<Truth>> side_effects(const Assessment& assessment, Deadline deadline);
    async::EventLoop& loop_;
    ports::Stores stores_;
    ports::ClusterGateway& fleet_;
    ports::Wakeups& wakeups_;
    ports::LiveFeed& feed_;
    metrics::Registry& metrics_;
    AssessOptions options_;
    async::TaskScope scope_;
};

}  // namespace kn::assess
