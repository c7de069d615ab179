#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/decision/facts.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/domain/workflow.hpp"

namespace kn::decision {

struct FilledParams {
    json::Object params;
    std::vector<std::string> missing;  ///< required ones for which nothing is known
    std::vector<std::string> reasons;  ///< "ConfigMap cart-config goes back to the content before 16:04"
};

/// The workflow's parameters from what the evidence shows; the workflow's own defaults where it shows nothing.
FilledParams fill_params(const WorkflowDefinition& workflow, std::string_view fault_class, const FactSet& facts, const ObjectRef& target);

}  // namespace kn::decision
