#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/patterns/discovery/engine.hpp"

namespace kn::patterns {
namespace {

const Instant begin = *parse_rfc3339("2026-01-05T00:00:00Z");  // a Monday
Instant after(double seconds) { return begin + Duration(static_cast<std::int64_t>(seconds * 1000)); }
constexpr double hour = 3600, day = 86'400;

void add_incident(History& history, double at, const std::string& fault, const std::string& subject, const std::string& cluster = "prod") {
    history.incidents.push_back({.id = "i" + std::to_string(history.incidents.size()),
                                 .cluster = cluster,
                                 .environment = "production",
                                 .fault_class = fault,
                                 .subject = subject,
                                 .opened = after(at)});
}

/// Eight weeks with a planted nightly failure, a weekly one, a burst, a chain, a family and a drift, among noise.
History planted(std::uint64_t seed) {
    analytics::Rng random(seed);
    History h;
    for (int d = 0; d < 56; ++d) {
        if (d % 9 != 4) add_incident(h, d * day + 2.25 * hour + 300 * random.normal(), "job.failed", "batch/CronJob/export");
        if (d % 7 == 3) add_incident(h, d * day + 14 * hour + 600 * random.normal(), "oom.limit", "shop/Deployment/report");
    }
    for (int i = 0; i < 60; ++i) add_incident(h, 56 * day * random.uniform(), "image.pull", "shop/Deployment/web");
    for (int i = 0; i < 12; ++i) add_incident(h, 30 * day + 1200 * random.uniform(), "image.pull", "shop/Deployment/web");
    for (int i = 0; i < 25; ++i) {
        const double at = 56 * day * random.uniform();
        add_incident(h, at, "node.notready", "node/n" + std::to_string(i));
        if (random.uniform() < 0.8)
            add_incident(h, at + 120 + 400 * random.uniform(), "pod.unschedulable", "shop/Deployment/d" + std::to_string(i % 5));
    }
    for (int i = 0; i < 300; ++i) {
        const bool spot = i % 3 == 0, restart = random.uniform() < 0.5;
        const double good = spot ? (restart ? 0.2 : 0.95) : (restart ? 0.9 : 0.6);
        h.executions.push_back({.id = "e" + std::to_string(i),
                                .cluster = "prod",
                                .environment = "production",
                                .workflow = restart ? "graceful-restart" : "move-to-on-demand",
                                .fault_class = "oom.limit",
                                .subject = "shop/Deployment/web",
                                .started = after(56 * day * i / 300),
                                .seconds = (restart ? 40 : 90) * (i > 220 && restart ? 2.0 : 1) * (1 + 0.1 * random.normal()),
                                .succeeded = random.uniform() < good,
                                .failed_step = {},
                                .traits = {{"pool", spot ? "spot-a" : "standard"}},
                                .numbers = {{"memory share", (spot ? 0.95 : 0.4) + 0.03 * random.normal()}}});
    }
    SeriesRow disk{.name = "pvc/shop/data used %", .cluster = "prod", .environment = "production", .times = {}, .values = {}, .limit = 95};
    SeriesRow load{.name = "requests", .cluster = "prod", .environment = "production", .times = {}, .values = {}};
    for (int i = 0; i < 24 * 56; ++i) {
        disk.times.push_back(static_cast<double>(to_millis(begin)) / 1000 + i * hour);
        load.times.push_back(disk.times.back());
        disk.values.push_back(20 + 0.054 * i + 0.3 * random.normal());
        load.values.push_back(100 + 40 * std::sin(2 * M_PI * i / 24) + 5 * random.normal());
    }
    h.series = {disk, load};
    return h;
}

SteadyTime no_time() { return SteadyTime{}; }

const Pattern* find(const std::vector<Pattern>& all, PatternKind kind, std::string_view part) {
    for (const auto& one : all)
        if (one.kind == kind && one.claim.find(part) != std::string::npos) return &one;
    return nullptr;
}

TEST(Discovery, FindsWhatWasPlanted) {
    const History history = planted(1);
    DiscoveryEngine engine({}, no_time);
    const auto found = engine.run(history, after(56 * day));
    for (const auto& report : found.analyzers) EXPECT_EQ(report.error, "") << report.name;
    const auto* nightly = find(found.patterns, PatternKind::recurrence, "job.failed");
    ASSERT_NE(nightly, nullptr);
    EXPECT_NE(nightly->claim.find("daily around 02:1"), std::string::npos) << nightly->claim;
    EXPECT_LE(nightly->next_expected->from, after(56 * day + 2.25 * hour));
    EXPECT_GE(nightly->next_expected->to, after(56 * day + 2.25 * hour));
    const auto* weekly = find(found.patterns, PatternKind::recurrence, "oom.limit");
    ASSERT_NE(weekly, nullptr);
    EXPECT_NE(weekly->claim.find("weekly around Thursday"), std::string::npos) << weekly->claim;
    EXPECT_NE(find(found.patterns, PatternKind::burst, "image.pull"), nullptr);
    EXPECT_NE(find(found.patterns, PatternKind::chain, "node.notready is followed by pod.unschedulable"), nullptr);
    EXPECT_EQ(find(found.patterns, PatternKind::chain, "pod.unschedulable is followed"), nullptr);
    const auto* spot = find(found.patterns, PatternKind::family, "spot-a");
    ASSERT_NE(spot, nullptr);
    EXPECT_NE(spot->claim.find("move-to-on-demand worked"), std::string::npos) << spot->claim;
    const auto* slower = find(found.patterns, PatternKind::duration, "graceful-restart takes longer");
    EXPECT_NE(slower, nullptr);
    EXPECT_NE(find(found.patterns, PatternKind::trend, "pvc/shop/data used % rises"), nullptr);
    EXPECT_NE(find(found.patterns, PatternKind::season, "requests repeats daily"), nullptr);
    for (const auto& one : found.patterns) {
        EXPECT_EQ(one.status, PatternStatus::candidate);
        EXPECT_EQ(one.id.size(), 16U);
        EXPECT_GE(one.confidence, 0);
        EXPECT_LE(one.confidence, 1);
        EXPECT_TRUE(json::parse(json::dump(to_json(one))));
    }
}

TEST(Discovery, ConfirmsKeepsAndRetires) {
    History history = planted(2);
    DiscoveryEngine engine({}, no_time);
    (void)engine.run(history, after(50 * day));
    const auto second = engine.run(history, after(56 * day));
    const auto* nightly = find(second.patterns, PatternKind::recurrence, "job.failed");
    ASSERT_NE(nightly, nullptr);
    EXPECT_EQ(nightly->status, PatternStatus::active);
    EXPECT_GT(nightly->confidence, 0.3);
    // The job was mended: nothing for months.
    std::erase_if(history.incidents, [](const IncidentRow& row) { return row.fault_class == "job.failed"; });
    Discovery last;
    for (int run = 0; run < 4; ++run) last = engine.run(history, after((57 + run) * day));
    EXPECT_EQ(find(last.patterns, PatternKind::recurrence, "job.failed")->status, PatternStatus::retired);
}

TEST(Discovery, GivesTheSameAnswerForTheSameRows) {
    History history = planted(3);
    const auto text_of = [](const Discovery& d) {
        std::string all;
        for (const auto& one : d.patterns) all += json::canonical(to_json(one)) + "\n";
        return all;
    };
    const std::string first = text_of(DiscoveryEngine({}, no_time).run(history, after(56 * day)));
    std::mt19937 random(5);
    std::shuffle(history.incidents.begin(), history.incidents.end(), random);
    EXPECT_EQ(first, text_of(DiscoveryEngine({}, no_time).run(history, after(56 * day))));
}

/// The same rows with times and outcomes drawn at random: there is nothing to be found.
TEST(Discovery, FindsAlmostNothingInShuffledHistories) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::size_t found = 0, asked = 0;
    std::string what;
    for (std::uint64_t round = 0; round < 40; ++round) {
        analytics::Rng random(seed + round);
        History h;
        for (int i = 0; i < 400; ++i)
            add_incident(h, 56 * day * random.uniform(), "class-" + std::to_string(random.below(6)),
                         "shop/Deployment/d" + std::to_string(random.below(4)), random.below(2) == 0 ? "a" : "b");
        for (int i = 0; i < 240; ++i)
            h.executions.push_back({.id = "e" + std::to_string(i),
                                    .cluster = "a",
                                    .environment = "production",
                                    .workflow = "w" + std::to_string(random.below(4)),
                                    .fault_class = "class-" + std::to_string(random.below(3)),
                                    .subject = "s",
                                    .started = after(56 * day * random.uniform()),
                                    .seconds = 60 * std::exp(0.4 * random.normal()),
                                    .succeeded = random.uniform() < 0.7,
                                    .failed_step = {},
                                    .traits = {{"pool", "p" + std::to_string(random.below(3))}},
                                    .numbers = {{"memory", random.normal()}, {"cpu", random.normal()}}});
        const Question question{.history = h, .now = after(56 * day)};
        asked += 48 * 3 + 48 + 60 + 4;  // subjects by cycles, bursts, pairs of classes, workflows
        for (const auto analyzer : {find_recurrences, find_bursts, find_chains, find_duration_drifts})
            for (const auto& one : *analyzer(question)) ++found, what += one.claim + "\n";
    }
    EXPECT_LE(static_cast<double>(found), 0.01 * static_cast<double>(asked)) << what;
    EXPECT_LE(found, 8U) << what;  // by run of an analyzer: 160 runs at a false discovery rate of 1 %
}

TEST(Discovery, CutsOffAFailingAnalyzerAndGoesOnWithCounts) {
    int calls = 0;
    EngineOptions options;
    options.analyzers["quiet"] = {.flag = Flag::shadow};
    const auto failing = [&calls](const Question&) -> Found {
        ++calls;
        return fail(ErrorCode::internal, "broken");
    };
    const auto quiet = [](const Question&) -> Found {
        Pattern p;
        p.id = "0123456789abcdef";
        p.provenance.analyzer = "quiet";
        return std::vector<Pattern>{p};
    };
    DiscoveryEngine engine(options, no_time, {{"bad", failing}, {"quiet", quiet}});
    const History history = planted(4);
    Discovery found;
    for (int run = 0; run < 6; ++run) found = engine.run(history, after(56 * day + 60 * run));
    // After three failures nobody asks.
    EXPECT_EQ(calls, 3);
    EXPECT_TRUE(found.analyzers[0].basic);
    ASSERT_NE(find(found.patterns, PatternKind::rate, "job.failed"), nullptr);
    EXPECT_TRUE(find(found.patterns, PatternKind::rate, "job.failed")->provenance.basic);
    EXPECT_EQ(found.shadow.size(), 1U);
    (void)engine.run(history, after(56 * day + 700));
    EXPECT_EQ(calls, 3);
    (void)engine.run(history, after(56 * day + 60 * 2 + 601));
    EXPECT_EQ(calls, 4);
}

TEST(Calibration, LearnsHowFarToTrustAStrength) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    analytics::Rng random(seed);
    Calibration calibration;
    EXPECT_EQ(calibration.confidence(0.9), 0);
    for (int i = 0; i < 3000; ++i) {
        const double raw = random.uniform();
        calibration.add(raw, random.uniform() < raw * raw);
        if (i == 50) EXPECT_FALSE(calibration.calibrated());
    }
    EXPECT_TRUE(calibration.calibrated());
    EXPECT_NEAR(calibration.confidence(0.9), 0.81, 0.12);
    EXPECT_NEAR(calibration.confidence(0.3), 0.09, 0.1);
    EXPECT_LT(calibration.expected_calibration_error(), 0.05);
    double last = 0;
    for (double raw = 0; raw <= 1; raw += 0.01) {
        EXPECT_GE(calibration.confidence(raw), last);
        last = calibration.confidence(raw);
    }
    EXPECT_NEAR(wilson_lower(10, 10), 0.787, 0.01);
    EXPECT_EQ(wilson_lower(0, 0), 0);
}

}  // namespace
}  // namespace kn::patterns
