#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kubernaut/analytics/numerics/kd_tree.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/tiles.hpp"

namespace kn::analytics {
namespace {

Matrix random_points(std::size_t rows, std::size_t cols, std::uint64_t seed) {
    Rng rng(seed);
    Matrix points(rows, cols);
    for (std::size_t r = 0; r < rows; ++r)
        for (double& v : points.row(r)) v = rng.normal();
    return points;
}

double squared(std::span<const double> a, std::span<const double> b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

TEST(Tiles, DistancesHaveTheSameBitsOnEveryVectorUnitAndInAPlainLoop) {
    const auto points = random_points(37, 5, 11);
    const Tiles<double> tiles(points, {}, {}, 1);
    for (const auto& unit : vector_units()) {
        ASSERT_TRUE(use_vector_unit(unit)) << unit;
        std::vector<double> out(tiles.tiles() * tile_width);
        squared_distances(tiles.tile(0), tiles.tiles(), 5, points.row(3).data(), out.data());
        for (std::size_t r = 0; r < 37; ++r) EXPECT_EQ(out[r], squared(points.row(r), points.row(3))) << unit;
        EXPECT_TRUE(std::isinf(out[37])) << "what stands behind the last point is infinitely far";
    }
    use_vector_unit("");
}

TEST(Tiles, TheTwoNearestCentersAreTheSameOnEveryVectorUnit) {
    const auto points = random_points(16, 7, 12);
    const Tiles<float> tiles(points, {}, {}, 1);
    Rng rng(13);
    for (const std::size_t k : {1U, 2U, 3U, 4U, 9U}) {
        std::vector<float> centers(k * 7);
        for (float& v : centers) v = static_cast<float>(rng.normal());
        for (const auto& unit : vector_units()) {
            ASSERT_TRUE(use_vector_unit(unit));
            TileNearest found{};
            nearest_two(tiles.tile(0), 7, centers.data(), k, found);
            for (std::size_t r = 0; r < 16; ++r) {
                std::vector<std::pair<float, std::uint32_t>> all;
                for (std::uint32_t c = 0; c < k; ++c) {
                    float sum = 0;
                    for (std::size_t d = 0; d < 7; ++d) {
                        const float x = tiles.at(r, d) - centers[c * 7 + d];
                        sum += x * x;
                    }
                    all.emplace_back(sum, c);
                }
                std::sort(all.begin(), all.end());
                EXPECT_EQ(found.index[r], all[0].second) << unit;
                EXPECT_EQ(found.best[r], all[0].first) << unit;
                if (k > 1)
                    EXPECT_EQ(found.second[r], all[1].first) << unit;
                else
                    EXPECT_TRUE(std::isinf(found.second[r]));
            }
        }
    }
    use_vector_unit("");
}

TEST(KdTree, FindsTheSameNeighboursAsComparingAllPairs) {
    for (const std::size_t n : {1U, 2U, 31U, 32U, 33U, 500U, 1025U})
        for (const std::size_t dims : {1U, 2U, 6U}) {
            auto points = random_points(n, dims, n * 10 + dims);
            for (std::size_t r = 0; r < n / 3; ++r)
                for (double& v : points.row(r)) v = std::round(v);  // ties
            const KdTree tree(points, 2);
            constexpr std::size_t k = 4;
            const auto one = tree.nearest_others(k, 1), two = tree.nearest_others(k, 2);
            EXPECT_EQ(one.distances, two.distances);
            EXPECT_EQ(one.indices, two.indices);
            for (std::size_t r = 0; r < n; ++r) {
                std::vector<std::pair<double, std::uint32_t>> all;
                for (std::uint32_t other = 0; other < n; ++other)
                    if (other != r) all.emplace_back(squared(points.row(r), points.row(other)), other);
                std::sort(all.begin(), all.end());
                for (std::size_t i = 0; i < k; ++i) {
                    if (i < all.size()) {
                        EXPECT_EQ(one.indices_of(r)[i], all[i].second);
                        EXPECT_DOUBLE_EQ(one.distances_of(r)[i], std::sqrt(all[i].first));
                    } else {
                        EXPECT_EQ(one.indices_of(r)[i], Neighbours::nobody);
                        EXPECT_TRUE(std::isinf(one.distances_of(r)[i]));
                    }
                }
            }
        }
}

TEST(KdTree, HoldsAllEqualPointsAndNone) {
    const Matrix same(100, 3, 7.0);
    const KdTree tree(same, 1);
    const auto found = tree.nearest_others(2, 1);
    EXPECT_EQ(found.indices_of(0)[0], 1U);
    EXPECT_EQ(found.indices_of(99)[0], 0U);
    EXPECT_EQ(found.distances_of(5)[1], 0);
    EXPECT_TRUE(KdTree(Matrix(0, 3), 1).nearest_others(2, 1).indices.empty());
}

}  // namespace
}  // namespace kn::analytics
