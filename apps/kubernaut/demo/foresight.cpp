#include "demo/foresight.hpp"

#include <algorithm>

#include "kubernaut/domain/codec.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/ports/learning_store.hpp"
#include "kubernaut/ports/pattern_store.hpp"

namespace kn::app {
namespace {

constexpr int nights = 28, runs = 160;
constexpr double spot_share = 0.35, fits = 0.92, misfits = 0.25;
constexpr std::string_view throttled = "throttling.cpu";
constexpr double size_gib = 10, level = 0.85;  // of the volume; of the alert

constexpr const char* volume_yaml = R"(
id: F01
name: volume-foretold
title: The volume of ${app} will be full in the evening
vars:
  ns: ["ledger-${tag}", "books-${tag}"]
  app: [ledger, accounts, invoices]
world:
  - namespace: {name: "${ns}"}
  - workload: {kind: StatefulSet, ns: "${ns}", name: "${app}", replicas: 1, volume: {size: 10Gi, class: standard}}
target: PersistentVolumeClaim/${ns}/data-${app}-0
fault: []
signals: [KubePersistentVolumeFillingUp]
expect: {class: pvc.nearly_full, workflows: [expand-volume], outcome: remediated}
cured:
  - field: {object: "PersistentVolumeClaim/${ns}/data-${app}-0", pointer: /status/capacity/storage, at_least: 11Gi}
)";

Duration seconds(double s) { return Duration{static_cast<std::int64_t>(s * 1000)}; }

json::Value window_json(const std::optional<TimeWindow>& window) {
    if (!window) return nullptr;
    return json::Object{{"from", format_rfc3339(window->from)}, {"to", format_rfc3339(window->to)}};
}
json::Value time_json(const std::optional<Instant>& at) { return at ? json::Value(format_rfc3339(*at)) : json::Value(nullptr); }

}  // namespace

Foresight::Foresight(async::EventLoop& loop, ports::Stores stores, std::uint64_t seed, double hurry)
    : loop_(loop), stores_(stores), seed_(seed), hurry_(hurry), random_(seed * 7919 + 17) {}

void Foresight::prepare(HubOptions& options, double hurry) {
    auto& patterns = options.patterns;
    patterns.every = seconds(300 / hurry);
    patterns.first_after = seconds(60 / hurry);
    patterns.series = {{.name = "volume",
                        .query = "kubelet_volume_stats_used_bytes",
                        .limit_query = "kubelet_volume_stats_capacity_bytes",
                        .limit = level,
                        .step = 5min,
                        .warn = "VolumeRunwayShort"}};
    patterns.engine.analyzers["anomaly"] = {.flag = patterns::Flag::shadow};
}

async::Task<Result<>> Foresight::write_execution(ClusterId cluster, int number, Instant at, bool spot, bool scale_out, bool worked) {
    const Deadline soon = loop_.clock().deadline_in(10s);
    Execution run;
    run.id = ExecutionId(make_id("exe_", at, random_));
    run.cluster = cluster;
    run.plan.workflow = scale_out ? "scale-out" : "raise-cpu";
    run.plan.fault_class = throttled;
    run.plan.target.key = {cluster, "shop", "Deployment", "apps", "web-" + std::to_string(number % 12)};
    run.definition = json::Value(json::Object{{"id", run.plan.workflow}, {"steps", json::Array{}}});
    run.context["facts"] = json::Object{{"node", json::Object{{"pool", spot ? "spot-a" : "standard"}}},
                                        {"workload", json::Object{{"cpu_share", (spot ? 0.9 : 0.5) + 0.05 * random_.unit()}}}};
    run.context["cluster"] = json::Object{{"id", cluster.str()}, {"environment", "prod"}};
    run.state = ExecutionState::queued;
    run.requested_by = "demo: made up";
    run.created_at = run.updated_at = at;
    KN_CO_CHECK(co_await stores_.executions.start({.execution = run, .locks = {}, .locks_until = at + 1h}, soon));
    KN_CO_TRY(auto claimed, co_await stores_.executions.claim("past", at, 15s, 1, soon));
    if (claimed.size() != 1) co_return fail(ErrorCode::internal, "the made-up execution could not be claimed");
    run = std::move(claimed.front().execution);
    run.state = ExecutionState::running;
    run.started_at = run.touched_at = at;
    KN_CO_CHECK(co_await stores_.executions.commit({.execution = run}, soon));
    run.state = ExecutionState::verifying;
    KN_CO_CHECK(co_await stores_.executions.commit({.execution = run}, soon));
    run.state = ExecutionState::succeeded;
    run.finished_at = run.updated_at = at + seconds(60 + 40 * random_.unit());
    run.lease_until.reset();
    KN_CO_CHECK(co_await stores_.executions.commit({.execution = run, .release_locks = true}, soon));
    Assessment verdict{.id = AssessmentId(make_id("asm_", at, random_)), .cluster = cluster, .environment = Environment::prod, .execution = run.id};
    verdict.workflow = run.plan.workflow;
    verdict.fault_class = throttled;
    verdict.target = run.plan.target.key;
    verdict.action_at = at;
    verdict.due_at = at + 5min;
    verdict.done_at = at + 20min;
    verdict.score = worked ? 0.9 : 0.1;
    verdict.confidence = 1;
    verdict.looks = 2;
    co_return co_await stores_.learning.schedule(verdict, soon);
}

async::Task<Result<>> Foresight::write_past(ClusterId cluster) {
    const Instant now = loop_.clock().now();
    const double hour = 1 + 4 * random_.unit();
    const Instant midnight = std::chrono::floor<std::chrono::days>(now);
    const std::string job = "export-" + std::to_string(random_.next() % 90 + 10);
    for (int night = nights; night >= 1; --night) {
        if (random_.unit() < 0.07) continue;  // now and then it goes well
        Incident incident;
        incident.opened_at = midnight - night * Duration{24h} + seconds(hour * 3600 + 300 * random_.unit());
        incident.id = IncidentId(make_id("inc_", incident.opened_at, random_));
        incident.cluster = cluster;
        incident.environment = Environment::prod;
        incident.target.key = {cluster, "batch", "CronJob", "batch", job};
        incident.correlation_key = make_correlation_key(incident.target.key, "past-" + std::to_string(night));
        incident.fault_class = "job.failed";
        incident.alert_name = "KubeJobFailed";
        incident.state = IncidentState::escalated;
        incident.outcome = Outcome::escalated;
        incident.updated_at = incident.next_look_at = incident.opened_at;
        incident.closed_at = incident.opened_at + 10min;
        kn::tell(incident, incident.opened_at, "seen", "made up for the demo: the job failed in the night");
        KN_CO_CHECK(co_await stores_.incidents.commit({.incidents = {incident}}, loop_.clock().deadline_in(10s)));
    }
    report_.recurrence.truth = midnight + seconds(hour * 3600 + 150) + (now > midnight + seconds(hour * 3600 + 150) ? Duration{24h} : Duration{0});
    for (int i = 0; i < runs; ++i) {
        const Instant at = now - Duration{24h} * nights + i * (Duration{24h} * (nights - 2) / runs);
        const bool spot = random_.unit() < spot_share, scale_out = random_.unit() < 0.5;
        KN_CO_CHECK(co_await write_execution(cluster, i, at, spot, scale_out, random_.unit() < (spot == scale_out ? fits : misfits)));
    }
    report_.family.truth = "scale-out";
    co_return Result<>{};
}

async::Task<Result<>> Foresight::play(sim::Stage stage, Duration limit) {
    async::Clock& clock = loop_.clock();
    KN_CO_TRY(auto scenario, sim::Scenario::parse(volume_yaml, seed_ * 1000 + 999));
    scenario_ = std::make_unique<sim::Scenario>(std::move(scenario));
    const auto& names = scenario_->variables();
    const std::string ns = names.at("ns"), claim = "data-" + names.at("app") + "-0";
    // Eighteen hours of past, and the alert some seven hours ahead.
    constexpr double bytes = size_gib * (1ULL << 30U);
    const Instant now = clock.now(), since = now - 18h;
    const double start = (0.28 + 0.04 * random_.unit()) * bytes;
    report_.forecast.alert_without = now + seconds((6 + 2 * random_.unit()) * 3600);
    const double growth = (level * bytes - start) / std::chrono::duration<double>(report_.forecast.alert_without - since).count();
    stage.metrics->set_volume_capacity(ns, claim, since, bytes);
    stage.metrics->set_volume_use(ns, claim, {.used = start, .growth = growth, .since = since});
    report_.forecast.target = stage.cluster + "/" + ns + "/PersistentVolumeClaim/" + claim;
    KN_CO_CHECK(co_await scenario_->deploy(stage, clock.deadline_in(10min)));
    KN_CO_CHECK(co_await scenario_->inject(stage, clock.deadline_in(10min)));
    const auto alerts = scenario_->alerts(stage);
    const Instant until = clock.now() + limit;
    while (clock.now() < until && !report_.forecast.cured) {
        co_await async::sleep_for(clock, seconds(30 / hurry_));
        KN_CO_TRY(const auto fired, co_await alerts->evaluate(clock.deadline_in(30s)));
        report_.forecast.alert_fired = report_.forecast.alert_fired || !fired.empty();
        KN_CO_TRY(const auto verdict, co_await scenario_->check(stage, clock.deadline_in(60s)));
        if (verdict.cured) report_.forecast.cured = verdict.cured_at.value_or(clock.now());
    }
    co_return Result<>{};
}

async::Task<Result<ForesightReport>> Foresight::report(const Hub& hub) {
    const Deadline soon = loop_.clock().deadline_in(10s);
    KN_CO_TRY(const auto warnings, co_await stores_.patterns.warnings({}, {.limit = 100}, soon));
    for (const auto& warning : warnings.items) {
        if (warning.target != report_.forecast.target) continue;
        report_.forecast.claim = warning.pattern.claim;
        report_.forecast.confidence = warning.pattern.confidence;
        report_.forecast.warned = warning.raised_at;
        report_.forecast.outcome = to_string(warning.outcome);
        if (warning.incident.empty()) continue;
        if (const auto incident = co_await stores_.incidents.find(IncidentId(warning.incident), soon); incident && incident->plan)
            report_.forecast.workflow = incident->plan->workflow;
    }
    KN_CO_TRY(const auto recurrences, co_await stores_.patterns.list({.kind = "recurrence"}, {.limit = 50}, soon));
    for (const auto& record : recurrences.items) {
        if (!record.pattern.subject.starts_with("job.failed at batch/CronJob/") || record.pattern.scope == "fleet") continue;
        report_.recurrence.claim = record.pattern.claim;
        report_.recurrence.confidence = record.pattern.confidence;
        report_.recurrence.next = record.pattern.next_expected;
        break;
    }
    KN_CO_TRY(const auto families, co_await stores_.patterns.list({.kind = "family"}, {.limit = 50}, soon));
    for (const auto& record : families.items)
        if (record.pattern.claim.find("spot-a") != std::string::npos) report_.family.claim = record.pattern.claim;
    report_.family.asked = "a throttled Deployment on the pool spot-a";
    const auto advice =
        hub.discoverer().advise({.cluster = ClusterId("eu-prod"),
                                 .environment = Environment::prod,
                                 .fault_class = std::string(throttled),
                                 .target_kind = "Deployment",
                                 .facts = json::Object{{"node", json::Object{{"pool", "spot-a"}}}, {"workload", json::Object{{"cpu_share", 0.93}}}}});
    double best = 0;
    for (const auto& each : advice) {
        const double share = each.good / std::max(1e-9, each.good + each.bad);
        if (each.good + each.bad < 5 || share <= best) continue;
        best = share;
        report_.family.recommended = each.workflow;
        report_.family.good = each.good;
        report_.family.all = each.good + each.bad;
    }
    co_return report_;
}

json::Value to_json(const ForesightReport& report) {
    const auto& f = report.forecast;
    const auto& r = report.recurrence;
    const auto& y = report.family;
    return json::Object{{"forecast", json::Object{{"claim", f.claim},
                                                  {"target", f.target},
                                                  {"confidence", f.confidence},
                                                  {"warned", time_json(f.warned)},
                                                  {"cured", time_json(f.cured)},
                                                  {"alert_without", format_rfc3339(f.alert_without)},
                                                  {"alert_fired", f.alert_fired},
                                                  {"workflow", f.workflow},
                                                  {"outcome", f.outcome},
                                                  {"right", f.right()}}},
                        {"recurrence", json::Object{{"claim", r.claim},
                                                    {"confidence", r.confidence},
                                                    {"next", window_json(r.next)},
                                                    {"truth", format_rfc3339(r.truth)},
                                                    {"right", r.right()}}},
                        {"family", json::Object{{"claim", y.claim},
                                                {"asked", y.asked},
                                                {"recommended", y.recommended},
                                                {"truth", y.truth},
                                                {"good", y.good},
                                                {"all", y.all},
                                                {"right", y.right()}}}};
}

}  // namespace kn::app
