#include "kubernaut/decision/planner.hpp"
#include "has.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "kubernaut/domain/codec.hpp"
#include "plan/params.hpp"

namespace kn::decision {
namespace {

constexpr std::string_view notify_only = "diagnose-and-notify";

struct Choice {
    const PlanChoice* row = nullptr;
    std::shared_ptr<const WorkflowDefinition> workflow;
    FilledParams filled;
    Belief belief;
    const ports::FamilyAdvice* family = nullptr;  // the cases most like this one, when they tell anything
    double rank = 0;
    std::string why_not;  ///< "" = it could be done
};

double rounded(double x) { return std::round(x * 1e6) / 1e6; }

std::string percent(double p) {
    char text[16];
    std::snprintf(text, sizeof text, "%.0f %%", p * 100);
    return text;
}

/// "in the cases most like this one (pool = spot-a) it helped in 11 of 12": what the ranking took from the family.
std::string family_text(const ports::FamilyAdvice& family) {
    char text[64];
    std::snprintf(text, sizeof text, "it helped in %.3g of %.3g", family.good, family.good + family.bad);
    return "in the cases most like this one (" + family.shared + ") " + text;
}

FactSet with_policy(const PlanInput& input) {
    FactSet facts = input.facts;
    for (const auto& member : input.policy) {
        Fact fact;
        fact.name = "policy." + std::string{member.key()};
        fact.value = member.value();
        fact.state = member.value().is_null()   ? Truth::unknown
                     : member.value().is_bool() ? (member.value().get_bool() ? Truth::yes : Truth::no)
                                                : Truth::yes;
        fact.source = "policy";
        facts.put(std::move(fact));
    }
    return facts;
}

/// Nothing that acts was chosen.
bool plan_waits(const std::shared_ptr<const WorkflowDefinition>& workflow) { return workflow == nullptr || workflow->id == notify_only; }

std::string identity(std::string_view workflow, const json::Object& params) {
    // Workflows that act on an object of their own may be tried again on another one; a second raise is a second step of the same cure.
    for (const auto* key : {"claim", "pvc", "node", "secret", "config_map"}) {
        if (const auto* value = params.if_contains(key); value != nullptr && value->is_string())
            return std::string{workflow} + " " + value->get_string().c_str();
    }
    return std::string{workflow};
}

}  // namespace

std::string plan_identity(const Plan& plan) { return identity(plan.workflow, plan.params); }

Planner::Planner(const FaultCatalog& faults, WorkflowLookup workflows, DecisionOptions options)
    : faults_(&faults), workflows_(std::move(workflows)), options_(options) {}

PlanResult Planner::plan(const PlanInput& input) const {
    PlanResult result;
    auto& plan = result.plan;
    const auto& diagnosis = input.diagnosis;
    plan.fault_class = diagnosis.fault_class;
    plan.target = input.target;
    plan.target.observed_at = {};  // when it was read is not part of what is planned
    plan.target.resource_version.clear();
    plan.p = diagnosis.p;
    const FactSet facts = with_policy(input);
    const FactView view(facts, diagnosis.made_at);
    const auto* fault = diagnosis.fault_class.empty() ? nullptr : faults_->find(diagnosis.fault_class);

    const auto do_nothing = [&](std::string reason, std::string text) {
        result.leave_alone = true;
        result.reason = std::move(reason);
        plan.reasons.push_back(std::move(text));
    };
    std::vector<Choice> choices;
    bool approval = false;
    if (fault == nullptr) {
        do_nothing("confidence_low", diagnosis.candidates.empty() ? "no known fault fits what was seen"
                                                                  : "no known fault is likely enough: the likeliest is " +
                                                                        diagnosis.candidates.front().fault_class + " with " + percent(diagnosis.p));
    } else {
        plan.reasons.push_back(fault->name + ": " + fault->title + " (" + percent(diagnosis.p) + ")");
        for (const auto& candidate : diagnosis.candidates) {
            if (candidate.fault_class != fault->name || candidate.unknown_facts.empty()) continue;
            do_nothing("evidence_unknown", "what has to hold for it is not known: " + candidate.unknown_facts.front());
            break;
        }
        for (const auto& leave : fault->leave_alone) {
            if (result.leave_alone) break;
            if (leave.condition.evaluate(view) != Truth::yes) continue;
            do_nothing(leave.reason, leave.text);
            break;
        }
        for (const auto& row : fault->plans) {
            Choice choice;
            choice.row = &row;
            choice.workflow = workflows_(row.workflow);
            const bool holds = std::ranges::all_of(row.when, [&](const Condition& c) { return c.evaluate(view) == Truth::yes; });
            if (choice.workflow == nullptr)
                choice.why_not = "not in the catalogue, or one of its actions is not available here";
            else if (!holds) {
                for (const auto& condition : row.when) {
                    if (condition.evaluate(view) == Truth::yes) continue;
                    choice.why_not = row.why_not.empty() ? "needs " + condition.text() : row.why_not;
                    break;
                }
            } else {
                choice.filled = fill_params(*choice.workflow, fault->name, facts, input.target);
                if (!choice.filled.missing.empty())
                    choice.why_not = "parameter not known: " + choice.filled.missing.front();
                else if (has(input.tried, identity(row.workflow, choice.filled.params)) && row.workflow != notify_only) {
                    choice.why_not = "tried already in this episode";
                }
                if (input.forecast_only && choice.why_not.empty() && !choice.workflow->proactive && row.workflow != notify_only)
                    choice.why_not = "only a forecast speaks of it, and this workflow is not proactive";
                choice.belief = belief_of(input.posteriors, row.workflow, fault->name, input.cluster, input.environment);
                const auto near = std::ranges::find(input.families, row.workflow, &ports::FamilyAdvice::workflow);
                if (near != input.families.end()) {
                    choice.family = &*near;
                    choice.belief = with_family(choice.belief, near->good, near->bad);
                }
                choice.rank =
                    rounded(choice.belief.q10 - 0.04 * static_cast<double>(choice.workflow->risk) - 0.02 * std::log2(1 + choice.workflow->cost));
            }
            choices.push_back(std::move(choice));
        }
    }

    // Table order stands until enough was learned about one of the plans; then the ranking, ties by name.
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < choices.size(); ++i) {
        if (choices[i].why_not.empty()) order.push_back(i);
    }
    const bool learned =
        std::ranges::any_of(order, [&](std::size_t i) { return choices[i].row->workflow != notify_only && choices[i].belief.n_eff >= 10; });
    if (learned) {
        std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
            const auto& x = choices[a];
            const auto& y = choices[b];
            const bool x_tells = x.row->workflow == notify_only, y_tells = y.row->workflow == notify_only;
            if (x_tells != y_tells) return y_tells && a < b;  // telling people is compared by its place in the table only
            if (x_tells) return false;
            return x.rank != y.rank ? x.rank > y.rank : x.row->workflow < y.row->workflow;
        });
        // A class whose table begins with telling people keeps doing that first.
        const auto tells = std::ranges::find_if(order, [&](std::size_t i) { return choices[i].row->workflow == notify_only; });
        if (tells != order.end() && !choices.empty() && choices.front().row->workflow == notify_only) std::rotate(order.begin(), tells, tells + 1);
    }

    std::shared_ptr<const WorkflowDefinition> workflow;
    if (!result.leave_alone && !order.empty()) {
        const auto& chosen = choices[order.front()];
        workflow = chosen.workflow;
        plan.params = chosen.filled.params;
        plan.rank_score = chosen.rank;
        approval = chosen.row->approval;
        for (const auto& reason : chosen.filled.reasons) plan.reasons.push_back(reason);
        if (learned) plan.reasons.push_back("of what was tried on this fault it helped in " + percent(chosen.belief.mean));
        if (chosen.family != nullptr) plan.reasons.push_back(family_text(*chosen.family));
    } else if (!result.leave_alone && fault != nullptr) {
        do_nothing(input.tried.empty() ? "no_plan" : "nothing_left",
                   input.tried.empty() ? "no plan for this fault can be carried out here" : "every plan for this fault was tried");
    }
    for (std::size_t i = 0; i < choices.size(); ++i) {
        const auto& choice = choices[i];
        if (!result.leave_alone && !order.empty() && i == order.front()) continue;
        Plan::Alternative alternative;
        alternative.workflow = choice.row->workflow;
        alternative.rank_score = choice.rank;
        alternative.why_not = !choice.why_not.empty() ? choice.why_not
                              : result.leave_alone    ? plan.reasons.back()
                              : learned               ? std::string{"ranks lower"}
                                                      : std::string{"comes later in the table"};
        if (learned && choice.why_not.empty() && !result.leave_alone && choice.family != nullptr)
            alternative.why_not += ": " + family_text(*choice.family);
        plan.alternatives.push_back(std::move(alternative));
    }
    // A forecast that nothing may be done about is for watching: people are told by the warning itself.
    if (input.forecast_only && plan_waits(workflow)) {
        do_nothing("forecast", "it is only foretold: it is watched until its time comes");
        workflow = nullptr;
    }
    if (workflow == nullptr) {
        workflow = workflows_(notify_only);
        if (workflow != nullptr) plan.params = fill_params(*workflow, plan.fault_class, facts, input.target).params;
    }
    plan.workflow = workflow == nullptr ? std::string{notify_only} : workflow->id;
    plan.version = workflow == nullptr ? 1 : workflow->version;
    plan.risk = workflow == nullptr ? Risk::none : workflow->risk;
    std::int64_t newest = 0;
    for (const auto& p : input.posteriors) {
        if (p.fault_class == plan.fault_class) newest = std::max(newest, p.version);
    }
    plan.posterior_version = std::to_string(newest);
    const bool acts = plan.workflow != notify_only && plan.workflow != "link-and-wait";
    if (acts && diagnosis.p < options_.p_auto) {
        approval = true;
        plan.reasons.push_back("the fault is only " + percent(diagnosis.p) + " certain: a person has to agree");
    } else if (acts && diagnosis.margin < options_.margin) {
        approval = true;
        plan.reasons.push_back("another fault is nearly as likely: a person has to agree");
    }
    result.needs_approval = acts && approval;
    plan.hash = plan_hash(plan);
    return result;
}

}  // namespace kn::decision
