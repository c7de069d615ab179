#pragma once

#include <cstddef>
#include <vector>

#include "kubernaut/analytics/clustering/k_means.hpp"
#include "kubernaut/analytics/clustering/spanning_tree.hpp"
#include "kubernaut/analytics/numerics/kd_tree.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

struct DensityClusters {
    std::vector<Label> labels;  ///< 0 .. clusters-1 in the order of their first row, or noise
    std::size_t clusters = 0;
    std::vector<double> membership;  ///< in [0, 1]; 0 for noise
};

/// DBSCAN (Ester et al. 1996): rows with at least `min_points` rows (itself included) within `eps` are cores; cores within eps belong
/// together; another row joins its nearest core within eps (the lower row on ties, so that the answer does not depend on the order).
/// Walks the k-d tree with SIMD leaves and a union-find, without neighbour lists; O(n log n) where neighbourhoods are small.
Result<DensityClusters> dbscan(MatrixView rows, double eps, std::size_t min_points, unsigned threads);
DensityClusters dbscan(const KdTree& points, double eps, std::size_t min_points, unsigned threads);

/// Where the sorted distances to the `neighbour`-th nearest bend the most (the point farthest below the line between both ends, Satopaa
/// et al. 2011): an eps for DBSCAN. 0 when all distances are 0.
double knee_eps(const KdTree& points, std::size_t neighbour, unsigned threads);

struct HdbscanOptions {
    std::size_t min_cluster_size = 5;
    std::size_t min_points = 5;  ///< reach of the core distance
    bool allow_single_cluster = false;
    bool leaves = false;     ///< the finest clusters instead of those with the largest excess of mass
    double merge_below = 0;  ///< clusters that separate only below this distance stay together
    unsigned threads = 1;
};

/// HDBSCAN* (Campello, Moulavi, Sander 2013): the hierarchy of all DBSCAN answers, cut where clusters persist longest.
Result<DensityClusters> hdbscan(MatrixView rows, const HdbscanOptions& options);
DensityClusters hdbscan(const SpanningTree& tree, const HdbscanOptions& options);

/// Genie (Gagolewski, Bartoszuk, Cena 2016): joins along the spanning tree to exactly `clusters` clusters, but while the Gini index of the
/// cluster sizes exceeds `gini_threshold` a smallest cluster must join first. O(n sqrt n) at worst after the tree. n = edges + 1.
std::vector<Label> genie(const SpanningTree& tree, std::size_t clusters, double gini_threshold = 0.3);
/// The same for 1, 2, ... `most_clusters` clusters at the price of one: entry k - 1 has k clusters.
std::vector<std::vector<Label>> genie_levels(const SpanningTree& tree, std::size_t most_clusters, double gini_threshold = 0.3);

}  // namespace kn::analytics
