#include <algorithm>

#include "state.hpp"

namespace kn::engine {

namespace {
constexpr std::string_view verify_suffix = "/verify";
std::string object_of(const Execution& execution, const Step& row) {
    const auto* named = row.params.if_contains("object");
    if (named == nullptr || !named->is_string()) return execution.plan.target.key.str();
    return execution.cluster.str() + " " + std::string(json::view(named->get_string()));
}
}  // namespace

Progress WorkflowMachine::State::run_action(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    Volatile& known = memory[row.path];
    using enum StepState;
    switch (row.state) {
        case ready:
            if (known.calling) return Progress::busy;
            if (stop) {
                change(row, cancelled);
                return Progress::done;
            }
            if (now < known.not_before) {
                wake(known.not_before);
                return Progress::busy;
            }
            return prepare_action(spec, row, scope);
        case intent_stored:
        case in_flight:
            if (known.calling) return Progress::busy;
            if (known.not_before != Instant{}) {  // held by the guard: nothing was sent
                if (now < known.not_before && !stop) {
                    wake(known.not_before);
                    return Progress::busy;
                }
                known.not_before = {};
                if (stop) {
                    fail_attempt(row, {.code = ErrorCode::cancelled, .message = "given up while it was held: " + row.error}, "failed");
                    return Progress::done;
                }
                row.started_at = next_start();  // start to close counts from the call that is made, not from those that were held
                touch(row);
                call(row, CallKind::execute);
                return Progress::busy;
            }
            // Stored by a worker that is gone: the call may have been made or not.
            row.due_at = now + options.read_back_limit;
            change(row, ambiguous);
            known.polls = 0;
            record(row, "ambiguous", "its worker ended before the outcome was stored");
            [[fallthrough]];
        case ambiguous:
            if (known.calling) return Progress::busy;
            if (!row.due_at) row.due_at = now + options.read_back_limit;
            if (now < known.not_before) {
                wake(known.not_before);
                return Progress::busy;
            }
            call(row, CallKind::read_back);
            return Progress::busy;
        case succeeded: return verify_action(spec, row, scope, stop);
        case failed: return tolerate(spec, scope);
        case compensating: return Progress::busy;
        default: return Progress::done;
    }
}

Progress WorkflowMachine::State::prepare_action(const StepSpec& spec, Step& row, const Scope& scope) {
    const auto* action = specs(spec.action);
    if (action == nullptr)
        return fail_step(spec, row, scope, {.code = ErrorCode::unimplemented, .message = "the action " + spec.action + " is not available"});
    if (row.attempt == 1) {
        const auto params = expand(json::Value(spec.with), scope, row.path);
        if (!params) {
            Error error = params.error();
            if (!error.field.empty()) error.message = "with." + error.field + ": " + error.message;
            return fail_step(spec, row, scope, error);
        }
        row.params = params->as_object();
        for (const ParamSpec& param : action->params) {
            if (!row.params.contains(param.name) && !param.fallback.is_null()) row.params[param.name] = param.fallback;
        }
    }
    row.mutating = action->mutating && !execution.dry_run;
    row.due_at.reset();
    touch(row);
    call(row, CallKind::prepare);
    return Progress::busy;
}

void WorkflowMachine::State::on_prepared(const Prepared& event) {
    if (!answered(event.path, event.attempt, CallKind::prepare)) return;
    Step& row = *find(event.path);
    if (row.state != StepState::ready) return;
    if (!event.result) {
        const Error& error = event.result.error();
        const bool earlier = std::ranges::any_of(rows, [this](const auto& entry) {
            const auto* action = entry.second.state == StepState::succeeded ? specs(entry.second.action) : nullptr;
            return action != nullptr && action->mutating;
        });
        if (execution.dry_run && earlier && error.code == ErrorCode::failed_precondition) {
            row.error = "needs the effect of an earlier step, which a dry run does not have: " + error.message;
            change(row, StepState::skipped);
            return;
        }
        return fail_attempt(row, error, "failed");
    }
    if (stopping() && row.path.find("finally/") == std::string::npos) return;  // the next look cancels it
    if (row.mutating) {
        row.pre_image = event.result->pre_image;
        row.request_digest = event.result->request_digest;
        change(row, StepState::intent_stored);
        record(row, "intent", {});
        if (!execution.touched_at) {
            execution.touched_at = now;
            dirty_execution = true;
        }
    } else {
        row.pre_image = event.result->pre_image;
        row.request_digest = event.result->request_digest;
    }
    call(row, CallKind::execute);
}

bool WorkflowMachine::State::holds(const Error& error, bool sent) const {
    if (sent || error.code != ErrorCode::failed_precondition) return false;
    constexpr std::array<std::string_view, 5> passing{"paused", "hub_isolated", "cluster_not_healthy", "clock_suspect", "breaker_open"};
    return error.retry_after.has_value() || std::ranges::find(passing, error.reason) != passing.end();
}

void WorkflowMachine::State::on_executed(const Executed& event) {
    if (!answered(event.path, event.attempt, CallKind::execute)) return;
    Step& row = *find(event.path);
    Volatile& known = memory[row.path];
    if (event.result) return succeed_action(row, *event.result, "");
    const Error& error = event.result.error();
    if (holds(error, event.sent) && row.mutating && (row.state == StepState::intent_stored || row.state == StepState::in_flight)) {
        const auto* spec = spec_of(row);
        const Instant limit = spec != nullptr && spec->on_error == "wait" ? Instant::max() : total_limit(row);
        if (now < limit) {
            known.not_before = now + std::max<Duration>(error.retry_after.value_or(Duration{5s}), 1s);
            row.error = error.message;  // the state stays: a call that was read back as never made is in flight for good
            touch(row);
            return;
        }
    }
    if (!event.sent || !row.mutating || error.applied == Applied::no) return fail_attempt(row, error, row.mutating ? "failed" : "");
    row.error = error.message;
    row.due_at = now + options.read_back_limit;
    known.polls = 0;
    known.not_before = {};
    change(row, StepState::ambiguous);
    record(row, "ambiguous", error.message);
}

void WorkflowMachine::State::on_read_back(const ReadBack& event) {
    if (!answered(event.path, event.attempt, CallKind::read_back)) return;
    Step& row = *find(event.path);
    if (row.state != StepState::ambiguous) return;
    Volatile& known = memory[row.path];
    const auto check = event.result.value_or(ports::AppliedCheck::unreadable);
    if (check == ports::AppliedCheck::applied) {
        row.error.clear();
        return succeed_action(row, {.output = json::Object{{"read_back", true}}, .post_image = nullptr, .calls = {}}, "read back");
    }
    if (check == ports::AppliedCheck::not_applied) {
        known.polls = 0;
        known.not_before = {};
        if (stopping() || now >= total_limit(row)) {
            return fail_attempt(row, {.code = ErrorCode::cancelled, .message = "the call was lost and had no effect"}, "failed");
        }
        row.due_at.reset();
        row.started_at = next_start();
        change(row, StepState::in_flight);  // again, under the same intent
        call(row, CallKind::execute);
        return;
    }
    if (now >= row.due_at.value_or(now)) {
        // Nobody knows whether it happened: a person has to look. Code internal, so that it is not tried again.
        return fail_attempt(
            row, {.code = ErrorCode::internal, .message = "nobody can tell whether the call took effect: " + row.error, .reason = "ambiguous"},
            "ambiguous");
    }
    known.not_before = now + poll_delay(++known.polls);
    wake(known.not_before);
}

void WorkflowMachine::State::succeed_action(Step& row, ports::ActionOutcome outcome, std::string_view how) {
    Volatile& known = memory[row.path];
    known.not_before = {};
    const std::size_t size = json::dump(outcome.output).size();
    std::size_t total = size;
    for (const auto& [path, other] : rows) {
        if (path != row.path && other.kind == "action" && !other.output.is_null()) total += json::dump(other.output).size();
    }
    if (size > options.max_output || total > options.max_outputs) {
        outcome.output = json::Object{{"dropped", "an output of " + std::to_string(size) + " bytes is over the limit"}};
    }
    row.output = outcome.output;
    row.error.clear();
    row.error_code.clear();
    row.due_at.reset();
    change(row, StepState::succeeded);
    const auto* action = specs(row.action);
    if (row.mutating || (execution.dry_run && action != nullptr && action->mutating)) {
        record(row, execution.dry_run ? "dry_run" : "succeeded", {}, &outcome);
        json::Object details{{"path", row.path}, {"attempt", row.attempt}, {"params", row.params}};
        if (!how.empty()) details["how"] = how;
        if (execution.dry_run) details["dry_run"] = true;
        audit("action." + row.action, object_of(execution, row), execution.plan.fault_class, std::move(details));
    }
    if (execution.dry_run || action == nullptr) return;
    Step check;
    check.execution = execution.id, check.path = row.path + std::string(verify_suffix), check.id = row.id, check.kind = "verify",
    check.action = row.action;
    check.attempt = row.attempt;
    check.state = StepState::waiting;
    check.started_at = now;
    check.due_at = std::max(deadline_of(row), now + Duration{1s});
    memory[check.path] = Volatile{};
    rows.insert_or_assign(check.path, check);
    touch(check);
}

Progress WorkflowMachine::State::verify_action(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    Step* check = find(row.path + std::string(verify_suffix));
    if (check == nullptr || check->state == StepState::succeeded || check->state == StepState::cancelled) return Progress::done;
    if (check->state == StepState::failed) return tolerate(spec, scope);
    Volatile& known = memory[check->path];
    if (stop) {
        known.calling.reset();
        change(*check, StepState::cancelled);
        return Progress::done;
    }
    if (known.calling) return Progress::busy;
    const Instant due = check->due_at.value_or(now);
    if (now >= due && known.polls > 0) {
        Error error{.code = ErrorCode::deadline_exceeded,
                    .message = "the effect of " + row.action + " did not show within " + format_duration(timeout_of(row))};
        if (!check->error.empty()) error.message += ": " + check->error;
        check->error = error.message, check->error_code = to_string(error.code);
        change(*check, StepState::failed);
        if (row.mutating) record(row, "failed", error.message);
        return tolerate(spec, scope);
    }
    if (now < known.not_before && (now < due || known.polls == 0)) {
        wake(std::min(known.not_before, std::max(due, now + Duration{1})));
        return Progress::busy;
    }
    call(*check, CallKind::verify);
    return Progress::busy;
}

void WorkflowMachine::State::on_verified(const Verified& event) {
    if (!answered(event.path, event.attempt, CallKind::verify)) return;
    Step& check = *find(event.path);
    Volatile& known = memory[check.path];
    if (check.state != StepState::waiting) return;
    if (event.result && *event.result) {
        check.error.clear();
        if (known.stored) {
            change(check, StepState::succeeded);
        } else {  // true at the first look: no row needed, its absence says the same
            dirty.erase({check.path, check.attempt});
            const std::string path = check.path;
            rows.erase(path);
            memory.erase(path);
        }
        return;
    }
    ++known.polls;
    if (!event.result) {
        check.error = event.result.error().message;
        if (!is_retryable(event.result.error().code)) {
            check.error_code = to_string(event.result.error().code);
            change(check, StepState::failed);
            Step* row = find(std::string_view(check.path).substr(0, check.path.size() - verify_suffix.size()));
            if (row != nullptr && row->mutating) record(*row, "failed", check.error);
            return;
        }
    }
    known.not_before = now + poll_delay(known.polls);
}

void WorkflowMachine::State::fail_attempt(Step& row, const Error& error, std::string_view outcome) {
    Volatile& known = memory[row.path];
    ++known.failures;
    known.not_before = {};
    const bool was_sent = row.state != StepState::ready;
    row.error = error.message;
    if (!error.reason.empty() && error.message.find(error.reason) == std::string::npos) row.error += " (" + error.reason + ")";
    row.error_code = to_string(error.code);
    row.due_at.reset();
    change(row, StepState::failed);
    if (row.mutating && was_sent && !outcome.empty()) {
        record(row, std::string(outcome), row.error);
        audit("action." + row.action, object_of(execution, row), row.error,
              {{"path", row.path}, {"attempt", row.attempt}, {"outcome", std::string(outcome)}});
    }
    const StepSpec* spec = spec_of(row);
    const RetryPolicy policy = retry_of(row);
    const bool patient = spec != nullptr && spec->on_error == "wait";
    const bool final_step = row.path.starts_with("finally/") || row.path.find("/finally/") != std::string::npos;
    Duration delay = jitter(policy, known.failures);
    if (error.retry_after) delay = std::max(delay, *error.retry_after);
    const bool again =
        is_retryable(error.code) && (known.failures < policy.tries || patient) && now + delay < total_limit(row) && (!stopping() || final_step);
    if (!again) return;
    Step next;
    next.execution = row.execution, next.path = row.path, next.id = row.id, next.kind = row.kind, next.action = row.action, next.params = row.params;
    next.mutating = row.mutating;
    next.attempt = row.attempt + 1;
    next.due_at = now + delay;
    known.not_before = *next.due_at;
    known.polls = 0;
    row = std::move(next);
    change(row, StepState::ready);
    if (row.kind == "notify") change(row, StepState::waiting);
    wake(known.not_before);
}

bool WorkflowMachine::State::can_compensate(const Step& row) const {
    if (row.kind != "action" || row.state != StepState::succeeded || !row.mutating) return false;
    const auto* action = specs(row.action);
    const StepSpec* spec = spec_of(row);
    return action != nullptr && action->reversible && (spec == nullptr || spec->compensate != "none");
}

std::optional<bool> WorkflowMachine::State::compensate(Step& row) {
    Volatile& known = memory[row.path];
    using enum StepState;
    if (row.state == succeeded) {
        row.due_at = now + options.compensation_limit;
        known.not_before = {};
        known.failures = 0;
        change(row, compensating);
        call(row, CallKind::compensate);
        return std::nullopt;
    }
    if (row.state == compensated) return true;
    if (row.state == compensation_failed) return false;
    if (known.calling) return std::nullopt;
    if (now < known.not_before) {
        wake(known.not_before);
        return std::nullopt;
    }
    call(row, CallKind::compensate);
    return std::nullopt;
}

void WorkflowMachine::State::on_compensated(const Compensated& event) {
    if (!answered(event.path, event.attempt, CallKind::compensate)) return;
    Step& row = *find(event.path);
    if (row.state != StepState::compensating) return;
    Volatile& known = memory[row.path];
    if (event.result) {
        row.error.clear();
        change(row, StepState::compensated);
        record(row, "compensated", {}, &*event.result);
        audit("compensate." + row.action, object_of(execution, row), execution.error, {{"path", row.path}});
        return;
    }
    const Error& error = event.result.error();
    row.error = error.message;
    const bool may_retry = is_retryable(error.code) || error.applied == Applied::maybe || holds(error, event.sent);
    if (may_retry && now < row.due_at.value_or(now)) {
        Duration delay = jitter(options.retry, ++known.failures);
        if (error.retry_after) delay = std::max(delay, *error.retry_after);
        known.not_before = now + delay;
        touch(row);
        wake(known.not_before);
        return;
    }
    row.error_code = to_string(error.code);
    change(row, StepState::compensation_failed);
    record(row, "failed", error.message);
    audit("compensate." + row.action, object_of(execution, row), error.message, {{"path", row.path}, {"outcome", "failed"}});
}

void WorkflowMachine::State::record(const Step& row, std::string outcome, std::string error, const ports::ActionOutcome* made) {
    using enum StepState;
    const bool back = row.state == compensated || row.state == compensating || row.state == compensation_failed;
    const ActionId id = action_id(execution.id, back ? row.path + " back" : row.path, row.attempt);
    ActionRecord& out = records[id.str()];  // what was known of this call before stays
    out.id = id;
    out.cluster = execution.cluster;
    out.execution = execution.id;
    out.incident = execution.incident;
    out.action = row.action, out.workflow = execution.plan.workflow, out.fault_class = execution.plan.fault_class;
    out.requested_by = execution.requested_by.empty() ? "kubernaut" : execution.requested_by;
    out.why = execution.plan.reasons.empty() ? std::string() : execution.plan.reasons.front();
    out.target = execution.plan.target;
    out.params = row.params;
    out.pre_image = row.pre_image;
    if (made != nullptr) out.post_image = made->post_image, out.calls = made->calls;
    out.outcome = std::move(outcome);
    out.error = std::move(error);
    out.dry_run = execution.dry_run;
    out.compensation = back;
    out.started_at = row.started_at.value_or(now);
    if (out.outcome != "intent") out.finished_at = now;
    dirty_actions.insert_or_assign(id.str(), out);
}

}  // namespace kn::engine
