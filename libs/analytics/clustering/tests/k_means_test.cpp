#include "kubernaut/analytics/clustering/k_means.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/tiles.hpp"

namespace kn::analytics {
namespace {

Matrix blobs(std::size_t rows, std::size_t cols, std::size_t clusters, double spread, std::uint64_t seed) {
    Rng rng(seed);
    Matrix points(rows, cols);
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < cols; ++c) points.at(r, c) = static_cast<double>((r % clusters) * (c % 3 + 1)) * 10 + spread * rng.normal();
    return points;
}

double squared(std::span<const double> a, std::span<const double> b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

TEST(KMeans, FindsSeparateGroups) {
    const auto points = blobs(600, 4, 5, 0.5, 1);
    const auto found = k_means(points, {.clusters = 5, .restarts = 3});
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->converged);
    for (std::size_t r = 0; r < 600; ++r) EXPECT_EQ(found->labels[r], found->labels[r % 5]);
}

TEST(KMeans, EveryRowIsWithItsNearestCenterAndEveryCenterIsTheMeanOfItsRows) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        SCOPED_TRACE(seed);
        const auto points = blobs(1000, 3, 4, 20, seed);  // overlapping: the bounds must not keep a row from a nearer center
        const auto found = k_means(points, {.clusters = 7, .max_steps = 500, .seed = seed});
        ASSERT_TRUE(found && found->converged);
        Matrix sums(7, 3);
        std::vector<double> counts(7, 0);
        double inertia = 0;
        for (std::size_t r = 0; r < 1000; ++r) {
            const auto own = static_cast<std::size_t>(found->labels[r]);
            double best = std::numeric_limits<double>::infinity();
            for (std::size_t c = 0; c < 7; ++c) best = std::min(best, squared(points.row(r), found->centers.row(c)));
            EXPECT_NEAR(squared(points.row(r), found->centers.row(own)), best, 1e-3);
            inertia += best;
            counts[own] += 1;
            for (std::size_t d = 0; d < 3; ++d) sums.at(own, d) += points.at(r, d);
        }
        EXPECT_NEAR(found->inertia, inertia, 1e-4 * inertia);
        for (std::size_t c = 0; c < 7; ++c)
            for (std::size_t d = 0; d < 3; ++d) EXPECT_NEAR(found->centers.at(c, d), sums.at(c, d) / counts[c], 1e-4);
    }
}

TEST(KMeans, GivesTheSameBitsForAnyNumberOfThreadsAndAnyVectorUnit) {
    const auto points = blobs(20'000, 5, 6, 8, 3);
    const auto one = k_means(points, {.clusters = 6, .threads = 1});
    ASSERT_TRUE(one);
    const auto two = k_means(points, {.clusters = 6, .threads = 2});
    EXPECT_EQ(one->labels, two->labels);
    EXPECT_EQ(one->inertia, two->inertia);
    for (const auto& unit : vector_units()) {
        ASSERT_TRUE(use_vector_unit(unit));
        const auto other = k_means(points, {.clusters = 6});
        EXPECT_EQ(one->labels, other->labels) << unit;
        EXPECT_EQ(one->inertia, other->inertia) << unit;
    }
    use_vector_unit("");
}

TEST(KMeans, AHugeOffsetChangesNothing) {
    auto points = blobs(500, 2, 3, 1, 4);
    for (std::size_t r = 0; r < 500; ++r)
        for (double& v : points.row(r)) v = std::round(v * 1024) / 1024;  // exact under the offset
    const auto plain = k_means(points, {.clusters = 3});
    auto shifted = points;
    for (std::size_t r = 0; r < 500; ++r)
        for (double& v : shifted.row(r)) v += 1e9;
    const auto moved = k_means(shifted, {.clusters = 3});
    ASSERT_TRUE(plain && moved);
    EXPECT_EQ(plain->labels, moved->labels);
    EXPECT_NEAR(plain->inertia, moved->inertia, 1e-3);
}

TEST(KMeans, MiniBatchesComeCloseToTheExactAnswer) {
    const auto points = blobs(50'000, 4, 5, 2, 5);
    const auto exact = k_means(points, {.clusters = 5});
    const auto batches = k_means(points, {.clusters = 5, .mini_batch = 2048});
    ASSERT_TRUE(exact && batches);
    EXPECT_LT(batches->inertia, exact->inertia * 1.05);
}

TEST(KMeans, DegenerateInputHasADefinedAnswerOrAClearError) {
    const Matrix same(50, 2, 3.0);
    const auto equal = k_means(same, {.clusters = 4});
    ASSERT_TRUE(equal);
    EXPECT_EQ(equal->centers.rows(), 1U) << "only one distinct point";
    EXPECT_EQ(equal->inertia, 0);
    EXPECT_EQ(equal->centers.at(0, 0), 3);
    EXPECT_FALSE(k_means(same, {.clusters = 51}));
    EXPECT_FALSE(k_means(same, {.clusters = 0}));
    EXPECT_FALSE(k_means(Matrix(0, 2), {.clusters = 1}));
    Matrix hole(3, 1, 1.0);
    hole.at(1, 0) = std::numeric_limits<double>::quiet_NaN();
    const auto refused = k_means(hole, {.clusters = 1});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(refused.error().message.find("row 1"), std::string::npos);
}

}  // namespace
}  // namespace kn::analytics
