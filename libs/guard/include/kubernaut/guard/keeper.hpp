#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/guard/gates.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/ports/action_runner.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/gatekeeper.hpp"
#include "kubernaut/ports/notifier.hpp"
#include "kubernaut/ports/registry_store.hpp"

namespace kn::guard {

using async::Task;

/// Gathers what the gates need and asks them: before a start, and the urgent ones again right before every mutating call.
class Keeper final : public ports::Gatekeeper, public ports::WriteGuard {
public:
    Keeper(GuardPolicy policy, ports::Stores stores, ports::ClusterGateway& fleet, const ports::ActionRegistry& actions, ports::Notifier& notifier,
           async::Clock& clock, metrics::Registry& metrics);

    void set_policy(GuardPolicy policy) { policy_ = std::move(policy); }
    Task<Result<ports::GateReport>> before_start(const Incident& incident, const Plan& plan, const WorkflowDefinition& workflow, bool approved,
                                                 Deadline deadline) override;
    Task<Result<>> before_write(const Execution& execution, const ClusterId& where, const ports::ActionSpec& spec, bool compensating,
                                Deadline deadline) override;
    void after_write(const Execution& execution, const ports::ActionSpec& spec, bool ok) override;

private:
    Task<Result<GateInput>> gather(const Incident& incident, const Plan& plan, const WorkflowDefinition& workflow, bool approved, Deadline deadline);
    Task<Result<>> gather_target(GateInput& in, Deadline deadline);
    Task<Result<>> gather_permissions(GateInput& in, Deadline deadline);
    Task<Result<>> gather_history(GateInput& in, Deadline deadline);
    void gather_nodes(GateInput& in);
    void gather_disruption_budgets(GateInput& in, const json::Value& target);
    Task<Result<>> look_for_storm(GateInput& in, Deadline deadline);
    std::optional<Instant> breaker_open_until(const ClusterId& cluster, const std::string& action) const;

    static constexpr Duration permission_age = 60s;
    GuardPolicy policy_;
    ports::Stores stores_;
    ports::ClusterGateway& fleet_;
    const ports::ActionRegistry& actions_;
    ports::Notifier& notifier_;
    async::Clock& clock_;
    metrics::Registry& metrics_;
    std::map<std::string, std::pair<SteadyTime, bool>> permissions_;  ///< "cluster verb resource/sub ns" → allowed
    std::map<ClusterId, Instant> storms_;                             ///< when the rate was last too high
    std::map<std::string, std::deque<Instant>> failures_;             ///< "cluster action" → when it failed
};

/// The action specs of every action step, nested ones included, each once; unknown names are left out (the loader refuses them).
std::vector<const ports::ActionSpec*> actions_of(const WorkflowDefinition& workflow, const ports::ActionRegistry& registry);

/// "argocd.argoproj.io/instance" and the like on the object; "" when no GitOps tool owns it.
std::string gitops_owner_of(const json::Value& object);

}  // namespace kn::guard
