#include <algorithm>

#include "driver_state.hpp"
#include "kubernaut/async/with_deadline.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/kube/resource.hpp"

namespace kn::engine {

namespace {
constexpr Duration prepare_time{30'000}, dry_run_time{15'000}, look_time{15'000}, guard_time{5'000}, busy_wait{5'000};

Error broken(const std::exception& error) {
    return {.code = ErrorCode::internal, .message = std::string("an action broke: ") + error.what(), .applied = Applied::maybe};
}
}  // namespace

Deadline EngineDriver::State::deadline_at(Instant at, Duration most) const {
    const Duration left = at == Instant::max() ? most : std::min<Duration>(most, at - clock.now());
    return clock.deadline_in(std::max<Duration>(left, Duration{1}));
}

ports::ActionContext EngineDriver::State::context(const Run& run, const Step& row, Deadline deadline) {
    const Execution& execution = run.machine.execution();
    ports::ActionContext out;
    const ClusterId cluster = run.machine.cluster_of(row);
    out.client = clusters.client(cluster);
    out.clock = &clock;
    out.target = execution.plan.target;
    if (cluster != execution.cluster) out.target.key.cluster = cluster, out.target.uid.clear();
    out.params = row.params;
    out.id = action_id(execution.id, row.path, row.attempt);
    out.execution = execution.id;
    out.fault_class = execution.plan.fault_class;
    out.pre_image = row.pre_image;
    out.dry_run = execution.dry_run;
    out.deadline = deadline;
    out.security_note = execution.plan.workflow + " for " + (execution.requested_by.empty() ? "kubernaut" : execution.requested_by);
    return out;
}

void EngineDriver::State::launch(const RunPtr& run, const Call& call) {
    if (run->dropped) return;
    ++run->under_way;
    ++stats.calls;
    if (call.attempt > 1 && call.kind == CallKind::execute) ++stats.retries;
    if (call.kind == CallKind::read_back) ++stats.ambiguous;
    run->calls.spawn("engine.call", make_call(run, call));
}

/// Whatever an action does, an answer comes back, unless the execution is not ours any more.
Task<> EngineDriver::State::make_call(RunPtr run, Call call) {
    const Step* row = run->machine.step(call.path);
    if (row == nullptr) {
        --run->under_way;
        co_return;
    }
    Event event = co_await answer(run, call, *row);
    --run->under_way;
    if (run->dropped) co_return;
    run->inbox.push_back(std::move(event));
    run->wake.notify();
}

Task<Event> EngineDriver::State::answer(RunPtr run, Call call, Step row) {
    std::optional<Error> error;
    try {
        switch (call.kind) {
            case CallKind::prepare: co_return co_await do_prepare(run, row);
            case CallKind::execute: co_return co_await do_execute(run, row);
            case CallKind::read_back: co_return co_await do_read_back(run, row);
            case CallKind::verify: co_return co_await do_verify(run, row);
            case CallKind::compensate: co_return co_await do_compensate(run, row);
            case CallKind::notify: co_return co_await do_notify(run, row);
            case CallKind::read_live: co_return co_await do_read_live(run, row);
        }
    } catch (const std::exception& thrown) {
        if (async::is_cancellation(thrown)) throw;
        log::error("an action threw", {{"action", row.action}, {"call", to_string(call.kind)}, {"error", thrown.what()}});
        error = broken(thrown);
    }
    const Error why = error.value_or(Error{.code = ErrorCode::internal, .message = "no such call"});
    switch (call.kind) {
        case CallKind::prepare: co_return Prepared{row.path, row.attempt, fail(why)};
        case CallKind::execute: co_return Executed{row.path, row.attempt, fail(why), true};
        case CallKind::read_back: co_return ReadBack{row.path, row.attempt, fail(why)};
        case CallKind::verify: co_return Verified{row.path, row.attempt, fail(why)};
        case CallKind::compensate: co_return Compensated{row.path, row.attempt, fail(why), true};
        case CallKind::notify: co_return Notified{row.path, row.attempt, fail(why)};
        default: co_return LiveRead{row.path, row.attempt, fail(why)};
    }
}

namespace {
Error no_action(const Step& row) { return {.code = ErrorCode::unimplemented, .message = "the action " + row.action + " is not available"}; }
Error no_cluster(const ports::ActionContext& context) {
    return {.code = ErrorCode::unavailable, .message = "the cluster " + context.target.key.cluster.str() + " is not registered"};
}
}  // namespace

Task<Event> EngineDriver::State::do_prepare(RunPtr run, Step row) {
    auto* action = actions.find(row.action);
    if (action == nullptr) co_return Prepared{row.path, row.attempt, fail(no_action(row))};
    const Deadline deadline = deadline_at(run->machine.deadline_of(row), prepare_time);
    ports::ActionContext ctx = context(*run, row, deadline);
    if (ctx.client == nullptr) co_return Prepared{row.path, row.attempt, fail(no_cluster(ctx))};
    auto prepared = co_await async::with_deadline(clock, deadline, action->prepare(ctx));
    if (!prepared) co_return Prepared{row.path, row.attempt, fail(prepared.error())};
    if (options.server_dry_run && row.mutating) {
        // The server's own opinion before anything is stored. Trouble on the way says nothing about the real call, a refusal does.
        ctx.pre_image = prepared->pre_image;
        ctx.dry_run = true;
        ctx.deadline = deadline_at(run->machine.deadline_of(row), dry_run_time);
        const auto rehearsed = co_await async::with_deadline(clock, ctx.deadline, action->execute(ctx));
        if (!rehearsed && !is_retryable(rehearsed.error().code)) {
            Error error = rehearsed.error().with_context("dry run");
            error.applied = Applied::no;
            co_return Prepared{row.path, row.attempt, fail(std::move(error))};
        }
    }
    if (row.mutating) {
        const auto locked = co_await lock_writes(run, prepared->writes);
        if (!locked) co_return Prepared{row.path, row.attempt, fail(locked.error())};
    }
    co_return Prepared{row.path, row.attempt, std::move(*prepared)};
}

/// The target is locked since the start; what a step writes beyond it is locked before its intent. Another execution that holds it ends sooner or later:
/// the step is tried again as for any other lack of room.
Task<Result<>> EngineDriver::State::lock_writes(RunPtr run, std::vector<std::string> writes) {
    const Execution& execution = run->machine.execution();
    std::erase(writes, execution.plan.target.key.str());
    if (writes.empty()) co_return Result<>{};
    auto locked = co_await store.lock(execution.cluster, execution.id, execution.epoch, std::move(writes), run->lease_until, store_deadline());
    if (locked || locked.error().reason != "busy") co_return locked;
    Error busy = std::move(locked).error();
    busy.code = ErrorCode::resource_exhausted;
    busy.retry_after = busy_wait;
    co_return fail(std::move(busy));
}

Task<Event> EngineDriver::State::do_execute(RunPtr run, Step row) {
    auto* action = actions.find(row.action);
    if (action == nullptr) co_return Executed{row.path, row.attempt, fail(no_action(row)), false};
    const Deadline deadline = deadline_at(run->machine.deadline_of(row), std::chrono::hours{24 * 7});
    const ports::ActionContext ctx = context(*run, row, deadline);
    if (ctx.client == nullptr) co_return Executed{row.path, row.attempt, fail(no_cluster(ctx)), false};
    if (row.mutating) {
        const auto allowed =
            co_await guard.before_write(run->machine.execution(), run->machine.cluster_of(row), action->spec(), false, clock.deadline_in(guard_time));
        if (!allowed) co_return Executed{row.path, row.attempt, fail(allowed.error()), false};
        // The lease must outlive the decision to write: a worker that lost it may be one of two.
        if (clock.steady() - renewed >= options.lease) {
            co_return Executed{row.path, row.attempt, fail(ErrorCode::unavailable, "the lease is too old to write"), false};
        }
    }
    auto done = co_await async::with_deadline(clock, deadline, action->execute(ctx));
    if (row.mutating) guard.after_write(run->machine.execution(), action->spec(), done.has_value());
    if (!done) co_return Executed{row.path, row.attempt, fail(done.error()), true};
    co_return Executed{row.path, row.attempt, std::move(*done), true};
}

Task<Event> EngineDriver::State::do_read_back(RunPtr run, Step row) {
    auto* action = actions.find(row.action);
    if (action == nullptr) co_return ReadBack{row.path, row.attempt, fail(no_action(row))};
    const ports::ActionContext ctx = context(*run, row, clock.deadline_in(look_time));
    if (ctx.client == nullptr) co_return ReadBack{row.path, row.attempt, fail(no_cluster(ctx))};
    co_return ReadBack{row.path, row.attempt, co_await async::with_deadline(clock, ctx.deadline, action->applied_already(ctx))};
}

Task<Event> EngineDriver::State::do_verify(RunPtr run, Step row) {
    auto* action = actions.find(row.action);
    if (action == nullptr) co_return Verified{row.path, row.attempt, fail(no_action(row))};
    // The row is the check's; the action's own row has the parameters, the pre-image and the id.
    constexpr std::string_view suffix = "/verify";
    const Step* own = run->machine.step(std::string_view(row.path).substr(0, row.path.size() - suffix.size()));
    if (own == nullptr) co_return Verified{row.path, row.attempt, fail(ErrorCode::internal, "a check without its action")};
    const Step copy = *own;
    const ports::ActionContext ctx = context(*run, copy, clock.deadline_in(look_time));
    if (ctx.client == nullptr) co_return Verified{row.path, row.attempt, fail(no_cluster(ctx))};
    co_return Verified{row.path, row.attempt, co_await async::with_deadline(clock, ctx.deadline, action->verify(ctx))};
}

Task<Event> EngineDriver::State::do_compensate(RunPtr run, Step row) {
    auto* action = actions.find(row.action);
    if (action == nullptr) co_return Compensated{row.path, row.attempt, fail(no_action(row)), false};
    const Deadline deadline = deadline_at(clock.now() + action->spec().timeout, std::chrono::hours{1});
    const ports::ActionContext ctx = context(*run, row, deadline);
    if (ctx.client == nullptr) co_return Compensated{row.path, row.attempt, fail(no_cluster(ctx)), false};
    const auto allowed =
        co_await guard.before_write(run->machine.execution(), run->machine.cluster_of(row), action->spec(), true, clock.deadline_in(guard_time));
    if (!allowed) co_return Compensated{row.path, row.attempt, fail(allowed.error()), false};
    auto done = co_await async::with_deadline(clock, deadline, action->compensate(ctx));
    if (!done) co_return Compensated{row.path, row.attempt, fail(done.error()), true};
    co_return Compensated{row.path, row.attempt, std::move(*done), true};
}

Task<Event> EngineDriver::State::do_notify(RunPtr run, Step row) {
    const Execution& execution = run->machine.execution();
    const json::Value params(row.params);
    const auto word = [&params](std::string_view key, std::string_view fallback) {
        const auto found = json::string_at(params, key);
        return std::string(found.empty() ? fallback : found);
    };
    ports::Notification note{.kind = word("kind", row.kind == "approval" ? "approval_asked" : "workflow"),
                             .key = execution.id.str() + "/" + row.path,
                             .cluster = execution.cluster,
                             .ns = execution.plan.target.key.ns,
                             .title = word("title", execution.plan.workflow + " on " + execution.plan.target.key.str()),
                             .text = (execution.dry_run ? "(dry run) " : "") + run->machine.message_of(row),
                             .severity = parse_enum<Severity>(word("severity", "info")).value_or(Severity::info)};
    co_return Notified{row.path, row.attempt, co_await notifier.send(std::move(note), clock.deadline_in(look_time))};
}

Task<Event> EngineDriver::State::do_read_live(RunPtr run, Step row) {
    const ObjectKey key = run->machine.execution().plan.target.key;
    const auto client = clusters.client(run->machine.cluster_of(row));
    if (client == nullptr) co_return LiveRead{row.path, row.attempt, fail(ErrorCode::unavailable, "the cluster is not registered")};
    const Deadline deadline = clock.deadline_in(look_time);
    const auto* known = kube::find_resource(key.kind_group());
    if (known != nullptr) co_return LiveRead{row.path, row.attempt, co_await client->get(*known, key.ns, key.name, deadline)};
    const auto found = co_await client->discover(key.group, key.kind, deadline);
    if (!found) co_return LiveRead{row.path, row.attempt, fail(found.error())};
    co_return LiveRead{row.path, row.attempt, co_await client->get(*found, key.ns, key.name, deadline)};
}

}  // namespace kn::engine
