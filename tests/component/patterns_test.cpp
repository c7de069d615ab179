// Pattern discovery through a whole hub in virtual time: a volume that is foretold to fill up is made larger before its alert; a recurring failure that nothing
// can be done about is announced, watched and judged; the API and its roles.
#include <gtest/gtest.h>

#include "hub.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/ports/pattern_store.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/sim/scenario/scenario.hpp"
#include "kubernaut/store/open_store.hpp"
#include "sim/metrics.hpp"

namespace kn::component {
namespace {

constexpr const char* volume_yaml = R"(
id: F01
name: volume-foretold
title: The volume of ledger will be full in the evening
vars:
  ns: [books]
world:
  - namespace: {name: "${ns}"}
  - workload: {kind: StatefulSet, ns: "${ns}", name: ledger, replicas: 1, volume: {size: 10Gi, class: standard}}
target: PersistentVolumeClaim/${ns}/data-ledger-0
fault: []
signals: [KubePersistentVolumeFillingUp]
expect: {class: pvc.nearly_full, workflows: [expand-volume], outcome: remediated}
cured:
  - field: {object: "PersistentVolumeClaim/${ns}/data-ledger-0", pointer: /status/capacity/storage, at_least: 11Gi}
)";

class HubPatterns : public ::testing::Test {
protected:
    class Silent final : public ports::Notifier {
    public:
        async::Task<Result<>> send(ports::Notification message, Deadline) override {
            kinds.push_back(message.kind);
            co_return Result<>{};
        }
        std::vector<std::string> kinds;
    };

    void SetUp() override {
        log::configure(log::Level::error, log::Format::text);
        loop = async::EventLoop::simulated(parse_rfc3339("2026-03-02T08:00:00Z").value());
        stores = open_store("sqlite::memory:", {}, *loop).value();
        options.version = "test";
        for (const char* name : {"ada", "vera", "vic"}) options.auth.add_token(name, name + std::string("-token"));
        options.auth.add_binding({.subject = "ada", .role = "admin"});
        options.auth.add_binding({.subject = "vera", .role = "viewer", .clusters = {"eu1"}});
        options.auth.add_binding({.subject = "vic", .role = "viewer", .clusters = {"us1"}});
        options.patterns.every = 10min;
        options.patterns.series = {{.name = "volume",
                                    .query = "kubelet_volume_stats_used_bytes",
                                    .limit_query = "kubelet_volume_stats_capacity_bytes",
                                    .limit = 0.85,
                                    .step = 2min,
                                    .warn = "VolumeRunwayShort"}};
    }
    void TearDown() override {
        if (hub != nullptr) run(hub->stop());
        if (cluster != nullptr) {
            cluster->stop();
            run(cluster->join());
        }
    }
    void start() {
        hub = app::Hub::create(*loop, random, stores->ports(), notifier, &series, metrics, options).value();
        cluster = std::make_unique<sim::SimCluster>(*loop, random, sim::ClusterSpec{.name = "eu1", .nodes = 2});
        run(cluster->start()).value();
        series.add(ClusterId("eu1"), cluster->metrics());
        const auto transport = cluster->transport("kubernaut", {"system:masters"});
        ClusterRecord record{.id = ClusterId("eu1"), .kind = "simulated", .environment = Environment::staging, .mode = Mode::automatic};
        ASSERT_TRUE(hub->add_cluster({.record = std::move(record), .transport = transport, .probe_transport = transport}));
        ASSERT_TRUE(run(hub->start()));
    }
    template <class T> T run(async::Task<T> task) { return loop->block_on(std::move(task)); }
    Deadline soon() { return loop->clock().deadline_in(20s); }
    json::Value get(const std::string& path, const std::string& who = "ada", int status = 200) {
        net::HttpRequest request{.method = "GET", .path = path.substr(0, path.find('?')), .peer = "192.0.2.7"};
        if (const auto at = path.find('?'); at != std::string::npos) {
            const auto equals = path.find('=', at);
            request.query.emplace_back(path.substr(at + 1, equals - at - 1), path.substr(equals + 1));
        }
        request.headers.emplace_back("authorization", "Bearer " + who + "-token");
        const auto response = run(hub->handle(std::move(request)));
        EXPECT_EQ(response.status, status) << path << " " << response.body;
        return json::parse(response.body).value_or(json::Value{});
    }
    std::vector<EarlyWarning> warnings() { return run(stores->ports().patterns.warnings({}, {.limit = 100}, soon())).value().items; }
    std::vector<Incident> incidents() { return run(stores->ports().incidents.list({}, {.limit = 100}, soon())).value().items; }
    bool seen(const std::string& kind) const { return std::ranges::find(notifier.kinds, kind) != notifier.kinds.end(); }

    std::unique_ptr<async::EventLoop> loop;
    SeededRandom random{7};
    metrics::Registry metrics;
    Silent notifier;
    app::SimMetricsSource series;
    std::unique_ptr<sql::SqlStores> stores;
    app::HubOptions options;
    std::unique_ptr<app::Hub> hub;
    std::unique_ptr<sim::SimCluster> cluster;
};

TEST_F(HubPatterns, AVolumeThatWillFillUpIsMadeLargerHoursBeforeItsAlert) {
    start();
    const auto stage = cluster->stage();
    auto scenario = sim::Scenario::parse(volume_yaml, 1).value();
    // Half full when it is first seen, and 120 KiB more a second.
    const Instant injected = loop->clock().now();
    stage.metrics->set_volume_use("books", "data-ledger-0", {.used = 5.0 * (1ULL << 30U), .growth = 120.0 * 1024, .since = injected});
    ASSERT_TRUE(run(scenario.deploy(stage, loop->clock().deadline_in(10min))));
    auto alerts = scenario.alerts(stage);
    ASSERT_TRUE(run(scenario.inject(stage, loop->clock().deadline_in(10min))));
    bool cured = false;
    while (!cured && loop->clock().now() < injected + 7h) {
        loop->run_for(5min);
        const auto fired = run(alerts->evaluate(soon()));
        ASSERT_TRUE(fired);
        ASSERT_TRUE(fired->empty()) << "the alert came first";
        const auto verdict = run(scenario.check(stage, soon()));
        ASSERT_TRUE(verdict);
        EXPECT_TRUE(verdict->violations.empty());
        cured = verdict->cured;
    }
    ASSERT_TRUE(cured) << "nobody did anything in time";
    // The alert would have come at 85 %: 3.5 GiB later.
    const auto alert_at = injected + Duration{static_cast<std::int64_t>(3.5 * (1 << 20) / 120 * 1000)};
    const auto raised = warnings();
    ASSERT_EQ(raised.size(), 1U);
    EXPECT_LT(raised[0].raised_at + 4h, alert_at);
    // From an hour of data, hours ahead: the outlook lets a trend fade, so it is late by a part of the way.
    EXPECT_LT(std::chrono::abs(raised[0].expected_at - alert_at), (alert_at - raised[0].raised_at) / 3);

    const auto all = incidents();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].fault_class, "pvc.nearly_full");
    EXPECT_EQ(all[0].plan->workflow, "expand-volume");
    EXPECT_EQ(all[0].target.key.str(), raised[0].target);
    loop->run_for(30min);
    EXPECT_EQ(warnings()[0].outcome, WarningOutcome::averted);
    EXPECT_EQ(warnings()[0].incident, all[0].id.str());
    EXPECT_EQ(incidents()[0].outcome, Outcome::remediated);
    loop->run_for(3h);
    EXPECT_EQ(warnings().size(), 1U) << "it must not come again and again";

    const auto listed = get("/api/v1/warnings");
    ASSERT_GE(json::array_at(listed, "items").size(), 1U);
    EXPECT_EQ(json::array_at(get("/api/v1/warnings", "vic"), "items").size(), 0U) << "another cluster's viewer";
    EXPECT_EQ(json::array_at(get("/api/v1/warnings?outcome=averted", "vera"), "items").size(), 1U);
    get("/api/v1/warnings?outcome=maybe", "ada", 400);
    const auto id = std::string(json::string_at(listed, "items", 0, "pattern", "id"));
    const auto one = get("/api/v1/patterns/" + id);
    EXPECT_EQ(json::string_at(one, "kind"), "forecast");
    EXPECT_GE(json::array_at(one, "warnings").size(), 1U);
    get("/api/v1/patterns/" + id, "vic", 404);
    get("/api/v1/patterns/nobody", "ada", 404);
    get("/api/v1/patterns?kind=magic", "ada", 400);
    EXPECT_GE(json::array_at(get("/api/v1/analyzers"), "items").size(), 9U);
    EXPECT_NE(metrics.text().find("kubernaut_early_warnings_total{cluster=\"eu1\",kind=\"forecast\",result=\"raised\"}"), std::string::npos);
}

TEST_F(HubPatterns, ARecurringFailureIsAnnouncedWatchedAndEndsWithItsWindow) {
    options.patterns.least_confidence = 0.4;
    // A month of nights in which the workload ran out of memory at eleven.
    const Instant tonight = parse_rfc3339("2026-03-02T11:00:00Z").value();
    SeededRandom noise(3);
    for (int night = 1; night <= 29; ++night) {
        Incident incident;
        incident.opened_at = tonight - night * Duration{24h} + Duration{static_cast<std::int64_t>(noise.unit() * 600'000)};
        incident.id = IncidentId(make_id("inc_", incident.opened_at, random));
        incident.cluster = ClusterId("eu1");
        incident.target.key = {incident.cluster, "books", "StatefulSet", "apps", "ledger"};
        incident.correlation_key = "night" + std::to_string(night);
        incident.fault_class = "oom.limit_too_low";
        incident.state = IncidentState::resolved;
        incident.updated_at = incident.next_look_at = incident.opened_at;
        incident.closed_at = incident.opened_at + 5min;
        ASSERT_TRUE(run(stores->ports().incidents.commit({.incidents = {incident}}, soon())));
    }
    start();
    auto scenario = sim::Scenario::parse(volume_yaml, 1).value();
    ASSERT_TRUE(run(scenario.deploy(cluster->stage(), loop->clock().deadline_in(10min))));
    loop->run_for(parse_rfc3339("2026-03-02T10:45:00Z").value() - loop->clock().now());
    auto raised = warnings();
    ASSERT_EQ(raised.size(), 1U);
    EXPECT_EQ(raised[0].name, "RecurrenceExpected");
    EXPECT_EQ(raised[0].target, "eu1/books/StatefulSet.apps/ledger");
    const auto mine = [&] {
        Incident found;
        for (const auto& incident : incidents())
            if (incident.id.str() == warnings().at(0).incident) found = incident;
        return found;
    };
    loop->run_for(20min);
    EXPECT_EQ(mine().state, IncidentState::held);
    EXPECT_EQ(mine().state_reason, "forecast");
    EXPECT_FALSE(mine().execution) << "a forecast alone must not start anything";
    EXPECT_TRUE(seen("early_warning"));
    EXPECT_FALSE(seen("incident_escalated"));
    loop->run_for(3h);
    EXPECT_EQ(warnings()[0].outcome, WarningOutcome::false_alarm) << warnings()[0].note;
    EXPECT_EQ(mine().state, IncidentState::resolved);
    EXPECT_EQ(mine().outcome, Outcome::no_action_required);
    EXPECT_FALSE(mine().execution);
}

}  // namespace
}  // namespace kn::component
