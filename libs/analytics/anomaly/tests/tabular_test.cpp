#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kubernaut/analytics/anomaly/fair_cut_forest.hpp"
#include "kubernaut/analytics/anomaly/fusion.hpp"
#include "kubernaut/analytics/anomaly/isolation_forest.hpp"
#include "kubernaut/analytics/anomaly/neighbours.hpp"
#include "kubernaut/analytics/anomaly/robust_pca.hpp"
#include "kubernaut/analytics/anomaly/tabular_detector.hpp"
#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics {
namespace {
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Correlated normal rows; row 0 breaks the correlation, row 1 is far out, most of all along column 2.
Matrix correlated(std::size_t rows, std::uint64_t seed) {
    Rng rng(seed);
    Matrix out(rows, 3);
    for (std::size_t r = 0; r < rows; ++r) {
        const double common = rng.normal();
        out.at(r, 0) = common + 0.1 * rng.normal();
        out.at(r, 1) = common + 0.1 * rng.normal();
        out.at(r, 2) = rng.normal();
    }
    out.at(0, 0) = 2;
    out.at(0, 1) = -2;
    out.at(1, 0) = out.at(1, 1) = 4;
    out.at(1, 2) = 12;
    return out;
}

std::size_t rank_of(const std::vector<double>& scores, std::size_t row) {
    return static_cast<std::size_t>(std::ranges::count_if(scores, [&](double s) { return s > scores[row]; }));
}

TEST(IsolationForest, RanksAFarRowFirstForAnyNumberOfThreadsWithTheSameBits) {
    const auto rows = correlated(2000, 1);
    const auto one = IsolationForest::fit(rows, {.threads = 1});
    const auto two = IsolationForest::fit(rows, {.threads = 2});
    ASSERT_TRUE(one && two);
    const auto a = one->score(rows, 1), b = two->score(rows, 2);
    EXPECT_EQ(*a, *b);
    EXPECT_EQ(rank_of(*a, 1), 0U);
    EXPECT_GT((*a)[1], 0.6);
    for (const double s : *a) EXPECT_TRUE(s > 0 && s < 1);
    const auto parts = one->contributions(rows, 1);
    EXPECT_GT(parts->at(1, 2), parts->at(1, 0));
}

TEST(IsolationForest, OwesNothingToScaleAndShiftOfAColumn) {
    const auto rows = correlated(500, 2);
    Matrix moved(500, 3);
    for (std::size_t r = 0; r < 500; ++r)
        for (std::size_t c = 0; c < 3; ++c) moved.at(r, c) = rows.at(r, c) * 1024 + 65536;
    const auto a = *IsolationForest::fit(rows, {})->score(rows, 1);
    const auto b = *IsolationForest::fit(moved, {})->score(moved, 1);
    for (std::size_t r = 0; r < 500; ++r) EXPECT_NEAR(a[r], b[r], 0.01);
}

TEST(FairCutForest, SeesABrokenCorrelationAndExplainsEveryScoreExactly) {
    const auto rows = correlated(2000, 3);
    const auto forest = FairCutForest::fit(rows, {.threads = 2});
    ASSERT_TRUE(forest);
    const auto scores = *forest->score(rows, 2);
    EXPECT_EQ(scores, *forest->score(rows, 1));
    EXPECT_LT(rank_of(scores, 0), 20U);
    EXPECT_EQ(rank_of(scores, 1), 0U);
    const auto parts = *forest->contributions(rows, 2);
    for (const std::size_t r : {0U, 1U, 500U}) {
        double sum = 0;
        for (const double part : parts.row(r)) sum += part;
        EXPECT_NEAR(sum, scores[r], 1e-6);
    }
    EXPECT_GT(parts.at(1, 2), parts.at(1, 0) + parts.at(1, 1));
}

TEST(NeighbourDistance, ScoresOwnRowsLikeStrangersButWithoutThemselves) {
    const auto rows = correlated(800, 4);
    const auto fitted = NeighbourDistance::fit(rows, 5, 2);
    ASSERT_TRUE(fitted);
    const auto own = fitted->score_own(1);
    EXPECT_EQ(own, fitted->score_own(2));
    EXPECT_EQ(rank_of(own, 1), 0U);
    const auto as_stranger = *fitted->score(rows, 1);
    for (std::size_t r = 0; r < 800; ++r) EXPECT_LT(as_stranger[r], own[r]) << "its own copy is nearest";
    const auto parts = *fitted->contributions(rows, 1);
    EXPECT_GT(parts.at(1, 2), parts.at(1, 0));
}

TEST(NeighbourDistance, AColumnThatNeverMovedStillCountsWhenItMoves) {
    auto rows = correlated(100, 5);
    for (std::size_t r = 0; r < 100; ++r) rows.at(r, 2) = 7;
    const auto fitted = NeighbourDistance::fit(rows, 5, 1);
    Matrix one(1, 3, 0.0);
    one.at(0, 2) = 70;
    EXPECT_GT((*fitted->score(one, 1))[0], 5);
}

TEST(RobustPca, FindsBrokenCorrelationsAmongATenthOfOutliers) {
    Rng rng(6);
    auto rows = correlated(1000, 6);
    for (std::size_t r = 100; r < 200; ++r) {
        rows.at(r, 0) = 4 + 0.3 * rng.normal();
        rows.at(r, 1) = -4 + 0.3 * rng.normal();
    }
    const auto fitted = RobustPca::fit(rows, {.explained = 0.9});
    ASSERT_TRUE(fitted);
    const auto far = *fitted->distances(rows);
    for (std::size_t r = 100; r < 200; ++r) EXPECT_LT(rank_of(far, r), 103U);
    EXPECT_LT(rank_of(*fitted->off_model_distances(rows), 0), 110U);
    const auto parts = *fitted->contributions(rows);
    double sum = 0;
    for (const double part : parts.row(0)) sum += part;
    EXPECT_NEAR(sum, far[0], 1e-6 * far[0]);
    EXPECT_NEAR(far[500] > 0 ? 1 : 0, 1, 0);
}

TEST(TabularDetector, FindsAGroupOfAnomaliesAmongItsOwnRowsAndSaysWhichColumnsTheyAreIn) {
    Rng rng(10);
    auto rows = correlated(600, 10);
    for (std::size_t r = 10; r < 30; ++r) rows.at(r, 2) = 9 + 0.2 * rng.normal();  // a group that vouches for itself
    const auto fitted = TabularDetector::fit(rows, {.clean_baseline = false, .threads = 2});
    ASSERT_TRUE(fitted);
    EXPECT_EQ(fitted->own().scores, TabularDetector::fit(rows, {.clean_baseline = false, .threads = 1})->own().scores);
    for (std::size_t r = 10; r < 30; ++r) EXPECT_LT(rank_of(fitted->own().scores, r), 40U);
    const auto parts = *fitted->contributions(rows);
    EXPECT_GT(parts.at(12, 2), 0.5);
    EXPECT_NEAR(parts.at(12, 0) + parts.at(12, 1) + parts.at(12, 2), 1, 1e-9);
}

TEST(TabularDetector, HoldsTheAskedRateOnACleanBaseline) {
    auto baseline = correlated(3000, 11);
    const auto fresh = correlated(3000, 12);
    for (const std::size_t r : {0U, 1U}) std::ranges::copy(baseline.row(r + 2), baseline.row(r).begin());  // clean: without the planted ones
    const auto fitted = TabularDetector::fit(baseline, {});
    ASSERT_TRUE(fitted);
    const auto scored = *fitted->score(fresh);
    const auto flagged = static_cast<double>(std::ranges::count_if(scored.p_values, [](double p) { return p <= 0.02; })) / 3000;
    EXPECT_NEAR(flagged, 0.02, 0.012);
    EXPECT_LT(scored.p_values[0], 0.002) << "the broken correlation";
    EXPECT_LT(scored.p_values[1], 0.001) << "the far row";
}

TEST(TabularDetectors, DegenerateInputHasADefinedAnswerOrAClearError) {
    const Matrix same(50, 2, 3.0);
    for (const double s : *IsolationForest::fit(same, {})->score(same, 1)) EXPECT_TRUE(std::isfinite(s));
    for (const double s : *FairCutForest::fit(same, {})->score(same, 1)) EXPECT_EQ(s, 0);
    for (const double s : NeighbourDistance::fit(same, 5, 1)->score_own(1)) EXPECT_EQ(s, 0);
    for (const double s : *RobustPca::fit(same, {})->distances(same)) EXPECT_EQ(s, 0);
    auto holes = correlated(60, 7);
    holes.at(3, 1) = nan;
    holes.at(4, 0) = std::numeric_limits<double>::infinity();
    for (std::size_t r = 0; r < 60; ++r) holes.at(r, 2) = nan;
    for (const double s : *IsolationForest::fit(holes, {})->score(holes, 1)) EXPECT_TRUE(std::isfinite(s));
    for (const double s : *FairCutForest::fit(holes, {})->score(holes, 1)) EXPECT_TRUE(std::isfinite(s));
    for (const double s : NeighbourDistance::fit(holes, 5, 1)->score_own(1)) EXPECT_TRUE(std::isfinite(s));
    for (const double s : *RobustPca::fit(holes, {})->distances(holes)) EXPECT_TRUE(std::isfinite(s));
    for (const bool clean : {true, false}) {
        for (const double s : TabularDetector::fit(same, {.clean_baseline = clean})->own().scores) EXPECT_TRUE(std::isfinite(s));
        for (const double s : TabularDetector::fit(holes, {.clean_baseline = clean})->score(holes)->scores) EXPECT_TRUE(std::isfinite(s));
        EXPECT_TRUE(TabularDetector::fit(Matrix(2, 1), {.clean_baseline = clean})) << "two rows";
        EXPECT_FALSE(TabularDetector::fit(Matrix(1, 1), {.clean_baseline = clean}));
    }
    const Matrix one(1, 2, 1.0);
    EXPECT_FALSE(IsolationForest::fit(one, {}));
    EXPECT_FALSE(FairCutForest::fit(one, {}));
    EXPECT_FALSE(RobustPca::fit(one, {}));
    EXPECT_TRUE(NeighbourDistance::fit(one, 5, 1));
    EXPECT_FALSE(IsolationForest::fit(same, {})->score(Matrix(1, 3), 1)) << "another number of columns";
}

TEST(ScoreCalibration, HoldsTheAskedRateOnScoresOfTheSameKindAndReachesBeyondTheBaseline) {
    Rng rng(8);
    std::vector<double> baseline(2000), fresh(20'000);
    for (double& s : baseline) s = rng.normal();
    for (double& s : fresh) s = rng.normal();
    const ScoreCalibration calibration(baseline);
    for (const double rate : {0.2, 0.05, 0.01}) {
        const auto p = calibration.p_values(fresh);
        const auto flagged = static_cast<double>(std::ranges::count_if(p, [&](double v) { return v <= rate; })) / 20'000;
        EXPECT_NEAR(flagged, rate, 0.3 * rate);
    }
    EXPECT_LT(calibration.p_value(8), 1e-5);
    EXPECT_LT(calibration.p_value(9), calibration.p_value(8) + 1e-300);
    EXPECT_EQ(ScoreCalibration({}).p_value(5), 1);
    EXPECT_EQ(ScoreCalibration({}).threshold(0.1), std::numeric_limits<double>::infinity());
}

TEST(CauchyCombination, KeepsOneValueAndLetsTheSmallestLead) {
    for (const double p : {1e-12, 1e-6, 0.01, 0.5, 0.99}) EXPECT_NEAR(cauchy_combination(std::vector{p}), p, 1e-9 + 1e-6 * p);
    EXPECT_NEAR(cauchy_combination(std::vector{1e-6, 0.5}), 2e-6, 1e-8);
    EXPECT_EQ(cauchy_combination({}), 1);
}

}  // namespace
}  // namespace kn::analytics
