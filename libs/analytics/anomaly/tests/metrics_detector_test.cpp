#include "kubernaut/analytics/anomaly/series/metrics_detector.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics {
namespace {

// Five metrics that follow one load, one that never changes.
Matrix server(std::size_t rows, std::uint64_t seed, double scale = 1, double offset = 0) {
    Rng rng(seed);
    Matrix values(rows, 6);
    double load = 0;
    for (std::size_t r = 0; r < rows; ++r) {
        load = 0.9 * load + rng.normal() + 0.3 * std::sin(2 * std::numbers::pi * static_cast<double>(r) / 200);
        for (std::size_t c = 0; c < 5; ++c) values.at(r, c) = offset + scale * (static_cast<double>(c + 1) * load + 0.5 * rng.normal());
        values.at(r, 5) = 3;
    }
    return values;
}

TEST(MetricsDetector, HoldsTheAskedRateOnRowsLikeTheTrainingRows) {
    for (const double asked : {0.01, 0.05}) {
        const auto detector = MetricsDetector::fit(server(6000, 1), {.false_positive_rate = asked});
        ASSERT_TRUE(detector) << detector.error().describe();
        const auto judged = detector->judge(server(6000, 2));
        ASSERT_TRUE(judged);
        double flagged = 0;
        for (const auto flag : judged->anomalous) flagged += flag;
        EXPECT_GT(flagged / 6000, 0.5 * asked) << "seeds 1, 2";
        EXPECT_LT(flagged / 6000, 2 * asked) << "seeds 1, 2";
    }
}

TEST(MetricsDetector, SaysWhichMetricHowFarAndSinceWhen) {
    const auto detector = MetricsDetector::fit(server(3000, 3));
    ASSERT_TRUE(detector);
    Matrix rows = server(500, 4);
    for (std::size_t r = 300; r < 320; ++r) rows.at(r, 2) += 60;
    const auto judged = detector->judge(rows);
    ASSERT_TRUE(judged);
    EXPECT_EQ(judged->anomalous[300], 1);
    EXPECT_GT(judged->score[310], judged->score[200]);
    const auto blames = detector->explain(rows, 310);
    ASSERT_FALSE(blames.empty());
    EXPECT_EQ(blames[0].metric, 2U);
    EXPECT_GT(blames[0].share, 0.8);
    EXPECT_EQ(blames[0].since, 300U);
    EXPECT_GT(blames[0].value, blames[0].high);
    EXPECT_TRUE(detector->explain(rows, 9999).empty());
}

TEST(MetricsDetector, TellsThatAMetricWhichNeverChangedDoes) {
    const auto detector = MetricsDetector::fit(server(1000, 5));
    ASSERT_TRUE(detector);
    Matrix rows = server(200, 6);
    for (std::size_t r = 100; r < 200; ++r) rows.at(r, 5) = 4;
    EXPECT_EQ(detector->judge(rows)->anomalous[100], 1);
}

TEST(MetricsDetector, GivesTheSameScoresForScaledAndShiftedMetrics) {
    const auto a = MetricsDetector::fit(server(1000, 7)), b = MetricsDetector::fit(server(1000, 7, 8, 4096));
    ASSERT_TRUE(a && b);
    const auto x = a->judge(server(500, 8)), y = b->judge(server(500, 8, 8, 4096));
    for (std::size_t r = 0; r < 500; ++r) EXPECT_NEAR(x->score[r], y->score[r], 1e-5) << r;
}

TEST(MetricsDetector, AnswersForTooLittleAndForMissingValues) {
    EXPECT_EQ(MetricsDetector::fit(server(20, 9)).error().code, ErrorCode::failed_precondition);
    EXPECT_FALSE(MetricsDetector::fit(Matrix(100, 3, 5.0)));
    Matrix holes = server(500, 10);
    for (std::size_t r = 0; r < 500; r += 3) holes.at(r, 1) = std::numeric_limits<double>::quiet_NaN();
    for (std::size_t r = 0; r < 500; ++r) holes.at(r, 4) = std::numeric_limits<double>::infinity();
    const auto detector = MetricsDetector::fit(holes);
    ASSERT_TRUE(detector);
    const auto judged = detector->judge(holes);
    ASSERT_TRUE(judged);
    for (const double s : judged->score) EXPECT_TRUE(std::isfinite(s));
    EXPECT_FALSE(detector->judge(Matrix(10, 2)));
}

TEST(SurpriseAmongNeighbours, RanksAShortFaultFirstWithoutTrainingRows) {
    Matrix rows = server(600, 11);
    for (std::size_t r = 400; r < 405; ++r)
        for (std::size_t c = 0; c < 5; ++c) rows.at(r, c) += 80;
    rows.at(100, 0) = std::numeric_limits<double>::quiet_NaN();
    const auto scores = surprise_among_neighbours(rows);
    for (std::size_t r = 0; r < 600; ++r) EXPECT_TRUE(std::isfinite(scores[r]));
    const auto highest = static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
    EXPECT_GE(highest, 400U);
    EXPECT_LT(highest, 405U);
    EXPECT_TRUE(surprise_among_neighbours(Matrix{}).empty());
}

}  // namespace
}  // namespace kn::analytics
