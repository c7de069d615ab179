#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/domain/enums.hpp"
#include "kubernaut/json/json.hpp"

namespace kn {

/// A parameter of a workflow or an action.
struct ParamSpec {
    std::string name;
    std::string type;  ///< string, int, number, bool, duration, quantity, list, object
    std::optional<double> min, max;
    std::vector<std::string> one_of;
    json::Value fallback;  ///< null = required, unless `optional`
    bool optional = false;
};

struct RetryPolicy {
    int tries = 3;
    Duration base = 1s, cap = 60s;
    double factor = 2;
};

/// One node of a workflow. Expressions are kept as text here and compiled by the engine.
struct StepSpec {
    std::string id;
    std::string kind = "action";
    std::string action;              ///< kind action
    std::vector<std::string> needs;  ///< ids in the same list; default: the step before it
    std::string if_expr;             ///< "" = always; unknown fails closed
    json::Object with;               ///< parameters; strings like "${ expr }" are evaluated
    std::optional<RetryPolicy> retry;
    std::optional<Duration> timeout;  ///< start to close
    std::string on_error = "fail";    ///< fail, continue, compensate, skip, wait
    std::string compensate = "auto";  ///< auto (the action's own undo), none
    std::string cluster;              ///< "" = the incident's
    // parallel
    std::vector<std::vector<StepSpec>> branches;
    std::string join = "all";  ///< all, any, or a number
    // branch, loop
    std::vector<StepSpec> then_steps, else_steps, body;
    int times = 0;
    std::string while_expr, for_each;
    // wait, signal, approval, assert, subworkflow
    std::optional<Duration> duration;
    std::string until_expr, signal, workflow, message;
    int line = 0;  ///< in the source file
};

/// A workflow definition, immutable per version.
struct WorkflowDefinition {
    std::string id;
    int version = 1;
    std::string description;
    std::vector<std::string> fault_classes, target_kinds;
    std::string when, when_not;  ///< expressions over facts; "" = always / never
    Risk risk = Risk::none;
    bool proactive = false;
    bool irreversible_accepted = false;
    std::vector<ParamSpec> params;
    Duration timeout = std::chrono::minutes{30};
    std::vector<StepSpec> steps, finally, verify;
    std::string on_failure = "compensate";  ///< compensate, stop, continue
    double cost = 0;                        ///< expected cost, for the ranking
    json::Value source;                     ///< the document it was read from: the snapshot an execution keeps
    std::string origin;                     ///< "builtin" or the file
};

}  // namespace kn
