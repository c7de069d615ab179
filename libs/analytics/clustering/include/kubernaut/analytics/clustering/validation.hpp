#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kubernaut/analytics/clustering/k_means.hpp"
#include "kubernaut/analytics/numerics/kd_tree.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"

namespace kn::analytics {

// How good a partition is, from the points alone. Labels are 0 .. k-1 (gaps are allowed) or noise; noise is left out. NaN where an index is
// not defined: fewer than two clusters. Rows must be finite. Squared Euclidean geometry throughout.

/// Mean silhouette (Rousseeuw 1987) in [-1, 1]; a row alone in its cluster counts 0. O(n^2 cols).
double silhouette(MatrixView rows, std::span<const Label> labels, unsigned threads);
/// The same with distances to the clusters' means instead of to their rows (Hruschka et al. 2004). O(n k cols).
double simplified_silhouette(MatrixView rows, std::span<const Label> labels, unsigned threads);
/// Davies-Bouldin index (1979): mean over clusters of the worst (spread + spread) / distance; smaller is better. O(n cols + k^2 cols).
double davies_bouldin(MatrixView rows, std::span<const Label> labels);
/// Calinski-Harabasz index (1974): variance between over variance within, per degree of freedom; larger is better. Infinity when there is
/// no variance within. O(n cols).
double calinski_harabasz(MatrixView rows, std::span<const Label> labels);
/// Density-based validity (Moulavi et al. 2014) in [-1, 1]: each cluster's sparsest inner link against its densest link to another one;
/// a share of noise lowers it. At most 4,000 rows are used (evenly spaced). O(n^2 cols).
double density_validity(MatrixView rows, std::span<const Label> labels);
/// Normalised cut (Shi, Malik 2000) of the graph that joins every row with its k nearest: mean share of a cluster's links that lead out of
/// it; 0 = clusters do not touch. One value a cluster on average, so it compares partitions of different sizes. O(n k).
double normalized_cut(const Neighbours& graph, std::span<const Label> labels);

/// Adjusted Rand index (Hubert, Arabie 1985) of two labelings of the same rows; each label, noise too, is a cluster. O(n + k^2).
double partition_agreement(std::span<const Label> a, std::span<const Label> b);

/// Stability: mean agreement of the whole partition with those of random halves (Ben-Hur et al. 2002; drawn without replacement, so that
/// ties do not flatter density methods). `cluster` must return one label a row, or nothing when it fails (counts 0).
double stability(MatrixView rows, std::span<const Label> labels, const std::function<std::vector<Label>(MatrixView)>& cluster, unsigned rounds,
                 std::uint64_t seed);

}  // namespace kn::analytics
