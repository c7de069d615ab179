#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kubernaut/analytics/judging/series/forecast_scores.hpp"
#include "kubernaut/analytics/judging/series/generated_rows.hpp"
#include "kubernaut/analytics/judging/series/season_scores.hpp"
#include "kubernaut/analytics/judging/series/series_generators.hpp"
#include "kubernaut/analytics/judging/series/tcpd_scores.hpp"

namespace kn::analytics::judging {
namespace {

using Indexes = std::vector<std::size_t>;

TEST(ChangeScores, CountMatchesWithinTheMarginOnceEach) {
    // Index 0 is in every set: 1 of 1 for the annotator without changes.
    const std::vector<Indexes> annotators{{50}, {}};
    EXPECT_DOUBLE_EQ(change_f1(annotators, Indexes{}), 2 * 1 * 0.75 / 1.75);              // recall (1/2 + 1) / 2, precision 1
    EXPECT_DOUBLE_EQ(change_f1(annotators, Indexes{55}), 1);                              // 5 away still counts
    EXPECT_DOUBLE_EQ(change_f1(annotators, Indexes{56}), 2 * 0.5 * 0.75 / 1.25);          // 6 away does not
    EXPECT_DOUBLE_EQ(change_f1(annotators, Indexes{49, 51}), 2 * (2.0 / 3) / (5.0 / 3));  // only one of the two is matched
}

TEST(ChangeScores, CoverIsTheWeightedBestOverlapOfSegments) {
    EXPECT_DOUBLE_EQ(change_cover({{}}, Indexes{}, 100), 1);
    EXPECT_DOUBLE_EQ(change_cover({{50}}, Indexes{}, 100), 0.5);
    EXPECT_DOUBLE_EQ(change_cover({{}}, Indexes{50}, 100), 0.5);
    EXPECT_DOUBLE_EQ(change_cover({{50}}, Indexes{60}, 100), 0.5 * 50 / 60 + 0.5 * 40 / 50);
    EXPECT_DOUBLE_EQ(change_cover({{50}, {}}, Indexes{50}, 100), 0.75);
}

TEST(ForecastScores, AreThoseOfTheirFormulas) {
    const std::vector<double> actual{10, 0, 20}, said{12, 0, 15}, history{1, 2, 4, 3};
    EXPECT_DOUBLE_EQ(smape(actual, said), (200.0 * 2 / 22 + 0 + 200.0 * 5 / 35) / 3);
    EXPECT_DOUBLE_EQ(mase(actual, said, history, 1), (7.0 / 3) / (4.0 / 3));
    EXPECT_DOUBLE_EQ(mase(actual, said, history, 2), (7.0 / 3) / 2);
    EXPECT_TRUE(std::isnan(mase(actual, said, std::vector<double>{5, 5, 5}, 1)));
    EXPECT_TRUE(std::isnan(mase(actual, said, history, 4)));
    EXPECT_DOUBLE_EQ(coverage(actual, std::vector<double>{10, 1, 0}, std::vector<double>{11, 2, 30}), 2.0 / 3);
    EXPECT_DOUBLE_EQ(owa(18.383, 2.395, 18.383, 2.395), 1);
}

TEST(ForecastScores, CalibrationErrorComparesWhatWasSaidWithWhatCame) {
    EXPECT_NEAR(expected_calibration_error(std::vector<double>{0.25, 0.25, 0.25, 0.25}, std::vector<int>{1, 0, 0, 0}), 0, 1e-12);
    EXPECT_NEAR(expected_calibration_error(std::vector<double>{0.9, 0.9, 0.1, 0.1}, std::vector<int>{1, 0, 0, 0}), 0.25, 1e-12);
    EXPECT_EQ(expected_calibration_error({}, {}), 0);
}

TEST(SeasonScores, AcceptFivePercentOfAnyListedPeriod) {
    EXPECT_TRUE(season_is_right(25, std::vector<double>{24, 168}));
    EXPECT_FALSE(season_is_right(26, std::vector<double>{24, 168}));
    EXPECT_TRUE(season_is_right(1, std::vector<double>{1}));
    EXPECT_FALSE(season_is_right(2, std::vector<double>{1}));
}

TEST(SeriesGenerators, GiveTheSameSeriesForTheSameSeedAndScaleWithTheirParts) {
    const auto one = planted_series(30, {.daily = 1}, 5), two = planted_series(30, {.daily = 1}, 5), other = planted_series(30, {.daily = 1}, 6);
    EXPECT_EQ(one.values, two.values);
    EXPECT_NE(one.values, other.values);
    EXPECT_EQ(one.values.size(), 720U);
    EXPECT_EQ(planted_events(70, {.nightly = true}, 3), planted_events(70, {.nightly = true}, 3));
    EXPECT_TRUE(std::ranges::is_sorted(planted_events(70, {.nightly = true, .burst = 10}, 3)));
}

/// What the benchmark prints, on fewer rounds and with room for chance.
TEST(GeneratedSeries, WhatIsPlantedIsFoundAndNothingIsFoundInShuffledData) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    constexpr std::size_t rounds = 40;
    for (const Row& row : generated_rows(rounds, seed)) {
        ASSERT_TRUE(row.goal);
        // Three deviations of a share that is as good as asked, from so many answers.
        const double answers = row.metric.find("shuffled") != std::string::npos ? 4.0 * rounds : rounds / 2.0;
        const double room = row.metric.find("calibration") != std::string::npos ? 0.03 : 3.5 * std::sqrt(*row.goal * (1 - *row.goal) / answers);
        if (row.larger_is_better)
            EXPECT_GE(row.value, *row.goal - room) << row.metric;
        else
            EXPECT_LE(row.value, *row.goal + room) << row.metric;
    }
}

}  // namespace
}  // namespace kn::analytics::judging
