#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "kubernaut/async/signal.hpp"
#include "kubernaut/engine/engine_driver.hpp"
#include "kubernaut/engine/machine.hpp"

namespace kn::engine {

/// One execution in this process, from its claim until it ends, is parked or lost.
struct Run {
    Run(WorkflowMachine made, async::Executor executor) : machine(std::move(made)), calls(std::move(executor)) {}
    WorkflowMachine machine;
    std::deque<Event> inbox;
    async::Signal wake;
    Instant lease_until{};
    int under_way = 0;     ///< calls that were launched and have not answered
    bool dropped = false;  ///< the epoch is lost: whatever comes back counts for nothing
    bool idle = false;     ///< waits for a timer or a signal
    bool look = false;     ///< something may have been sent or cancelled
    Instant looked_at{};
    async::TaskScope calls;  ///< last: its tasks use all of the above
};
using RunPtr = std::shared_ptr<Run>;

struct EngineDriver::State {
    ports::ExecutionStore& store;
    ports::ActionRegistry& actions;
    ports::ClusterGateway& clusters;
    ports::WriteGuard& guard;
    ports::Notifier& notifier;
    ports::Wakeups& wakeups;
    ports::LiveFeed& feed;
    async::Clock& clock;
    RandomSource& random;
    async::Executor executor;
    EngineOptions options;
    EngineStats stats;
    std::map<std::string, RunPtr> runs;  ///< by execution id
    bool started = false, stopping = false, starved = false;
    int alive = 0;         ///< coroutines of runs, dropped ones included
    SteadyTime renewed{};  ///< when the leases were last known to be ours
    std::set<std::string> told_dead;
    async::Signal emptied;
    async::TaskScope scope;  ///< last

    // -- claiming and leases (driver.cpp)
    Task<> claim_loop();
    Task<Result<std::size_t>> claim_some();
    Task<> renew_loop();
    Task<> dead_letter_loop();
    void adopt(ExecutionWithSteps claimed);
    Task<> refuse(Execution execution, Error error);
    void drop(const RunPtr& run, std::string_view why);
    [[nodiscard]] std::size_t busy_runs() const;

    // -- one execution (run.cpp)
    Task<> run_one(RunPtr run);
    Task<> run_steps(RunPtr run);
    Task<bool> commit(RunPtr run, std::optional<Instant> wake_at, bool keep);
    Task<> look(RunPtr run);
    void finish_commit(ports::ExecutionCommit& commit, const WorkflowMachine& machine);
    Task<> tell_end(Execution execution);
    [[nodiscard]] Deadline store_deadline() const { return clock.deadline_in(options.store_timeout); }

    // -- calls (calls.cpp)
    void launch(const RunPtr& run, const Call& call);
    Task<> make_call(RunPtr run, Call call);
    Task<Event> answer(RunPtr run, Call call, Step row);
    Task<Event> do_prepare(RunPtr run, Step row);
    Task<Result<>> lock_writes(RunPtr run, std::vector<std::string> writes);
    Task<Event> do_execute(RunPtr run, Step row);
    Task<Event> do_read_back(RunPtr run, Step row);
    Task<Event> do_verify(RunPtr run, Step row);
    Task<Event> do_compensate(RunPtr run, Step row);
    Task<Event> do_notify(RunPtr run, Step row);
    Task<Event> do_read_live(RunPtr run, Step row);
    [[nodiscard]] ports::ActionContext context(const Run& run, const Step& row, Deadline deadline);
    [[nodiscard]] Deadline deadline_at(Instant at, Duration most) const;
};

}  // namespace kn::engine
