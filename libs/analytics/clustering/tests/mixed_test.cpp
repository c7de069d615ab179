#include "kubernaut/analytics/clustering/mixed.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kubernaut/analytics/clustering/density.hpp"
#include "kubernaut/analytics/clustering/explanation.hpp"
#include "kubernaut/analytics/clustering/similarity.hpp"
#include "kubernaut/analytics/clustering/validation.hpp"
#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics {
namespace {
constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// Two kinds of rows: pool 0 with memory near 1, pool 1 with memory near 5; a column that tells nothing; one value in ten is missing.
struct Planted {
    MixedTable table;
    std::vector<Label> truth;
};

Planted planted(std::size_t rows, std::uint64_t seed) {
    Rng rng(seed);
    MixedColumn memory{.name = "memory"}, pool{.name = "pool", .category_names = {"on-demand", "spot-a", "spot-b"}}, other{.name = "other"};
    Planted out;
    for (std::size_t r = 0; r < rows; ++r) {
        const bool second = r % 4 == 0;
        out.truth.push_back(second ? 1 : 0);
        memory.numbers.push_back(rng.uniform() < 0.1 ? missing : (second ? 5 : 1) + 0.3 * rng.normal());
        pool.categories.push_back(rng.uniform() < 0.1 ? -1 : (second ? 1 : (rng.uniform() < 0.5 ? 0 : 2)));
        other.numbers.push_back(rng.normal());
    }
    out.table.columns = {memory, pool, other};
    return out;
}

TEST(Gower, IsZeroForTheSameRowOneForNothingKnownAndIgnoresScale) {
    auto [table, truth] = planted(200, 1);
    const auto ranges = gower_ranges(table);
    EXPECT_EQ(gower_distance(table, ranges, 3, 3), 0);
    auto scaled = table;
    for (double& v : scaled.columns[0].numbers) v = 7 * v + 100;
    const auto scaled_ranges = gower_ranges(scaled);
    for (std::size_t r = 1; r < 50; ++r) {
        EXPECT_NEAR(gower_distance(table, ranges, 0, r), gower_distance(scaled, scaled_ranges, 0, r), 1e-12);
        EXPECT_EQ(gower_distance(table, ranges, 0, r), gower_distance(table, ranges, r, 0));
    }
    MixedTable empty{.columns = {{.name = "a", .numbers = {missing, 1}}}};
    EXPECT_EQ(gower_distance(empty, gower_ranges(empty), 0, 1), 1);
}

TEST(KPrototypes, FindsKindsByNumbersAndCategoriesTogetherDespiteMissingValues) {
    const auto [table, truth] = planted(400, 2);
    const auto found = k_prototypes(table, {.clusters = 2});
    ASSERT_TRUE(found);
    EXPECT_GT(partition_agreement(truth, found->labels), 0.9);
    const auto embedded = k_means(embed(table).values, {.clusters = 2, .restarts = 4});
    ASSERT_TRUE(embedded);
    EXPECT_GT(partition_agreement(truth, embedded->labels), 0.9);
}

TEST(KPrototypes, DegenerateTablesHaveADefinedAnswerOrAClearError) {
    EXPECT_FALSE(k_prototypes({}, {}));
    const MixedTable uneven{.columns = {{.name = "a", .numbers = {1, 2}}, {.name = "b", .numbers = {1}}}};
    EXPECT_FALSE(k_prototypes(uneven, {.clusters = 1}));
    const MixedTable unknown{.columns = {{.name = "a", .numbers = {missing, missing, missing}}, {.name = "b", .categories = {-1, -1, -1}}}};
    const auto all_unknown = k_prototypes(unknown, {.clusters = 2});
    ASSERT_TRUE(all_unknown);
    EXPECT_TRUE(std::isfinite(all_unknown->cost));
    EXPECT_FALSE(k_prototypes(unknown, {.clusters = 4})) << "more clusters than rows";
    EXPECT_EQ(embed(unknown).values.cols(), 0U);
}

TEST(Unskewed, TakesLogarithmsOnlyOfSkewedPositiveValues) {
    Rng rng(3);
    std::vector<double> normal, heavy, negative;
    for (int i = 0; i < 500; ++i) {
        normal.push_back(100 + rng.normal());
        heavy.push_back(std::exp(2 * rng.normal()));
        negative.push_back(-heavy.back());
    }
    EXPECT_EQ(unskewed(normal), normal);
    EXPECT_EQ(unskewed(negative), negative);
    EXPECT_NE(unskewed(heavy), heavy);
}

TEST(Explanation, NamesWhatARowsClusterSharesAndNothingElse) {
    const auto [table, truth] = planted(400, 4);
    const auto found = describe_clusters(table, truth);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 2U);
    const auto& spot = found->at(1);
    EXPECT_EQ(spot.rows, 100U);
    ASSERT_GE(spot.traits.size(), 2U);
    bool pool = false, memory = false;
    for (const auto& t : spot.traits) {
        EXPECT_NE(t.column, 2U) << "the column that tells nothing";
        pool |= t.column == 1 && t.category == 1 && t.inside_share == 1 && t.lift > 50;
        memory |= t.column == 0 && t.low > 4 && t.high < 6 && t.elsewhere < 2;
    }
    EXPECT_TRUE(pool && memory);
    EXPECT_NE(to_text(table, spot).find("pool spot-a"), std::string::npos);
    EXPECT_EQ(truth[spot.medoid], 1);
    // The id depends on what is shared, not on the label or the rows at hand.
    const auto [later, later_truth] = planted(800, 5);
    std::vector<Label> renamed;
    for (const Label l : later_truth) renamed.push_back(1 - l);
    const auto again = describe_clusters(later, renamed);
    EXPECT_EQ(again->at(0).id, spot.id);
    EXPECT_NE(again->at(1).id, spot.id);
}

TEST(Explanation, FindsNothingInARandomPartition) {
    const auto [table, truth] = planted(600, 6);
    Rng rng(7);
    std::vector<Label> random;
    for (std::size_t r = 0; r < 600; ++r) random.push_back(static_cast<Label>(rng.below(3)));
    const auto found = describe_clusters(table, random);
    ASSERT_TRUE(found);
    for (const auto& d : *found) EXPECT_TRUE(d.traits.empty()) << to_text(table, d);
}

TEST(RunSimilarity, KnowsSequencesAndMultisets) {
    const std::vector<std::uint32_t> a{1, 2, 3, 4}, b{1, 3, 4, 2}, none;
    EXPECT_DOUBLE_EQ(multiset_jaccard(a, b), 1);
    EXPECT_DOUBLE_EQ(sequence_similarity(a, b), 0.75);
    EXPECT_DOUBLE_EQ(multiset_jaccard(std::vector<std::uint32_t>{1, 1, 2}, std::vector<std::uint32_t>{1, 2, 2}), 0.5);
    EXPECT_DOUBLE_EQ(sequence_similarity(none, none), 1);
    EXPECT_DOUBLE_EQ(sequence_similarity(a, none), 0);
    EXPECT_DOUBLE_EQ(multiset_jaccard(none, none), 1);
    // A rare step weighs more than a common one.
    const std::vector<std::vector<std::uint32_t>> runs{{0, 1}, {0, 1}, {0, 1}, {0, 2}};
    const auto weights = step_weights(runs);
    EXPECT_GT(weights[2], weights[1]);
    EXPECT_GT(weights[1], weights[0]);
}

TEST(WarpedDistance, ForgivesAShiftInTimeButNotInHeight) {
    std::vector<double> a, shifted, higher;
    for (int i = 0; i < 100; ++i) {
        a.push_back(std::sin(i * 0.1));
        shifted.push_back(std::sin((i - 4) * 0.1));
        higher.push_back(a.back() + 1);
    }
    EXPECT_LT(warped_distance(a, shifted), 0.1);
    EXPECT_GT(warped_distance(a, higher), 0.5);
    EXPECT_EQ(warped_distance(a, a), 0);
    EXPECT_DOUBLE_EQ(warped_distance(a, higher), warped_distance(higher, a));
    EXPECT_TRUE(std::isinf(warped_distance(a, higher, 0.1, 0.2)));
    EXPECT_DOUBLE_EQ(warped_distance(a, shifted, 0.1, 0.5), warped_distance(a, shifted)) << "stopping early does not change what is near";
    EXPECT_TRUE(std::isinf(warped_distance(a, {})));
    EXPECT_TRUE(std::isfinite(warped_distance(a, std::vector<double>{0.5})));
}

TEST(RunSimilarity, GroupsRunsIntoFamiliesOverTheSpanningTree) {
    Rng rng(8);
    std::vector<RunTrace> runs;
    std::vector<Label> truth;
    for (std::size_t r = 0; r < 60; ++r) {
        const bool second = r % 3 == 0;
        truth.push_back(second ? 1 : 0);
        RunTrace run{.steps = second ? std::vector<std::uint32_t>{1, 2, 5, 6} : std::vector<std::uint32_t>{1, 2, 3, 4}, .outcome = second ? 1U : 0U};
        if (rng.uniform() < 0.3) run.steps.push_back(2);
        run.curves.emplace_back();
        for (int i = 0; i < 20; ++i) run.curves[0].push_back((second ? i * 0.1 : 1) + 0.05 * rng.normal());
        runs.push_back(run);
    }
    const auto tree = spanning_tree_by(60, 0, [&](std::size_t a, std::size_t b) { return 1 - run_similarity(runs[a], runs[b], {}); }, 2);
    EXPECT_GT(partition_agreement(genie(tree, 2), truth), 0.99);
}

TEST(SpanningTreeBy, IsAsLightAsTheTreeOverPoints) {
    Rng rng(9);
    Matrix points(120, 2);
    for (std::size_t r = 0; r < 120; ++r)
        for (double& v : points.row(r)) v = rng.normal();
    for (const std::size_t reach : {0U, 4U}) {
        const auto by_points = spanning_tree(KdTree(points, 1), reach, 1);
        const auto by_distance = spanning_tree_by(
            120, reach,
            [&](std::size_t a, std::size_t b) { return std::hypot(points.at(a, 0) - points.at(b, 0), points.at(a, 1) - points.at(b, 1)); }, 1);
        ASSERT_EQ(by_points.edges.size(), by_distance.edges.size());
        for (std::size_t e = 0; e < by_points.edges.size(); ++e) EXPECT_NEAR(by_points.edges[e].weight, by_distance.edges[e].weight, 1e-12);
    }
}

}  // namespace
}  // namespace kn::analytics
