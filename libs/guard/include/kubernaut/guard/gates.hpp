#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/domain/incident.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/domain/workflow.hpp"
#include "kubernaut/guard/oscillation.hpp"
#include "kubernaut/guard/policy.hpp"
#include "kubernaut/ports/action_runner.hpp"
#include "kubernaut/ports/gatekeeper.hpp"

namespace kn::guard {

using ports::GateAnswer;
using ports::GateVerdict;

/// Everything that the gates may look at, gathered before they are asked.
struct GateInput {
    Instant now{};
    GuardPolicy policy;
    ClusterRecord cluster;
    Environment environment = Environment::unknown;  ///< of the cluster
    Incident incident;
    Plan plan;
    std::string workflow_id;
    std::vector<const ports::ActionSpec*> actions;  ///< of every action step of the workflow, without doubles
    bool approved = false;

    std::vector<Pause> pauses;
    // metadata of the target and its namespace
    Mode target_mode = Mode::automatic, ns_mode = Mode::automatic;
    bool target_protected = false, opted_in = false;  ///< opted_in: the object or its namespace names a mode
    std::optional<Instant> target_paused_until;
    bool target_exists = true, target_uid_same = true, target_deleting = false;
    std::string gitops_owner;  ///< "" = none
    Instant evidence_at{};     ///< newest decisive evidence
    Duration evidence_limit = 10min;
    // permission
    std::vector<std::string> forbidden;  ///< "patch deployments.apps" for each access that the cluster refuses us
    // parameters
    std::vector<std::string> parameter_errors;
    // history
    std::vector<std::pair<std::string, ExecutionId>> locks;  ///< held by others on the target
    std::vector<PastAction> history;
    int ineffective_in_4h = 0, recurrences_in_24h = 0;
    // risk
    double q10 = 0, n_eff = 0;
    bool single_replica_stateful = false, first_use_in_cluster = false;
    bool budget_at_limit = false;  ///< a disruption budget over the target's pods allows no disruption now
    // load
    std::int64_t incidents_last_minute = 0;
    bool storm = false;  ///< on since the rate was above the limit, until it was below half of it long enough
    double ready_nodes_ratio = 1;
    int clusters_busy_now = 0, clusters_total = 1;
    int mutating_in_flight_cluster = 0, mutating_in_flight_fleet = 0;
    std::optional<Instant> breaker_open_until;  ///< of the lane or of an action of the plan
    std::string breaker_name;
};

/// Effective mode: the cluster's, tightened by namespace and object.
Mode effective_mode(const GateInput& in);
/// The plan's risk with context: +1 each for a single-replica StatefulSet, a disruption budget at its limit, kube-system, p < .8, first use of a medium+ workflow in production.
Risk effective_risk(const GateInput& in);
bool is_mutating(const GateInput& in);

// The gates in order. Each is pure and has its own tests.
GateVerdict gate_pause(const GateInput& in);
GateVerdict gate_protected(const GateInput& in);
GateVerdict gate_permission(const GateInput& in);
GateVerdict gate_parameters(const GateInput& in);
GateVerdict gate_unchanged(const GateInput& in);
GateVerdict gate_one_per_target(const GateInput& in);
GateVerdict gate_cooldown(const GateInput& in);
GateVerdict gate_oscillation(const GateInput& in);
GateVerdict gate_risk(const GateInput& in);
GateVerdict gate_budgets(const GateInput& in);
GateVerdict gate_breaker(const GateInput& in);
GateVerdict gate_slot(const GateInput& in);

/// Asks all in order and adds locks, cooldowns and budgets that the start reserves.
ports::GateReport ask_gates(const GateInput& in);

/// Cooldown after an outcome: ok after effective, bad × 2^n (n = earlier bad ones), capped.
Duration cooldown_after(const GuardPolicy& policy, bool effective, int bad_before);

}  // namespace kn::guard
