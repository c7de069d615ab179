// The job on made-up histories whose truth is known: what it finds, keeps, resumes, and that it stays well when analyzers do not.
#include <atomic>
#include <thread>

#include "bed.hpp"
#include "kubernaut/discovery/series_memory.hpp"

namespace kn::discovery {
namespace {

using DiscoveryJob = Bed;

TEST_F(DiscoveryJob, FindsARecurringFailureStoresItAndShowsItInTheMetrics) {
    nightly(40);
    move_to(40 * day);
    const auto job = make();
    const auto report = must(job->run_once());
    EXPECT_TRUE(report.led);
    EXPECT_EQ(report.incidents, 30U);  // those of the window
    const auto records = all({.cluster = "eu1"});
    const auto* nightly_one = find(records, PatternKind::recurrence);
    ASSERT_NE(nightly_one, nullptr);
    EXPECT_EQ(nightly_one->pattern.subject, "job.failed at shop/CronJob/export");
    EXPECT_NE(nightly_one->pattern.claim.find("daily around 02:1"), std::string::npos) << nightly_one->pattern.claim;
    ASSERT_TRUE(nightly_one->pattern.next_expected);
    EXPECT_LE(nightly_one->pattern.next_expected->from, monday + seconds(40 * day + 2.25 * hour));
    EXPECT_GE(nightly_one->pattern.next_expected->to, monday + seconds(40 * day + 2.25 * hour));
    EXPECT_FALSE(nightly_one->pattern.evidence.empty());
    EXPECT_EQ(metrics.gauge("kubernaut_patterns_active", "", {{"cluster", "eu1"}, {"kind", "recurrence"}}).value(), 1);
    EXPECT_EQ(metrics.gauge("kubernaut_analyzer_mode", "", {{"analyzer", "recurrence"}, {"mode", "on"}}).value(), 1);
}

TEST_F(DiscoveryJob, ReadsOnlyWhatIsNewAndWhatWasNotFinished) {
    filling("data", 10, 0.01);
    nightly(20);
    move_to(20 * day);
    const auto job = make();
    must(job->run_once());
    const auto first = curves.samples;
    EXPECT_GT(first, 30 * 48 - 10);
    loop->run_for(2h);
    (void)add_incident(20 * day + 1 * hour, "oom.leak", "Deployment", "web");
    const auto report = must(job->run_once());
    EXPECT_EQ(report.incidents, 21U);
    EXPECT_LT(curves.samples - first, 20) << "the whole window was asked for again";
    EXPECT_EQ(report.series, 1U);
}

TEST_F(DiscoveryJob, AnotherProcessGoesOnWhereThisOneStopped) {
    filling("data", 10, 0.02);
    nightly(30);
    move_to(30 * day);
    {
        const auto job = make("a");
        must(job->run_once());
        loop->run_for(1h);
        must(job->run_once());
    }
    const auto before = all();
    ASSERT_NE(find(before, PatternKind::recurrence), nullptr);
    EXPECT_EQ(find(before, PatternKind::recurrence)->runs, 2);
    const auto asked = curves.samples;
    loop->run_for(2h);  // the lead of the first has run out
    const auto job = make("b");
    const auto report = must(job->run_once());
    EXPECT_TRUE(report.led);
    EXPECT_EQ(report.series, 1U);
    EXPECT_LT(curves.samples - asked, 20) << "the past of the series was not resumed";
    const auto after = all();
    EXPECT_EQ(find(after, PatternKind::recurrence)->runs, 3);
    EXPECT_EQ(find(after, PatternKind::recurrence)->pattern.status, PatternStatus::active);
}

TEST_F(DiscoveryJob, OfTwoHubsOverOneStoreOneLeadsAndTheOtherStillAdvises) {
    nightly(10);
    move_to(10 * day);
    const auto a = make("a"), b = make("b");
    EXPECT_TRUE(must(a->run_once()).led);
    EXPECT_FALSE(must(b->run_once()).led);
    EXPECT_TRUE(must(a->run_once()).led);
}

TEST_F(DiscoveryJob, FindsNextToNothingInHistoriesThatHoldNothing) {
    const auto salt = new_seed();
    SCOPED_TRACE("KN_SEED=" + std::to_string(salt));
    std::size_t found = 0, asked = 0;
    std::string claims;
    for (int round = 0; round < 6; ++round) {
        analytics::Rng chance(salt + static_cast<std::uint64_t>(round));
        SetUp();
        gateway.all.resize(2);
        for (int i = 0; i < 250; ++i)
            (void)add_incident(28 * day * chance.uniform(), "class-" + std::to_string(chance.below(5)) + ".x", "Deployment",
                               "d" + std::to_string(chance.below(4)), chance.below(2) == 0 ? "eu1" : "us1");
        curves.curves.clear();
        for (int s = 0; s < 10; ++s) {
            const double phase = chance.uniform();
            curves.curves.push_back({"eu1", "capacity", "c" + std::to_string(s), [](Instant) { return 1000.0; }});
            curves.curves.push_back({"eu1", "used", "c" + std::to_string(s), [phase](Instant at) {
                                         SeededRandom noise(static_cast<std::uint64_t>(to_millis(at)) * 31 + static_cast<std::uint64_t>(phase * 1e9));
                                         double sum = 0;
                                         for (int k = 0; k < 6; ++k) sum += noise.unit();
                                         return 100 + 10 * (sum - 3);
                                     }});
        }
        move_to(28 * day);
        const auto job = make();
        must(job->run_once());
        // Subjects by cycles, bursts, pairs of classes, the same over the fleet, and four claims of each series.
        asked += 40 * 3 + 40 + 2 * 20 + 20 * 4 + 10 * 4;
        for (const auto& record : all())
            if (record.pattern.kind != PatternKind::rate) ++found, claims += record.pattern.claim + "\n";
        EXPECT_TRUE(warnings().empty());
        curves.curves.clear();
    }
    EXPECT_LE(static_cast<double>(found), 0.01 * static_cast<double>(asked)) << claims;
}

TEST_F(DiscoveryJob, AFailingAnalyzerIsCutOffAndCountsGoOnMarkedAsBasic) {
    nightly(30);
    move_to(30 * day);
    int calls = 0;
    auto analyzers = patterns::builtin_analyzers();
    for (auto& [name, analyzer] : analyzers)
        if (name == "chain")
            analyzer = [&calls](const patterns::Question&) -> patterns::Found {
                ++calls;
                return fail(ErrorCode::internal, "broken");
            };
    const auto job = make("a", analyzers);
    for (int run = 0; run < 5; ++run) {
        const auto report = must(job->run_once());
        EXPECT_TRUE(report.basic);
        loop->run_for(1min);
    }
    EXPECT_EQ(calls, 3);
    const auto records = all();
    ASSERT_NE(find(records, PatternKind::rate), nullptr);
    EXPECT_TRUE(find(records, PatternKind::rate)->pattern.provenance.basic);
    EXPECT_NE(find(records, PatternKind::recurrence), nullptr) << "the others must not suffer";
    EXPECT_EQ(metrics.gauge("kubernaut_analyzer_mode", "", {{"analyzer", "chain"}, {"mode", "basic"}}).value(), 1);
    EXPECT_EQ(metrics.counter("kubernaut_analyzer_failures_total", "", {{"analyzer", "chain"}}).value(), 5);
}

TEST_F(DiscoveryJob, WhatIsInShadowIsCheckedAndStoredButNotShown) {
    options.engine.analyzers["recurrence"] = {.flag = patterns::Flag::shadow};
    nightly(30);
    move_to(30 * day);
    const auto job = make();
    must(job->run_once());
    EXPECT_EQ(find(all(), PatternKind::recurrence), nullptr);
    EXPECT_NE(find(all({.shadow = true}), PatternKind::recurrence), nullptr);
}

TEST_F(DiscoveryJob, APrometheusThatIsDownCostsItsOwnNewsOnly) {
    filling("data", 10, 0.01);
    nightly(30);
    move_to(30 * day);
    curves.down = true;
    const auto job = make();
    must(job->run_once());
    EXPECT_NE(find(all(), PatternKind::recurrence), nullptr);
}

/// In real time, with threads: an analyzer that never looks at the clock must not hold the hub.
TEST(DiscoveryThreads, AStuckAnalyzerBlocksNeitherTheLoopNorTheCounting) {
    log::configure(log::Level::off, log::Format::text);
    const auto loop = async::EventLoop::real();
    const auto stores = open_store("sqlite::memory:", {}, *loop).value();
    SystemRandom random;
    SomeClusters gateway;
    metrics::Registry metrics;
    Incident incident;
    incident.id = IncidentId(make_id("inc_", loop->clock().now(), random));
    incident.cluster = ClusterId("eu1");
    incident.target.key = {incident.cluster, "shop", "Deployment", "apps", "web"};
    incident.fault_class = "oom.leak";
    incident.opened_at = incident.updated_at = incident.next_look_at = loop->clock().now() - 1h;
    ASSERT_TRUE(loop->block_on(stores->ports().incidents.commit({.incidents = {incident}}, loop->clock().deadline_in(5s))));
    std::atomic<bool> release{false};
    const auto stuck = [&release](const patterns::Question&) -> patterns::Found {
        while (!release.load()) std::this_thread::yield();
        return std::vector<Pattern>{};
    };
    DiscoveryOptions options;
    options.deadline = 100ms;
    Discoverer job({.loop = *loop,
                    .random = random,
                    .stores = stores->ports(),
                    .gateway = gateway,
                    .metrics = metrics,
                    .submit = [](std::vector<Signal>) -> async::Task<Result<>> { co_return Result<>{}; },
                    .object = {},
                    .watch = [] { return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now()); },
                    .threads = true,
                    .owner = "a"},
                   options, {{"stuck", stuck}});
    const auto first = loop->block_on(job.run_once());
    ASSERT_TRUE(first) << first.error().describe();
    EXPECT_TRUE(first->basic);
    EXPECT_EQ(first->patterns, 1U);  // the rate of oom.leak
    // While it is still stuck nobody asks it again.
    const auto second = loop->block_on(job.run_once());
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->basic);
    release.store(true);
    RunReport last;
    for (int i = 0; i < 1000 && last.analyzers.empty(); ++i) last = loop->block_on(job.run_once()).value();
    EXPECT_FALSE(last.analyzers.empty()) << "it never came back";
}

TEST(SeriesMemoryOfOneSeries, StaysSmallCoversTheWindowAndIsResumedByteForByte) {
    SeriesMemory memory(5min);
    double mean = 0;
    for (int i = 0; i < 12 * 24 * 30; ++i) {
        memory.add(monday + i * Duration{5min}, i);
        mean += i;
    }
    mean /= 12 * 24 * 30;
    EXPECT_LE(memory.size(), SeriesMemory::places);
    EXPECT_GE(memory.size(), SeriesMemory::places / 2 - 1);
    patterns::SeriesRow row;
    memory.fill(row);
    double kept = 0;
    for (const double value : row.values) kept += value;
    EXPECT_NEAR(kept / static_cast<double>(row.values.size()), mean, mean * 0.01);
    EXPECT_NEAR(row.times.front(), static_cast<double>(to_millis(monday)) / 1000, 40 * 60);  // a mean belongs to the middle of its place
    const auto bytes = memory.save();
    EXPECT_LT(bytes.size(), 16U * 1024);
    auto loaded = SeriesMemory::load(bytes);
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->save(), bytes);
    memory.add(monday + 31 * 24h, 7);
    loaded->add(monday + 31 * 24h, 7);
    EXPECT_EQ(loaded->save(), memory.save());
    memory.forget(monday + 10 * 24h);
    memory.fill(row);
    EXPECT_GE(row.times.front(), static_cast<double>(to_millis(monday + 10 * 24h)) / 1000 - 80 * 60);
    for (const auto& cut : {bytes.substr(0, 10), bytes + "x", std::string{}, std::string("garbage")}) EXPECT_FALSE(SeriesMemory::load(cut));
}

TEST(SeriesMemoryOfOneSeries, PassesOverRepeatsAndNotANumberAndToldAnomaliesOnce) {
    SeriesMemory memory(1min);
    analytics::Rng noise(3);
    for (int i = 0; i < 3000; ++i) {
        memory.add(monday + i * Duration{1min}, 100 + noise.normal());
        memory.add(monday + i * Duration{1min}, 1e9);  // not later: a query that overlaps
    }
    memory.add(monday + 3000 * Duration{1min}, std::nan(""));
    memory.add(monday + 3001 * Duration{1min}, 200);
    patterns::SeriesRow row;
    memory.fill(row);
    for (const double value : row.values) EXPECT_LT(value, 250);
    ASSERT_TRUE(row.odd);
    ASSERT_FALSE(row.odd->empty());
    EXPECT_EQ(row.odd->back().value, 200);
    EXPECT_LE(row.odd->size(), SeriesMemory::most_odd);
}

}  // namespace
}  // namespace kn::discovery
