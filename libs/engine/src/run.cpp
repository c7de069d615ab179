#include <algorithm>

#include "driver_state.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"

namespace kn::engine {

Task<> EngineDriver::State::run_one(RunPtr run) {
    const std::string id = run->machine.execution().id.str();
    try {
        co_await run_steps(run);
    } catch (const std::exception& error) {
        if (async::is_cancellation(error)) {
            run->dropped = true;
            run->calls.cancel();
            throw;
        }
        // A bug of ours in one execution must not end the others; its lease runs out and counts as a killed worker.
        log::error("an execution ended its worker", {{"execution", id}, {"error", error.what()}});
        run->dropped = true;
    }
    run->calls.cancel();
    co_await run->calls.join();
    const auto at = runs.find(id);
    if (at != runs.end() && at->second == run) runs.erase(at);
    --alive;
    emptied.notify();
    if (starved) wakeups.executions.notify();
}

/// Events in, effects out. A change is stored before any call that depends on it; other changes may wait a moment for the next step's intent, so that
/// an outcome and that intent share one commit.
Task<> EngineDriver::State::run_steps(RunPtr run) {
    run->inbox.emplace_back(Tick{});
    std::optional<Instant> wake_at, hold_until;
    bool watched_signals = false;
    while (!run->dropped) {
        std::vector<Call> now_calls, durable_calls;
        bool finished = is_terminal(run->machine.execution().state);
        bool any = false;
        while (!run->inbox.empty()) {
            const Event event = std::move(run->inbox.front());
            run->inbox.pop_front();
            Effect effect = run->machine.on(event, clock.now());
            for (const Call& call : effect.calls) (call.durable ? durable_calls : now_calls).push_back(call);
            // Never at once: a machine that asks for a moment that is over must not keep the loop from everything else.
            wake_at = effect.wake_at ? std::optional(std::max(*effect.wake_at, clock.now() + Duration{1})) : std::nullopt;
            finished = effect.finished;
            any = true;
        }
        if (any) run->idle = false;
        for (const Call& call : now_calls) launch(run, call);
        if (!run->machine.has_changes())
            hold_until.reset();
        else if (!hold_until)
            hold_until = clock.now() + options.combine_window;
        const bool waiting_for_reads = run->under_way > 0 && clock.now() < hold_until.value_or(Instant::max());
        if (finished || !durable_calls.empty() || (run->machine.has_changes() && !waiting_for_reads)) {
            const bool stored = co_await commit(run, wake_at, !finished);
            hold_until.reset();
            if (!stored || run->dropped) co_return;
        }
        if (finished) {
            co_await tell_end(run->machine.execution());
            co_return;
        }
        if (!stopping) {
            for (const Call& call : durable_calls) launch(run, call);
        }
        if (!run->inbox.empty()) continue;

        const bool new_signals = run->machine.wants_signals() && !watched_signals;
        watched_signals = run->machine.wants_signals();
        if (new_signals || (run->look && clock.now() >= run->looked_at + std::min<Duration>(options.look_every, Duration{1s})) ||
            clock.now() >= run->looked_at + options.renew_every) {
            co_await look(run);
            if (run->dropped) co_return;
            if (!run->inbox.empty()) continue;
        }
        if (run->under_way == 0) {
            const Instant next = wake_at.value_or(clock.now() + std::chrono::minutes{1});
            if (stopping || next - clock.now() > options.park_after) {
                co_await commit(run, next, false);
                co_return;
            }
            if (!run->idle) {
                run->idle = true;
                if (starved) wakeups.executions.notify();
            }
        }
        Instant until = std::min(wake_at.value_or(Instant::max()), hold_until.value_or(Instant::max()));
        until = std::min(until, clock.now() + options.renew_every);
        co_await run->wake.wait(clock, clock.deadline_in(std::max<Duration>(until - clock.now(), Duration{0})));
        if (run->inbox.empty() && wake_at && clock.now() >= *wake_at) run->inbox.emplace_back(Tick{});
    }
}

/// Cancel requests and signals are stored by others; nothing of them is lost, however late this looks.
Task<> EngineDriver::State::look(RunPtr run) {
    run->look = false;
    run->looked_at = clock.now();
    const ExecutionId id = run->machine.execution().id;
    if (!run->machine.execution().cancel_requested) {
        const auto stored = co_await store.get(id, store_deadline());
        if (stored && stored->execution.epoch != run->machine.execution().epoch) {
            drop(run, "another worker holds it");
            co_return;
        }
        if (stored && stored->execution.cancel_requested) run->inbox.emplace_back(CancelRequested{.by = stored->execution.cancel_by});
    }
    if (run->machine.wants_signals()) {
        auto all = co_await store.signals(id, store_deadline());
        if (all && !all->empty()) run->inbox.emplace_back(Signals{.all = std::move(*all)});
    }
}

/// False when the execution is not ours any more. A store that does not answer is asked again as long as the lease lasts.
Task<bool> EngineDriver::State::commit(RunPtr run, std::optional<Instant> wake_at, bool keep) {
    Execution& execution = run->machine.mutable_execution();
    execution.owner = options.owner;
    execution.updated_at = clock.now();
    // While we hold it there is no time before which nobody else may: if we die, the end of the lease is the moment to go on.
    execution.wake_at = keep ? std::nullopt : wake_at;
    execution.lease_until = keep ? std::optional(run->lease_until) : std::nullopt;
    if (is_terminal(execution.state)) execution.wake_at.reset();
    const Changes changes = run->machine.take_changes();
    Duration delay{50};
    while (true) {
        // Built anew for every try: the store takes it by value, and the execution in it is the large part.
        ports::ExecutionCommit commit{.execution = execution,
                                      .steps = changes.steps,
                                      .actions = changes.actions,
                                      .audit = changes.audit,
                                      .release_locks = false,
                                      .cooldowns = {},
                                      .assessment = {}};
        if (is_terminal(execution.state)) finish_commit(commit, run->machine);
        const auto stored = co_await store.commit(std::move(commit), store_deadline());
        if (run->dropped) co_return false;
        if (stored) break;
        const ErrorCode code = stored.error().code;
        const bool ours = clock.steady() - renewed < options.lease;
        if (!ours || (code != ErrorCode::unavailable && code != ErrorCode::deadline_exceeded && code != ErrorCode::resource_exhausted)) {
            log::error("an execution's progress cannot be stored", {{"execution", execution.id.str()}, {"error", stored.error().describe()}});
            drop(run, code == ErrorCode::aborted ? "another worker holds it" : "its progress cannot be stored");
            co_return false;
        }
        co_await async::sleep_for(clock, delay);
        delay = std::min<Duration>(delay * 2, Duration{2s});
    }
    ++stats.commits;
    if (feed.watched()) {
        auto document = to_json(execution);
        if (auto* object = document.if_object()) object->erase("definition"), object->erase("context");
        feed.publish("execution", document);
    }
    co_return true;
}

namespace {

/// Kinds of work after which the world needs longer to settle.
Duration settle_time(const EngineOptions& options, const WorkflowMachine& machine) {
    Duration settle{0};
    for (const Step& row : machine.steps()) {
        if (row.kind != "action" || !row.mutating) continue;
        const std::string_view name = row.action;
        const auto has = [name](std::string_view part) { return name.find(part) != std::string_view::npos; };
        if (has("node") || has("pvc") || has("volume") || has("gitops") || has("git"))
            settle = std::max(settle, options.settle_slow);
        else if (name.starts_with("restart_"))
            settle = std::max(settle, options.settle_restart);
        else
            settle = std::max(settle, options.settle);
    }
    return settle;
}

/// What people are told of an end; nothing of dry runs and of what was cancelled.
std::optional<ports::Notification> note_of_end(const Execution& execution) {
    using enum ExecutionState;
    if (execution.dry_run || execution.state == cancelled) return std::nullopt;
    const bool good = execution.state == succeeded;
    return ports::Notification{
        .kind = good                             ? "execution_done"
                : execution.state == compensated ? "execution_compensated"
                                                 : "execution_failed",
        .key = execution.id.str() + "/" + std::string(to_string(execution.state)),
        .cluster = execution.cluster,
        .ns = execution.plan.target.key.ns,
        .title = execution.plan.workflow + " on " + execution.plan.target.key.str() + ": " + std::string(to_string(execution.state)),
        .text = execution.error,
        .severity = good                                     ? Severity::info
                    : execution.state == compensation_failed ? Severity::critical
                                                             : Severity::warning};
}

}  // namespace

/// What goes with the end: locks, cooldowns, and the later judgement of what was done.
void EngineDriver::State::finish_commit(ports::ExecutionCommit& commit, const WorkflowMachine& machine) {
    const Execution& execution = commit.execution;
    commit.release_locks = true;
    if (auto note = note_of_end(execution)) commit.notices.push_back(*std::move(note));
    if (execution.dry_run || !execution.touched_at) return;
    const Instant now = clock.now();
    const bool good = execution.state == ExecutionState::succeeded;
    std::set<std::string> seen;
    for (const Step& row : machine.steps()) {
        if (row.kind != "action" || !row.mutating || row.pre_image.is_null() || !seen.insert(row.action).second) continue;
        commit.cooldowns.push_back({execution.plan.target.key.str() + " " + row.action, now + (good ? options.cooldown_ok : options.cooldown_bad)});
    }
    Assessment assessment;
    assessment.id = AssessmentId(derive_id("asm_", id_time(execution.id.str()), {execution.id.str()}));
    assessment.cluster = execution.cluster;
    if (const auto cluster = clusters.cluster(execution.cluster)) assessment.environment = cluster->environment;
    assessment.execution = execution.id;
    assessment.incident = execution.incident;
    assessment.incident_key = std::string(json::string_at(json::Value(execution.context), "incident", "incident_key"));
    if (assessment.incident_key.empty() && execution.incident)
        assessment.incident_key = make_incident_key(execution.plan.target.key, execution.plan.fault_class);
    assessment.workflow = execution.plan.workflow;
    assessment.fault_class = execution.plan.fault_class;
    assessment.target = execution.plan.target.key;
    assessment.stage = AssessmentStage::quick;
    assessment.action_at = *execution.touched_at;
    assessment.due_at = now + settle_time(options, machine);
    commit.assessment = std::move(assessment);
}

/// After the terminal commit: wake those who wait for it, then tell people. A notice that cannot be handed over changes nothing.
Task<> EngineDriver::State::tell_end(Execution execution) {
    ++stats.finished;
    wakeups.incidents.notify();
    wakeups.assessments.notify();
    log::info("execution ended", {{"execution", execution.id.str()},
                                  {"workflow", execution.plan.workflow},
                                  {"state", to_string(execution.state)},
                                  {"error", execution.error}});
    // The same message went with the commit: this wakes whoever delivers it, and is all there is where nothing is delivered.
    auto note = note_of_end(execution);
    if (!note) co_return;
    const auto sent = co_await notifier.send(*std::move(note), store_deadline());
    if (!sent) log::warning("cannot tell of an execution's end", {{"execution", execution.id.str()}, {"error", sent.error().describe()}});
}

}  // namespace kn::engine
