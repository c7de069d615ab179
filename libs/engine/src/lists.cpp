#include <algorithm>
#include <charconv>

#include "state.hpp"

namespace kn::engine {

namespace {
Error unknown_condition(const std::string& text) {
    return {.code = ErrorCode::failed_precondition, .message = "`" + text + "` is not known", .reason = "unknown"};
}
}  // namespace

/// One list: every step whose needs are met. With `stop` nothing new begins and what waits is given up; calls under way are waited for.
Progress WorkflowMachine::State::run_list(const std::vector<StepSpec>& list, const Scope& scope, bool stop) {
    std::map<std::string, Progress> progress;
    bool failed = false;
    // A step may free others before it in the list, so look until nothing moves.
    for (bool moved = true; moved;) {
        moved = false;
        for (const StepSpec& spec : list) {
            if (const auto seen = progress.find(spec.id); seen != progress.end() && seen->second != Progress::busy) continue;
            const bool begun = find(scope.prefix + spec.id) != nullptr;
            if (!begun) {
                const bool free = !stop && !failed && std::ranges::all_of(spec.needs, [&](const std::string& need) {
                    const auto found = progress.find(need);
                    return found != progress.end() && found->second == Progress::done;
                });
                if (!free) continue;
            } else if (progress.contains(spec.id)) {
                continue;  // busy, and looked at in this turn
            }
            const Progress now_at = run_step(spec, scope, stop || failed);
            progress[spec.id] = now_at;
            if (now_at == Progress::failed && !failed) {
                failed = true;
                // Those that wait for a timer or a person are given up now.
                for (auto& [id, one] : progress) {
                    if (one != Progress::busy) continue;
                    const auto other = std::ranges::find(list, id, &StepSpec::id);
                    if (other != list.end()) one = run_step(*other, scope, true);
                }
            }
            if (now_at != Progress::busy) moved = true;
        }
    }
    const bool busy = std::ranges::any_of(progress, [](const auto& entry) { return entry.second == Progress::busy; });
    if (busy) return Progress::busy;
    if (failed) return Progress::failed;
    if (stop) return Progress::done;
    return progress.size() == list.size() ? Progress::done : Progress::busy;
}

Progress WorkflowMachine::State::run_step(const StepSpec& spec, const Scope& scope, bool stop) {
    const std::string path = scope.prefix + spec.id;
    Step& row = open(spec, path);
    using enum StepState;
    if (row.state == pending) {
        if (stop) {
            change(row, cancelled);
            return Progress::done;
        }
        if (!spec.if_expr.empty() && spec.kind != "branch") {
            const auto answer = condition(spec.if_expr, scope, row);
            if (!answer) return Progress::busy;
            if (!*answer) return fail_step(spec, row, scope, answer->error());
            if (!**answer) return fail_step(spec, row, scope, unknown_condition(spec.if_expr));
            if (!***answer) {
                change(row, skipped);
                return Progress::done;
            }
        }
        change(row, ready);
    }
    if (spec.kind == "action") return run_action(spec, row, scope, stop);
    if (row.state == failed) return tolerate(spec, scope);
    if (row.state != ready && row.state != waiting) return Progress::done;
    if (spec.kind == "branch") return run_branch(spec, row, scope, stop);
    if (spec.kind == "parallel") return run_parallel(spec, row, scope, stop);
    if (spec.kind == "loop") return run_loop(spec, row, scope, stop);
    if (spec.kind == "subworkflow") return run_subworkflow(spec, row, scope, stop);
    if (spec.kind == "wait") return run_wait(spec, row, scope, stop);
    if (spec.kind == "signal" || spec.kind == "approval") return run_signal(spec, row, scope, stop);
    if (spec.kind == "assert") return run_assert(spec, row, scope, stop);
    if (spec.kind == "notify") return run_notify(spec, row, scope, stop);
    if (spec.kind == "undo") return run_undo(spec, row, scope, stop);
    return fail_step(spec, row, scope, {.code = ErrorCode::unimplemented, .message = "steps of kind " + spec.kind + " are not known"});
}

Progress WorkflowMachine::State::complete(Step& row, json::Value output) {
    row.output = std::move(output);
    change(row, StepState::succeeded);
    return Progress::done;
}

Progress WorkflowMachine::State::fail_step(const StepSpec& spec, Step& row, const Scope& scope, const Error& error) {
    row.error = error.message;
    row.error_code = to_string(error.code);
    change(row, StepState::failed);
    return tolerate(spec, scope);
}

Progress WorkflowMachine::State::tolerate(const StepSpec& spec, const Scope& scope) {
    if (spec.on_error == "continue" || spec.on_error == "skip") return Progress::done;
    if (scope.workflow != nullptr && scope.workflow->on_failure == "continue" && spec.on_error != "compensate") return Progress::done;
    return Progress::failed;
}

/// A container's own end follows from its inner steps.
Progress WorkflowMachine::State::after_inner(const StepSpec& spec, Step& row, const Scope& scope, Progress inner, bool stop) {
    if (inner == Progress::busy) return Progress::busy;
    if (stop) {
        change(row, StepState::cancelled);
        return Progress::done;
    }
    if (inner == Progress::done) return complete(row, row.output);
    return fail_step(spec, row, scope, {.code = ErrorCode::aborted, .message = "an inner step failed"});
}

Progress WorkflowMachine::State::run_branch(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    if (row.state == StepState::ready) {
        if (stop) return after_inner(spec, row, scope, Progress::done, true);
        const auto answer = condition(spec.if_expr, scope, row);
        if (!answer) return Progress::busy;
        if (!*answer) return fail_step(spec, row, scope, answer->error());
        if (!**answer) return fail_step(spec, row, scope, unknown_condition(spec.if_expr));
        row.params["taken"] = ***answer ? "then" : "else";
        change(row, StepState::waiting);
    }
    const bool yes = json::string_at(json::Value(row.params), "taken") == "then";
    Scope inner = scope;
    inner.prefix = row.path + "/";
    return after_inner(spec, row, scope, run_list(yes ? spec.then_steps : spec.else_steps, inner, stop), stop);
}

Progress WorkflowMachine::State::run_parallel(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    if (row.state == StepState::ready) change(row, StepState::waiting);
    std::size_t wanted = spec.branches.size();
    if (spec.join == "any")
        wanted = 1;
    else if (spec.join != "all")
        std::from_chars(spec.join.data(), spec.join.data() + spec.join.size(), wanted);

    std::vector<Progress> each;
    const auto run_all = [&](bool give_up) {
        each.clear();
        for (std::size_t i = 0; i < spec.branches.size(); ++i) {
            Scope inner = scope;
            inner.prefix = row.path + "[" + std::to_string(i) + "]/";
            each.push_back(run_list(spec.branches[i], inner, give_up));
        }
    };
    // A branch that is done counts only when it got to its end; one that was given up is told by its rows.
    const auto finished = [&](std::size_t i) {
        return std::ranges::all_of(spec.branches[i], [&](const StepSpec& inner) {
            const Step* found = find(row.path + "[" + std::to_string(i) + "]/" + inner.id);
            return found != nullptr && found->state != StepState::cancelled;
        });
    };
    run_all(stop);
    const auto count = [&] {
        std::size_t done = 0, failed = 0;
        for (std::size_t i = 0; i < each.size(); ++i) {
            if (each[i] == Progress::done && finished(i)) ++done;
            if (each[i] == Progress::failed) ++failed;
        }
        return std::pair(done, failed);
    };
    const auto [done, failed] = count();
    const bool enough = done >= wanted, hopeless = failed > spec.branches.size() - wanted;
    if (!stop && (enough || hopeless)) run_all(true);
    if (std::ranges::find(each, Progress::busy) != each.end()) return Progress::busy;
    return after_inner(spec, row, scope, enough ? Progress::done : hopeless ? Progress::failed : Progress::busy, stop);
}

Progress WorkflowMachine::State::run_loop(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    constexpr std::int64_t most = 100;
    if (row.state == StepState::ready) {
        std::int64_t times = spec.times > 0 ? spec.times : most;
        if (!spec.for_each.empty()) {
            const auto program = compiled(spec.for_each);
            if (!program) return fail_step(spec, row, scope, program.error());
            const auto answer = expr::evaluate(*program, environment(scope, row.path));
            if (!answer) return fail_step(spec, row, scope, answer.error());
            if (!answer->known() || !answer->value->is_array()) return fail_step(spec, row, scope, unknown_condition(spec.for_each));
            const auto size = static_cast<std::int64_t>(answer->value->get_array().size());
            if (size > most) return fail_step(spec, row, scope, {.code = ErrorCode::failed_precondition, .message = "more than 100 items"});
            times = spec.times > 0 ? std::min(times, size) : size;
            row.params["items"] = *answer->value;
        }
        row.params["times"] = times;
        row.output = json::Object{{"iterations", 0}};
        change(row, StepState::waiting);
    }
    const std::int64_t times = json::int_at(json::Value(row.params), "times").value_or(0);
    while (true) {
        const std::int64_t at = json::int_at(row.output, "iterations").value_or(0);
        Scope inner = scope;
        inner.prefix = row.path + "[" + std::to_string(at) + "]/";
        inner.vars["index"] = at;
        const auto items = json::array_at(json::Value(row.params), "items");
        if (at < static_cast<std::int64_t>(items.size())) inner.vars["item"] = items[static_cast<std::size_t>(at)];
        const bool begun = std::ranges::any_of(spec.body, [&](const StepSpec& each) { return find(inner.prefix + each.id) != nullptr; });
        if (!begun) {
            if (stop || at >= times) return after_inner(spec, row, scope, Progress::done, stop);
            if (!spec.while_expr.empty()) {
                const auto answer = condition(spec.while_expr, inner, row);
                if (!answer) return Progress::busy;
                if (!*answer) return fail_step(spec, row, scope, answer->error());
                if (!**answer) return fail_step(spec, row, scope, unknown_condition(spec.while_expr));
                if (!***answer) return after_inner(spec, row, scope, Progress::done, false);
            }
        }
        const Progress body = run_list(spec.body, inner, stop);
        if (body != Progress::done || stop) return after_inner(spec, row, scope, body, stop);
        row.output = json::Object{{"iterations", at + 1}};
        touch(row);
    }
}

Progress WorkflowMachine::State::run_subworkflow(const StepSpec& spec, Step& row, const Scope& scope, bool stop) {
    const auto found = subworkflows.find(spec.workflow);
    if (found == subworkflows.end())
        return fail_step(spec, row, scope, {.code = ErrorCode::not_found, .message = "the workflow " + spec.workflow + " is not in the snapshot"});
    const WorkflowDefinition& workflow = found->second;
    if (row.state == StepState::ready) {
        if (stop) return after_inner(spec, row, scope, Progress::done, true);
        if (std::ranges::count(row.path, '/') > 32)
            return fail_step(spec, row, scope, {.code = ErrorCode::resource_exhausted, .message = "nested too deeply"});
        const auto params = expand(json::Value(spec.with), scope, row.path);
        if (!params) return fail_step(spec, row, scope, params.error());
        row.params = params->as_object();
        for (const ParamSpec& param : workflow.params) {
            if (row.params.contains(param.name)) continue;
            if (!param.fallback.is_null())
                row.params[param.name] = param.fallback;
            else if (!param.optional)
                return fail_step(spec, row, scope, {.code = ErrorCode::invalid_argument, .message = "the parameter " + param.name + " is missing"});
        }
        change(row, StepState::waiting);
    }
    const std::string home = row.path + "/";
    const Scope inner{.prefix = home, .home = home, .workflow = &workflow, .params = row.params, .vars = {}};
    Progress progress = run_list(workflow.steps, inner, stop);
    if (progress == Progress::done && !stop && !execution.dry_run) {
        Scope after = inner;
        after.prefix = home + "verify/";
        progress = run_list(workflow.verify, after, stop);
    }
    if (progress == Progress::busy || stop) return after_inner(spec, row, scope, progress, stop);
    Scope last = inner;
    last.prefix = home + "finally/";
    const Progress final_steps = run_list(workflow.finally, last, false);
    if (final_steps == Progress::busy) return Progress::busy;
    return after_inner(spec, row, scope, progress == Progress::failed ? progress : final_steps, false);
}

}  // namespace kn::engine
