#include <algorithm>

#include "state.hpp"

namespace kn::engine {

Result<expr::Program> WorkflowMachine::State::compiled(const std::string& text) {
    const auto found = programs.find(text);
    if (found != programs.end()) return found->second;
    KN_TRY(auto program, expr::compile(text));
    programs.emplace(text, program);
    return program;
}

/// Roots: what the execution was started with, the parameters of the workflow that the step belongs to, its steps so far, the loop's variables.
expr::Environment WorkflowMachine::State::environment(const Scope& scope, const std::string& path) {
    expr::Environment out;
    out.now = now;
    for (const auto& [name, value] : execution.context) out.roots[name] = value;
    const ObjectKey& key = execution.plan.target.key;
    json::Object target;
    if (const auto* given = out.roots.if_contains("target"); given != nullptr && given->is_object()) target = given->get_object();
    const auto put = [&target](std::string_view name, const std::string& value) {
        if (!target.contains(name)) target[name] = value;
    };
    put("key", key.str()), put("cluster", key.cluster.str()), put("namespace", key.ns), put("kind", key.kind), put("group", key.group),
        put("name", key.name);
    put("uid", execution.plan.target.uid);
    out.roots["target"] = std::move(target);

    json::Object params = scope.params;
    if (scope.workflow != nullptr) {
        for (const ParamSpec& param : scope.workflow->params) {
            if (!params.contains(param.name)) params[param.name] = param.fallback;  // null when optional: asked for and not given
        }
    }
    out.roots["params"] = std::move(params);

    json::Object steps;
    for (const auto& [row_path, row] : rows) {
        if (row.kind == "verify" || !row_path.starts_with(scope.home) || home_of(row_path) != scope.home) continue;
        const auto* before = steps.if_contains(row.id);
        // Of several runs of a step (loops) the latest counts.
        const std::int64_t begun = to_millis(row.started_at.value_or(Instant{}));
        if (before != nullptr && json::int_at(*before, "started").value_or(0) > begun) continue;
        steps[row.id] = json::Object{
            {"state", std::string(to_string(row.state))}, {"output", row.output}, {"error", row.error}, {"attempt", row.attempt}, {"started", begun}};
    }
    out.roots["steps"] = std::move(steps);
    if (!scope.vars.empty()) out.roots["vars"] = scope.vars;
    if (const auto known = memory.find(path); known != memory.end() && known->second.live) out.roots["live"] = *known->second.live;
    return out;
}

std::optional<Result<std::optional<bool>>> WorkflowMachine::State::condition(const std::string& text, const Scope& scope, Step& row) {
    auto program = compiled(text);
    if (!program) return Result<std::optional<bool>>(fail(program.error()));
    Volatile& known = memory[row.path];
    const auto is_live = [](const std::string& path) { return path == "live" || path.starts_with("live."); };
    if (std::ranges::any_of(program->reads(), is_live) && !known.live) {
        if (!known.calling) call(row, CallKind::read_live);
        return std::nullopt;
    }
    auto answer = expr::test(*program, environment(scope, row.path));
    known.live.reset();
    return answer;
}

namespace {
bool has_template(const json::Value& value) {
    if (const auto* text = value.if_string()) return json::view(*text).find("${") != std::string_view::npos;
    if (const auto* array = value.if_array()) return std::ranges::any_of(*array, has_template);
    if (const auto* object = value.if_object()) return std::ranges::any_of(*object, [](const auto& member) { return has_template(member.value()); });
    return false;
}
}  // namespace

Result<json::Value> WorkflowMachine::State::expand(const json::Value& value, const Scope& scope, const std::string& path) {
    if (!has_template(value)) return value;  // most parameters are written out: no need to gather what expressions may see
    return expr::expand(value, environment(scope, path));
}

}  // namespace kn::engine
