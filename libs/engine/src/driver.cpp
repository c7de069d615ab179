#include <algorithm>

#include "driver_state.hpp"
#include "kubernaut/base/log.hpp"

namespace kn::engine {

using namespace std::chrono_literals;

EngineDriver::EngineDriver(ports::ExecutionStore& store, ports::ActionRegistry& actions, ports::ClusterGateway& clusters, ports::WriteGuard& guard,
                           ports::Notifier& notifier, ports::Wakeups& wakeups, ports::LiveFeed& feed, async::Clock& clock, RandomSource& random,
                           async::Executor executor, EngineOptions options)
    : state_(new State{.store = store,
                       .actions = actions,
                       .clusters = clusters,
                       .guard = guard,
                       .notifier = notifier,
                       .wakeups = wakeups,
                       .feed = feed,
                       .clock = clock,
                       .random = random,
                       .executor = executor,
                       .options = std::move(options),
                       .stats = {},
                       .runs = {},
                       .renewed = {},
                       .told_dead = {},
                       .emptied = {},
                       .scope = async::TaskScope(executor)}) {
    if (state_->options.owner.empty()) state_->options.owner = make_id("eng_", clock.now(), random);
}

EngineDriver::~EngineDriver() = default;

void EngineDriver::start() {
    if (std::exchange(state_->started, true)) return;
    state_->renewed = state_->clock.steady();
    state_->scope.spawn("engine.claim", state_->claim_loop());
    state_->scope.spawn("engine.renew", state_->renew_loop());
    state_->scope.spawn("engine.dead_letters", state_->dead_letter_loop());
}

Task<> EngineDriver::stop() {
    if (!state_->started) co_return;
    state_->stopping = true;
    state_->wakeups.executions.notify();
    for (const auto& [id, run] : state_->runs) run->wake.notify();
    const Deadline limit = state_->clock.deadline_in(state_->options.stop_grace);
    while (!state_->runs.empty() && !limit.passed(state_->clock.steady())) co_await state_->emptied.wait(state_->clock, limit);
    const auto left = state_->runs;
    for (const auto& [id, run] : left) state_->drop(run, "the time to stop is over");
    // Dropped runs unwind by themselves, their calls first; only then may what they use go away.
    while (state_->alive > 0) co_await state_->emptied.wait(state_->clock, state_->clock.deadline_in(1s));
    state_->scope.cancel();
    co_await state_->scope.join();
}

EngineStats EngineDriver::stats() const {
    EngineStats stats = state_->stats;
    stats.resident = state_->runs.size();
    stats.running = state_->busy_runs();
    return stats;
}

std::size_t EngineDriver::State::busy_runs() const {
    return static_cast<std::size_t>(std::ranges::count_if(runs, [](const auto& entry) { return !entry.second->idle; }));
}

Task<> EngineDriver::State::claim_loop() {
    while (!stopping) {
        const auto claimed = co_await claim_some();
        if (!claimed) log::warning("cannot claim executions", {{"error", claimed.error().describe()}});
        Duration wait = options.look_every;
        if (claimed && *claimed > 0 && !starved) continue;  // there may be more
        if (claimed && *claimed == 0) {
            const auto next = co_await store.next_wake(store_deadline());
            if (next && *next && **next > clock.now()) wait = std::min(wait, std::max<Duration>(**next - clock.now(), 1ms));
        }
        if (stopping) break;
        co_await wakeups.executions.wait(clock, clock.deadline_in(wait));
        for (const auto& [id, run] : runs) {
            run->look = true;
            if (run->idle) run->wake.notify();
        }
    }
}

Task<Result<std::size_t>> EngineDriver::State::claim_some() {
    const auto busy = static_cast<int>(busy_runs());
    const int room = std::min(options.slots - busy, options.residents - static_cast<int>(runs.size()));
    starved = room <= 0;
    if (starved) co_return 0;
    KN_CO_TRY(auto claimed, co_await store.claim(options.owner, clock.now(), options.lease, std::min(room, 64), store_deadline()));
    for (auto& one : claimed) adopt(std::move(one));
    co_return claimed.size();
}

void EngineDriver::State::adopt(ExecutionWithSteps claimed) {
    ++stats.claimed;
    const std::string id = claimed.execution.id.str();
    if (const auto old = runs.find(id); old != runs.end()) drop(old->second, "it was claimed anew");
    MachineOptions rules{
        .retry = {.tries = options.tries, .base = options.backoff_base, .cap = options.backoff_cap, .factor = options.backoff_factor},
        .schedule_to_start = options.schedule_to_start,
        .read_back_limit = options.read_back_limit,
        .verify_first = options.verify_first,
        .verify_most = options.verify_most,
        .compensation_limit = options.compensation_limit};
    const auto find_spec = [this](std::string_view name) -> const ports::ActionSpec* {
        const auto* action = actions.find(name);
        return action == nullptr ? nullptr : &action->spec();
    };
    Execution copy = claimed.execution;
    auto machine = WorkflowMachine::make(std::move(claimed), find_spec, random, std::move(rules));
    if (!machine) {
        scope.spawn("engine.refuse", refuse(std::move(copy), machine.error()));
        return;
    }
    auto run = std::make_shared<Run>(std::move(*machine), executor);
    run->lease_until = copy.lease_until.value_or(clock.now() + options.lease);
    run->looked_at = clock.now();
    runs[id] = run;
    ++alive;
    scope.spawn("engine.run", run_one(run));
}

/// A definition that cannot be read ends its execution: nothing else would ever do.
Task<> EngineDriver::State::refuse(Execution execution, Error error) {
    log::error("an execution's workflow cannot be read", {{"execution", execution.id.str()}, {"error", error.describe()}});
    using enum ExecutionState;
    execution.state = execution.state == queued ? refused : execution.state == compensating ? compensation_failed : failed;
    execution.error = "the workflow cannot be read: " + error.message;
    execution.reason = "unreadable";
    execution.finished_at = clock.now();
    execution.updated_at = clock.now();
    execution.lease_until.reset();
    execution.wake_at.reset();
    ports::ExecutionCommit commit{
        .execution = execution, .steps = {}, .actions = {}, .audit = {}, .release_locks = true, .cooldowns = {}, .assessment = {}};
    const auto stored = co_await store.commit(std::move(commit), store_deadline());
    if (!stored) log::warning("cannot store a refused execution", {{"execution", execution.id.str()}, {"error", stored.error().describe()}});
    wakeups.incidents.notify();
    co_await tell_end(std::move(execution));
}

void EngineDriver::State::drop(const RunPtr& run, std::string_view why) {
    if (std::exchange(run->dropped, true)) return;
    ++stats.dropped;
    log::warning("an execution is dropped", {{"execution", run->machine.execution().id.str()}, {"why", why}});
    run->calls.cancel();
    run->wake.notify();
    const auto at = runs.find(run->machine.execution().id.str());
    if (at != runs.end() && at->second == run) runs.erase(at);
    if (runs.empty()) emptied.notify();
}

/// Leases are renewed together. What is not ours any more is dropped at once; when the store does not answer for as long as the leases last, all is.
Task<> EngineDriver::State::renew_loop() {
    while (true) {
        co_await async::sleep_for(clock, options.renew_every);
        if (runs.empty()) {
            renewed = clock.steady();
            continue;
        }
        const auto before = runs;
        const SteadyTime asked = clock.steady();
        const Instant until = clock.now() + options.lease;
        const auto ours = co_await store.renew(options.owner, until, store_deadline());
        if (ours) {
            renewed = asked;
            std::set<std::string> ids;
            for (const ExecutionId& id : *ours) ids.insert(id.str());
            for (const auto& [id, run] : before) {
                const auto now_at = runs.find(id);
                if (now_at == runs.end() || now_at->second != run) continue;
                if (ids.contains(id))
                    run->lease_until = until;
                else
                    drop(run, "another worker holds it");
            }
            continue;
        }
        log::warning("cannot renew leases", {{"error", ours.error().describe()}});
        if (clock.steady() - renewed >= options.lease - options.renew_every / 2) {
            const auto all = runs;
            for (const auto& [id, run] : all) drop(run, "the lease could not be renewed");
        }
    }
}

Task<> EngineDriver::State::dead_letter_loop() {
    const Instant since = clock.now() - std::chrono::minutes{2};
    while (true) {
        const auto dead = co_await store.dead_letters(store_deadline());
        for (const Execution& execution : dead ? *dead : std::vector<Execution>{}) {
            if (!told_dead.insert(execution.id.str()).second || execution.updated_at < since) continue;
            wakeups.incidents.notify();
            const auto sent =
                co_await notifier.send({.kind = "dead_letter",
                                        .key = execution.id.str() + "/dead_letter",
                                        .cluster = execution.cluster,
                                        .ns = execution.plan.target.key.ns,
                                        .title = execution.plan.workflow + " on " + execution.plan.target.key.str() + " was taken out of service",
                                        .text = "It ended several workers or cannot be read: " + execution.error,
                                        .severity = Severity::critical},
                                       store_deadline());
            if (!sent) log::warning("cannot tell of a dead letter", {{"execution", execution.id.str()}, {"error", sent.error().describe()}});
        }
        co_await async::sleep_for(clock, 30s);
    }
}

}  // namespace kn::engine
