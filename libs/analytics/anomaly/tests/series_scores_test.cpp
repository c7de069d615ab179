#include "kubernaut/analytics/anomaly/series/series_scores.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "kubernaut/analytics/anomaly/series/matrix_profile.hpp"
#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics {
namespace {

std::vector<double> wave(std::size_t n, std::uint64_t seed, double noise = 0.1) {
    Rng rng(seed);
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = std::sin(2 * std::numbers::pi * static_cast<double>(i) / 40) + noise * rng.normal();
    return values;
}

double distance(const std::vector<double>& x, std::size_t a, std::size_t b, std::size_t m) {
    const auto z = [&](std::size_t at) {
        double mean = 0, squares = 0;
        for (std::size_t k = 0; k < m; ++k) mean += x[at + k] / static_cast<double>(m);
        for (std::size_t k = 0; k < m; ++k) squares += (x[at + k] - mean) * (x[at + k] - mean);
        std::vector<double> out(m);
        for (std::size_t k = 0; k < m; ++k) out[k] = (x[at + k] - mean) / std::sqrt(squares / static_cast<double>(m));
        return out;
    };
    const auto p = z(a), q = z(b);
    double sum = 0;
    for (std::size_t k = 0; k < m; ++k) sum += (p[k] - q[k]) * (p[k] - q[k]);
    return std::sqrt(sum);
}

TEST(MatrixProfile, EqualsTheDefinition) {
    const auto x = wave(200, 1);
    constexpr std::size_t m = 12;
    const auto profile = matrix_profile(x, m);
    ASSERT_TRUE(profile);
    for (std::size_t i = 0; i < profile->distance.size(); ++i) {
        double best = std::numeric_limits<double>::infinity();
        for (std::size_t j = 0; j < profile->distance.size(); ++j)
            if ((i > j ? i - j : j - i) >= m / 2) best = std::min(best, distance(x, i, j, m));
        EXPECT_NEAR(profile->distance[i], best, 1e-6) << i;
    }
}

TEST(MatrixProfile, TakesFlatWindowsForEqualAndBearsMissingValues) {
    std::vector<double> x(100, 1e9);
    x[50] = std::numeric_limits<double>::quiet_NaN();
    const auto profile = matrix_profile(x, 10);
    ASSERT_TRUE(profile);
    for (const double d : profile->distance) EXPECT_EQ(d, 0);
    EXPECT_FALSE(matrix_profile(x, 2));
    EXPECT_FALSE(matrix_profile(std::vector<double>{1, 2}, 3));
}

TEST(StreamProfile, EqualsTheDefinitionOverItsPastAndGoesOnFromStoredState) {
    const auto x = wave(400, 2);
    constexpr std::size_t m = 10;
    StreamProfile profile(m, 1000);
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (i == 200) {
            auto resumed = StreamProfile::resume(profile.state());
            ASSERT_TRUE(resumed) << resumed.error().describe();
            profile = *resumed;
        }
        const double found = profile.add(x[i]);
        if (i + 1 < 3 * m) continue;
        const std::size_t now = i + 1 - m;
        double best = std::numeric_limits<double>::infinity();
        for (std::size_t j = 0; j + m <= now; ++j) best = std::min(best, distance(x, now, j, m));
        EXPECT_NEAR(found, best, 1e-5) << i;
    }
}

TEST(StreamProfile, KeepsItsSizeOnAnEndlessStream) {
    const auto x = wave(5000, 3);
    StreamProfile profile(16, 256);
    std::size_t largest = 0;
    for (const double v : x) profile.add(v), largest = std::max(largest, profile.state().size());
    EXPECT_LT(largest, 2 * 256 * 16 + 256U);
}

TEST(SeriesAnomalies, FindsASpikeAndAStrangeShape) {
    auto x = wave(2000, 4);
    x[700] += 3;
    for (std::size_t i = 1400; i < 1440; ++i) x[i] = -x[i];
    const auto found = series_anomalies(x, {.window = 40});
    ASSERT_TRUE(found) << found.error().describe();
    std::vector<std::size_t> order(x.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return found->score[a] > found->score[b]; });
    const auto near = [&](std::size_t from, std::size_t to) {
        return std::any_of(order.begin(), order.begin() + 40, [&](std::size_t i) { return i >= from && i <= to; });
    };
    EXPECT_TRUE(near(695, 705));
    EXPECT_TRUE(near(1370, 1470));
    EXPECT_LE(found->anomalous.size(), x.size() / 50);
}

TEST(SeriesAnomalies, GivesTheSameScoresForScaledAndShiftedValues) {
    const auto x = wave(600, 5);
    auto y = x;
    for (double& v : y) v = 1024 + 16 * v;
    for (const auto score : {&amplitude_score}) {
        const auto a = score(x, 20), b = score(y, 20);
        for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-8);
    }
    const auto a = local_polynomial_score(x, 15, 2), b = local_polynomial_score(y, 15, 2);
    const auto c = subsequence_pca_score(x, 20), d = subsequence_pca_score(y, 20);
    ASSERT_TRUE(c && d);
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_NEAR(a[i], b[i], 1e-7);
        EXPECT_NEAR((*c)[i], (*d)[i], 1e-7);
    }
}

TEST(SeriesAnomalies, AnswersForTooLittleForConstantsAndForMissingValues) {
    EXPECT_FALSE(series_anomalies(std::vector<double>{1, 2}));
    const std::vector<double> constant(500, 7);
    const auto none = series_anomalies(constant);
    ASSERT_TRUE(none);
    EXPECT_TRUE(none->anomalous.empty());
    auto x = wave(500, 6);
    for (std::size_t i = 100; i < 130; ++i) x[i] = std::numeric_limits<double>::quiet_NaN();
    x[300] = std::numeric_limits<double>::infinity();
    const auto found = series_anomalies(x);
    ASSERT_TRUE(found);
    for (const double s : found->score) EXPECT_TRUE(std::isfinite(s));
    const std::vector<double> nothing(500, std::numeric_limits<double>::quiet_NaN());
    EXPECT_FALSE(series_anomalies(nothing));
}

}  // namespace
}  // namespace kn::analytics
