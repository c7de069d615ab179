#include <algorithm>

#include "state.hpp"

namespace kn::engine {

Progress WorkflowMachine::State::run_wait(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    if (stop) return after_inner(spec, row, scope, Progress::done, true);
    if (execution.dry_run) {
        change(row, StepState::skipped);  // nothing was changed that could be waited for
        return Progress::done;
    }
    if (row.state == StepState::ready) {
        row.due_at = now + spec.duration.value_or(timeout_of(row));
        change(row, StepState::waiting);
    }
    const Instant due = row.due_at.value_or(now);
    if (spec.until_expr.empty()) {
        if (now >= due) return complete(row, nullptr);
        wake(due);
        return Progress::busy;
    }
    Volatile& known = memory[row.path];
    if (known.calling) return Progress::busy;
    if (!known.live && now < known.not_before && now < due) {
        wake(std::min(known.not_before, due));
        return Progress::busy;
    }
    const auto answer = condition(spec.until_expr, scope, row);
    if (!answer) return Progress::busy;
    if (!*answer) return fail_step(spec, row, scope, answer->error());
    if (**answer && ***answer) return complete(row, nullptr);
    if (now >= due) {
        return fail_step(spec, row, scope, {.code = ErrorCode::deadline_exceeded, .message = "`" + spec.until_expr + "` did not come true in time"});
    }
    known.not_before = now + poll_delay(++known.polls);
    wake(std::min(known.not_before, due));
    return Progress::busy;
}

/// signal: the k-th step that waits for a name takes the k-th signal of it. approval: the same under its own name; a refusal fails the step.
Progress WorkflowMachine::State::run_signal(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    if (stop) return after_inner(spec, row, scope, Progress::done, true);
    if (execution.dry_run) {
        change(row, StepState::skipped);
        return Progress::done;
    }
    const bool approval = spec.kind == "approval";
    if (row.state == StepState::ready) {
        row.due_at = now + (spec.timeout ? *spec.timeout : options.approval_ttl);
        row.params["signal"] = approval ? "approval." + row.path : spec.signal;
        if (approval) {
            const auto message = expand(json::Value(spec.message), scope, row.path);
            row.params["message"] = message && message->is_string() ? *message : json::Value(spec.message);
        }
        change(row, StepState::waiting);
        if (approval) call(row, CallKind::notify);
    }
    const std::string name(json::string_at(json::Value(row.params), "signal"));
    std::int64_t taken = 0;
    for (const auto& [path, other] : rows) {
        if (path != row.path && other.state == StepState::succeeded && (other.kind == "signal" || other.kind == "approval") &&
            json::string_at(json::Value(other.params), "signal") == name) {
            ++taken;
        }
    }
    for (const auto& [sent, payload] : signals) {
        if (sent != name && !(approval && sent == "approved")) continue;
        if (taken-- > 0) continue;
        if (approval && !json::bool_at(payload, "granted").value_or(true)) {
            row.output = payload;
            return fail_step(spec, row, scope,
                             {.code = ErrorCode::permission_denied, .message = "refused by " + std::string(json::string_at(payload, "by"))});
        }
        return complete(row, payload);
    }
    const Instant due = row.due_at.value_or(now);
    if (now >= due) {
        return fail_step(
            spec, row, scope,
            {.code = ErrorCode::deadline_exceeded, .message = approval ? "nobody approved in time" : "the signal " + name + " did not come in time"});
    }
    waits_for_signal = true;
    wake(due);
    return Progress::busy;
}

Progress WorkflowMachine::State::run_assert(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    if (stop) return after_inner(spec, row, scope, Progress::done, true);
    if (memory[row.path].calling) return Progress::busy;
    const auto answer = condition(spec.until_expr, scope, row);
    if (!answer) return Progress::busy;
    if (!*answer) return fail_step(spec, row, scope, answer->error());
    if (!**answer || !***answer) {
        std::string message = "`" + spec.until_expr + "` is " + (**answer ? "not true" : "not known");
        if (!spec.message.empty()) {
            const auto text = expand(json::Value(spec.message), scope, row.path);
            if (text && text->is_string()) message = std::string(json::view(text->get_string())) + " (" + message + ")";
        }
        return fail_step(spec, row, scope, {.code = ErrorCode::failed_precondition, .message = std::move(message)});
    }
    return complete(row, nullptr);
}

Progress WorkflowMachine::State::run_notify(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    Volatile& known = memory[row.path];
    if (known.calling) return Progress::busy;
    if (stop) return after_inner(spec, row, scope, Progress::done, true);
    if (row.state == StepState::ready) {
        const auto message = expand(json::Value(spec.message), scope, row.path);
        if (!message) return fail_step(spec, row, scope, message.error());
        const auto with = expand(json::Value(spec.with), scope, row.path);
        if (!with) return fail_step(spec, row, scope, with.error());
        row.params = with->as_object();
        row.params["message"] = *message;
        change(row, StepState::waiting);
    }
    if (now < known.not_before) {
        wake(known.not_before);
        return Progress::busy;
    }
    call(row, CallKind::notify);
    return Progress::busy;
}

/// Takes an earlier step of the same workflow back. A step that changed nothing, or is back already, needs nothing.
Progress WorkflowMachine::State::run_undo(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    const std::string id(json::string_at(json::Value(spec.with), "step"));
    Step* target = nullptr;
    for (auto& [path, other] : rows) {
        if (other.id != id || other.kind != "action" || home_of(path) != scope.home) continue;
        if (!can_compensate(other) && other.state != StepState::compensating && other.state != StepState::compensation_failed) continue;
        if (target == nullptr || other.started_at > target->started_at) target = &other;
    }
    if (target == nullptr) {
        if (row.state == StepState::waiting) return complete(row, nullptr);  // it has been taken back meanwhile
        change(row, StepState::skipped);
        return Progress::done;
    }
    if (stop && target->state == StepState::succeeded) return after_inner(spec, row, scope, Progress::done, true);
    if (row.state == StepState::ready) change(row, StepState::waiting);
    if (target->state == StepState::compensation_failed) {
        return fail_step(spec, row, scope,
                         {.code = ErrorCode::failed_precondition, .message = "step " + target->path + " could not be taken back: " + target->error});
    }
    const auto back = compensate(*target);
    if (!back) return Progress::busy;
    if (*back) return complete(row, nullptr);
    return fail_step(spec, row, scope,
                     {.code = ErrorCode::failed_precondition, .message = "step " + target->path + " could not be taken back: " + target->error});
}

}  // namespace kn::engine
