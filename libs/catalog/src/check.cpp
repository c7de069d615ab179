#include <algorithm>
#include <set>

#include "kubernaut/expr/expr.hpp"
#include "reader.hpp"

namespace kn::catalog {
namespace {

bool is_template(const json::Value& value) { return value.is_string() && json::view(value.get_string()).find("${") != std::string_view::npos; }

void check_bounds(const Node& node, const ParamSpec& param, double amount) {
    if (param.min && amount < *param.min) node.problem("must be at least " + json::dump(*param.min));
    if (param.max && amount > *param.max) node.problem("must be at most " + json::dump(*param.max));
}

/// A value that is written out, not calculated.
void check_constant(const Node& node, const ParamSpec& param) {
    const json::Value& value = *node.value();
    if (value.is_null() || is_template(value)) return;
    const std::string& type = param.type;
    const auto wrong = [&node, &type] { node.problem("must be of type " + type); };
    if (type == "string") {
        if (!value.is_string() && !value.is_number()) return wrong();
        const std::string text = value.is_string() ? std::string(json::view(value.get_string())) : json::dump(value);
        if (!param.one_of.empty() && std::ranges::find(param.one_of, text) == param.one_of.end()) node.problem("unknown word `" + text + "`");
        check_bounds(node, param, static_cast<double>(text.size()));
    } else if (type == "int") {
        if (const auto number = json::to_int(&value))
            check_bounds(node, param, static_cast<double>(*number));
        else
            wrong();
    } else if (type == "number") {
        if (const auto number = json::to_double(&value))
            check_bounds(node, param, *number);
        else
            wrong();
    } else if (type == "bool") {
        if (!value.is_bool()) wrong();
    } else if (type == "duration") {
        const auto parsed =
            value.is_string() ? parse_duration(json::view(value.get_string())) : Result<Duration>(fail(ErrorCode::invalid_argument, ""));
        if (parsed)
            check_bounds(node, param, std::chrono::duration<double>(*parsed).count());
        else
            wrong();
    } else if (type == "quantity") {
        const auto parsed = value.is_string() ? expr::parse_quantity(json::view(value.get_string())) : json::to_double(&value);
        if (parsed)
            check_bounds(node, param, *parsed);
        else
            wrong();
    } else if (type == "list") {
        if (value.is_array())
            check_bounds(node, param, static_cast<double>(value.get_array().size()));
        else
            wrong();
    } else if (type == "object") {
        if (!value.is_object()) wrong();
    }
}

class Checker {
public:
    Checker(const WorkflowDefinition& workflow, const Rules& rules) : workflow_(workflow), rules_(rules) {
        for (const ParamSpec& param : workflow.params) params_.insert(param.name);
        for (const auto* list : {&workflow.steps, &workflow.finally, &workflow.verify}) collect_ids(*list);
    }

    void run(const Node& root) {
        for (const auto& fault : root["fault_classes"].items()) {
            if (!rules_.fault_classes.empty() && std::ranges::find(rules_.fault_classes, fault.text()) == rules_.fault_classes.end()) {
                fault.problem("unknown fault class `" + fault.text() + "`");
            }
        }
        for (const ParamSpec& param : workflow_.params) {
            if (!param.fallback.is_null()) check_constant(root["params"][param.name]["default"], param);
        }
        expression(root["when"], workflow_.when);
        expression(root["not_when"], workflow_.when_not);
        list(root["steps"], workflow_.steps);
        list(root["finally"], workflow_.finally);
        list(root["verify"], workflow_.verify);
        for (const Node& step : root["verify"].items()) {
            const std::string kind = step["kind"].text(step["action"].present() ? "action" : "");
            if (kind == "action" && acts(step["action"].text())) step.problem("a verification changes nothing");
        }
        if (workflow_.risk < riskiest_)
            root["risk"].problem("is lower than that of the action `" + riskiest_action_ + "` (" + std::string(to_string(riskiest_)) + ")");
    }

private:
    void collect_ids(const std::vector<StepSpec>& steps) {
        for (const StepSpec& step : steps) {
            ids_.insert(step.id);
            for (const auto* inner : {&step.then_steps, &step.else_steps, &step.body}) collect_ids(*inner);
            for (const auto& branch : step.branches) collect_ids(branch);
        }
    }
    [[nodiscard]] const ports::ActionSpec* action(std::string_view name) const {
        const auto found = std::ranges::find(rules_.actions, name, &ports::ActionSpec::name);
        return found == rules_.actions.end() ? nullptr : &*found;
    }
    [[nodiscard]] bool acts(std::string_view name) const {
        const auto* spec = action(name);
        return spec != nullptr && spec->mutating;
    }

    void list(const Node& node, const std::vector<StepSpec>& steps) {
        const auto items = node.items();
        for (std::size_t i = 0; i < items.size() && i < steps.size(); ++i) step(items[i], steps[i]);
    }

    void step(const Node& node, const StepSpec& spec) {
        expression(node["if"], spec.if_expr);
        expression(node["until"], spec.kind == "wait" ? spec.until_expr : "");
        expression(node["that"], spec.kind == "assert" ? spec.until_expr : "");
        expression(node["while"], spec.while_expr);
        expression(node["for_each"], spec.for_each);
        templates(node["with"], spec.with);
        templates(node["message"], json::Value(spec.message));
        templates(node["cluster"], json::Value(spec.cluster));
        if (spec.kind == "action") action_step(node, spec);
        if (spec.kind == "undo") {
            const std::string id = node["with"]["step"].text();
            if (!id.empty() && !ids_.contains(id)) node["with"]["step"].problem("no step `" + id + "`");
        }
        list(node["then"], spec.then_steps);
        list(node["else"], spec.else_steps);
        list(node["body"], spec.body);
        const auto branches = node["branches"].items();
        for (std::size_t i = 0; i < branches.size() && i < spec.branches.size(); ++i) list(branches[i], spec.branches[i]);
    }

    void action_step(const Node& node, const StepSpec& spec) {
        const auto* found = action(spec.action);
        if (found == nullptr) {
            if (!spec.action.empty()) node["action"].problem("unknown action `" + spec.action + "`");
            return;
        }
        for (const auto& [key, item] : node["with"].members()) {
            const auto param = std::ranges::find(found->params, key, &ParamSpec::name);
            if (param == found->params.end())
                item.problem("the action " + spec.action + " has no parameter of this name");
            else
                check_constant(item, *param);
        }
        for (const ParamSpec& param : found->params) {
            if (param.fallback.is_null() && !param.optional && !spec.with.contains(param.name)) {
                node["with"].problem("the action " + spec.action + " needs `" + param.name + "`");
            }
        }
        if (found->risk > riskiest_) riskiest_ = found->risk, riskiest_action_ = found->name;
        const bool undone = found->reversible && spec.compensate != "none";
        if (found->mutating && found->risk > Risk::medium && !undone && !workflow_.irreversible_accepted) {
            node["action"].problem("cannot be undone and is of " + std::string(to_string(found->risk)) +
                                   " risk: the workflow must say `irreversible: accepted`");
        }
    }

    void templates(const Node& node, const json::Value& value) {
        if (const auto* text = value.if_string()) {
            const auto compiled = expr::compile_template(json::view(*text));
            if (!compiled) return;  // noted while reading
            for (const auto& part : compiled->parts()) {
                if (part.program) reads(node, *part.program);
            }
        } else if (const auto* array = value.if_array()) {
            const auto items = node.items();
            for (std::size_t i = 0; i < items.size(); ++i) templates(items[i], (*array)[i]);
        } else if (value.is_object()) {
            for (const auto& [key, item] : node.members()) templates(item, *item.value());
        }
    }
    void expression(const Node& node, const std::string& text) {
        if (text.empty()) return;
        if (const auto compiled = expr::compile(text)) reads(node, *compiled);
    }

    /// An expression over a name that can never be known is a slip of the pen.
    void reads(const Node& node, const expr::Program& program) {
        static const std::set<std::string, std::less<>> roots{"params", "incident", "target",  "facts", "cluster", "env",
                                                              "steps",  "vars",     "history", "now",   "live"};
        for (const std::string& path : program.reads()) {
            const auto dot = path.find('.');
            const std::string root = path.substr(0, dot);
            if (!roots.contains(root)) {
                node.problem("`" + root + "` is not known here");
                continue;
            }
            if (dot == std::string::npos) continue;
            const std::string member = path.substr(dot + 1, path.find('.', dot + 1) - dot - 1);
            if (root == "params" && !params_.contains(member)) node.problem("the workflow has no parameter `" + member + "`");
            if (root == "steps" && !ids_.contains(member)) node.problem("no step `" + member + "`");
            if (root == "vars" && member != "item" && member != "index") node.problem("vars has item and index");
        }
    }

    const WorkflowDefinition& workflow_;
    const Rules& rules_;
    std::set<std::string> params_, ids_;
    Risk riskiest_ = Risk::none;
    std::string riskiest_action_;
};

}  // namespace

void check_definition(const WorkflowDefinition& workflow, const Node& root, const Rules& rules) {
    if (root.value() == nullptr || !root.value()->is_object()) return;
    Checker(workflow, rules).run(root);
}

}  // namespace kn::catalog
