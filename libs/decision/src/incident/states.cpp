// One function a state of the incident. Each reads what it needs, decides, writes once and returns; the next turn goes on from what is stored.
#include <algorithm>

#include "has.hpp"
#include "incident/driver_impl.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"

namespace kn::decision {
namespace {

constexpr std::string_view notify_only = "diagnose-and-notify";

bool tells_only(const Plan& plan) { return plan.workflow == notify_only; }

/// Classes that only say that nothing is known yet.
bool says_nothing(const PlanResult& result) {
    return result.reason == "confidence_low" || result.reason == "evidence_unknown" || result.plan.fault_class == "crashloop.unknown";
}

/// A class that an alert named is partly proven: what is missing may still come (a node must be silent for five minutes).
bool growing(const Diagnosis& diagnosis, const FactSet& facts) {
    if (facts.yes("node.not_ready") && facts.no("node.not_ready_long")) return true;
    if (facts.yes("pod.unready_on_dead_node")) return true;
    if (facts.yes("claim.pending") && facts.no("claim.pending_long")) return true;
    return std::ranges::any_of(diagnosis.candidates, [](const Candidate& c) { return !c.excluded && !c.unknown_facts.empty() && c.p >= 0.5; });
}

/// The run before this one sets the next one apart: an incident that came back may have the same plan again, and must neither find its old execution
/// nor live on an approval that was given for it. Until the start is committed it stays the same, so a crash derives the same ids.
std::string run_before(const Incident& incident) { return incident.execution ? incident.execution->str() : std::string(); }

ApprovalId approval_of(const Incident& incident) {
    return ApprovalId{derive_id("apr_", incident.opened_at, {incident.id.str(), incident.plan->hash, run_before(incident)})};
}

}  // namespace

Diagnosis without_contents(Diagnosis diagnosis) {
    for (auto& fact : diagnosis.facts) {
        if (fact.value.is_object()) fact.value = "(kept)";
    }
    return diagnosis;
}

void IncidentDriver::Impl::take_plan(Incident& incident, const Look& look, PlanResult result) {
    const auto at = now();
    const auto& d = look.diagnosis;
    const bool news = incident.fault_class != d.fault_class || !incident.diagnosis;
    incident.diagnosis = without_contents(d);
    incident.fault_class = d.fault_class;
    incident.p = d.p;
    incident.incident_key = d.fault_class.empty() ? "" : make_incident_key(incident.target.key, d.fault_class);
    if (news) {
        const auto* fault = classifier.faults().find(d.fault_class);
        tell(incident, at, "diagnosed", fault == nullptr ? "no known fault is likely enough" : d.fault_class + ": " + fault->title);
        for (const auto& candidate : d.candidates) {
            if (candidate.fault_class == d.fault_class && !candidate.excluded) {
                for (const auto& fact : candidate.for_facts) tell(incident, at, "evidence", fact);
            }
        }
        int told = 0;
        for (const auto& candidate : d.candidates) {
            if (candidate.fault_class == d.fault_class || candidate.why_not.empty() || told >= 6) continue;
            tell(incident, at, "not_chosen", candidate.fault_class + ": " + candidate.why_not);
            ++told;
        }
    }
    if (!incident.plan || incident.plan->hash != result.plan.hash) {
        std::string text = result.plan.workflow;
        for (const auto& reason : result.plan.reasons) text += "; " + reason;
        tell(incident, at, "decided", text);
        for (const auto& alternative : result.plan.alternatives) tell(incident, at, "not_chosen", alternative.workflow + ": " + alternative.why_not);
    }
    incident.plan = std::move(result.plan);
    incident.target.uid = look.snapshot.target.uid;
    incident.target.resource_version = look.snapshot.target.resource_version;
    incident.target.observed_at = look.snapshot.target.observed_at;
}

/// To whom it is due that the trouble is over, and the words for it: our last execution, a deletion, a person, or nobody (`otherwise`).
Task<std::pair<Outcome, std::string>> IncidentDriver::Impl::who_healed(Incident incident, EvidenceSnapshot snapshot, std::string otherwise) {
    if (incident.execution) {
        const auto run = co_await stores.executions.get(*incident.execution, store_limit());
        if (run && run->execution.state == ExecutionState::succeeded && !run->execution.dry_run && !tells_only(run->execution.plan)) {
            co_return std::pair(Outcome::remediated, run->execution.plan.workflow + " helped");
        }
        if (run && run->execution.dry_run) co_return std::pair(Outcome::dry_run, std::move(otherwise));
    }
    if (snapshot.object.seen == Seen::absent) co_return std::pair(Outcome::no_action_required, std::string{"the target was deleted"});
    if (const auto person = changed_by_person(snapshot, incident.opened_at); !person.empty()) {
        co_return std::pair(Outcome::human_fixed, person + " changed it");
    }
    co_return std::pair(Outcome::self_healed, std::move(otherwise));
}

Task<Result<bool>> IncidentDriver::Impl::resolve_if_gone(Incident& incident, const Look& look) {
    const auto at = now();
    const bool target_gone = look.snapshot.object.seen == Seen::absent;
    // A Service that only suffered from its workload has no fault of its own to look for.
    const bool only_suffers = incident.cause && incident.fault_class.empty() && incident.target.key.kind == "Service";
    const auto there = target_gone    ? Truth::no
                       : only_suffers ? look.facts.truth("service.no_ready_endpoints")
                                      : classifier.still_there(incident.fault_class, look.facts);
    if (there != Truth::no) {
        incident.evidence_gone_since.reset();
        co_return false;
    }
    if (!incident.evidence_gone_since) incident.evidence_gone_since = at;
    const bool quiet = incident.signals_firing <= 0 && at - *incident.evidence_gone_since >= options.look_every;
    if (!quiet && !target_gone && at - *incident.evidence_gone_since < options.evidence_gone) co_return false;
    const auto [outcome, text] = co_await who_healed(incident, look.snapshot, "the evidence is gone");
    tell(incident, at, "verified", text);
    KN_CO_CHECK(co_await close(incident, IncidentState::resolved, outcome, {}, text));
    co_return true;
}

Task<Result<>> IncidentDriver::Impl::on_diagnosing(Incident incident) {
    const auto at = now();
    const auto age = at - incident.opened_at;
    auto seen = co_await look(incident, look_limit());
    if (!seen) {
        if (seen.error().code == ErrorCode::aborted) co_return std::unexpected(std::move(seen).error());
        const bool hopeless = seen.error().code == ErrorCode::failed_precondition || seen.error().code == ErrorCode::not_found;
        if (!hopeless && age < options.incomplete_limit) co_return co_await look_later(std::move(incident), options.look_every, "stale_facts");
        tell(incident, at, "error", seen.error().describe());
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, hopeless ? "no_evidence" : "stale_facts",
                                 seen.error().describe());
    }
    auto& facts = seen->facts;
    if (seen->snapshot.object.seen == Seen::absent) {
        co_return co_await close(std::move(incident), IncidentState::resolved, Outcome::no_action_required, "target_gone",
                                 "the target is not there any more");
    }
    const bool waits = incident.cause.has_value() && has(incident.tried, std::string{"link-and-wait"});
    KN_CO_TRY(auto result, co_await plan(incident, *seen));
    if (incident.signals_firing <= 0 && result.plan.fault_class.empty()) {
        co_return co_await close(std::move(incident), IncidentState::resolved, Outcome::self_healed, {},
                                 "its signals are resolved and nothing is wrong");
    }

    if (seen->forecast_only && result.reason == "forecast")
        co_return co_await watch_forecast(std::move(incident), *std::move(seen), std::move(result));

    // Whatever explains it from outside comes first: a cause, never an effect, is treated.
    KN_CO_TRY(auto cause, co_await cause_of(incident, *seen));
    const bool dependent = result.plan.workflow == "link-and-wait" || result.plan.fault_class == "crashloop.dependency_down";
    if (cause || dependent) {
        take_plan(incident, *seen, std::move(result));
        if (cause) incident.cause = cause->id;
        if (!has(incident.tried, std::string{"link-and-wait"})) incident.tried.emplace_back("link-and-wait");
        const auto what = cause ? cause->target.key.str() : std::string{facts.text("dep.service")};
        incident.next_look_at = at + options.look_every;
        move_to(incident, IncidentState::linked, at, "cause_elsewhere", "it is an effect of " + what);
        co_return co_await save(incident, "incident.linked");
    }
    if (waits && facts.yes("crash.looping")) {
        // Its cause is cured and its pods still sit in back-off.
        if (const auto cut = workflows("cut-backoff"); cut != nullptr && !has(incident.tried, std::string{"cut-backoff"})) {
            PlanResult cutting;
            cutting.plan.workflow = cut->id;
            cutting.plan.version = cut->version;
            cutting.plan.fault_class = "crashloop.dependency_down";
            cutting.plan.target = result.plan.target;
            cutting.plan.risk = cut->risk;
            cutting.plan.p = std::max(seen->diagnosis.p, options.p_auto);
            cutting.plan.reasons = {"what it depends on works again; its pods still wait out their back-off"};
            for (const auto& param : cut->params) {
                if (!param.fallback.is_null()) cutting.plan.params[param.name] = param.fallback;
            }
            cutting.plan.hash = plan_hash(cutting.plan);
            cutting.plan.id = PlanId{derive_id("pln_", incident.opened_at, {incident.id.str(), cutting.plan.hash})};
            seen->diagnosis.fault_class = "crashloop.dependency_down";
            take_plan(incident, *seen, std::move(cutting));
            incident.next_look_at = at;
            KN_CO_CHECK(co_await save(incident, {}));
            move_to(incident, IncidentState::planned, at, {}, {});
            KN_CO_CHECK(co_await save(incident, "incident.planned"));
            co_return co_await try_start(std::move(incident), *std::move(seen), Consent::if_gates_ask);
        }
    }
    // It was in trouble and is not any more, though its alerts may still fire for a while.
    const auto& meanings = classifier.signals();
    const bool about_pods = std::ranges::all_of(seen->alerts, [&](const std::string& alert) {
        const auto* meaning = meanings.find(alert);
        return meaning == nullptr ? false : meaning->family == "pods";
    });
    if (result.plan.fault_class.empty() && facts.yes("pod.all_ready") && (about_pods || !incident.fault_class.empty())) {
        if (!incident.evidence_gone_since) incident.evidence_gone_since = at;
        if (at - *incident.evidence_gone_since < options.evidence_gone)
            co_return co_await look_later(std::move(incident), options.look_every, "evidence_gone");
        // An alert that looks back over minutes may reopen what was cured before it fired.
        const auto [outcome, text] = co_await who_healed(incident, seen->snapshot, "its pods are ready again and nobody did anything");
        co_return co_await close(std::move(incident), IncidentState::resolved, outcome, {}, text);
    }
    incident.evidence_gone_since.reset();
    const bool unexplained_crash = result.plan.fault_class == "crashloop.unknown" && age < options.unknown_crash_limit;
    if (unexplained_crash) incident.fault_class = result.plan.fault_class;
    const bool early =
        unexplained_crash || (says_nothing(result) && (age < options.settle || (age < options.incomplete_limit && growing(seen->diagnosis, facts))));
    if (early) {
        incident.diagnosis = without_contents(seen->diagnosis);
        co_return co_await look_later(std::move(incident), options.look_every, "evidence_incomplete");
    }
    // Nothing is wrong with it and nobody but our own eyes said so: a passing event is no incident.
    if (result.plan.fault_class.empty() && facts.yes("pod.all_ready") && !seen->has_alert) {
        co_return co_await close(std::move(incident), IncidentState::resolved, Outcome::no_action_required, "nothing_wrong",
                                 "its pods are ready and nothing is wrong");
    }
    // Another incident under the same key: the older one goes on.
    const auto key = seen->diagnosis.fault_class.empty() ? std::string{} : make_incident_key(incident.target.key, seen->diagnosis.fault_class);
    if (!key.empty()) {
        KN_CO_TRY(const auto same, co_await stores.incidents.by_key(incident.cluster, key, at, store_limit()));
        for (const auto& other : same) {
            if (other.id == incident.id || is_terminal(other.state) ||
                std::tie(other.opened_at, other.id) > std::tie(incident.opened_at, incident.id))
                continue;
            incident.cause = other.id;
            incident.outcome = Outcome::duplicate;
            move_to(incident, IncidentState::duplicate, at, "duplicate", "the same trouble as " + other.id.str());
            co_return co_await save(incident, "incident.duplicate");
        }
    }
    const bool approval = result.needs_approval;
    const auto reason = result.reason;
    take_plan(incident, *seen, std::move(result));
    incident.next_look_at = at;
    move_to(incident, IncidentState::planned, at, reason, incident.plan->workflow);
    KN_CO_CHECK(co_await save(incident, "incident.planned"));
    log::info("plan chosen",
              {{"incident", incident.id.str()}, {"fault", incident.fault_class}, {"workflow", incident.plan->workflow}, {"reason", reason}});
    const bool weak = incident.resolution == Resolution::weak || incident.resolution == Resolution::unresolved;
    if (weak && !tells_only(*incident.plan)) {
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, "weak_target",
                                 "the owner of the trouble is only guessed from a name: a person has to look");
    }
    co_return co_await try_start(std::move(incident), *std::move(seen), approval ? Consent::needed : Consent::if_gates_ask);
}

Task<Result<>> IncidentDriver::Impl::watch_forecast(Incident incident, Look seen, PlanResult result) {
    const auto at = now();
    const bool first = incident.state_reason != "forecast" && !incident.hold_until;
    take_plan(incident, seen, std::move(result));
    incident.hold_until = at + forecast_look;
    incident.next_look_at = *incident.hold_until;
    incident.evidence_gone_since.reset();
    move_to(incident, IncidentState::held, at, "forecast", "only foretold so far: watched until its time comes");
    if (!first) co_return co_await save(incident, {});
    auto note = note_of(incident, "early_warning", "foretold: " + incident.alert_name + " on " + incident.target.key.str(),
                        "A pattern in the history says that this is coming; nothing is wrong yet.");
    KN_CO_CHECK(co_await save(incident, "incident.foretold", std::nullopt, note));
    co_await notify(std::move(note));
    co_return Result<>{};
}

Task<Result<>> IncidentDriver::Impl::ask_people(Incident incident, int needed, Risk risk, std::string text) {
    const auto at = now();
    Approval approval;
    approval.id = approval_of(incident);
    approval.cluster = incident.cluster;
    approval.incident = incident.id;
    approval.plan_hash = incident.plan->hash;
    approval.workflow = incident.plan->workflow;
    approval.target = incident.target.key;
    approval.risk = risk;
    approval.needed = std::max(1, needed);
    approval.reason = text;
    approval.asked_at = at;
    approval.expires_at = at + options.approval_ttl;
    // Asked before for this very plan: the answer that is there counts, also after a crash.
    if (auto known = co_await stores.incidents.approval(approval.id, store_limit()); known) {
        if (known->state == ApprovalState::rejected || known->state == ApprovalState::expired) {
            co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated,
                                     "approval_" + std::string{to_string(known->state)}, "nobody agreed to this plan");
        }
        approval = *known;
    }
    tell(incident, at, "approval", text + " (" + std::to_string(approval.needed) + ")");
    incident.next_look_at = at + 2s;
    move_to(incident, IncidentState::awaiting_approval, at, "approval_required", incident.plan->workflow);
    auto note = note_of(incident, "approval_asked", "approve " + incident.plan->workflow + " on " + incident.target.key.str() + "?", text);
    KN_CO_CHECK(co_await save(incident, "approval.asked", approval, note));
    co_await notify(std::move(note));
    co_return Result<>{};
}

Task<Result<>> IncidentDriver::Impl::try_start(Incident incident, Look seen, Consent consent) {
    const auto at = now();
    const auto workflow = workflows(incident.plan->workflow);
    if (workflow == nullptr) {
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, "no_workflow",
                                 incident.plan->workflow + " is not in the catalogue");
    }
    const Plan plan_now = *incident.plan;
    auto report = co_await gatekeeper.before_start(incident, plan_now, *workflow, consent == Consent::given, look_limit());
    if (!report) {
        tell(incident, at, "guard", "the gates could not be asked: " + report.error().describe());
        co_return co_await look_later(std::move(incident), options.look_every, "gates_unreadable");
    }
    const auto& decision = report->decision;
    if (decision.answer == ports::GateAnswer::allow) {
        if (consent == Consent::needed) {
            const auto text = incident.plan->reasons.empty() ? std::string{"the plan needs a person's agreement"} : incident.plan->reasons.back();
            co_return co_await ask_people(std::move(incident), 1, report->risk, text);
        }
        co_return co_await start_execution(std::move(incident), std::move(seen), *std::move(report));
    }
    tell(incident, at, "guard", decision.gate + ": " + decision.reason + (decision.text.empty() ? "" : " (" + decision.text + ")"));
    if (decision.answer == ports::GateAnswer::ask)
        co_return co_await ask_people(std::move(incident), decision.approvals, report->risk, decision.text);
    const bool passing = decision.answer == ports::GateAnswer::hold || decision.reason == "mode" || decision.reason == "paused" ||
                         decision.reason == "stale_facts" || decision.reason == "condition_cleared" || decision.reason == "human_change" ||
                         decision.reason == "target_changed";
    // What was agreed to stays agreed to while a gate is closed for a while.
    if (passing && incident.state == IncidentState::awaiting_approval) co_return co_await look_later(std::move(incident), 15s, decision.reason);
    if (decision.answer == ports::GateAnswer::hold) {
        incident.hold_until = decision.until > at ? decision.until : at + 30s;
        incident.next_look_at = std::min(*incident.hold_until, at + 30s);
        move_to(incident, IncidentState::held, at, decision.reason, decision.text);
        co_return co_await save(incident, "incident.held");
    }
    // Modes that only look: the plan stays for people to see, and the incident stays open until it ends by itself.
    if (decision.reason == "mode" || decision.reason == "paused") {
        incident.hold_until = at + options.held_limit;
        incident.next_look_at = at + 30s;
        move_to(incident, IncidentState::held, at, decision.reason, decision.text);
        co_return co_await save(incident, "incident.held");
    }
    if (decision.reason == "condition_cleared" || decision.reason == "human_change" || decision.reason == "target_changed" ||
        decision.reason == "stale_facts") {
        incident.hold_until = at + options.look_every;
        incident.next_look_at = *incident.hold_until;
        move_to(incident, IncidentState::held, at, decision.reason, decision.text);
        co_return co_await save(incident, "incident.held");
    }
    co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, decision.reason,
                             decision.gate + " says no: " + decision.text);
}

Task<Result<>> IncidentDriver::Impl::start_execution(Incident incident, Look seen, ports::GateReport report) {
    const auto at = now();
    const auto workflow = workflows(incident.plan->workflow);
    ports::StartRequest request;
    auto& run = request.execution;
    run.id = ExecutionId{derive_id("exe_", incident.opened_at, {incident.id.str(), incident.plan->hash, run_before(incident)})};
    run.cluster = incident.cluster;
    run.incident = incident.id;
    run.plan = *incident.plan;
    run.definition = workflow->source;
    run.state = ExecutionState::queued;
    run.dry_run = report.dry_run && workflow->risk != Risk::none;
    run.requested_by = "kubernaut";
    run.created_at = run.updated_at = at;
    const auto& key = incident.target.key;
    run.context["incident"] =
        json::Object{{"id", incident.id.str()}, {"fault_class", incident.fault_class},      {"alert_name", incident.alert_name},
                     {"p", incident.p},         {"severity", to_string(incident.severity)}, {"state_reason", incident.state_reason}};
    run.context["target"] = json::Object{{"key", key.str()},    {"kind", key.kind}, {"group", key.group},
                                         {"namespace", key.ns}, {"name", key.name}, {"uid", incident.target.uid}};
    run.context["facts"] = FactSet(without_contents(seen.diagnosis).facts).tree();
    run.context["cluster"] = json::Object{{"id", incident.cluster.str()}, {"environment", to_string(incident.environment)}};
    run.context["env"] = to_string(incident.environment);
    request.locks = report.locks;
    if (request.locks.empty() && workflow->risk != Risk::none) request.locks.push_back(key.str());
    request.locks_until = at + workflow->timeout + 1min;
    request.cooldowns = report.cooldowns;
    request.budgets = report.budgets;
    incident.execution = run.id;
    incident.hold_until.reset();
    incident.next_look_at = at + 2s;
    tell(incident, at, "done", (run.dry_run ? "dry run of " : "started ") + incident.plan->workflow);
    move_to(incident, IncidentState::remediating, at, {}, incident.plan->workflow);
    request.audit.push_back(audit_of(incident, at, "execution.started"));
    request.incident = incident;
    const auto id = run.id;
    auto started_now = co_await stores.executions.start(std::move(request), store_limit());
    if (!started_now) {
        const auto& error = started_now.error();
        if (error.code == ErrorCode::aborted) co_return std::unexpected(error);
        if (error.code == ErrorCode::already_exists) {
            // We crashed right after starting it.
            KN_CO_CHECK(co_await save(incident, "execution.adopted"));
            co_return Result<>{};
        }
        if (error.code != ErrorCode::failed_precondition) co_return std::unexpected(error);
        KN_CO_TRY(auto fresh, co_await stores.incidents.get(incident.cluster, incident.id, store_limit()));
        tell(fresh, at, "guard", error.reason + ": " + error.message);
        const auto wait = error.retry_after.value_or(30s);
        fresh.hold_until = at + wait;
        fresh.next_look_at = at + std::min<Duration>(wait, 30s);
        if (fresh.state == IncidentState::awaiting_approval) {
            fresh.next_look_at = at + 5s;
            co_return co_await save(fresh, {});
        }
        move_to(fresh, IncidentState::held, at, error.reason.empty() ? "busy" : error.reason, error.message);
        co_return co_await save(fresh, "incident.held");
    }
    ++incident.version;
    log::info("execution started", {{"incident", incident.id.str()}, {"execution", id.str()}, {"workflow", incident.plan->workflow}});
    if (feed.watched()) feed.publish("incident", to_json(incident));
    wakeups.executions.notify();
    co_return Result<>{};
}

Task<Result<>> IncidentDriver::Impl::on_planned(Incident incident) {
    // From a crash, or from another state that wants a new decision: look again, since what was seen may be old.
    const auto at = now();
    auto seen = co_await look(incident, look_limit());
    if (!seen) co_return co_await look_later(std::move(incident), options.look_every, "stale_facts");
    KN_CO_TRY(const bool gone, co_await resolve_if_gone(incident, *seen));
    if (gone) co_return Result<>{};
    if (incident.evidence_gone_since) co_return co_await look_later(std::move(incident), options.look_every, "evidence_gone");
    KN_CO_TRY(auto result, co_await plan(incident, *seen));
    if (says_nothing(result) && !incident.tried.empty()) result.reason = "nothing_left";
    const bool approval = result.needs_approval;
    take_plan(incident, *seen, std::move(result));
    incident.next_look_at = at;
    KN_CO_CHECK(co_await save(incident, "incident.planned"));
    co_return co_await try_start(std::move(incident), *std::move(seen), approval ? Consent::needed : Consent::if_gates_ask);
}

Task<Result<>> IncidentDriver::Impl::on_awaiting_approval(Incident incident) {
    const auto at = now();
    const ApprovalId id = approval_of(incident);
    auto approval = co_await stores.incidents.approval(id, store_limit());
    if (!approval && approval.error().code != ErrorCode::not_found) co_return std::unexpected(std::move(approval).error());
    if (!approval || approval->state == ApprovalState::rejected || (approval->state == ApprovalState::pending && approval->expires_at <= at) ||
        approval->state == ApprovalState::expired) {
        const bool rejected = approval && approval->state == ApprovalState::rejected;
        if (approval && approval->state == ApprovalState::pending) {
            approval->state = ApprovalState::expired;
            KN_CO_CHECK(co_await save(incident, "approval.expired", *approval));
        }
        std::string text = "nobody answered in time";
        if (rejected && !approval->votes.empty()) text = "rejected by " + approval->votes.back().by;
        tell(incident, at, "approval", text);
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated,
                                 rejected ? "approval_rejected" : "approval_expired", text);
    }
    // While nobody has answered, the world is looked at every half minute only.
    const bool look_now = approval->state != ApprovalState::pending || (at - approval->asked_at) % 30s < 5s;
    if (!look_now) co_return co_await look_later(std::move(incident), 5s);
    auto seen = co_await look(incident, look_limit());
    if (!seen) co_return co_await look_later(std::move(incident), 5s);
    KN_CO_TRY(const bool gone, co_await resolve_if_gone(incident, *seen));
    if (gone) co_return Result<>{};
    if (approval->state == ApprovalState::pending) co_return co_await look_later(std::move(incident), 5s);
    if (incident.evidence_gone_since) co_return co_await look_later(std::move(incident), 5s);
    // Granted: the same plan must still be the right one.
    KN_CO_TRY(auto result, co_await plan(incident, *seen));
    const bool same = result.plan.workflow == incident.plan->workflow && result.plan.params == incident.plan->params &&
                      result.plan.fault_class == incident.plan->fault_class;
    const bool cutting = incident.plan->workflow == "cut-backoff";
    if (!same && !cutting) {
        tell(incident, at, "approval", "granted, but the plan is another one by now");
        incident.next_look_at = at;
        move_to(incident, IncidentState::planned, at, "plan_changed", {});
        co_return co_await save(incident, "incident.planned");
    }
    std::string by;
    for (const auto& vote : approval->votes) by += (by.empty() ? "" : ", ") + vote.by;
    tell(incident, at, "approval", "granted by " + by);
    co_return co_await try_start(std::move(incident), *std::move(seen), Consent::given);
}

Task<Result<>> IncidentDriver::Impl::on_remediating(Incident incident) {
    const auto at = now();
    if (!incident.execution)
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, "lost_execution", "its execution is not known");
    KN_CO_TRY(const auto run, co_await stores.executions.get(*incident.execution, store_limit()));
    const auto& execution = run.execution;
    if (!is_terminal(execution.state)) co_return co_await look_later(std::move(incident), 5s);
    const auto state = std::string{to_string(execution.state)};
    tell(incident, at, "done", execution.plan.workflow + " " + state + (execution.error.empty() ? "" : ": " + execution.error));
    if (tells_only(execution.plan)) {
        auto text = incident.state_reason.empty() && !execution.plan.reasons.empty() ? execution.plan.reasons.back() : incident.state_reason;
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, "people_told", text);
    }
    if (execution.dry_run) {
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::dry_run, "shadow",
                                 execution.plan.workflow + " would have been done (dry run " + state + ")");
    }
    if (execution.state == ExecutionState::succeeded) {
        incident.evidence_gone_since.reset();
        incident.next_look_at = at + 2s;
        move_to(incident, IncidentState::verifying, at, {}, "did it help?");
        co_return co_await save(incident, "incident.verifying");
    }
    // Refused or cancelled because the world changed: that is no failure of the plan.
    const bool world_changed = execution.state == ExecutionState::refused || execution.state == ExecutionState::cancelled ||
                               execution.reason == "human_change" || execution.reason == "target_changed" || execution.reason == "condition_cleared";
    incident.tried.push_back(plan_identity(execution.plan));
    if (world_changed && execution.cancel_by.empty() && std::ranges::count(incident.tried, incident.tried.back()) <= 2) {
        incident.tried.pop_back();
        incident.tried.emplace_back("changed:" + std::to_string(incident.tried.size()));
    }
    if (!execution.cancel_by.empty() && execution.state == ExecutionState::cancelled) {
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, "cancelled",
                                 "cancelled by " + execution.cancel_by);
    }
    if (static_cast<int>(incident.tried.size()) >= options.ineffective_limit + 1) {
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, "ineffective", "nothing that was tried worked");
    }
    incident.next_look_at = at + 5s;
    move_to(incident, IncidentState::planned, at, "next_candidate", {});
    co_return co_await save(incident, "incident.planned");
}

Task<Result<>> IncidentDriver::Impl::on_verifying(Incident incident) {
    const auto at = now();
    auto seen = co_await look(incident, look_limit());
    if (!seen) co_return co_await look_later(std::move(incident), options.look_every, "stale_facts");
    KN_CO_TRY(const bool gone, co_await resolve_if_gone(incident, *seen));
    if (gone) co_return Result<>{};
    if (incident.evidence_gone_since) co_return co_await look_later(std::move(incident), std::min<Duration>(5s, options.look_every));
    Instant finished = incident.updated_at;
    const auto run = co_await stores.executions.get(*incident.execution, store_limit());
    if (run && run->execution.finished_at) finished = *run->execution.finished_at;
    const auto waited = at - finished;
    // The same cure for the next object of a row (the claim of the next ordinal) needs no waiting.
    const auto identity = plan_identity(*incident.plan);
    auto tried = incident.tried;
    tried.push_back(identity);
    if (waited >= 20s) {
        Incident next = incident;
        next.tried = tried;
        KN_CO_TRY(auto result, co_await plan(next, *seen));
        const bool next_object = result.plan.workflow == incident.plan->workflow && plan_identity(result.plan) != identity && !result.leave_alone;
        if (next_object && seen->diagnosis.fault_class == incident.fault_class) {
            next.next_look_at = at;
            move_to(next, IncidentState::planned, at, "next_object", plan_identity(result.plan));
            co_return co_await save(next, "incident.planned");
        }
    }
    if (waited < options.verify_limit) co_return co_await look_later(std::move(incident), options.look_every);
    incident.tried = std::move(tried);
    tell(incident, at, "verified", incident.plan->workflow + " did not help");
    if (static_cast<int>(incident.tried.size()) >= options.ineffective_limit) {
        co_return co_await close(std::move(incident), IncidentState::escalated, Outcome::escalated, "ineffective", "nothing that was tried helped");
    }
    incident.next_look_at = at;
    move_to(incident, IncidentState::planned, at, "next_candidate", {});
    co_return co_await save(incident, "incident.planned");
}

}  // namespace kn::decision
