#pragma once

#include "core/base.hpp"

namespace kn::actions {

/// Who cordoned it: the execution's id. Only what we closed do we open.
constexpr std::string_view cordoned_by = "kubernaut.io/cordoned-by";

/// The node that the parameters or the target mean; for a pod the one it runs on.
Task<Result<Subject>> read_node(const ActionContext& context, const ActionSpec& spec, const Params& params);
/// Uncordons the node of a stored pre-image ("object", "uid") if our annotation is on it; nothing to do otherwise.
Task<Result<ActionOutcome>> open_node_again(const ActionContext& context, const json::Value& stored);

}  // namespace kn::actions
