#include "kubernaut/analytics/clustering/partition.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kubernaut/analytics/clustering/validation.hpp"
#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics {
namespace {

struct Planted {
    Matrix rows;
    std::vector<Label> truth;
};

Planted blobs(std::size_t rows, std::size_t clusters, std::uint64_t seed) {
    Rng rng(seed);
    Planted out{.rows = Matrix(rows, 2)};
    for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t own = rng.below(clusters);
        out.truth.push_back(static_cast<Label>(own));
        out.rows.at(r, 0) = 8 * static_cast<double>(own % 2) + rng.normal();
        out.rows.at(r, 1) = 8 * static_cast<double>(own / 2) + rng.normal();
    }
    return out;
}

TEST(Partition, FindsTheNumberOfSeparateGroupsAndNoneInOneHeap) {
    for (const std::size_t k : {2U, 3U, 4U, 6U}) {
        const auto planted = blobs(600, k, k);
        const auto found = partition(planted.rows, {});
        ASSERT_TRUE(found);
        EXPECT_EQ(found->clusters, k);
        EXPECT_GT(partition_agreement(planted.truth, found->labels), 0.97);
        EXPECT_GT(found->confidence, 0.5);
    }
    const auto heap = partition(blobs(600, 1, 9).rows, {});
    ASSERT_TRUE(heap);
    EXPECT_EQ(heap->clusters, 1U);
    EXPECT_EQ(heap->confidence, 0);
}

TEST(Partition, IsTheSameForTwoThreadsAndForScaledAndShiftedRows) {
    const auto planted = blobs(500, 3, 5);
    Matrix moved(500, 2);
    for (std::size_t r = 0; r < 500; ++r)
        for (std::size_t c = 0; c < 2; ++c) moved.at(r, c) = planted.rows.at(r, c) * 8 + 1024;
    const auto one = partition(planted.rows, {.threads = 1}), two = partition(planted.rows, {.threads = 2}), other = partition(moved, {});
    ASSERT_TRUE(one && two && other);
    EXPECT_EQ(one->labels, two->labels);
    EXPECT_GT(partition_agreement(one->labels, other->labels), 0.99);
}

TEST(Partition, LabelsAllRowsWhenOnlySomeDecide) {
    const auto planted = blobs(5000, 4, 6);
    const auto found = partition(planted.rows, {.most_rows = 500});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->labels.size(), 5000U);
    EXPECT_GT(partition_agreement(planted.truth, found->labels), 0.97);
}

TEST(Partition, DegenerateInputHasADefinedAnswerOrAClearError) {
    EXPECT_EQ(partition(Matrix(30, 2, 4.0), {})->clusters, 1U) << "all rows equal";
    EXPECT_EQ(partition(Matrix(1, 1, 4.0), {})->clusters, 1U);
    EXPECT_EQ(partition(Matrix(1, 1, 4.0), {.clusters = 1})->clusters, 1U);
    EXPECT_TRUE(partition(Matrix(3, 1, 4.0), {.clusters = 3}));
    EXPECT_FALSE(partition(Matrix(3, 1, 4.0), {.clusters = 4}));
    EXPECT_FALSE(partition(Matrix(0, 1), {}));
    EXPECT_FALSE(partition(Matrix(3, 1, std::nan("")), {}));
}

}  // namespace
}  // namespace kn::analytics
