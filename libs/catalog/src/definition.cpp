#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "kubernaut/expr/expr.hpp"
#include "reader.hpp"

namespace kn::catalog {
namespace {

constexpr std::array<std::string_view, 11> kinds{"action",   "branch",      "parallel", "loop",   "wait", "signal",
                                                 "approval", "subworkflow", "assert",   "notify", "undo"};

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 63 &&
           std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }) &&
           text.front() != '-';
}

template <class E> E word(const Node& node, E fallback) {
    if (!node.present()) return fallback;
    const std::string text = node.text();
    if (const auto value = parse_enum<E>(text)) return *value;
    if (node.value()->is_string()) node.problem("unknown word `" + text + "`");
    return fallback;
}

std::string one_of(const Node& node, std::string_view fallback, std::initializer_list<std::string_view> words) {
    std::string text = node.text(fallback);
    if (std::ranges::find(words, text) == words.end()) node.problem("unknown word `" + text + "`");
    return text;
}

std::string expression(const Node& node) {
    if (node.present() && node.value()->is_bool()) return node.value()->get_bool() ? "true" : "false";
    std::string text = node.text();
    if (!text.empty()) {
        if (const auto compiled = expr::compile(text); !compiled) node.problem(compiled.error().message + " (" + compiled.error().field + ")");
    }
    return text;
}

ParamSpec read_param(const std::string& name, const Node& node) {
    ParamSpec param;
    param.name = name;
    node.only({"type", "min", "max", "enum", "default", "optional", "description"});
    if (!is_name(name)) node.problem("a parameter's name has small letters, digits, - and _");
    param.type = one_of(node["type"], "string", {"string", "int", "number", "bool", "duration", "quantity", "list", "object"});
    param.min = node["min"].amount();
    param.max = node["max"].amount();
    param.one_of = node["enum"].texts();
    if (node["default"].present()) param.fallback = *node["default"].value();
    param.optional = node["optional"].flag(false);
    return param;
}

class StepReader {
public:
    std::vector<StepSpec> list(const Node& node) {
        std::vector<StepSpec> out;
        if (++depth_ > 16) {
            node.problem("nested too deeply");
            --depth_;
            return out;
        }
        std::set<std::string> here;
        for (const Node& item : node.items()) {
            if (++count_ > max_steps) {
                if (count_ == max_steps + 1) item.problem("more than " + std::to_string(max_steps) + " steps");
                break;
            }
            StepSpec step = read(item);
            if (!item["needs"].present() && !out.empty()) step.needs = {out.back().id};
            for (std::size_t i = 0; i < step.needs.size(); ++i) {
                if (step.needs[i] == step.id) item["needs"].problem("a step cannot need itself");
                needs_.emplace_back(item["needs"], step.needs[i]);
            }
            here.insert(step.id);
            out.push_back(std::move(step));
        }
        for (const auto& [place, name] : needs_) {
            if (!here.contains(name)) place.problem("no step `" + name + "` in this list");
        }
        needs_.clear();
        check_cycles(node, out);
        --depth_;
        return out;
    }

private:
    StepSpec read(const Node& node) {
        StepSpec step;
        step.line = node.problems().line(node.pointer());
        node.only({"id",         "kind",     "action",   "needs", "if",     "with",     "retry",  "timeout", "on_error",
                   "compensate", "cluster",  "branches", "join",  "then",   "else",     "times",  "while",   "for_each",
                   "body",       "duration", "until",    "that",  "signal", "workflow", "message"});
        step.kind = kind_of(node);
        step.id = node["id"].required_text();
        if (!step.id.empty() && !is_name(step.id)) node["id"].problem("a step's id has small letters, digits, - and _");
        if (step.id == "verify" || step.id == "finally") node["id"].problem("`" + step.id + "` is the name of a list");
        if (!ids_.insert(step.id).second && !step.id.empty()) node["id"].problem("the id `" + step.id + "` is used twice");
        step.needs = node["needs"].texts();
        step.if_expr = expression(node["if"]);
        if (node["with"].present()) {
            if (const auto* object = node["with"].value()->if_object())
                step.with = *object;
            else
                node["with"].problem("must be a mapping");
            for (const auto& [key, item] : node["with"].members()) {
                if (const auto checked = expr::check_templates(*item.value()); !checked) {
                    item.problem(checked.error().message + " (" + checked.error().field + ")");
                }
            }
        }
        step.timeout = node["timeout"].duration();
        step.on_error = one_of(node["on_error"], "fail", {"fail", "continue", "compensate", "skip", "wait"});
        step.compensate = one_of(node["compensate"], "auto", {"auto", "none"});
        step.cluster = node["cluster"].text();
        if (node["retry"].present()) step.retry = retry(node["retry"]);
        read_kind(node, step);
        return step;
    }

    static std::string kind_of(const Node& node) {
        std::string kind = node["kind"].text();
        if (kind.empty()) {
            constexpr std::array<std::pair<std::string_view, std::string_view>, 6> marks{{{"action", "action"},
                                                                                          {"branches", "parallel"},
                                                                                          {"body", "loop"},
                                                                                          {"then", "branch"},
                                                                                          {"workflow", "subworkflow"},
                                                                                          {"signal", "signal"}}};
            for (const auto& [key, value] : marks) {
                if (node[key].present()) return std::string(value);
            }
            node.problem("a step needs a kind");
            return "assert";
        }
        if (std::ranges::find(kinds, kind) == kinds.end()) node["kind"].problem("unknown kind `" + kind + "`");
        return kind;
    }

    static RetryPolicy retry(const Node& node) {
        RetryPolicy policy;
        node.only({"tries", "base", "cap", "factor"});
        policy.tries = static_cast<int>(node["tries"].integer(policy.tries, 1, 100));
        policy.base = node["base"].duration().value_or(policy.base);
        policy.cap = node["cap"].duration().value_or(policy.cap);
        if (const auto factor = node["factor"].amount()) {
            if (*factor < 1 || *factor > 10) node["factor"].problem("must be between 1 and 10");
            policy.factor = *factor;
        }
        return policy;
    }

    /// The keys that a kind needs; those of other kinds are problems.
    void read_kind(const Node& node, StepSpec& step) {
        const auto misplaced = [&](std::string_view kind, std::initializer_list<std::string_view> keys) {
            if (step.kind == kind) return;
            for (const auto key : keys) {
                if (node[key].present()) node[key].problem("belongs to steps of kind " + std::string(kind));
            }
        };
        misplaced("action", {"action"});
        misplaced("parallel", {"branches", "join"});
        misplaced("branch", {"then", "else"});
        misplaced("loop", {"times", "while", "for_each", "body"});
        misplaced("signal", {"signal"});
        misplaced("subworkflow", {"workflow"});
        misplaced("assert", {"that"});
        if (step.kind != "wait") misplaced("wait", {"duration", "until"});
        if (step.kind != "notify" && step.kind != "approval" && step.kind != "assert") misplaced("notify", {"message"});

        step.message = node["message"].text();
        if (const auto compiled = expr::compile_template(step.message); !compiled) {
            node["message"].problem(compiled.error().message + " (" + compiled.error().field + ")");
        }
        if (step.kind == "action") {
            step.action = node["action"].required_text();
        } else if (step.kind == "parallel") {
            for (const Node& branch : node["branches"].items()) step.branches.push_back(fresh_list(branch));
            if (step.branches.empty() || step.branches.size() > max_branches)
                node["branches"].problem("wants 1 to " + std::to_string(max_branches) + " branches");
            step.join = join(node["join"], step.branches.size());
        } else if (step.kind == "branch") {
            if (step.if_expr.empty()) node["if"].problem("is required");
            step.then_steps = fresh_list(node["then"]);
            step.else_steps = fresh_list(node["else"]);
            if (step.then_steps.empty() && step.else_steps.empty()) node["then"].problem("is required");
        } else if (step.kind == "loop") {
            read_loop(node, step);
        } else if (step.kind == "wait") {
            step.duration = node["duration"].duration();
            step.until_expr = expression(node["until"]);
            if (step.duration.has_value() == !step.until_expr.empty()) node.problem("wait wants either duration or until");
            if (!step.until_expr.empty() && !step.timeout) node["timeout"].problem("is required: a wait for a condition must end");
        } else if (step.kind == "signal") {
            step.signal = node["signal"].required_text();
            if (!step.timeout) node["timeout"].problem("is required: a wait for a signal must end");
        } else if (step.kind == "subworkflow") {
            step.workflow = node["workflow"].required_text();
        } else if (step.kind == "assert") {
            step.until_expr = expression(node["that"]);
            if (step.until_expr.empty()) node["that"].problem("is required");
        } else if (step.kind == "notify") {
            if (step.message.empty()) node["message"].problem("is required");
        } else if (step.kind == "undo") {
            if (node["with"]["step"].required_text().empty()) return;
        }
    }

    void read_loop(const Node& node, StepSpec& step) {
        step.times = static_cast<int>(node["times"].integer(0, 1, max_iterations));
        step.while_expr = expression(node["while"]);
        step.for_each = expression(node["for_each"]);
        step.body = fresh_list(node["body"]);
        if (step.body.empty()) node["body"].problem("is required");
        if (step.times == 0 && step.for_each.empty())
            node["times"].problem("is required: a loop must have a bound (at most " + std::to_string(max_iterations) + ")");
        if (!step.while_expr.empty() && !step.for_each.empty()) node.problem("a loop has while or for_each, not both");
    }

    static std::string join(const Node& node, std::size_t branches) {
        if (!node.present()) return "all";
        if (const auto number = json::to_int(node.value())) {
            if (*number < 1 || *number > static_cast<std::int64_t>(branches)) node.problem("must be between 1 and the number of branches");
            return std::to_string(*number);
        }
        return one_of(node, "all", {"all", "any"});
    }

    /// An inner list with its own name space for `needs`.
    std::vector<StepSpec> fresh_list(const Node& node) {
        auto outer = std::exchange(needs_, {});
        auto out = list(node);
        needs_ = std::move(outer);
        return out;
    }

    static void check_cycles(const Node& node, const std::vector<StepSpec>& steps) {
        std::set<std::string> done;
        for (std::size_t round = 0; round <= steps.size(); ++round) {
            for (const StepSpec& step : steps) {
                const bool free = std::ranges::all_of(step.needs, [&](const std::string& need) {
                    return done.contains(need) || std::ranges::none_of(steps, [&](const StepSpec& other) { return other.id == need; });
                });
                if (free) done.insert(step.id);
            }
        }
        for (const StepSpec& step : steps) {
            if (!done.contains(step.id)) {
                node.problem("the steps need each other in a circle, `" + step.id + "` among them");
                return;
            }
        }
    }

    std::set<std::string> ids_;
    std::vector<std::pair<Node, std::string>> needs_;
    std::size_t count_ = 0;
    int depth_ = 0;
};

}  // namespace

WorkflowDefinition read_definition(const Node& root) {
    WorkflowDefinition out;
    if (root.value() == nullptr || !root.value()->is_object()) {
        root.problem("a workflow is a mapping");
        return out;
    }
    root.only({"id", "version", "description", "fault_classes", "when", "not_when", "target_kinds", "risk", "proactive", "irreversible", "params",
               "timeout", "steps", "finally", "verify", "on_failure", "cluster_scope", "cost", "subworkflows"});
    out.id = root["id"].required_text();
    if (!out.id.empty() && !is_name(out.id)) root["id"].problem("an id has small letters, digits, - and _");
    out.version = static_cast<int>(root["version"].integer(1, 1, 1'000'000));
    out.description = root["description"].text();
    out.fault_classes = root["fault_classes"].texts();
    out.target_kinds = root["target_kinds"].texts();
    out.when = expression(root["when"]);
    out.when_not = expression(root["not_when"]);
    out.risk = word(root["risk"], Risk::none);
    if (!root["risk"].present()) root["risk"].problem("is required");
    out.proactive = root["proactive"].flag(false);
    if (root["irreversible"].present()) out.irreversible_accepted = one_of(root["irreversible"], "accepted", {"accepted"}) == "accepted";
    for (const auto& [name, node] : root["params"].members()) out.params.push_back(read_param(name, node));
    out.timeout = root["timeout"].duration().value_or(out.timeout);
    if (out.timeout > std::chrono::hours{24 * 7}) root["timeout"].problem("must be at most 7d");
    out.on_failure = one_of(root["on_failure"], "compensate", {"compensate", "stop", "continue"});
    out.cost = root["cost"].amount().value_or(0);
    StepReader steps;
    out.steps = steps.list(root["steps"]);
    out.finally = steps.list(root["finally"]);
    out.verify = steps.list(root["verify"]);
    if (out.steps.empty()) root["steps"].problem("is required");
    out.source = *root.value();
    return out;
}

}  // namespace kn::catalog
