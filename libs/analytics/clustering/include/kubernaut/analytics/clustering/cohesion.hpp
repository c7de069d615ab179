#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kubernaut/analytics/clustering/k_means.hpp"
#include "kubernaut/analytics/clustering/spanning_tree.hpp"
#include "kubernaut/analytics/numerics/kd_tree.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"

namespace kn::analytics {

/// How much easier a partition's clusters come apart from each other than each comes apart within: for each cluster, with out = share of its
/// neighbour links that lead out of it, and in = normalised cut of its best split in two (by 2-means, and along its spanning tree), the mean
/// of out / (out + in), a tenth of the typical in added to both, in [0, 1]. Near 0: clusters that do not touch and have no gap inside; about a half: pieces of one heap. Compares partitions
/// of any number of clusters, as too few leave a gap inside and too many cut through. (Internal against external conductance: Kannan,
/// Vempala, Vetta 2004.) O(n k_neighbours + n cols) for a few clusters.
double looseness(MatrixView rows, const Neighbours& graph, const SpanningTree& tree, std::span<const Label> labels, std::uint64_t seed);

}  // namespace kn::analytics
