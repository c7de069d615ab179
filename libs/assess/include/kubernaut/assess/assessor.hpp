#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kubernaut/assess/score.hpp"
#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/ports/action_runner.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/learning_store.hpp"
#include "kubernaut/ports/registry_store.hpp"
#include "kubernaut/ports/signal_store.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::assess {

using async::Task;

struct AssessOptions {
    Duration final_after = 15min;  ///< settled + this: the final judgement
    Duration give_up = 30min;      ///< R still unknown then: unassessed
    Duration recurrence = 24h;     ///< after the action: did the fault come back? Zero: no such look
    Duration half_life = 30 * 24h;
    Duration claim = 60s, look_again = 60s;
    Duration learn_after = 10min;  ///< an ended incident may be opened again for five minutes
    Duration metric_step = 30s;
    int batch = 500;
};

/// What an Assessor needs beside the stores; the optional ones may be null, and then what they would tell is unknown.
struct AssessPorts {
    ports::ClusterGateway& fleet;
    ports::Wakeups& wakeups;
    ports::LiveFeed& feed;
    metrics::Registry& metrics;
    ports::MetricsSource* series = nullptr;          ///< the class's target metric
    const ports::ActionRegistry* actions = nullptr;  ///< which actions can be taken back; without it nothing is
};

/// Judges executions some time after they ended: quick (is it worse? then it is taken back), final (the score that counts), recurrence (may only lower it). And learns
/// from ended incidents how long such trouble lasts when nobody treats it.
class Assessor {
public:
    Assessor(async::EventLoop& loop, ports::Stores stores, AssessPorts ports, AssessOptions options);
    void start();
    void stop();
    Task<> join() { return scope_.join(); }
    /// One pass over what is due; how many were looked at.
    Task<Result<int>> run_once();
    /// One pass over ended incidents; how many were learned from.
    Task<Result<int>> learn_once();

private:
    struct Evidence;
    Task<> run();
    Task<Result<>> judge(Assessment assessment);
    Task<Result<>> judge_quick(Assessment assessment, Evidence evidence, Deadline deadline);
    Task<Result<>> judge_finally(Assessment assessment, Evidence evidence, Deadline deadline);
    Task<Result<>> judge_recurrence(Assessment assessment, Deadline deadline);
    Task<Result<std::vector<Posterior>>> sums_of(Assessment assessment, Deadline deadline);
    Task<> tell_incident(Assessment assessment, std::string text, bool escalate, Deadline deadline);

    // gather.cpp
    Task<Result<Evidence>> gather(Assessment assessment, Deadline deadline);
    Task<Result<Truth>> came_back(Assessment assessment, Deadline deadline);
    Task<Result<Truth>> resolved(Assessment assessment, Incident incident, Deadline deadline);
    Task<std::pair<Truth, std::string>> drift_now(Assessment assessment, Deadline deadline);
    Task<Result<>> look_around(Assessment assessment, Evidence& evidence, Deadline deadline);
    Task<> measure(Assessment assessment, Evidence& evidence, Deadline deadline);
    [[nodiscard]] bool can_be_taken_back(const ExecutionWithSteps& run) const;
    Task<Result<Instant>> onset_of(Incident incident, Deadline deadline);

    async::EventLoop& loop_;
    ports::Stores stores_;
    AssessPorts ports_;
    AssessOptions options_;
    async::TaskScope scope_;
};

}  // namespace kn::assess
