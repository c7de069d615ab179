#include "kubernaut/analytics/clustering/density.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/tiles.hpp"

namespace kn::analytics {
namespace {

// Two moons and some noise around them.
Matrix moons(std::size_t rows, std::uint64_t seed) {
    Rng rng(seed);
    Matrix points(rows, 2);
    for (std::size_t r = 0; r < rows; ++r) {
        const double angle = 3.14159265 * rng.uniform();
        const bool upper = r % 2 == 0;
        points.at(r, 0) = (upper ? std::cos(angle) : 1 - std::cos(angle)) + 0.04 * rng.normal();
        points.at(r, 1) = (upper ? std::sin(angle) : 0.5 - std::sin(angle)) + 0.04 * rng.normal();
    }
    return points;
}

double distance(std::span<const double> a, std::span<const double> b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return std::sqrt(sum);
}

// The definition, by all pairs.
std::vector<Label> slow_dbscan(MatrixView rows, double eps, std::size_t min_points) {
    const std::size_t n = rows.rows;
    std::vector<char> core(n, 0);
    for (std::size_t a = 0; a < n; ++a) {
        std::size_t count = 0;
        for (std::size_t b = 0; b < n; ++b) count += distance(rows.row(a), rows.row(b)) <= eps ? 1 : 0;
        core[a] = count >= min_points ? 1 : 0;
    }
    std::vector<Label> labels(n, noise);
    Label next = 0;
    for (std::size_t a = 0; a < n; ++a) {
        if (core[a] == 0 || labels[a] != noise) continue;
        std::vector<std::size_t> open{a};
        labels[a] = next;
        while (!open.empty()) {
            const std::size_t at = open.back();
            open.pop_back();
            for (std::size_t b = 0; b < n; ++b)
                if (core[b] != 0 && labels[b] == noise && distance(rows.row(at), rows.row(b)) <= eps) {
                    labels[b] = next;
                    open.push_back(b);
                }
        }
        ++next;
    }
    for (std::size_t a = 0; a < n; ++a) {
        if (core[a] != 0) continue;
        double nearest = eps;
        std::size_t at = n;
        for (std::size_t b = 0; b < n; ++b)
            if (core[b] != 0 && distance(rows.row(a), rows.row(b)) <= nearest && (at == n || distance(rows.row(a), rows.row(b)) < nearest)) {
                nearest = distance(rows.row(a), rows.row(b));
                at = b;
            }
        if (at != n) labels[a] = labels[at];
    }
    return labels;
}

bool same_partition(const std::vector<Label>& a, const std::vector<Label>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
        if ((a[i] == noise) != (b[i] == noise)) return false;
        for (std::size_t j = 0; j < i; ++j)
            if ((a[i] == a[j]) != (b[i] == b[j])) return false;
    }
    return true;
}

double slow_tree_weight(MatrixView rows, std::size_t reach) {
    const std::size_t n = rows.rows;
    std::vector<double> core(n, 0);
    for (std::size_t a = 0; a < n && reach > 0; ++a) {
        std::vector<double> near;
        for (std::size_t b = 0; b < n; ++b)
            if (a != b) near.push_back(distance(rows.row(a), rows.row(b)));
        std::ranges::sort(near);
        core[a] = near[std::min(reach, near.size()) - 1];
    }
    std::vector<double> best(n, std::numeric_limits<double>::infinity());
    std::vector<char> in(n, 0);
    double total = 0;
    std::size_t at = 0;
    for (std::size_t step = 1; step < n; ++step) {  // Prim
        in[at] = 1;
        std::size_t next = n;
        for (std::size_t b = 0; b < n; ++b) {
            if (in[b] != 0) continue;
            best[b] = std::min(best[b], std::max({core[at], core[b], distance(rows.row(at), rows.row(b))}));
            if (next == n || best[b] < best[next]) next = b;
        }
        total += best[next];
        at = next;
    }
    return total;
}

TEST(Dbscan, AgreesWithTheDefinitionOnRandomPointsWithTies) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        SCOPED_TRACE(seed);
        Rng rng(seed);
        const std::size_t n = 50 + rng.below(400);
        Matrix points(n, 1 + rng.below(4));
        for (std::size_t r = 0; r < n; ++r)
            for (double& v : points.row(r)) v = r % 3 == 0 ? std::round(4 * rng.normal()) / 4 : rng.normal();
        const double eps = 0.1 + 0.5 * rng.uniform();
        const std::size_t min_points = 1 + rng.below(8);
        const auto one = dbscan(points, eps, min_points, 1), two = dbscan(points, eps, min_points, 2);
        ASSERT_TRUE(one && two);
        EXPECT_EQ(one->labels, two->labels);
        EXPECT_TRUE(same_partition(one->labels, slow_dbscan(points, eps, min_points)));
    }
}

TEST(Dbscan, DegenerateInputHasADefinedAnswerOrAClearError) {
    EXPECT_EQ(dbscan(Matrix(40, 2, 1.0), 0, 3, 1)->clusters, 1U);
    EXPECT_EQ(dbscan(Matrix(0, 2), 1, 3, 1)->clusters, 0U);
    EXPECT_EQ(dbscan(Matrix(1, 2, 5.0), 1, 2, 1)->labels, std::vector<Label>{noise});
    EXPECT_FALSE(dbscan(Matrix(2, 2), -1, 3, 1));
    EXPECT_FALSE(dbscan(Matrix(2, 2), std::nan(""), 3, 1));
    EXPECT_FALSE(dbscan(Matrix(2, 2), 1, 0, 1));
}

TEST(SpanningTree, IsAsLightAsPrimsForEveryReachAndTheSameForTwoThreads) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed)
        for (const std::size_t reach : {0U, 1U, 5U}) {
            SCOPED_TRACE(seed);
            Rng rng(seed);
            const std::size_t n = 2 + rng.below(500);
            Matrix points(n, 1 + rng.below(5));
            for (std::size_t r = 0; r < n; ++r)
                for (double& v : points.row(r)) v = r % 2 == 0 ? std::round(2 * rng.normal()) / 2 : rng.normal();
            const KdTree tree(points, 1);
            const auto one = spanning_tree(tree, reach, 1), two = spanning_tree(tree, reach, 2);
            ASSERT_EQ(one.edges.size(), n - 1);
            double total = 0;
            for (std::size_t e = 0; e < one.edges.size(); ++e) {
                total += one.edges[e].weight;
                EXPECT_EQ(one.edges[e].from, two.edges[e].from);
                EXPECT_EQ(one.edges[e].to, two.edges[e].to);
            }
            EXPECT_NEAR(total, slow_tree_weight(points, reach), 1e-9 * (1 + total));
        }
}

TEST(Hdbscan, TellsTwoMoonsApartAndLeavesFarPointsAsNoise) {
    auto points = moons(600, 3);
    for (std::size_t r = 0; r < 5; ++r) {
        points.at(r, 0) = 5 + 3 * static_cast<double>(r);
        points.at(r, 1) = -4;
    }
    const auto found = hdbscan(points, {.min_cluster_size = 25, .min_points = 5});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->clusters, 2U);
    std::size_t right = 0;
    for (std::size_t r = 5; r < 600; ++r) right += found->labels[r] == found->labels[r % 2 == 0 ? 6 : 7] ? 1 : 0;
    EXPECT_GT(right, 560U);
    for (std::size_t r = 0; r < 5; ++r) EXPECT_EQ(found->labels[r], noise);
}

TEST(Genie, TellsTwoMoonsApartDespiteOutliersAndOwesNothingToTheOrder) {
    auto points = moons(400, 5);
    points.at(0, 0) = 9;
    const auto labels = genie(spanning_tree(KdTree(points, 1), 0, 1), 2);
    std::size_t right = 0;
    for (std::size_t r = 1; r < 400; ++r) right += labels[r] == labels[r % 2 == 0 ? 2 : 1] ? 1 : 0;
    EXPECT_EQ(right, 399U);
    Matrix reversed(400, 2);
    for (std::size_t r = 0; r < 400; ++r) std::ranges::copy(points.row(399 - r), reversed.row(r).begin());
    auto backwards = genie(spanning_tree(KdTree(reversed, 1), 0, 1), 2);
    std::ranges::reverse(backwards);
    EXPECT_TRUE(same_partition(labels, backwards));
}

TEST(Genie, MakesExactlyTheClustersAskedFor) {
    const auto points = moons(100, 6);
    const auto tree = spanning_tree(KdTree(points, 1), 0, 1);
    for (const std::size_t k : {1U, 2U, 7U, 100U}) {
        const auto labels = genie(tree, k);
        EXPECT_EQ(static_cast<std::size_t>(*std::ranges::max_element(labels)) + 1, k);
    }
    EXPECT_EQ(genie(tree, 1000), genie(tree, 100)) << "more than the points: each its own";
    EXPECT_TRUE(genie(SpanningTree{}, 3).empty());
}

TEST(KneeEps, LiesBetweenTheDistancesInsideAndOutsideTheGroups) {
    const auto points = moons(500, 7);
    const KdTree tree(points, 1);
    const double eps = knee_eps(tree, 4, 1);
    EXPECT_GT(eps, 0.01);
    EXPECT_LT(eps, 0.3);
    EXPECT_EQ(knee_eps(KdTree(Matrix(30, 2, 1.0), 1), 4, 1), 0);
    EXPECT_EQ(knee_eps(KdTree(Matrix(1, 2, 1.0), 1), 4, 1), 0);
}

}  // namespace
}  // namespace kn::analytics
