#pragma once

#include <memory>
#include <vector>

#include "core/base.hpp"

namespace kn::actions {

using ActionList = std::vector<std::unique_ptr<ports::Action>>;

// Each file of actions adds its own.
void add_rollback_actions(ActionList& list, Shared& shared);
void add_rollout_actions(ActionList& list, Shared& shared);
void add_pod_actions(ActionList& list, Shared& shared);
void add_evict_actions(ActionList& list, Shared& shared);
void add_node_actions(ActionList& list, Shared& shared);
void add_scale_actions(ActionList& list, Shared& shared);
void add_limit_actions(ActionList& list, Shared& shared);
void add_resize_actions(ActionList& list, Shared& shared);
void add_probe_actions(ActionList& list, Shared& shared);
void add_budget_actions(ActionList& list, Shared& shared);
void add_volume_actions(ActionList& list, Shared& shared);
void add_config_actions(ActionList& list, Shared& shared);
void add_secret_actions(ActionList& list, Shared& shared);
void add_binding_actions(ActionList& list, Shared& shared);
void add_service_actions(ActionList& list, Shared& shared);
void add_job_actions(ActionList& list, Shared& shared);
void add_report_actions(ActionList& list, Shared& shared);

}  // namespace kn::actions
