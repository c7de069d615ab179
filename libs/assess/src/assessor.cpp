#include "kubernaut/assess/assessor.hpp"

#include <algorithm>
#include <cstdio>

#include "evidence.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"

namespace kn::assess {
namespace {

constexpr Duration store_timeout = 5s, call_timeout = 10s;

/// The scopes whose sums one judgement moves: its cluster, its environment, the fleet.
std::vector<ClusterId> scopes_of(const Assessment& assessment) {
    return {assessment.cluster, ClusterId("_env/" + std::string(to_string(assessment.environment))), ClusterId("_fleet")};
}

std::string two_digits(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", value);
    return text;
}

std::string text_of(const Assessment& assessment) {
    if (!assessment.score) return assessment.note;
    std::string text = "score " + two_digits(*assessment.score) + ", confidence " + two_digits(assessment.confidence);
    if (assessment.would_have_healed) text += ", would have healed by itself with " + two_digits(*assessment.would_have_healed);
    if (assessment.uplift) text += ", credited " + two_digits(*assessment.uplift);
    if (!assessment.attributable) text += ", not attributed to it";
    return assessment.note.empty() ? text : text + " (" + assessment.note + ")";
}

void add_note(Assessment& assessment, const std::string& text) {
    if (!text.empty()) assessment.note += (assessment.note.empty() ? "" : "; ") + text;
}

AuditRecord audit_of(const Assessment& assessment, Instant now) {
    json::Object details{{"execution", assessment.execution.str()}, {"stage", to_string(assessment.stage)}, {"confidence", assessment.confidence}};
    details["score"] = assessment.score ? json::Value(*assessment.score) : json::Value(nullptr);
    if (assessment.incident) details["incident"] = assessment.incident->str();
    return {.cluster = assessment.cluster,
            .at = now,
            .actor = "kubernaut",
            .verb = "assess",
            .object = assessment.target.str(),
            .reason = assessment.workflow,
            .details = std::move(details)};
}

/// Whether the sums were counted or would be: a dry run and a plan that changes nothing prove nothing.
bool counts(const Assessment& assessment, const Execution& execution) {
    return assessment.attributable && assessment.uplift && !execution.dry_run && execution.plan.risk != Risk::none;
}

}  // namespace

Assessor::Assessor(async::EventLoop& loop, ports::Stores stores, AssessPorts ports, AssessOptions options)
    : loop_(loop), stores_(stores), ports_(ports), options_(options), scope_(loop.executor()) {}

void Assessor::start() { scope_.spawn("assess", run()); }
void Assessor::stop() { scope_.cancel(); }

Task<> Assessor::run() {
    async::Clock& clock = loop_.clock();
    while (true) {
        auto done = co_await run_once();
        if (!done) log::warning("assessments could not be read", {{"error", done.error().describe()}});
        auto learned = co_await learn_once();
        if (!learned) log::warning("ended incidents could not be read", {{"error", learned.error().describe()}});
        if (done && *done >= options_.batch) continue;
        (void)co_await ports_.wakeups.assessments.wait(clock, clock.deadline_in(10s));
    }
}

Task<Result<int>> Assessor::run_once() {
    async::Clock& clock = loop_.clock();
    const Instant now = clock.now();
    KN_CO_TRY(auto due, co_await stores_.learning.claim_due(now, now + options_.claim, options_.batch, clock.deadline_in(store_timeout)));
    for (Assessment& assessment : due) {
        const std::string id = assessment.id.str();
        auto judged = co_await judge(std::move(assessment));
        // It stays claimed for a while and then is due again: nothing is lost, and one bad row does not stop the others.
        if (!judged)
            log::warning("an assessment could not be made; it will be tried again", {{"assessment", id}, {"error", judged.error().describe()}});
    }
    co_return static_cast<int>(due.size());
}

Task<Result<>> Assessor::judge(Assessment assessment) {
    const Deadline deadline = loop_.clock().deadline_in(call_timeout + store_timeout);
    ++assessment.looks;
    if (assessment.done_at) co_return co_await judge_recurrence(std::move(assessment), deadline);
    KN_CO_TRY(Evidence evidence, co_await gather(assessment, deadline));
    assessment.resolved = evidence.inputs.resolved;
    assessment.came_back = evidence.inputs.came_back;
    assessment.metric = evidence.inputs.metric;
    assessment.drift = evidence.inputs.drift;
    // What was once worse stays a side effect, even when it was taken back since.
    assessment.side_effects = assessment.worse.empty() ? evidence.inputs.side_effects : Truth::yes;
    if (assessment.stage == AssessmentStage::quick) co_return co_await judge_quick(std::move(assessment), std::move(evidence), deadline);
    co_return co_await judge_finally(std::move(assessment), std::move(evidence), deadline);
}

/// Only "is it worse?": the final look comes later, and the score is its business. What is worse must be so in two looks, since a workload that is just being scaled
/// looks like one that falls apart; and what was taken back or followed by another try is nobody's to undo.
Task<Result<>> Assessor::judge_quick(Assessment assessment, Evidence evidence, Deadline deadline) {
    const Instant now = loop_.clock().now();
    const bool seen_before = !assessment.worse.empty();
    assessment.worse.clear();
    ExecutionWithSteps run;
    if (evidence.alarm) {
        KN_CO_TRY(run, co_await stores_.executions.get(assessment.execution, deadline));
        const bool in_place = run.execution.state == ExecutionState::succeeded && !run.execution.dry_run;
        const bool last = !evidence.incident || evidence.incident->execution == assessment.execution;
        if (in_place && last) assessment.worse = evidence.worse;
    }
    const bool sure = !assessment.worse.empty() && seen_before;
    if (!assessment.worse.empty() && !sure) {
        assessment.due_at = now + options_.look_again;
    } else {
        assessment.stage = AssessmentStage::final;
        assessment.settled_at = assessment.due_at;
        assessment.due_at = std::max(now, assessment.due_at) + options_.final_after;
    }
    ports::Judgement judgement{.assessment = assessment, .posteriors = {}, .spells = {}, .audit = {}, .undo = {}, .notices = {}, .at = now};
    if (!sure) co_return co_await stores_.learning.complete(std::move(judgement), deadline);

    ports_.metrics.counter("kubernaut_assessments_total", "judgements", {{"cluster", assessment.cluster.str()}, {"result", "worse"}}).add();
    const bool reversible = can_be_taken_back(run);
    bool undone = evidence.take_back && reversible && evidence.inputs.drift != Truth::yes;
    std::string why_not = evidence.inputs.drift == Truth::yes ? evidence.manager + " has changed the target since"
                          : !evidence.take_back               ? "the target itself is not worse"
                                                              : "it cannot be taken back";
    ports::Notification notice{.kind = "execution_worse",
                               .key = assessment.execution.str() + "/worse",
                               .cluster = assessment.cluster,
                               .ns = assessment.target.ns,
                               .title = assessment.workflow + " on " + assessment.target.str() + " made it worse",
                               .text = evidence.worse,
                               .severity = Severity::critical};
    AuditRecord audit = audit_of(assessment, now);
    audit.verb = "assess.worse";
    audit.reason = evidence.worse;
    judgement.audit.push_back(std::move(audit));
    if (undone) {
        judgement.undo = {.execution = assessment.execution, .reason = "made it worse: " + evidence.worse, .now = now};
        judgement.notices = {notice};
        judgement.notices[0].text += "; it is taken back";
        auto stored = co_await stores_.learning.complete(judgement, deadline);
        if (!stored && stored.error().code != ErrorCode::failed_precondition) co_return stored;
        if (!stored) {
            undone = false;
            why_not = stored.error().message;
            judgement.undo.reset();
        }
    }
    if (!undone) {
        judgement.notices = {notice};
        judgement.notices[0].text += "; it is not taken back: " + why_not;
        KN_CO_CHECK(co_await stores_.learning.complete(std::move(judgement), deadline));
    }
    log::error("an execution made it worse", {{"execution", assessment.execution.str()},
                                              {"cluster", assessment.cluster.str()},
                                              {"target", assessment.target.str()},
                                              {"worse", evidence.worse},
                                              {"undone", undone ? "yes" : why_not}});
    if (undone) ports_.wakeups.executions.notify();
    co_await tell_incident(
        assessment,
        assessment.workflow + " made it worse: " + evidence.worse + (undone ? "; it is taken back" : "; it is not taken back: " + why_not),
        !undone && evidence.take_back, deadline);
    co_return Result<>{};
}

Task<Result<std::vector<Posterior>>> Assessor::sums_of(Assessment assessment, Deadline deadline) {
    KN_CO_TRY(const auto known, co_await stores_.learning.posteriors(assessment.fault_class, deadline));
    std::vector<Posterior> out;
    for (const ClusterId& scope : scopes_of(assessment)) {
        Posterior sums{.scope = scope, .workflow = assessment.workflow, .fault_class = assessment.fault_class};
        for (const Posterior& each : known) {
            if (each.scope == scope && each.workflow == assessment.workflow) sums = each;
        }
        out.push_back(std::move(sums));
    }
    co_return out;
}

Task<Result<>> Assessor::judge_finally(Assessment assessment, Evidence evidence, Deadline deadline) {
    const Instant now = loop_.clock().now();
    Inputs inputs = evidence.inputs;
    inputs.side_effects = assessment.side_effects;
    const Score score = score_of(inputs);
    if (!score.value && now < assessment.action_at + options_.give_up) {
        assessment.due_at = now + options_.look_again;
        co_return co_await stores_.learning.complete(
            {.assessment = std::move(assessment), .posteriors = {}, .spells = {}, .audit = {}, .undo = {}, .notices = {}, .at = now}, deadline);
    }
    const Instant due = assessment.due_at;
    assessment.done_at = now;
    assessment.score = score.value;
    assessment.confidence = score.confidence;
    assessment.note.clear();
    add_note(assessment, evidence.metric_text);
    ports::Judgement judgement;
    if (!score.value) {
        add_note(assessment, "unassessed: whether the fault is gone could not be read within " + format_duration(options_.give_up));
    } else {
        KN_CO_TRY(const auto spells, co_await stores_.learning.spells(assessment.fault_class, assessment.environment, 1'000, deadline));
        KN_CO_TRY(const auto run, co_await stores_.executions.get(assessment.execution, deadline));
        Duration age = 0ms;
        if (evidence.incident) {
            KN_CO_TRY(const Instant onset, co_await onset_of(*evidence.incident, deadline));
            age = std::max(Duration{0}, assessment.action_at - onset);
        }
        assessment.would_have_healed = heals_by_itself(spells, age, std::max(Duration{1}, now - assessment.action_at));
        assessment.uplift = *assessment.score * (1 - assessment.would_have_healed.value_or(0));
        assessment.attributable = assessment.drift != Truth::yes;
        if (!assessment.would_have_healed)
            add_note(assessment, "too few untreated episodes to say whether it would have healed by itself: full credit");
        else if (*assessment.would_have_healed > 0.5)
            add_note(assessment, "likely self-healing");
        if (!assessment.attributable) add_note(assessment, evidence.manager + " changed the target meanwhile");
        if (!assessment.worse.empty()) add_note(assessment, "side effects: " + assessment.worse);
        assessment.counted = counts(assessment, run.execution);
        if (assessment.counted) {
            KN_CO_TRY(judgement.posteriors, co_await sums_of(assessment, deadline));
            for (Posterior& sums : judgement.posteriors)
                sums = updated(std::move(sums), *assessment.uplift, assessment.confidence, now, options_.half_life);
        }
        // Only what was resolved and has not come back can still come back.
        if (options_.recurrence > Duration{0} && assessment.resolved == Truth::yes && assessment.came_back != Truth::yes) {
            assessment.recheck_at = std::max(now + options_.look_again, assessment.action_at + options_.recurrence);
        }
        ports_.metrics.histogram("kubernaut_effectiveness_uplift_ratio", "credited effectiveness", {{"workflow", assessment.workflow}})
            .observe(*assessment.uplift);
    }
    ports_.metrics
        .counter("kubernaut_assessments_total", "judgements",
                 {{"cluster", assessment.cluster.str()}, {"result", score.value ? "scored" : "unassessed"}})
        .add();
    ports_.metrics.histogram("kubernaut_assessment_lag_seconds", "judged after it was due")
        .observe(static_cast<double>((now - due).count()) / 1000.0);
    judgement.audit.push_back(audit_of(assessment, now));
    judgement.assessment = assessment;
    KN_CO_CHECK(co_await stores_.learning.complete(std::move(judgement), deadline));
    ports_.feed.publish("assessment", to_json(assessment));
    co_await tell_incident(assessment, assessment.workflow + ": " + text_of(assessment), false, deadline);
    co_return Result<>{};
}

/// Long after: a fault that came back takes credit away, and one that did not gives none.
Task<Result<>> Assessor::judge_recurrence(Assessment assessment, Deadline deadline) {
    const Instant now = loop_.clock().now();
    assessment.stage = AssessmentStage::recurrence;
    assessment.recheck_at.reset();
    KN_CO_TRY(const Truth back, co_await came_back(assessment, deadline));
    ports::Judgement judgement;
    std::string text;
    std::pair<Truth, std::string> drift(Truth::unknown, {});
    if (back == Truth::yes) drift = co_await drift_now(assessment, deadline);
    if (drift.first == Truth::yes) {
        // Whoever wrote the target since may have brought it back.
        add_note(assessment, "it came back after " + drift.second + " had changed the target");
    } else if (back == Truth::yes && assessment.score) {
        assessment.came_back = Truth::yes;
        const Score again = score_of(
            {.resolved = assessment.resolved, .metric = assessment.metric, .came_back = Truth::yes, .side_effects = assessment.side_effects});
        const double before = assessment.uplift.value_or(0);
        assessment.score = std::min(*assessment.score, again.value.value_or(*assessment.score));
        assessment.uplift = *assessment.score * (1 - assessment.would_have_healed.value_or(0));
        add_note(assessment, "it came back within " + format_duration(options_.recurrence));
        if (assessment.counted) {
            KN_CO_TRY(judgement.posteriors, co_await sums_of(assessment, deadline));
            for (Posterior& sums : judgement.posteriors) {
                sums = corrected(std::move(sums), before, *assessment.uplift, assessment.confidence, assessment.done_at.value_or(now), now,
                                 options_.half_life);
            }
        }
        text = assessment.workflow + ": " + text_of(assessment);
    }
    ports_.metrics
        .counter("kubernaut_assessments_total", "judgements",
                 {{"cluster", assessment.cluster.str()}, {"result", back == Truth::yes ? "came_back" : "lasted"}})
        .add();
    judgement.audit.push_back(audit_of(assessment, now));
    judgement.assessment = assessment;
    KN_CO_CHECK(co_await stores_.learning.complete(std::move(judgement), deadline));
    ports_.feed.publish("assessment", to_json(assessment));
    if (!text.empty()) co_await tell_incident(assessment, std::move(text), false, deadline);
    co_return Result<>{};
}

/// The judgement is stored already; the story of the incident is for people, and a writer that was faster only costs a line of it.
Task<> Assessor::tell_incident(Assessment assessment, std::string text, bool escalate, Deadline deadline) {
    if (!assessment.incident) co_return;
    for (int tries = 0; tries < 3; ++tries) {
        auto incident = co_await stores_.incidents.get(assessment.cluster, *assessment.incident, deadline);
        if (!incident) co_return;
        const Instant now = loop_.clock().now();
        tell(*incident, now, "assessed", text);
        if (escalate && !is_terminal(incident->state) && may_change(incident->state, IncidentState::escalated)) {
            incident->state = IncidentState::escalated;
            incident->outcome = Outcome::escalated;
            incident->state_reason = "worse";
            incident->closed_at = now;
            tell(*incident, now, "state", "escalated: what was done made it worse");
        }
        incident->updated_at = now;
        ports::IncidentCommit commit;
        commit.incidents.push_back(*std::move(incident));
        const auto told = co_await stores_.incidents.commit(std::move(commit), deadline);
        if (told || told.error().code != ErrorCode::aborted) co_return;
    }
}

}  // namespace kn::assess
