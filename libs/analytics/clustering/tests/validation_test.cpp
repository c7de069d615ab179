#include "kubernaut/analytics/clustering/validation.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "kubernaut/analytics/clustering/density.hpp"
#include "kubernaut/analytics/clustering/gaussian_mixture.hpp"
#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics {
namespace {

struct Blobs {
    Matrix points;
    std::vector<Label> truth;
};

Blobs blobs(std::size_t rows, std::size_t clusters, double apart, std::uint64_t seed) {
    Rng rng(seed);
    Blobs out{.points = Matrix(rows, 2)};
    for (std::size_t r = 0; r < rows; ++r) {
        out.truth.push_back(static_cast<Label>(r % clusters));
        out.points.at(r, 0) = apart * static_cast<double>(r % clusters) + rng.normal();
        out.points.at(r, 1) = rng.normal();
    }
    return out;
}

TEST(Silhouette, IsKnownForFourPoints) {
    Matrix points(4, 1);
    for (std::size_t r = 0; r < 4; ++r) points.at(r, 0) = std::array{0.0, 1.0, 10.0, 11.0}[r];
    const std::vector<Label> labels{0, 0, 1, 1};
    // Outer points: own 1, other (10 + 11) / 2; inner ones: own 1, other (9 + 10) / 2.
    EXPECT_NEAR(silhouette(points, labels, 1), ((10.5 - 1) / 10.5 + (9.5 - 1) / 9.5) / 2, 1e-12);
    EXPECT_NEAR(simplified_silhouette(points, labels, 1), ((10.5 - 0.5) / 10.5 + (9.5 - 0.5) / 9.5) / 2, 1e-12);
    EXPECT_NEAR(davies_bouldin(points, labels), (0.5 + 0.5) / 10, 1e-12);
    EXPECT_NEAR(calinski_harabasz(points, labels), 100 / (1.0 / 2), 1e-9);
}

TEST(Validation, EveryIndexPrefersTheTruthToARandomPartitionAndIgnoresScaleAndShift) {
    const auto [points, truth] = blobs(400, 3, 9, 1);
    Rng rng(2);
    std::vector<Label> random;
    for (std::size_t r = 0; r < 400; ++r) random.push_back(static_cast<Label>(rng.below(3)));
    Matrix moved(400, 2);
    for (std::size_t r = 0; r < 400; ++r)
        for (std::size_t c = 0; c < 2; ++c) moved.at(r, c) = 4 * points.at(r, c) - 1000;
    EXPECT_GT(silhouette(points, truth, 1), 0.6);
    EXPECT_LT(silhouette(points, random, 1), 0.1);
    EXPECT_GT(density_validity(points, truth), 0.3);
    EXPECT_LT(density_validity(points, random), 0);
    EXPECT_LT(davies_bouldin(points, truth), davies_bouldin(points, random));
    EXPECT_GT(calinski_harabasz(points, truth), calinski_harabasz(points, random));
    const auto graph = KdTree(points, 1).nearest_others(10, 1);
    EXPECT_LT(normalized_cut(graph, truth), 0.02);
    EXPECT_NEAR(normalized_cut(graph, random), 2.0 / 3, 0.05);
    EXPECT_NEAR(silhouette(points, truth, 1), silhouette(moved, truth, 2), 1e-9);
    EXPECT_NEAR(density_validity(points, truth), density_validity(moved, truth), 1e-9);
    EXPECT_NEAR(calinski_harabasz(points, truth), calinski_harabasz(moved, truth), 1e-6 * calinski_harabasz(points, truth));
    EXPECT_EQ(silhouette(points, truth, 1), silhouette(points, truth, 2));
}

TEST(Validation, IsUndefinedWithoutTwoClusters) {
    const auto [points, truth] = blobs(20, 2, 9, 3);
    for (const auto& labels : {std::vector<Label>(20, 0), std::vector<Label>(20, noise)}) {
        EXPECT_TRUE(std::isnan(silhouette(points, labels, 1)));
        EXPECT_TRUE(std::isnan(simplified_silhouette(points, labels, 1)));
        EXPECT_TRUE(std::isnan(davies_bouldin(points, labels)));
        EXPECT_TRUE(std::isnan(calinski_harabasz(points, labels)));
        EXPECT_TRUE(std::isnan(density_validity(points, labels)));
    }
    const Matrix same(20, 2, 1.0);
    EXPECT_EQ(silhouette(same, truth, 1), 0);
    EXPECT_EQ(density_validity(same, truth), 0);
    EXPECT_TRUE(std::isinf(davies_bouldin(same, truth)) || davies_bouldin(same, truth) == 0);
}

TEST(Stability, IsHighForRealGroupsAndLowForNone) {
    const auto real = blobs(300, 3, 12, 4);
    const auto none = blobs(300, 1, 0, 5);
    const auto cluster = [](MatrixView rows) {
        const auto found = k_means(rows, {.clusters = 3, .restarts = 3});
        return found ? found->labels : std::vector<Label>{};
    };
    EXPECT_GT(stability(real.points, cluster(real.points), cluster, 5, 1), 0.95);
    EXPECT_LT(stability(none.points, cluster(none.points), cluster, 5, 1), 0.8);
}

TEST(PartitionAgreement, IsOneForRenamedClusters) {
    EXPECT_DOUBLE_EQ(partition_agreement(std::vector<Label>{0, 0, 1, noise}, std::vector<Label>{4, 4, 2, 0}), 1);
    EXPECT_LT(partition_agreement(std::vector<Label>{0, 0, 1, 1}, std::vector<Label>{0, 1, 0, 1}), 0);
}

TEST(GaussianMixture, SeparatesStretchedGroupsThatKMeansCannot) {
    Rng rng(6);
    Matrix points(600, 2);
    std::vector<Label> truth;
    for (std::size_t r = 0; r < 600; ++r) {
        truth.push_back(static_cast<Label>(r % 2));
        points.at(r, 0) = 8 * rng.normal();
        points.at(r, 1) = (r % 2 == 0 ? 0 : 4) + 0.5 * rng.normal();
    }
    const auto found = gaussian_mixture(points, {.components = 2});
    ASSERT_TRUE(found);
    EXPECT_GT(partition_agreement(truth, found->labels), 0.98);
    EXPECT_LT(found->bic, gaussian_mixture(points, {.components = 1})->bic);
    EXPECT_LT(found->bic, gaussian_mixture(points, {.components = 4})->bic);
    EXPECT_EQ(found->labels, gaussian_mixture(points, {.components = 2, .threads = 2})->labels);
}

TEST(GaussianMixture, DegenerateInputHasADefinedAnswerOrAClearError) {
    const Matrix same(20, 3, 2.0);
    const auto one = gaussian_mixture(same, {.components = 3});
    ASSERT_TRUE(one);
    EXPECT_EQ(one->weights.size(), 1U);
    EXPECT_FALSE(gaussian_mixture(same, {.components = 21}));
    EXPECT_FALSE(gaussian_mixture(same, {.components = 0}));
    EXPECT_FALSE(gaussian_mixture(Matrix(5, 1, std::nan("")), {.components = 1}));
    Matrix two(10, 1);
    for (std::size_t r = 0; r < 10; ++r) two.at(r, 0) = static_cast<double>(r % 2);
    const auto exact = gaussian_mixture(two, {.components = 2});
    ASSERT_TRUE(exact);
    EXPECT_NE(exact->labels[0], exact->labels[1]);
}

}  // namespace
}  // namespace kn::analytics
