// The states in which an incident waits for something else: a gate that opens, a cause that is cured.
#include <algorithm>

#include "incident/driver_impl.hpp"

namespace kn::decision {

Task<Result<>> IncidentDriver::Impl::on_held(Incident incident) {
    const auto at = now();
    if (incident.state_reason == "forecast") {
        // Nothing is wrong yet, so nothing can be gone: it ends with its signal, or becomes an incident like any other when somebody else sees it.
        auto seen = co_await look(incident, look_limit());
        if (!seen) co_return co_await look_later(std::move(incident), forecast_look);
        if (incident.signals_firing <= 0 && seen->forecast_only)
            co_return co_await close(std::move(incident), IncidentState::resolved, Outcome::no_action_required, "forecast_over", "its time is over");
        KN_CO_TRY(const auto result, co_await plan(incident, *seen));
        if (seen->forecast_only && result.reason == "forecast" && result.plan.fault_class == incident.fault_class)
            co_return co_await look_later(std::move(incident), forecast_look);
        incident.hold_until.reset();
        incident.next_look_at = at;
        move_to(incident, IncidentState::diagnosing, at, {}, seen->forecast_only ? "what is seen has changed" : "it is not only foretold any more");
        co_return co_await save(incident, "incident.diagnosing");
    }
    if (auto seen = co_await look(incident, look_limit())) {
        KN_CO_TRY(const bool gone, co_await resolve_if_gone(incident, *seen));
        if (gone) co_return Result<>{};
    }
    const bool watch_only = incident.state_reason == "mode" || incident.state_reason == "paused";
    if (!watch_only && at - incident.opened_at > options.held_limit) {
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, incident.state_reason, "held for too long");
    }
    if (incident.hold_until && *incident.hold_until > at && !watch_only) {
        co_return co_await look_later(std::move(incident), std::min<Duration>(30s, *incident.hold_until - at));
    }
    if (incident.evidence_gone_since) co_return co_await look_later(std::move(incident), options.look_every);
    if (watch_only) {
        // A pause or mode may end at any time: the gates are asked again, quietly.
        const auto workflow = incident.plan ? workflows(incident.plan->workflow) : nullptr;
        if (workflow != nullptr) {
            const Plan plan_now = *incident.plan;
            auto report = co_await gatekeeper.before_start(incident, plan_now, *workflow, false, look_limit());
            if (!report || report->decision.reason == incident.state_reason) co_return co_await look_later(std::move(incident), 15s);
        }
    }
    incident.hold_until.reset();
    incident.next_look_at = at;
    move_to(incident, IncidentState::diagnosing, at, {}, "looking again");
    co_return co_await save(incident, "incident.diagnosing");
}

Task<Result<>> IncidentDriver::Impl::on_linked(Incident incident) {
    const auto at = now();
    auto seen = co_await look(incident, look_limit());
    if (!seen) co_return co_await look_later(std::move(incident), options.look_every, "stale_facts");
    KN_CO_TRY(const bool gone, co_await resolve_if_gone(incident, *seen));
    if (gone) co_return Result<>{};
    std::optional<Incident> cause;
    if (incident.cause) {
        if (auto found = co_await stores.incidents.get(incident.cluster, *incident.cause, store_limit())) cause = *std::move(found);
    } else {
        KN_CO_TRY(auto found, co_await cause_of(incident, *seen));
        if (found) {
            incident.cause = found->id;
            tell(incident, at, "state", "its cause is " + found->target.key.str());
            cause = std::move(found);
        }
    }
    const bool cause_ended = cause && is_terminal(cause->state);
    const bool cause_unsolved = cause && (cause->state == IncidentState::escalated || cause->state == IncidentState::suppressed);
    const bool upstream_well = seen->facts.no("dep.down") && !seen->facts.yes("pod.unready_on_dead_node");
    if ((cause_ended && !cause_unsolved) || (upstream_well && (!cause || cause->state == IncidentState::verifying || cause_ended))) {
        // Give it a moment to come back by itself before anything is cut short.
        if (!incident.hold_until) incident.hold_until = at + 20s;
        if (at >= *incident.hold_until && !incident.evidence_gone_since) {
            incident.hold_until.reset();
            incident.next_look_at = at;
            move_to(incident, IncidentState::diagnosing, at, "cause_resolved", "what it depends on works again");
            co_return co_await save(incident, "incident.diagnosing");
        }
    } else {
        incident.hold_until.reset();
    }
    if (cause_unsolved || at - incident.opened_at > options.linked_limit) {
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated,
                                 cause_unsolved ? "cause_escalated" : "cause_unsolved", "its cause is not cured");
    }
    co_return co_await look_later(std::move(incident), options.look_every);
}

}  // namespace kn::decision
