#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/domain/incident.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/domain/workflow.hpp"
#include "kubernaut/ports/execution_store.hpp"

namespace kn::decision {

enum class GateAnswer : std::uint8_t { allow, deny, hold, ask };

struct GateVerdict {
    GateAnswer answer = GateAnswer::deny;
    std::string gate;                        ///< "pause", "protected", ... for the story
    std::string reason;                      ///< the gate's word
    std::string text;                        ///< for a person
    std::optional<Instant> until;            ///< hold
    int approvals = 1;                       ///< ask: how many different people
    Risk risk = Risk::none;                  ///< after raising
    bool dry_run = false;                    ///< allow in shadow mode: server-side dry run only
    bool observe_only = false;               ///< mode observe or off: nothing is started; the plan is shown
    // allow: what has to be taken in the transaction that starts the execution
    std::vector<std::string> locks;          ///< empty = the target's key
    Instant locks_until{};
    std::vector<ports::StartRequest::Cooldown> cooldowns;
    std::vector<ports::StartRequest::Budget> budgets;
};

/// Gates 1..12 before a plan starts. Implemented from libs/guard.
class Gatekeeper {
public:
    virtual ~Gatekeeper() = default;
    /// `approval`: the granted one for this very plan hash, when there is one (the approval gate then says allow; all others are asked again).
    virtual async::Task<Result<GateVerdict>> before_start(Incident incident, Plan plan, std::shared_ptr<const WorkflowDefinition> workflow,
                                                          std::optional<Approval> approval, Deadline deadline) = 0;
};

}  // namespace kn::decision
