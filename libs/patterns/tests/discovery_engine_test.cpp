#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/patterns/discovery/engine.hpp"

namespace kn::patterns {
namespace {

constexpr double hour = 3600, day = 86'400;
const Instant begin = *parse_rfc3339("2026-01-05T00:00:00Z");
Instant after(double seconds) { return begin + Duration(static_cast<std::int64_t>(seconds * 1000)); }

std::uint64_t seed() {
    const std::uint64_t value = std::random_device{}();
    ::testing::Test::RecordProperty("seed", static_cast<int>(value));
    return value;
}

void add(History& history, double at, const std::string& fault, const std::string& subject, const std::string& cluster) {
    history.incidents.push_back({.id = "i" + std::to_string(history.incidents.size()),
                                 .cluster = cluster,
                                 .environment = "prod",
                                 .fault_class = fault,
                                 .subject = subject,
                                 .opened = after(at)});
}

/// A job that fails every night, for so many days.
History nightly(int days, const std::string& cluster = "a", std::uint64_t salt = 1) {
    analytics::Rng random(salt);
    History h;
    for (int d = 0; d < days; ++d) add(h, d * day + 2 * hour + 200 * random.normal(), "job.failed", "batch/CronJob/export", cluster);
    return h;
}

SeriesRow filling(double per_hour, int hours, double limit) {
    SeriesRow row{.name = "disk", .cluster = "a", .environment = "prod", .times = {}, .values = {}, .limit = limit, .horizon = 4 * day};
    analytics::Rng random(7);
    for (int i = 0; i < hours; ++i) {
        row.times.push_back(static_cast<double>(to_millis(begin)) / 1000 + i * hour);
        row.values.push_back(10 + per_hour * i + 0.05 * random.normal());
    }
    return row;
}

SteadyTime no_time() { return SteadyTime{}; }

const PatternRecord* find(const std::vector<PatternRecord>& all, PatternKind kind) {
    const auto found = std::ranges::find(all, kind, [](const PatternRecord& r) { return r.pattern.kind; });
    return found == all.end() ? nullptr : &*found;
}

TEST(DiscoveryEngineState, GoesOnWhereAnotherProcessStopped) {
    const History history = nightly(40);
    DiscoveryEngine whole({}, no_time), first({}, no_time), second({}, no_time);
    for (int d = 30; d <= 40; ++d) (void)whole.run(history, after(d * day));
    for (int d = 30; d <= 35; ++d) (void)first.run(history, after(d * day));
    std::vector<PatternRecord> stored;
    for (const auto& record : first.records()) stored.push_back(*from_json<PatternRecord>(*json::parse(json::dump(to_json(record)))));
    ASSERT_TRUE(second.resume(stored, first.states()));
    for (int d = 36; d <= 40; ++d) (void)second.run(history, after(d * day));
    const auto a = whole.records(), b = second.records();
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].pattern.id, b[i].pattern.id);
        EXPECT_EQ(a[i].pattern.status, b[i].pattern.status);
        EXPECT_EQ(a[i].confirmed, b[i].confirmed);
        EXPECT_EQ(a[i].runs, b[i].runs);
        EXPECT_NEAR(a[i].pattern.confidence, b[i].pattern.confidence, 1e-5);
    }
}

TEST(DiscoveryEngineState, AnUnreadableStateCostsThatAnalyzerOnly) {
    DiscoveryEngine first({}, no_time), second({}, no_time);
    (void)first.run(nightly(40), after(40 * day));
    auto states = first.states();
    for (auto& [name, bytes] : states)
        if (name == "chain") bytes = "{broken";
    const auto resumed = second.resume(first.records(), states);
    ASSERT_FALSE(resumed);
    EXPECT_NE(resumed.error().message.find("chain"), std::string::npos);
    EXPECT_NE(find(second.records(), PatternKind::recurrence), nullptr);
}

TEST(DiscoveryEngineLife, IsNewThenConfirmedThenFadesAndIsRetired) {
    History history = nightly(40);
    DiscoveryEngine engine({}, no_time);
    const auto status = [&] { return find(engine.records(), PatternKind::recurrence)->pattern.status; };
    (void)engine.run(history, after(30 * day));
    EXPECT_EQ(status(), PatternStatus::candidate);
    (void)engine.run(history, after(31 * day));
    EXPECT_EQ(status(), PatternStatus::active);
    history.incidents.clear();  // the job was mended and its incidents have left the window
    (void)engine.run(history, after(41 * day));
    EXPECT_EQ(status(), PatternStatus::fading);
    for (int d = 42; d < 45; ++d) (void)engine.run(history, after(d * day));
    EXPECT_EQ(status(), PatternStatus::retired);
}

TEST(DiscoveryEngineLife, APredictionThatWasActedUponCountsNeitherForNorAgainstIt) {
    History history;
    history.series = {filling(0.5, 60, 50)};
    DiscoveryEngine engine({}, no_time), other({}, no_time);
    (void)engine.run(history, after(60 * hour));
    (void)other.run(history, after(60 * hour));
    const auto first = engine.records();
    const auto* forecast = find(first, PatternKind::forecast);
    ASSERT_NE(forecast, nullptr);
    ASSERT_TRUE(forecast->promised);
    const auto id = forecast->pattern.id;
    // The disk was made empty, and nothing is reached for days.
    for (int i = 60; i < 24 * 8; ++i) history.series[0].times.push_back(history.series[0].times.back() + hour), history.series[0].values.push_back(5);
    (void)engine.run(history, after(8 * day), {id});
    (void)other.run(history, after(8 * day));
    const auto acted = engine.records(), judged = other.records();
    EXPECT_EQ(find(acted, PatternKind::forecast)->refuted, 0);
    EXPECT_EQ(find(judged, PatternKind::forecast)->refuted, 1);
}

TEST(DiscoveryEngineBreaker, ASlowAnalyzerIsStoppedInItsWorkAndCountsGoOn) {
    SteadyTime clock{};
    EngineOptions options;
    options.time_limit = 100ms;
    const auto slow = [&](const Question& q) -> Found {
        for (int i = 0; i < 1000; ++i) {
            clock += 10ms;
            KN_CHECK(in_time(q));
        }
        ADD_FAILURE() << "nobody stopped it";
        return std::vector<Pattern>{};
    };
    DiscoveryEngine engine(options, [&] { return clock; }, {{"slow", slow}});
    const auto found = engine.run(nightly(10), after(10 * day));
    EXPECT_TRUE(found.basic);
    EXPECT_TRUE(found.analyzers[0].basic);
    EXPECT_NE(found.analyzers[0].error.find("deadline"), std::string::npos) << found.analyzers[0].error;
    EXPECT_LT(found.analyzers[0].seconds, 0.2);
    ASSERT_EQ(found.patterns.size(), 1U);
    EXPECT_TRUE(found.patterns[0].provenance.basic);
    EXPECT_EQ(found.patterns[0].kind, PatternKind::rate);
}

TEST(DiscoveryFleet, FindsWhatClustersShareAndNotWhatOneHasAlone) {
    const auto salt = seed();
    SCOPED_TRACE("seed " + std::to_string(salt));
    analytics::Rng random(salt);
    History h = nightly(40, "a", salt);
    for (auto& row : nightly(40, "b", salt + 1).incidents) row.id += "b", h.incidents.push_back(row);
    for (int d = 0; d < 40; ++d) add(h, d * day + 14 * hour + 200 * random.normal(), "oom.leak", "shop/Deployment/web", "a");
    for (const char* cluster : {"a", "b", "c", "d"})
        for (int i = 0; i < 3; ++i) add(h, 20 * day + 600 * random.uniform(), "image.not_found", "shop/Deployment/d" + std::to_string(i), cluster);
    for (int i = 0; i < 20; ++i) add(h, 40 * day * random.uniform(), "image.not_found", "x/Deployment/y" + std::to_string(i), "a");
    const auto found = find_fleet_patterns({.history = h, .now = after(40 * day)});
    ASSERT_TRUE(found);
    std::string claims;
    for (const auto& one : *found) {
        claims += one.claim + "\n";
        EXPECT_EQ(one.scope, "fleet");
    }
    EXPECT_NE(claims.find("job.failed"), std::string::npos) << claims;
    EXPECT_EQ(claims.find("oom.leak"), std::string::npos) << claims;
    EXPECT_NE(claims.find("image.not_found at several clusters came"), std::string::npos) << claims;
}

TEST(Calibration, IsStoredAndLoadedWithTheSameAnswers) {
    const auto salt = seed();
    SCOPED_TRACE("seed " + std::to_string(salt));
    analytics::Rng random(salt);
    for (const int checks : {0, 20, 500}) {
        Calibration calibration;
        for (int i = 0; i < checks; ++i) {
            const double raw = std::round(random.uniform() * 1000) / 1000;
            calibration.add(raw, random.uniform() < raw);
        }
        const auto loaded = Calibration::load(calibration.save());
        ASSERT_TRUE(loaded);
        EXPECT_EQ(loaded->checks(), calibration.checks());
        EXPECT_EQ(loaded->calibrated(), calibration.calibrated());
        EXPECT_NEAR(loaded->brier(), calibration.brier(), 0.01);
    }
    EXPECT_FALSE(Calibration::load("+12"));
    EXPECT_FALSE(Calibration::load("+12345x"));
}

}  // namespace
}  // namespace kn::patterns
