// The scenario files, played on simulated clusters: is what the product would decide what is right? Everything but the actions is real: fleet, watches,
// change recorder, store, evidence, classifier, planner.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "kubernaut/actions/registry.hpp"
#include "kubernaut/catalog/catalog.hpp"
#include "kubernaut/decision/correlator.hpp"
#include "kubernaut/decision/incident_driver.hpp"
#include "kubernaut/fleet/fleet.hpp"
#include "kubernaut/intake/parse.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/sim/scenario/scenario.hpp"
#include "kubernaut/store/open_store.hpp"
#include "kubernaut/testing/recording_notifier.hpp"
#include "world.hpp"

namespace kn::decision::testing {
namespace {

class Generator final : public ports::MetricsSource {
public:
    explicit Generator(std::shared_ptr<sim::Metrics> metrics) : metrics_(std::move(metrics)) {}
    async::Task<Result<std::vector<ports::Series>>> range(const ClusterId&, std::string promql, Instant from, Instant to, Duration step,
                                                          Deadline) override {
        const auto brace = promql.find('{');
        const auto end = promql.find('}');
        if (brace == std::string::npos || promql.find('(') != std::string::npos) co_return fail(ErrorCode::unimplemented, "not a plain selector");
        sim::Labels labels;
        std::string_view rest = std::string_view{promql}.substr(brace + 1, end - brace - 1);
        while (!rest.empty()) {
            const auto equals = rest.find("=\"");
            const auto close = rest.find('"', equals + 2);
            labels[std::string{rest.substr(0, equals)}] = rest.substr(equals + 2, close - equals - 2);
            rest.remove_prefix(std::min(close + 2, rest.size()));
        }
        auto found = metrics_->query(promql.substr(0, brace), labels, from, to, step);
        if (!found) co_return std::unexpected(found.error());
        std::vector<ports::Series> out;
        for (const auto& each : *found) {
            ports::Series series;
            for (const auto& [k, v] : each.labels) series.labels.emplace_back(k, v);
            for (const auto& s : each.samples) series.samples.push_back({s.at, s.value});
            out.push_back(std::move(series));
        }
        co_return out;
    }

private:
    std::shared_ptr<sim::Metrics> metrics_;
};

struct Bed {
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(noon);
    SeededRandom random;
    sim::SimCluster cluster;
    std::unique_ptr<sql::SqlStores> stores;
    ports::LiveFeed feed;
    metrics::Registry metrics;
    kn::testing::RecordingNotifier notifier;
    std::unique_ptr<fleet::Fleet> fleet;

    explicit Bed(std::uint64_t seed) : random(seed), cluster(*loop, random, {.name = "eu1"}) {
        if (auto started = loop->block_on(cluster.start()); !started) throw std::runtime_error(started.error().describe());
        auto opened = open_store("sqlite::memory:", {}, *loop);
        if (!opened) throw std::runtime_error(opened.error().describe());
        stores = *std::move(opened);
        fleet = std::make_unique<fleet::Fleet>(*loop, random, stores->ports().registry, notifier, feed, metrics, fleet::FleetOptions{});
        ClusterRecord record;
        record.id = ClusterId{"eu1"};
        record.environment = Environment::staging;
        (void)fleet->add({record, cluster.transport(), cluster.transport()});
        (void)loop->block_on(fleet->start());
    }
    ~Bed() {
        fleet->stop();
        loop->block_on(fleet->join());
        cluster.stop();
        loop->block_on(cluster.join());
    }
};

class Scenarios : public ::testing::TestWithParam<std::string> {};

TEST_P(Scenarios, AreTakenForWhatTheyAre) {
    const auto* file = sim::find_scenario(GetParam());
    ASSERT_NE(file, nullptr);
    const auto* seed_text = std::getenv("KN_SEED");
    const std::uint64_t seed = seed_text == nullptr ? 11 : std::strtoull(seed_text, nullptr, 10);
    auto scenario = sim::Scenario::parse(file->text, seed);
    ASSERT_TRUE(scenario) << scenario.error().describe();
    Bed bed(seed);
    auto& loop = *bed.loop;
    const auto stage = bed.cluster.stage();
    ASSERT_TRUE(loop.block_on(scenario->deploy(stage, loop.clock().deadline_in(1h))));
    ASSERT_TRUE(loop.block_on(scenario->inject(stage, loop.clock().deadline_in(3h))));
    loop.run_for(90s);
    // Files write "Kind.group/ns/name", and "Kind/name" without namespace.
    const auto& target = scenario->target();
    const auto slash = target.find('/'), last_slash = target.rfind('/'), dot = target.substr(0, slash).find('.');
    ObjectKey named{ClusterId{"eu1"}, slash == last_slash ? "" : target.substr(slash + 1, last_slash - slash - 1),
                    target.substr(0, std::min(dot, slash)), dot == std::string::npos ? "" : target.substr(dot + 1, slash - dot - 1),
                    target.substr(last_slash + 1)};
    Generator generator(bed.cluster.metrics());
    DecisionOptions options;
    EvidenceCollector collector(loop.clock(), *bed.fleet, bed.stores->ports().registry, bed.stores->ports().incidents, &generator, options);
    const auto& tables = Tables::get();
    auto rules = catalog::Rules{.actions = actions::action_specs(), .fault_classes = tables.faults.names()};
    auto workflows = catalog::Catalog::builtin(rules);
    ASSERT_TRUE(workflows) << workflows.error().message;
    const Classifier classifier(tables.faults, tables.signals, options);
    const Planner planner(tables.faults, [&](std::string_view id) { return workflows->find(id); }, options);
    auto feed = scenario->alerts(stage);
    const auto& expect = scenario->expect();
    std::string last;
    // The evidence grows: looked at until it is told, at most as long as the product itself would look.
    for (int i = 0; i < 60; ++i) {
        std::vector<std::string> alerts;
        (void)loop.block_on(feed->evaluate(loop.clock().deadline_in(30s)));
        // What fires names its object as it would to the product; the owner of that has the trouble.
        std::optional<ObjectKey> key;
        for (const auto& alert : feed->firing()) {
            alerts.push_back(alert.name);
            const auto object = intake::object_of_labels(ClusterId{"eu1"}, alert.labels);
            if (!object || key) continue;
            auto owner = loop.block_on(resolve_owner(*bed.fleet, *object, loop.clock().deadline_in(30s)));
            if (owner && owner->resolution != Resolution::unresolved) key = owner->target.key;
        }
        // With several targets (a cascade) the one that is broken is looked at.
        if (!key || (key->kind == named.kind && !(*key == named))) key = named;
        auto snapshot = loop.block_on(collector.collect({.key = *key}, loop.clock().deadline_in(30s)));
        ASSERT_TRUE(snapshot) << snapshot.error().describe();
        PlanInput input;
        input.facts = facts_of(*snapshot, options);
        input.diagnosis = classifier.diagnose(input.facts, key->kind, alerts, snapshot->taken_at);
        input.target = snapshot->target;
        input.cluster = key->cluster;
        input.environment = Environment::staging;
        const auto result = planner.plan(input);
        last = input.diagnosis.fault_class + " → " + result.plan.workflow + " p=" + std::to_string(input.diagnosis.p) +
               " margin=" + std::to_string(input.diagnosis.margin) + " " + result.reason + "\n";
        for (const auto& c : input.diagnosis.candidates)
            last += "   " + c.fault_class + " " + std::to_string(c.p) + (c.excluded ? " out: " : " ") + c.why_not + "\n";
        for (const auto& a : result.plan.alternatives) last += "   not " + a.workflow + ": " + a.why_not + "\n";
        for (const auto& f : input.facts.list()) last += "     " + f.name + " = " + (f.state == Truth::unknown ? "?" : json::dump(f.value)) + "\n";
        const bool right = input.diagnosis.fault_class == expect.fault_class &&
                           (expect.workflows.empty() || std::ranges::find(expect.workflows, result.plan.workflow) != expect.workflows.end());
        const bool real = result.plan.workflow != "diagnose-and-notify";
        // Some are left alone by the guardrails, not by the plan.
        if (!expect.leave_alone) EXPECT_TRUE(std::ranges::find(expect.must_not, result.plan.workflow) == expect.must_not.end()) << last;
        if (right) {
            std::printf("%s: %s p=%.2f margin=%.2f → %s after %d s%s\n", GetParam().c_str(), input.diagnosis.fault_class.c_str(), input.diagnosis.p,
                        input.diagnosis.margin, result.plan.workflow.c_str(), 90 + i * 15, result.needs_approval ? " (asks)" : "");
            EXPECT_FALSE(result.needs_approval && real && !expect.needs_approval) << last;
            return;
        }
        ASSERT_FALSE(real && !expect.workflows.empty()) << "wrong plan\n" << last;
        loop.run_for(15s);
    }
    FAIL() << "expected " << expect.fault_class << ", last: " << last;
}

std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const auto& file : sim::builtin_scenarios()) out.emplace_back(file.file);
    return out;
}

INSTANTIATE_TEST_SUITE_P(Files, Scenarios, ::testing::ValuesIn(names()), [](const auto& info) {
    std::string name = info.param.substr(0, info.param.find('.'));
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace kn::decision::testing
