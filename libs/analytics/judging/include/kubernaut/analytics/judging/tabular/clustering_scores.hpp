#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kn::analytics::judging {

/// Adjusted Rand index (Hubert, Arabie 1985) of two labelings of the same rows; 1 = the same partition, 0 = as chance has it. Each label,
/// negative ones too, is a cluster of its own. 1 when both are trivial in the same way. O(n + clusters^2).
double adjusted_rand_index(std::span<const std::int32_t> truth, std::span<const std::int32_t> found);

/// Normalised clustering accuracy (Gagolewski 2022): the mean share of each true cluster that lands in its partner under the best one-to-one
/// matching, rescaled so that an even spread gives 0. Clusters found beyond the true ones go without a partner. O(n + clusters^3).
double normalized_clustering_accuracy(std::span<const std::int32_t> truth, std::span<const std::int32_t> found);

/// The largest total of values[i][match[i]] over one-to-one matchings of rows to columns (Hungarian method, O(n^3)); rows <= columns.
double best_matching_total(const std::vector<std::vector<double>>& values);

}  // namespace kn::analytics::judging
