#pragma once

#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/incident.hpp"
#include "kubernaut/domain/workflow.hpp"
#include "kubernaut/ports/execution_store.hpp"

namespace kn::ports {

enum class GateAnswer : std::uint8_t { allow, deny, hold, ask };

/// What one gate said.
struct GateVerdict {
    std::string gate;  ///< "pause", "protected", "permission", ... in the order of the guardrails
    GateAnswer answer = GateAnswer::allow;
    std::string reason;  ///< the gate's word: paused, protected, cooldown, ...; "" for allow
    std::string text;    ///< for a person
    Instant until{};     ///< hold: when to ask again
    int approvals = 0;   ///< ask: how many different people
};

/// All gates in order; the first that does not allow decides. Also what the start must reserve in its own transaction, so that two starts cannot both pass.
struct GateReport {
    std::vector<GateVerdict> verdicts;  ///< up to and including the deciding one
    GateVerdict decision;               ///< allow, or the first that does not
    Mode mode = Mode::shadow;           ///< effective: cluster, namespace and object, the strictest
    Risk risk = Risk::none;             ///< of the plan, raised by context
    bool dry_run = false;               ///< mode shadow: start as a dry run
    std::vector<std::string> locks;     ///< for StartRequest
    std::vector<StartRequest::Cooldown> cooldowns;
    std::vector<StartRequest::Budget> budgets;
};

/// The guardrails before a plan starts.
class Gatekeeper {
public:
    virtual ~Gatekeeper() = default;
    /// `approved`: enough people have granted exactly this plan hash. An error means that the gates could not be read: nothing may start.
    virtual async::Task<Result<GateReport>> before_start(const Incident& incident, const Plan& plan, const WorkflowDefinition& workflow,
                                                         bool approved, Deadline deadline) = 0;
};

}  // namespace kn::ports
