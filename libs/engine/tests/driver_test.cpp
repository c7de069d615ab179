#include <gtest/gtest.h>

#include <chrono>

#include "kubernaut/base/log.hpp"
#include "world.hpp"

using namespace kn;
using namespace kn::engine;
using namespace kn::engine::test;
using enum ExecutionState;

namespace {

const char* const ten = R"(
steps:
  - {id: s0, action: act, with: {value: s0}}
  - {id: s1, action: act, with: {value: s1}}
  - {id: s2, action: act, with: {value: s2}}
  - {id: s3, action: act, with: {value: s3}}
  - {id: s4, action: act, with: {value: s4}}
  - {id: s5, action: act, with: {value: s5}}
  - {id: s6, action: act, with: {value: s6}}
  - {id: s7, action: act, with: {value: s7}}
  - {id: s8, action: act, with: {value: s8}}
  - {id: s9, action: act, with: {value: s9}}
)";

const char* const mixed = R"(
steps:
  - {id: a, action: act, with: {value: a}}
  - id: both
    kind: parallel
    branches: [[{id: l, action: act, with: {value: l}}], [{id: r, action: oneway, with: {value: r}}]]
  - id: each
    kind: loop
    for_each: "['x', 'y']"
    body: [{id: item, action: act, with: {value: "${ vars.item }"}}]
  - {id: w, kind: wait, duration: 2m}
  - {id: z, action: act, with: {value: z}}
)";

struct World {
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(t0);
    Tables tables;
    FakeCluster cluster;
    std::vector<std::unique_ptr<Worker>> workers;  // before the loop ends, after it does not run any more

    Worker& worker(std::string name, std::uint64_t seed = 1, EngineOptions options = {}) {
        workers.push_back(std::make_unique<Worker>(*loop, tables, cluster, std::move(name), seed, std::move(options)));
        return *workers.back();
    }
    void put(Execution execution) {
        const std::string id = execution.id.str();  // the right side of an assignment is evaluated first
        tables.executions[id] = {.execution = std::move(execution), .steps = {}};
    }
    const Execution& first() const { return tables.executions.begin()->second.execution; }
    bool all_ended() const {
        return std::ranges::all_of(
            tables.executions, [this](const auto& entry) { return is_terminal(entry.second.execution.state) || tables.dead.contains(entry.first); });
    }
    bool run(Duration limit = std::chrono::hours{2}) {
        const Instant end = loop->clock().now() + limit;
        return loop->run_until([&] { return all_ended() || loop->clock().now() > end; }, limit) && all_ended();
    }
};

}  // namespace

TEST(EngineDriver, CarriesAnExecutionToItsEndAndStoresTheStory) {
    World w;
    w.put(make_execution(mixed));
    Worker& worker = w.worker("w1");
    worker.driver->start();
    ASSERT_TRUE(w.run());
    EXPECT_EQ(w.first().state, succeeded) << w.first().error;
    EXPECT_EQ(w.cluster.effects, (std::map<std::string, int>{{"a", 1}, {"l", 1}, {"r", 1}, {"x", 1}, {"y", 1}, {"z", 1}}));
    EXPECT_EQ(w.cluster.dry_runs, 6) << "every change was rehearsed by the server first";
    EXPECT_TRUE(w.tables.broken.empty()) << w.tables.broken.front();
    EXPECT_EQ(w.tables.locks_released.begin()->second, 1);
    ASSERT_EQ(w.tables.assessments.size(), 1U);
    EXPECT_GE(w.tables.assessments[0].due_at, *w.first().finished_at + 2min);
    EXPECT_EQ(w.tables.actions.size(), 6U);
    EXPECT_GE(w.tables.audit.size(), 7U);
    EXPECT_EQ(worker.notifier.kinds(), std::vector<std::string>{"execution_done"});
    w.loop->block_on(worker.driver->stop());
}

TEST(EngineDriver, SharesOneCommitBetweenAnOutcomeAndTheNextIntent) {
    World w;
    w.put(make_execution(ten));
    Worker& worker = w.worker("w1");
    worker.driver->start();
    ASSERT_TRUE(w.run());
    EXPECT_EQ(w.first().state, succeeded);
    EXPECT_EQ(w.tables.commits, 11) << "ten intents and the end";
    w.loop->block_on(worker.driver->stop());
}

TEST(EngineDriver, LongWaitsGoBackToTheStoreAndAnotherWorkerMayTakeThem) {
    World w;
    w.put(make_execution("timeout: 10h\nsteps:\n  - {id: w, kind: wait, duration: 2h}\n  - {id: a, action: act, with: {value: a}}\n"));
    Worker& one = w.worker("w1");
    one.driver->start();
    w.loop->run_for(1min);
    EXPECT_EQ(one.driver->stats().resident, 0U) << "parked";
    w.loop->block_on(one.driver->stop());
    Worker& two = w.worker("w2", 2);
    two.driver->start();
    ASSERT_TRUE(w.run(std::chrono::hours{5}));
    EXPECT_EQ(w.first().state, succeeded);
    EXPECT_GE(*w.first().finished_at - t0, 2h) << "never early";
    EXPECT_LE(*w.first().finished_at - t0, 2h + 2s) << "and hardly late";
    w.loop->block_on(two.driver->stop());
}

TEST(EngineDriver, SignalsAndCancellationsReachItWithinSeconds) {
    World w;
    Execution signalled = make_execution("steps:\n  - {id: s, signal: go, timeout: 20m}\n", derive_id("exe_", t0, {"1"}));
    Execution stopped = make_execution("steps:\n  - {id: s, kind: wait, duration: 20s}\n  - {id: a, action: act}\n", derive_id("exe_", t0, {"2"}));
    w.put(signalled);
    w.put(stopped);
    Worker& worker = w.worker("w1");
    worker.driver->start();
    w.loop->run_for(5s);
    ASSERT_TRUE(w.loop->block_on(worker.store.send_signal(signalled.id, "go", nullptr, w.loop->clock().now(), Deadline::never())));
    ASSERT_TRUE(w.loop->block_on(worker.store.request_cancel(stopped.id, "ann", w.loop->clock().now(), Deadline::never())));
    worker.wakeups.executions.notify();
    w.loop->run_for(3s);
    EXPECT_EQ(w.tables.executions[signalled.id.str()].execution.state, succeeded);
    EXPECT_EQ(w.tables.executions[stopped.id.str()].execution.state, cancelled);
    w.loop->block_on(worker.driver->stop());
}

TEST(EngineDriver, AStoreThatIsAwayForAMomentCostsNothing) {
    World w;
    w.put(make_execution(ten));
    Worker& worker = w.worker("w1");
    worker.store.failures = 5;
    worker.driver->start();
    ASSERT_TRUE(w.run());
    EXPECT_EQ(w.first().state, succeeded);
    for (const auto& [value, count] : w.cluster.effects) EXPECT_EQ(count, 1) << value;
    w.loop->block_on(worker.driver->stop());
}

TEST(EngineDriver, TheGuardHasTheLastWord) {
    World w;
    w.put(make_execution("steps:\n  - {id: a, action: act, with: {value: a}}\n"));
    Worker& worker = w.worker("w1");
    worker.guard.holds = 3;
    worker.driver->start();
    ASSERT_TRUE(w.run());
    EXPECT_EQ(w.first().state, succeeded);
    EXPECT_GE(*w.first().finished_at - t0, 60s);
    w.loop->block_on(worker.driver->stop());
    World denied;
    denied.put(make_execution("steps:\n  - {id: a, action: act, with: {value: a}}\n"));
    Worker& no = denied.worker("w1");
    no.guard.deny = "human_change";
    no.driver->start();
    ASSERT_TRUE(denied.run());
    EXPECT_EQ(denied.first().state, failed);
    EXPECT_TRUE(denied.cluster.effects.empty());
    denied.loop->block_on(no.driver->stop());
}

TEST(EngineDriver, WaitsForAnObjectBeyondItsTargetThatAnotherExecutionHolds) {
    World w;
    w.put(make_execution("steps: [{id: a, action: act, with: {value: a}}]"));
    w.cluster.writes = {"eu1/shop/ConfigMap/settings"};
    w.tables.held_by_others = {"eu1/shop/ConfigMap/settings"};
    w.worker("w1").driver->start();
    w.loop->run_for(4s);
    EXPECT_EQ(w.cluster.effects["a"], 0) << "nothing is written while it is held";
    w.tables.held_by_others.clear();
    ASSERT_TRUE(w.run());
    EXPECT_EQ(w.first().state, succeeded) << w.first().error;
    EXPECT_EQ(w.cluster.effects["a"], 1);
}

TEST(EngineDriver, ALostEpochEndsTheWorkAtOnce) {
    World w;
    w.put(make_execution(mixed));
    Worker& worker = w.worker("w1");
    w.cluster.not_yet = 1'000;
    worker.driver->start();
    w.loop->run_for(2s);
    ++w.tables.executions.begin()->second.execution.epoch;
    w.tables.executions.begin()->second.execution.owner = "somebody";
    w.loop->run_for(10s);
    EXPECT_EQ(worker.driver->stats().resident, 0U);
    EXPECT_EQ(worker.driver->stats().dropped, 1U);
    EXPECT_EQ(w.cluster.effects.size(), 1U) << "nothing more was done";
    w.loop->block_on(worker.driver->stop());
}

TEST(EngineDriver, RunsManyAtOnceWithinItsSlots) {
    World w;
    for (int i = 0; i < 200; ++i) {
        w.put(make_execution("steps:\n  - {id: w, kind: wait, duration: 10s}\n  - {id: a, action: act, with: {value: \"${ incident.n }\"}}\n",
                             derive_id("exe_", t0, {std::to_string(i)})));
        auto& execution = w.tables.executions[derive_id("exe_", t0, {std::to_string(i)})].execution;
        execution.context["incident"] = json::Object{{"n", "e" + std::to_string(i)}};
    }
    Worker& worker = w.worker("w1", 1, {.slots = 16});
    worker.driver->start();
    ASSERT_TRUE(w.run());
    EXPECT_EQ(w.cluster.effects.size(), 200U);
    EXPECT_LE(w.loop->clock().now() - t0, 2min) << "waiting executions take no slot";
    w.loop->block_on(worker.driver->stop());
}

TEST(EngineDriver, AWorkflowThatKillsItsWorkersIsTakenOut) {
    World w;
    w.put(make_execution(ten));
    for (int i = 0; i < 6 && !w.all_ended(); ++i) {
        Worker& worker = w.worker("w" + std::to_string(i), static_cast<std::uint64_t>(i));
        worker.process.kill_at = 6;  // claimed, and dead before the first step ends
        worker.driver->start();
        w.loop->run_for(40s);
    }
    EXPECT_EQ(w.tables.dead.size(), 1U);
}

/// Killed at every point in turn and at random ones, with answers lost and refused: every effect happens exactly once and none is missing.
TEST(EngineDriverCrashes, EveryEffectHappensExactlyOnceWhereverItIsKilled) {
    constexpr std::uint64_t first_seed = 1'000;
    constexpr int runs = 10'000;
    log::configure(log::Level::off, log::Format::text);
    const auto begun = std::chrono::steady_clock::now();
    std::int64_t kills = 0, longest = 0;
    for (int i = 0; i < runs; ++i) {
        const std::uint64_t seed = first_seed + static_cast<std::uint64_t>(i);
        SCOPED_TRACE(::testing::Message() << "seed " << seed);
        SeededRandom random(seed);
        World w;
        w.cluster.lose_answer = i % 3 == 0 ? 0.2 : 0;
        w.cluster.refuse = i % 5 == 0 ? 0.1 : 0;
        w.put(make_execution(i % 2 == 0 ? mixed : ten));
        for (int worker_number = 0; worker_number < 40 && !w.all_ended(); ++worker_number) {
            Worker& worker = w.worker("w" + std::to_string(worker_number), random.next(), {.look_every = 5s});
            // The first kill walks through all points; later ones are anywhere. After a few the worker may live.
            if (worker_number == 0)
                worker.process.kill_at = 1 + i / 2 % 90;
            else if (worker_number < 3)
                worker.process.kill_at = 8 + static_cast<std::int64_t>(random.next() % 60);
            worker.driver->start();
            const Instant end = w.loop->clock().now() + 30min;
            w.loop->run_until([&] { return w.all_ended() || worker.process.dead || w.loop->clock().now() > end; }, 30min);
            if (worker.process.dead) ++kills;
            longest = std::max(longest, worker.process.points);
        }
        ASSERT_TRUE(w.all_ended());
        ASSERT_TRUE(w.tables.broken.empty()) << w.tables.broken.front();
        // Refused as often as it may be tried: ends another way, but still nothing happens twice.
        const bool given_up = w.cluster.refuse > 0 && w.first().state != succeeded;
        if (w.tables.dead.empty() && !given_up) {
            ASSERT_EQ(w.first().state, succeeded) << w.first().error;
            ASSERT_EQ(w.cluster.effects.size(), i % 2 == 0 ? 6U : 10U);
            ASSERT_EQ(w.tables.assessments.size(), 1U);
        }
        for (const auto& [value, count] : w.cluster.effects) ASSERT_EQ(count, 1) << value;
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count();
    std::printf("%d runs, %lld kills, up to %lld points in one process, %lld ms\n", runs, static_cast<long long>(kills),
                static_cast<long long>(longest), static_cast<long long>(took));
    EXPECT_GT(kills, runs / 2);
}

TEST(EngineDriverBench, TenStepsThatDoNothing) {
    constexpr int executions = 200;
    World w;
    for (int i = 0; i < executions; ++i) w.put(make_execution(ten, derive_id("exe_", t0, {std::to_string(i)})));
    Worker& worker = w.worker("w1");
    const auto begun = std::chrono::steady_clock::now();
    worker.driver->start();
    ASSERT_TRUE(w.run());
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count();
    std::printf("%.2f ms of engine time for a workflow of 10 steps (store in memory)\n", ms / executions);
    EXPECT_LT(ms / executions, 200.0);
    w.loop->block_on(worker.driver->stop());
}
