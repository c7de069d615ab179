#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kubernaut/analytics/judging/tabular/adbench_files.hpp"
#include "kubernaut/analytics/judging/tabular/adbench_scores.hpp"
#include "kubernaut/analytics/judging/tabular/clustering_scores.hpp"
#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics::judging {
namespace {
using Labels = std::vector<std::int32_t>;

TEST(AdjustedRandIndex, IsOneForRenamedClustersAndKnownForASmallTable) {
    EXPECT_DOUBLE_EQ(adjusted_rand_index(Labels{0, 0, 1, 1, 2}, Labels{5, 5, 3, 3, -1}), 1);
    // Pairs together in both 2, in truth 6, in found 4, expected 6 * 4 / 15 = 1.6: (2 - 1.6) / (5 - 1.6).
    EXPECT_DOUBLE_EQ(adjusted_rand_index(Labels{0, 0, 0, 1, 1, 1}, Labels{0, 0, 1, 1, 2, 2}), 0.8 / 3.3);
    EXPECT_DOUBLE_EQ(adjusted_rand_index(Labels{0, 0, 0, 0}, Labels{1, 1, 1, 1}), 1);
    EXPECT_DOUBLE_EQ(adjusted_rand_index(Labels{}, Labels{}), 1);
}

TEST(AdjustedRandIndex, IsNearZeroForRandomLabels) {
    Rng rng(3);
    Labels a, b;
    for (int i = 0; i < 20'000; ++i) {
        a.push_back(static_cast<std::int32_t>(rng.below(4)));
        b.push_back(static_cast<std::int32_t>(rng.below(4)));
    }
    EXPECT_NEAR(adjusted_rand_index(a, b), 0, 0.005);
    EXPECT_NEAR(normalized_clustering_accuracy(a, b), 0, 0.03);
}

TEST(NormalizedClusteringAccuracy, MatchesClustersOneToOne) {
    EXPECT_DOUBLE_EQ(normalized_clustering_accuracy(Labels{1, 1, 2, 2}, Labels{7, 7, 0, 0}), 1);
    EXPECT_DOUBLE_EQ(normalized_clustering_accuracy(Labels{1, 1, 2, 2}, Labels{0, 0, 0, 0}), 0);
    // Recalls .75 and 1: mean .875, rescaled (.875 - .5) / .5.
    EXPECT_DOUBLE_EQ(normalized_clustering_accuracy(Labels{0, 0, 0, 0, 1, 1}, Labels{0, 0, 0, 1, 1, 1}), 0.75);
}

TEST(BestMatching, AgreesWithTryingAllPermutations) {
    Rng rng(5);
    for (int round = 0; round < 50; ++round) {
        const std::size_t n = 1 + rng.below(5), m = n + rng.below(3);
        std::vector<std::vector<double>> values(n, std::vector<double>(m));
        for (auto& row : values)
            for (double& v : row) v = rng.uniform();
        std::vector<std::size_t> columns(m);
        for (std::size_t i = 0; i < m; ++i) columns[i] = i;
        double best = 0;
        do {
            double total = 0;
            for (std::size_t i = 0; i < n; ++i) total += values[i][columns[i]];
            best = std::max(best, total);
        } while (std::next_permutation(columns.begin(), columns.end()));
        EXPECT_NEAR(best_matching_total(values), best, 1e-12);
    }
}

TEST(RankScores, AreKnownForSmallCasesWithTies) {
    const std::vector<double> scores{0.1, 0.4, 0.35, 0.8};
    const std::vector<char> anomalous{0, 0, 1, 1};
    EXPECT_DOUBLE_EQ(roc_auc(scores, anomalous), 0.75);
    EXPECT_NEAR(average_precision(scores, anomalous), 0.5 + 0.5 * 2 / 3, 1e-12);
    EXPECT_DOUBLE_EQ(true_positive_rate_at(scores, anomalous, 0), 0.5);
    EXPECT_DOUBLE_EQ(true_positive_rate_at(scores, anomalous, 0.5), 1);
    const std::vector<double> same(4, 1.0);
    EXPECT_DOUBLE_EQ(roc_auc(same, anomalous), 0.5);
    EXPECT_DOUBLE_EQ(average_precision(same, anomalous), 0.5);
    EXPECT_TRUE(std::isnan(roc_auc(same, std::vector<char>(4, 0))));
}

std::string npy(std::string header, std::string_view data) {
    header.resize(118, ' ');
    std::string out("\x93NUMPY\x01\x00", 8);
    out += static_cast<char>(header.size());
    out += '\0';
    return out + header + std::string(data);
}

TEST(Npy, ReadsBothOrdersAndRefusesWhatIsCutShort) {
    const std::int16_t values[] = {1, 2, 3, 4, 5, 6};
    const std::string_view data(reinterpret_cast<const char*>(values), sizeof values);
    const auto columns = parse_npy(npy("{'descr': '<i2', 'fortran_order': True, 'shape': (3, 2), }", data));
    ASSERT_TRUE(columns);
    EXPECT_EQ(columns->at(0, 1), 4);
    EXPECT_EQ(columns->at(2, 0), 3);
    const auto rows = parse_npy(npy("{'descr': '<i2', 'fortran_order': False, 'shape': (3, 2), }", data));
    ASSERT_TRUE(rows);
    EXPECT_EQ(rows->at(0, 1), 2);
    EXPECT_EQ(parse_npy(npy("{'descr': '<i2', 'fortran_order': False, 'shape': (6,), }", data))->rows(), 6U);
    EXPECT_FALSE(parse_npy(npy("{'descr': '<i2', 'fortran_order': False, 'shape': (7,), }", data)));
    EXPECT_FALSE(parse_npy(npy("{'descr': '|O', 'fortran_order': False, 'shape': (6,), }", data)));
    EXPECT_FALSE(parse_npy("\x93NUMPY"));
}

}  // namespace
}  // namespace kn::analytics::judging
