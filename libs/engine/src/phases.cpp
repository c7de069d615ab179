#include <algorithm>

#include "state.hpp"

namespace kn::engine {

namespace {
bool is_container(const Step& row) { return row.kind == "branch" || row.kind == "parallel" || row.kind == "loop" || row.kind == "subworkflow"; }
bool in_finally(std::string_view path) { return path.starts_with("finally/") || path.find("/finally/") != std::string_view::npos; }
bool has_begun(const Step& row) { return row.state != StepState::pending && row.state != StepState::skipped; }
}  // namespace

Scope WorkflowMachine::State::top(std::string prefix) {
    return {.prefix = std::move(prefix), .home = {}, .workflow = &definition, .params = execution.plan.params, .vars = {}};
}

/// Level-triggered: looks at the rows and does what is to be done next, however it came to that.
void WorkflowMachine::State::advance() {
    if (execution.state == ExecutionState::queued) {
        if (execution.cancel_requested) return finish(ExecutionState::cancelled);
        if (now > execution.created_at + options.schedule_to_start) {
            execution.error = "not started within " + format_duration(options.schedule_to_start);
            execution.reason = "schedule_to_start";
            return finish(ExecutionState::refused);
        }
        execution.state = ExecutionState::running;
        execution.started_at = now;
        dirty_execution = true;
    }
    if (execution.state == ExecutionState::paused) return;  // whoever paused it sets it running again
    if (execution.state != ExecutionState::running && execution.state != ExecutionState::verifying && execution.state != ExecutionState::compensating)
        return;

    if (execution.state != ExecutionState::compensating) {
        const Instant limit = execution.started_at.value_or(now) + definition.timeout;
        const bool ending = std::ranges::any_of(rows, [](const auto& entry) { return in_finally(entry.first) && has_begun(entry.second); });
        if (!stopping() && !ending) {
            if (now >= limit) {
                fail_execution("the workflow's time of " + format_duration(definition.timeout) + " is over");
                execution.reason = "timeout";
            } else {
                wake(limit);
            }
        }
        run_steps();
        return;
    }
    run_end();
}

void WorkflowMachine::State::fail_execution(const std::string& error) {
    if (execution.error.empty()) execution.error = error;
    if (execution.reason.empty()) execution.reason = "failed";
    dirty_execution = true;
}

void WorkflowMachine::State::run_steps() {
    if (execution.state == ExecutionState::running) {
        Progress progress = run_list(definition.steps, top(""), stopping());
        if (progress == Progress::failed && !stopping()) {
            const Step* worst = nullptr;
            for (const auto& [path, row] : rows) {
                if (row.state != StepState::failed || is_container(row) || in_finally(path)) continue;
                const StepSpec* spec = spec_of(row);
                if (spec != nullptr && (spec->on_error == "continue" || spec->on_error == "skip")) continue;
                if (worst == nullptr || row.finished_at.value_or(now) < worst->finished_at.value_or(now)) worst = &row;
            }
            fail_execution(worst == nullptr ? "a step failed" : "step " + worst->path + ": " + worst->error);
            progress = run_list(definition.steps, top(""), true);
        }
        if (progress == Progress::busy) return;
        if (!stopping()) {
            execution.state = ExecutionState::verifying;
            dirty_execution = true;
        }
    }
    if (execution.state == ExecutionState::verifying) {
        Progress progress = execution.dry_run ? Progress::done : run_list(definition.verify, top("verify/"), stopping());
        if (progress == Progress::failed && !stopping()) {
            fail_execution("the workflow's verification failed");
            execution.reason = "verification";
            progress = run_list(definition.verify, top("verify/"), true);
        }
        if (progress == Progress::busy) return;
    }
    run_end();
}

void WorkflowMachine::State::run_end() {
    const auto failed_hard = [this](const Step& row) {
        const StepSpec* spec = row.state == StepState::failed ? spec_of(row) : nullptr;
        return spec != nullptr && spec->on_error != "continue" && spec->on_error != "skip";
    };
    if (execution.state != ExecutionState::compensating && !execution.error.empty() && !execution.cancel_requested && !execution.dry_run) {
        const bool asked = definition.on_failure == "compensate" || std::ranges::any_of(rows, [&](const auto& entry) {
                               const StepSpec* spec = entry.second.state == StepState::failed ? spec_of(entry.second) : nullptr;
                               return spec != nullptr && spec->on_error == "compensate";
                           });
        const bool any = std::ranges::any_of(rows, [this](const auto& entry) { return can_compensate(entry.second) && !in_finally(entry.first); });
        const bool begun = std::ranges::any_of(rows, [](const auto& entry) { return in_finally(entry.first) && has_begun(entry.second); });
        if (asked && any && !begun) {
            execution.state = ExecutionState::compensating;
            dirty_execution = true;
        }
    }
    if (execution.state == ExecutionState::compensating && !run_compensation()) return;
    const Progress last = run_finally();
    if (last == Progress::busy) return;

    const bool stuck = std::ranges::any_of(rows, [](const auto& entry) { return entry.second.state == StepState::compensation_failed; });
    if (last == Progress::failed) fail_execution("a final step failed");
    if (execution.state == ExecutionState::compensating) {
        return finish(stuck || last == Progress::failed ? ExecutionState::compensation_failed : ExecutionState::compensated);
    }
    if (execution.cancel_requested && execution.state == ExecutionState::running) {
        if (execution.error.empty()) execution.error = "cancelled by " + execution.cancel_by;
        return finish(ExecutionState::cancelled);
    }
    if (execution.cancel_requested) fail_execution("cancelled by " + execution.cancel_by);
    if (execution.error.empty() &&
        std::ranges::any_of(rows, [&](const auto& entry) { return definition.on_failure == "continue" && failed_hard(entry.second); })) {
        fail_execution("some steps failed");
    }
    finish(execution.error.empty() ? ExecutionState::succeeded : ExecutionState::failed);
}

/// Succeeded mutating steps in reverse order of their starts, one at a time. False while busy.
bool WorkflowMachine::State::run_compensation() {
    std::vector<Step*> owed;
    for (auto& [path, row] : rows) {
        if (in_finally(path)) continue;
        if (row.state == StepState::compensating || can_compensate(row)) owed.push_back(&row);
    }
    std::ranges::sort(owed, [](const Step* a, const Step* b) { return a->started_at.value_or(Instant{}) > b->started_at.value_or(Instant{}); });
    for (Step* row : owed) {
        if (!compensate(*row)) return false;
    }
    return true;
}

/// The final steps of every workflow that began, inner ones first. Runs once: finished rows stay finished.
Progress WorkflowMachine::State::run_finally() {
    std::vector<const Step*> inner;
    for (const auto& [path, row] : rows) {
        if (row.kind == "subworkflow" && has_begun(row)) inner.push_back(&row);
    }
    std::ranges::sort(inner, [](const Step* a, const Step* b) { return a->path.size() > b->path.size(); });
    Progress all = Progress::done;
    const auto add = [&all](Progress one) {
        if (one == Progress::busy)
            all = Progress::busy;
        else if (one == Progress::failed && all == Progress::done)
            all = Progress::failed;
    };
    std::vector<std::pair<std::string, json::Object>> scopes;
    for (const Step* row : inner) scopes.emplace_back(row->path + "/", row->params);
    for (const auto& [home, params] : scopes) {
        const WorkflowDefinition* workflow = workflow_at(home);
        if (workflow == nullptr || workflow->finally.empty()) continue;
        add(run_list(workflow->finally, {.prefix = home + "finally/", .home = home, .workflow = workflow, .params = params, .vars = {}}, false));
    }
    if (all == Progress::busy) return all;
    add(run_list(definition.finally, top("finally/"), false));
    return all;
}

void WorkflowMachine::State::finish(ExecutionState end) {
    execution.state = end;
    execution.finished_at = now;
    effect.finished = true;
    effect.wake_at.reset();
    json::Object details{{"workflow", execution.plan.workflow}, {"state", std::string(to_string(end))}};
    if (execution.dry_run) details["dry_run"] = true;
    audit("execution." + std::string(to_string(end)), execution.plan.target.key.str(), execution.error, std::move(details));
    dirty_execution = true;
}

void WorkflowMachine::State::audit(std::string verb, std::string object, std::string reason, json::Object details) {
    details["execution"] = execution.id.str();
    AuditRecord link;
    link.cluster = execution.cluster, link.at = now;
    link.actor = execution.requested_by.empty() ? "kubernaut" : execution.requested_by;
    link.verb = std::move(verb), link.object = std::move(object), link.reason = std::move(reason);
    link.details = std::move(details);
    dirty_audit.push_back(std::move(link));
}

}  // namespace kn::engine
