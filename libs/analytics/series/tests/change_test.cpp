#include <gtest/gtest.h>

#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/series/change_points.hpp"
#include "kubernaut/analytics/series/correlation.hpp"
#include "kubernaut/analytics/series/online_changes.hpp"
#include "kubernaut/analytics/series/trend.hpp"
#include "samples.hpp"

namespace kn::analytics::series {
namespace {

std::vector<double> step(std::size_t n, std::size_t at, double size, std::uint64_t seed = 1) {
    auto out = autoregressive(n, 0, seed);
    for (std::size_t i = at; i < n; ++i) out[i] += size;
    return out;
}

TEST(Changes, FindsAStepAndItsSize) {
    const auto found = find_changes(step(300, 120, 4));
    ASSERT_EQ(found.changes.size(), 1U);
    EXPECT_NEAR(static_cast<double>(found.changes[0].index), 120, 3);
    EXPECT_NEAR(found.changes[0].after - found.changes[0].before, 4, 0.6);
    EXPECT_NEAR(found.noise, 1, 0.3);
}

TEST(Changes, FindsThemInLongSeriesAtTheExactPlace) {
    auto values = step(10'000, 4321, 3);
    const auto found = find_changes(values, {.period = 1});
    ASSERT_EQ(found.changes.size(), 1U);
    EXPECT_NEAR(static_cast<double>(found.changes[0].index), 4321, 4);
}

TEST(Changes, DoNotDependOnScaleOrShift) {
    const auto values = step(300, 100, 5);
    const auto plain = find_changes(values), other = find_changes(scaled(values, 1e-4, 3)), huge = find_changes(scaled(values, 1, 1e9));
    EXPECT_EQ(plain.boundaries, other.boundaries);
    EXPECT_EQ(plain.boundaries, huge.boundaries);
}

TEST(Changes, AreRareInNoiseEvenWhenItIsSlow) {
    for (const double phi : {0.0, 0.5, 0.8}) {
        int found = 0;
        for (std::uint64_t run = 0; run < 100; ++run) found += find_changes(autoregressive(250, phi, run)).changes.empty() ? 0 : 1;
        // The autocorrelation is itself estimated from 250 points; where it is strong some tenth is still taken for a change.
        EXPECT_LE(found, phi > 0.7 ? 12 : 5) << "autocorrelation " << phi;
    }
}

TEST(Changes, OneOutlierIsNoChangeAndALineIsOnePiece) {
    auto values = autoregressive(200, 0, 3);
    values[90] = 500;
    EXPECT_TRUE(find_changes(values).changes.empty());
    const auto line = find_changes(wave(200, 1e9, 0, 1, 0.5));
    EXPECT_TRUE(line.changes.empty());
    EXPECT_TRUE(line.piecewise_linear);
}

TEST(Changes, SpreadIsListedApart) {
    auto values = autoregressive(400, 0, 5);
    for (std::size_t i = 200; i < 400; ++i) values[i] *= 5;
    const auto found = find_changes(values, {.period = 1});
    ASSERT_FALSE(found.spread_changes.empty());
    EXPECT_NEAR(static_cast<double>(found.spread_changes[0].index), 200, 12);
}

TEST(Changes, DegenerateInputHasNone) {
    for (const auto& values : {std::vector<double>{}, std::vector<double>{1, 2}, std::vector<double>(100, 7.0), std::vector<double>(100, missing)})
        EXPECT_TRUE(find_changes(values).changes.empty());
}

TEST(Changes, ThePenaltyPathGoesFromManyToFew) {
    const double factors[] = {0.1, 1, 10, 1000};
    const auto path = penalty_path(step(300, 120, 4), factors);
    ASSERT_EQ(path.size(), 4U);
    for (std::size_t i = 1; i < path.size(); ++i) EXPECT_LE(path[i].boundaries.size(), path[i - 1].boundaries.size());
    EXPECT_EQ(path.back().boundaries.size(), 2U);
}

TEST(OnlineChanges, AStepIsSeenSoonAndPlaced) {
    OnlineChangeDetector detector;
    std::optional<OnlineChange> seen;
    std::uint64_t at = 0;
    const auto values = step(2000, 1500, 2, 9);
    for (std::uint64_t i = 0; i < values.size() && !seen; ++i) {
        seen = detector.push(values[i] + 1e6);
        at = i;
    }
    ASSERT_TRUE(seen);
    EXPECT_NEAR(static_cast<double>(seen->index), 1500, 10);
    EXPECT_LT(at, 1540U);
    EXPECT_NEAR(seen->after - seen->before, 2, 0.8);
}

TEST(OnlineChanges, FewCandidatesAndFewFalseAlarms) {
    int alarms = 0;
    std::size_t most = 0;
    for (std::uint64_t run = 0; run < 10; ++run) {
        OnlineChangeDetector detector;
        for (const double v : autoregressive(10'000, run % 2 == 0 ? 0.0 : 0.6, 100 + run)) {
            alarms += detector.push(v) ? 1 : 0;
            most = std::max(most, detector.candidates());
        }
        EXPECT_FALSE(detector.push(missing));
    }
    EXPECT_LE(alarms, 3);
    EXPECT_LE(most, 80U);
}

TEST(Trend, SlopeIntervalAndSignificance) {
    const auto values = wave(200, 1e9, 0, 1, 0.05);
    const auto trend = fit_trend(places(200, 1, 0), values);
    EXPECT_NEAR(trend.slope, 0.05, 0.01);
    EXPECT_LT(trend.slope_low, 0.05);
    EXPECT_GT(trend.slope_high, 0.05);
    EXPECT_EQ(trend.direction, Direction::rising);
    EXPECT_GT(trend.r_squared, 0.8);
    EXPECT_EQ(fit_trend(places(200, 1, 0), scaled(values, -1, 1e9)).direction, Direction::falling);
}

TEST(Trend, HoldsItsFalsePositiveRateUnderAutocorrelation) {
    int plain = 0;
    for (std::uint64_t run = 0; run < 300; ++run) plain += fit_trend(places(150, 1), autoregressive(150, 0.6, run)).p_value < 0.05 ? 1 : 0;
    EXPECT_LE(plain, 45);  // 15 would be exact; without the correction it is about 90
}

TEST(Trend, OneThirdOfOutliersDoesNotTurnIt) {
    auto values = wave(900, 1e9, 0, 1, 0.05);
    for (std::size_t i = 0; i < values.size(); i += 4) values[i] = -1e6;
    EXPECT_NEAR(fit_trend(places(900, 1, 0), values).slope, 0.05, 0.01);
}

TEST(Trend, TooLittleIsSaid) {
    EXPECT_FALSE(fit_trend(places(2), std::vector<double>{1, 2}).enough);
    EXPECT_FALSE(fit_trend(std::vector<double>{3, 2, 1, 0, -1}, std::vector<double>{1, 2, 3, 4, 5}).enough);
    const auto constant = fit_trend(places(50), std::vector<double>(50, 4.0));
    EXPECT_EQ(constant.slope, 0);
    EXPECT_EQ(constant.p_value, 1);
}

TEST(Trend, PiecesAndSummary) {
    std::vector<double> values = wave(200, 1e9, 0, 0.2, 0);
    for (std::size_t i = 100; i < 200; ++i) values[i] += 0.5 * static_cast<double>(i - 100);
    const auto pieces = fit_piecewise(values);
    ASSERT_EQ(pieces.pieces.size(), 2U);
    EXPECT_NEAR(static_cast<double>(pieces.pieces[1].begin), 100, 5);
    EXPECT_NEAR(pieces.pieces[1].slope, 0.5, 0.05);
    const auto summary = summarize(std::vector<double>{1, missing, 5, 2});
    EXPECT_EQ(summary.points, 3U);
    EXPECT_EQ(summary.missing, 1U);
    EXPECT_EQ(summary.peak_index, 2U);
}

TEST(Correlation, FindsTheLagOfSlowSeries) {
    const auto driver = autoregressive(500, 0.8, 1);
    auto follower = autoregressive(500, 0.5, 2);
    for (std::size_t i = 7; i < 500; ++i) follower[i] += 2 * driver[i - 7];
    const auto found = correlate(driver, follower, 30);
    EXPECT_EQ(found.lag, 7);
    EXPECT_LT(found.p_value, 1e-6);
    EXPECT_EQ(correlate(follower, driver, 30).lag, -7);
}

TEST(Correlation, SlowSeriesThatHaveNothingToDoWithEachOtherAreNotPaired) {
    std::vector<std::vector<double>> all;
    for (std::uint64_t i = 0; i < 40; ++i) all.push_back(autoregressive(300, 0.95, 50 + i));
    const auto one = correlate_all(all, 20, 1), two = correlate_all(all, 20, 2);
    ASSERT_EQ(one.size(), 780U);
    int found = 0;
    for (std::size_t i = 0; i < one.size(); ++i) {
        EXPECT_EQ(one[i].p_value, two[i].p_value);
        EXPECT_EQ(one[i].lag, two[i].lag);
        found += one[i].q_value < 0.05 ? 1 : 0;
    }
    EXPECT_LE(found, 2);
    EXPECT_EQ(correlate(std::vector<double>(100, 1.0), all[0], 5).p_value, 1);
}

TEST(FalseDiscovery, IsBenjaminiAndHochberg) {
    const auto q = false_discovery_q(std::vector<double>{0.01, 0.04, 0.03, 0.005});
    EXPECT_NEAR(q[0], 0.02, 1e-12);
    EXPECT_NEAR(q[1], 0.04, 1e-12);
    EXPECT_NEAR(q[2], 0.04, 1e-12);
    EXPECT_NEAR(q[3], 0.02, 1e-12);
}

}  // namespace
}  // namespace kn::analytics::series
