#include "kubernaut/assess/assessor.hpp"

#include <algorithm>

#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"

namespace kn::assess {
namespace {

constexpr Duration store_timeout = 5s, call_timeout = 10s;

/// The scopes whose sums one judgement moves: its cluster, its environment, the fleet.
std::vector<ClusterId> scopes_of(const Assessment& assessment) {
    return {assessment.cluster, ClusterId("_env/" + std::string(to_string(assessment.environment))), ClusterId("_fleet")};
}

/// Desired and available replicas of a workload; none when it says neither.
std::optional<double> availability_of(const json::Value& workload) {
    const auto kind = kube::kind_of(workload);
    if (kind == "DaemonSet") {
        const auto desired = json::int_at(workload, "status", "desiredNumberScheduled");
        if (!desired || *desired == 0) return std::nullopt;
        return static_cast<double>(json::int_at(workload, "status", "numberAvailable").value_or(0)) / static_cast<double>(*desired);
    }
    const auto desired = json::int_at(workload, "spec", "replicas").value_or(1);
    if (desired == 0) return std::nullopt;
    const auto available = json::int_at(workload, "status", kind == "StatefulSet" ? "readyReplicas" : "availableReplicas").value_or(0);
    return static_cast<double>(available) / static_cast<double>(desired);
}

}  // namespace

Assessor::Assessor(async::EventLoop& loop, ports::Stores stores, ports::ClusterGateway& fleet, ports::Wakeups& wakeups, ports::LiveFeed& feed,
                   metrics::Registry& metrics, AssessOptions options)
    : loop_(loop), stores_(stores), fleet_(fleet), wakeups_(wakeups), feed_(feed), metrics_(metrics), options_(options), scope_(loop.executor()) {}

void Assessor::start() { scope_.spawn("assess", run()); }
void Assessor::stop() { scope_.cancel(); }

Task<> Assessor::run() {
    async::Clock& clock = loop_.clock();
    while (true) {
        auto done = co_await run_once();
        if (!done) log::warning("assessments could not be read", {{"error", done.error().describe()}});
        if (done && *done >= options_.batch) continue;
        (void)co_await wakeups_.assessments.wait(clock, clock.deadline_in(10s));
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
        if (!judged) log::warning("an assessment could not be made; it will be tried again", {{"assessment", id}, {"error", judged.error().describe()}});
    }
    co_return static_cast<int>(due.size());
}

Task<Result<>> Assessor::judge(Assessment assessment) {
    async::Clock& clock = loop_.clock();
    const Deadline deadline = clock.deadline_in(call_timeout + store_timeout);
    KN_CO_TRY(const Inputs inputs, co_await gather(assessment, deadline));
    const Instant now = clock.now();
    ++assessment.looks;
    assessment.resolved = inputs.resolved;
    assessment.came_back = inputs.came_back;
    assessment.side_effects = inputs.side_effects;
    assessment.metric = inputs.metric;
    const Instant settled = id_time(assessment.id.str());

    if (assessment.stage == AssessmentStage::quick) {
        // Only "is it worse?": the final look comes later, and the score is its business.
        assessment.stage = AssessmentStage::final;
        assessment.due_at = std::max(now, settled) + options_.final_after;
        co_return co_await stores_.learning.complete(std::move(assessment), {}, {}, {}, deadline);
    }
    const Score score = score_of(inputs);
    if (!score.value && now < assessment.action_at + options_.give_up) {
        assessment.due_at = now + options_.look_again;
        co_return co_await stores_.learning.complete(std::move(assessment), {}, {}, {}, deadline);
    }
    assessment.done_at = now;
    assessment.score = score.value;
    assessment.confidence = score.confidence;
    std::vector<Posterior> moved;
    std::vector<AuditRecord> audit;
    if (!score.value) {
        assessment.note = "unassessed: whether the fault is gone could not be read within " + format_duration(options_.give_up);
    } else {
        KN_CO_TRY(const auto spells, co_await stores_.learning.spells(assessment.fault_class, assessment.environment, 1'000, deadline));
        KN_CO_TRY(const auto execution, co_await stores_.executions.get(assessment.execution, deadline));
        Duration age = 0ms;
        if (assessment.incident) {
            if (const auto incident = co_await stores_.incidents.get(assessment.cluster, *assessment.incident, deadline)) age = std::max(Duration{0}, assessment.action_at - incident->opened_at);
        }
        assessment.would_have_healed = heals_by_itself(spells, age, std::max(Duration{1}, now - assessment.action_at));
        assessment.uplift = *assessment.score * (1 - assessment.would_have_healed.value_or(0));
        assessment.attributable = assessment.drift != Truth::yes;
        if (!assessment.would_have_healed) assessment.note = "too few untreated episodes to say whether it would have healed by itself: full credit";
        if (assessment.attributable && !execution.execution.dry_run && execution.execution.plan.risk != Risk::none) {
            KN_CO_TRY(const auto known, co_await stores_.learning.posteriors(assessment.fault_class, deadline));
            for (const ClusterId& scope : scopes_of(assessment)) {
                Posterior sums{.scope = scope, .workflow = assessment.workflow, .fault_class = assessment.fault_class};
                for (const Posterior& each : known) {
                    if (each.scope == scope && each.workflow == assessment.workflow) sums = each;
                }
                moved.push_back(updated(std::move(sums), *assessment.uplift, assessment.confidence, now, options_.half_life));
            }
        }
        metrics_.histogram("kubernaut_effectiveness_uplift_ratio", "credited effectiveness", {{"workflow", assessment.workflow}}).observe(*assessment.uplift);
    }
    metrics_.counter("kubernaut_assessments_total", "judgements", {{"cluster", assessment.cluster.str()}, {"result", score.value ? "scored" : "unassessed"}}).add();
    metrics_.histogram("kubernaut_assessment_lag_seconds", "judged after it was due").observe(static_cast<double>((now - assessment.due_at).count()) / 1000.0);
    audit.push_back(AuditRecord{.cluster = assessment.cluster, .at = now, .actor = "kubernaut", .verb = "assess", .object = assessment.target.str(),
                                .reason = assessment.workflow, .details = {{"execution", assessment.execution.str()}, {"score", score.value ? json::Value(*score.value) : json::Value(nullptr)}, {"confidence", score.confidence}}});
    std::vector<UntreatedSpell> spells;
    const Assessment shown = assessment;
    KN_CO_CHECK(co_await stores_.learning.complete(std::move(assessment), std::move(moved), std::move(spells), std::move(audit), deadline));
    feed_.publish("assessment", to_json(shown));
    if (shown.incident) {
        auto incident = co_await stores_.incidents.get(shown.cluster, *shown.incident, deadline);
        if (incident) {
            const std::string text = shown.score ? "score " + std::to_string(*shown.score).substr(0, 4) + ", confidence " + std::to_string(shown.confidence).substr(0, 4) : shown.note;
            tell(*incident, now, "assessed", shown.workflow + ": " + text);
            ports::IncidentCommit commit;
            commit.incidents.push_back(*std::move(incident));
            auto told = co_await stores_.incidents.commit(std::move(commit), deadline);
            if (!told && told.error().code != ErrorCode::aborted) co_return told;
        }
    }
    co_return Result<>{};
}

Task<Result<Inputs>> Assessor::gather(const Assessment& assessment, Deadline deadline) {
    Inputs inputs;
    if (assessment.incident) {
        auto incident = co_await stores_.incidents.get(assessment.cluster, *assessment.incident, deadline);
        if (!incident && incident.error().code != ErrorCode::not_found) co_return fail(incident.error());
        if (incident) {
            // R: settled by the incident's own verification (signals and evidence), later than our action.
            if (incident->state == IncidentState::resolved) inputs.resolved = Truth::yes;
            else if (incident->state == IncidentState::escalated) inputs.resolved = Truth::no;
            else if (incident->state == IncidentState::planned || incident->state == IncidentState::remediating) inputs.resolved = Truth::no;
            if (inputs.resolved == Truth::yes && !incident->incident_key.empty()) {
                KN_CO_TRY(const auto same, co_await stores_.incidents.by_key(assessment.cluster, incident->incident_key, assessment.action_at, deadline));
                inputs.came_back = std::any_of(same.begin(), same.end(), [&](const Incident& each) {
                    return each.id != incident->id && each.opened_at > assessment.action_at;
                }) ? Truth::yes : Truth::no;
            }
            // M: the share of replicas that are available, which is what every workload class wants to see rise.
            if (const auto* resource = kube::find_resource(assessment.target.kind_group()); resource != nullptr && incident->diagnosis) {
                double before = -1;
                for (const Fact& fact : incident->diagnosis->facts) {
                    if (fact.name == "workload.available_ratio" && fact.value.is_number()) before = fact.value.to_number<double>();
                }
                const auto client = fleet_.client(assessment.cluster);
                if (client != nullptr && before >= 0 && before < 1) {
                    if (const auto object = co_await client->get(*resource, assessment.target.ns, assessment.target.name, deadline)) {
                        if (const auto after = availability_of(*object)) inputs.metric = std::clamp((*after - before) / (1 - before), 0.0, 1.0);
                    }
                }
            }
        }
    }
    KN_CO_TRY(inputs.side_effects, co_await side_effects(assessment, deadline));
    co_return inputs;
}

Task<Result<Truth>> Assessor::side_effects(const Assessment& assessment, Deadline deadline) {
    // New trouble in the same namespace (or on the same node) that began after the action and is not its own incident.
    ports::IncidentFilter filter{.cluster = assessment.cluster.str(), .ns = assessment.target.ns};
    KN_CO_TRY(const auto recent, co_await stores_.incidents.list(filter, {.limit = 50}, deadline));
    for (const Incident& incident : recent.items) {
        if (assessment.incident && (incident.id == *assessment.incident || incident.cause == assessment.incident)) continue;
        if (incident.opened_at <= assessment.action_at || incident.opened_at > assessment.action_at + 30min) continue;
        if (incident.target.key == assessment.target && incident.incident_key != assessment.incident_key && !incident.fault_class.empty()) co_return Truth::yes;
    }
    co_return Truth::no;
}

}  // namespace kn::assess
