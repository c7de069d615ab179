#include "kubernaut/patterns/analysis/series_analysis.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::patterns {
namespace {

struct Made {
    std::vector<double> times, values;
};
/// Hourly values: level, a slope a day, a daily and a weekly swing, noise.
Made hourly(std::size_t n, double per_day, double daily, double weekly, double noise, std::uint64_t seed) {
    analytics::Rng random(seed);
    Made made;
    for (std::size_t i = 0; i < n; ++i) {
        const auto hour = static_cast<double>(i);
        made.times.push_back(1'767'571'200 + 3600 * hour);
        made.values.push_back(100 + per_day * hour / 24 + daily * std::sin(2 * M_PI * hour / 24) + weekly * std::sin(2 * M_PI * hour / 168) +
                              noise * random.normal());
    }
    return made;
}
SeriesAnalysis analyze(const Made& made, AnalysisOptions options = {}) {
    auto analysis = analyze_series("x", made.times, made.values, options);
    EXPECT_TRUE(analysis) << (analysis ? "" : analysis.error().describe());
    return analysis ? *std::move(analysis) : SeriesAnalysis{};
}

TEST(SeriesAnalysis, FindsWhatWasPutIntoASeries) {
    const auto a = analyze(hourly(24 * 56, 2, 20, 8, 2, 7));
    ASSERT_GE(a.seasons.size(), 2U);
    EXPECT_EQ(a.seasons[0].name, "daily");
    EXPECT_EQ(a.seasons[1].name, "weekly");
    ASSERT_TRUE(a.trend);
    EXPECT_TRUE(a.trend->significant());
    EXPECT_NEAR(a.trend->slope * 86'400, 2, 0.2);
    EXPECT_LE(a.trend->slope_low * 86'400, 2.05);
    EXPECT_GE(a.trend->slope_high * 86'400, 1.95);
    EXPECT_TRUE(a.changes.empty());
    EXPECT_TRUE(a.outliers.empty());
}

TEST(SeriesAnalysis, FindsAStepAndNoTrendWithinIt) {
    auto made = hourly(24 * 30, 0, 10, 0, 2, 8);
    for (std::size_t i = 400; i < made.values.size(); ++i) made.values[i] += 25;
    const auto a = analyze(made);
    ASSERT_EQ(a.changes.size(), 1U);
    EXPECT_NEAR(static_cast<double>(a.changes[0].index), 400, 6);
    EXPECT_NEAR(a.changes[0].after - a.changes[0].before, 25, 3);
}

TEST(SeriesAnalysis, FindsSpikesAndSaysWhatWasExpected) {
    auto made = hourly(24 * 30, 0, 10, 0, 1, 9);
    made.values[300] += 30;
    made.values[301] += 25;
    made.values[500] -= 30;
    const auto a = analyze(made);
    ASSERT_EQ(a.outliers.size(), 2U);
    EXPECT_EQ(a.outliers[0].first, 300U);
    EXPECT_EQ(a.outliers[0].last, 301U);
    EXPECT_NEAR(a.outliers[0].value - a.outliers[0].expected, 30, 5);
    EXPECT_EQ(a.outliers[1].peak, 500U);
}

TEST(SeriesAnalysis, ForecastsASeasonWithBandsThatCover) {
    int inside = 0, total = 0;
    double error = 0;
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        const auto whole = hourly(24 * 29, 1, 20, 0, 3, seed);
        Made known{.times = {whole.times.begin(), whole.times.end() - 24}, .values = {whole.values.begin(), whole.values.end() - 24}};
        const auto a = analyze(known, {.horizon = 24});
        ASSERT_TRUE(a.forecast);
        for (std::size_t h = 0; h < 24; ++h) {
            const double truth = whole.values[24 * 28 + h];
            inside += truth >= a.forecast->bands[1].low[h] && truth <= a.forecast->bands[1].high[h] ? 1 : 0;
            error += std::abs(truth - a.forecast->median[h]);
            ++total;
        }
    }
    EXPECT_GT(inside, total * 88 / 100);
    EXPECT_LT(error / total, 3.6);  // noise alone makes 2.4
}

TEST(SeriesAnalysis, TellsWhenALimitWillBeReached) {
    const auto made = hourly(24 * 14, 10, 0, 0, 1, 3);  // 240 at the end of day 14
    const auto a = analyze(made, {.horizon = 96, .limit = 260});
    ASSERT_TRUE(a.exhaustion);
    ASSERT_TRUE(a.exhaustion->expected);
    EXPECT_NEAR((*a.exhaustion->expected - made.times.back()) / 3600, 48, 16);
    EXPECT_LE(*a.exhaustion->earliest, *a.exhaustion->expected);
    const auto far = analyze(made, {.horizon = 24, .limit = 1000});
    EXPECT_FALSE(far.exhaustion->expected);
    EXPECT_LT(far.exhaustion->chance, 0.1);
}

TEST(SeriesAnalysis, DoesNotLetATrendFadeThatNeverDid) {
    auto made = hourly(24 * 28, 1.44, 1.5, 0, 0.4, 11);  // 100 to 140, with 1.44 a day
    const auto a = analyze(made, {.horizon = 24 * 14, .limit = 150});
    ASSERT_TRUE(a.exhaustion && a.exhaustion->expected);
    EXPECT_NEAR((*a.exhaustion->expected - made.times.back()) / 86'400, 6.4, 1.2);
    EXPECT_GT(a.exhaustion->chance, 0.9);
}

TEST(SeriesAnalysis, DoesNotDependOnScaleOrShift) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto made = hourly(24 * 21, 1, 10, 0, 2, seed);
    made.values[200] += 40;
    auto other = made;
    for (double& v : other.values) v = 1024 * v + 65536;
    const auto a = analyze(made), b = analyze(other);
    ASSERT_EQ(a.seasons.size(), b.seasons.size());
    for (std::size_t i = 0; i < a.seasons.size(); ++i) EXPECT_EQ(a.seasons[i].season.period, b.seasons[i].season.period);
    EXPECT_NEAR(a.trend->slope * 1024, b.trend->slope, 1e-6 * std::abs(b.trend->slope) + 1e-12);
    EXPECT_EQ(a.changes.size(), b.changes.size());
    EXPECT_EQ(a.outliers.size(), b.outliers.size());
}

TEST(SeriesAnalysis, GivesADefinedAnswerForDegenerateInput) {
    const double nan = std::nan("");
    const auto with = [](std::vector<double> values) {
        Made made{.times = {}, .values = std::move(values)};
        for (std::size_t i = 0; i < made.values.size(); ++i) made.times.push_back(60.0 * static_cast<double>(i));
        return made;
    };
    EXPECT_FALSE(analyze(with(std::vector<double>(100, 5))).said.empty());
    EXPECT_FALSE(analyze(with({1, 2})).said.empty());
    EXPECT_EQ(analyze(with(std::vector<double>(50, nan))).summary.known, 0U);
    std::vector<double> flat(400, 1e9);
    flat[200] += 50;
    EXPECT_EQ(analyze(with(flat)).outliers.size(), 1U);
    std::vector<double> two_levels(400, 1);
    std::fill(two_levels.begin() + 200, two_levels.end(), 2.0);
    EXPECT_EQ(analyze(with(two_levels)).changes.size(), 1U);
    EXPECT_FALSE(analyze_series("x", std::vector{1.0, 1.0}, std::vector{1.0, 2.0}, {}));
    EXPECT_FALSE(analyze_series("x", std::vector<double>{}, std::vector<double>{}, {}));
    const auto huge = analyze_series("x", std::vector{0.0, 1.0, 1e12}, std::vector{1.0, 2.0, 3.0}, {});
    EXPECT_TRUE(!huge || huge->grid.values.size() < 200'000);
}

TEST(SeriesAnalysis, PutsMonthsOnACalendarGrid) {
    Made made;
    for (int m = 0; m < 72; ++m) {
        const std::chrono::year_month_day first{std::chrono::year(2015 + m / 12), std::chrono::month(static_cast<unsigned>(m % 12 + 1)),
                                                std::chrono::day(1)};
        if (m == 30) continue;
        made.times.push_back(static_cast<double>(std::chrono::sys_days(first).time_since_epoch().count()) * 86'400);
        made.values.push_back(10 + 5 * std::sin(2 * M_PI * m / 12) + 0.1 * (m % 5));
    }
    const auto a = analyze(made);
    EXPECT_EQ(a.grid.months, 1);
    EXPECT_EQ(a.grid.values.size(), 72U);
    EXPECT_EQ(a.grid.missing, 1U);
    ASSERT_FALSE(a.seasons.empty());
    EXPECT_EQ(a.seasons[0].name, "yearly");
    EXPECT_EQ(a.grid.after_end(1), static_cast<double>(std::chrono::sys_days(std::chrono::year(2021) / 1 / 1).time_since_epoch().count()) * 86'400);
}

/// White noise, then autoregressive noise: nothing is there to be found.
TEST(SeriesAnalysis, FindsAlmostNothingInNoise) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    int trends = 0, seasons = 0, changes = 0, odd = 0;
    constexpr int rounds = 150;
    for (int round = 0; round < rounds; ++round) {
        analytics::Rng random(seed + static_cast<std::uint64_t>(round));
        Made made;
        double last = 0;
        const double memory = round % 2 == 0 ? 0 : 0.6;
        for (int i = 0; i < 500; ++i) {
            last = memory * last + random.normal();
            made.times.push_back(60.0 * i);
            made.values.push_back(last);
        }
        const auto a = analyze(made, {.forecast = false});
        trends += a.trend && a.trend->p_value < 0.001 ? 1 : 0;
        seasons += a.seasons.empty() ? 0 : 1;
        changes += a.changes.empty() ? 0 : 1;
        odd += a.outliers.empty() ? 0 : 1;
    }
    // At the promised 1 % more than 9 of 150 come once in 100,000 runs.
    EXPECT_LE(trends, 9);
    EXPECT_LE(seasons, 9);
    EXPECT_LE(changes, 9);
    EXPECT_LE(odd, 15);
}

}  // namespace
}  // namespace kn::patterns
