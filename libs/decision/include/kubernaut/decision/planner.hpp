#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/decision/classifier.hpp"
#include "kubernaut/decision/facts.hpp"
#include "kubernaut/domain/plan.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/domain/workflow.hpp"
#include "kubernaut/ports/family_advisor.hpp"

namespace kn::decision {

/// The newest version of a workflow by id; nullptr when the catalogue has none or one of its actions is unavailable.
using WorkflowLookup = std::function<std::shared_ptr<const WorkflowDefinition>(std::string_view id)>;

/// Success shares of one workflow on one class after shrinkage.
struct Belief {
    double mean = 0.5, q10 = 0.1, n_eff = 0;
};
/// domain.md §9: fleet → environment → cluster, strengths 4, 12, 8; the fleet's sums leave out the environment, the environment's the cluster.
Belief belief_of(const std::vector<Posterior>& posteriors, std::string_view workflow, std::string_view fault_class, const ClusterId& cluster,
                 Environment environment);
/// The belief after what happened in the cases most like this one: those sums on top of the belief, which counts as `family_strength` cases. The near cases are
/// also part of the class's own sums; that they count a little twice is the price of a belief that stays usable when they are few.
Belief with_family(const Belief& belief, double good, double bad);
inline constexpr double family_strength = 8;
/// Quantile of the Beta distribution: regularised incomplete beta (continued fraction, Numerical Recipes 6.4's formula) inverted by bisection
/// to 1e-9. a, b > 0; 0 <= q <= 1.
double beta_quantile(double a, double b, double q);

struct PlanInput {
    Diagnosis diagnosis;
    FactSet facts;
    ObjectRef target;
    ClusterId cluster;
    Environment environment = Environment::unknown;
    std::vector<Posterior> posteriors;
    std::vector<std::string> tried;             ///< plan identities (see plan_identity) that did not help in this episode
    std::string default_workflow;               ///< of the alert, shown in reasons
    std::vector<ports::FamilyAdvice> families;  ///< what worked in the cases most like this one
    bool forecast_only = false;                 ///< only an early warning speaks of it: nothing but proactive workflows may start
    json::Object policy;                        ///< settings for plans: max_memory, sources of Secrets, ...
};

/// A plan always comes out: at worst `diagnose-and-notify`, with the reasons why nothing else was done.
struct PlanResult {
    Plan plan;
    bool leave_alone = false;     ///< nothing should be done; `reason` says why
    std::string reason;           ///< "confidence_low", "no_good_revision", "paused", ...; "" for a real plan
    bool needs_approval = false;  ///< p below p_auto, or the plan always asks
};

/// What "already tried" means: workflow and the object it acts on.
std::string plan_identity(const Plan& plan);

/// Diagnosis + catalogue + what was learned → plan. Pure and deterministic: same input, same plan, byte for byte (but for `id`, which the caller sets).
class Planner {
public:
    Planner(const FaultCatalog& faults, WorkflowLookup workflows, DecisionOptions options);
    void set_options(DecisionOptions options) { options_ = std::move(options); }
    [[nodiscard]] PlanResult plan(const PlanInput& input) const;

private:
    const FaultCatalog* faults_;
    WorkflowLookup workflows_;
    DecisionOptions options_;
};

}  // namespace kn::decision
