#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::patterns {

/// Two-sided p-value of a standard normal deviate.
double normal_p(double z);
/// Lag-one autocorrelation about the mean, clipped to [0, most].
double lag_one(std::span<const double> values, double most);
/// Medians (or means) of `count` nearly equal blocks; NaN for a block without a known value. All of them when there are no more.
struct Blocks {
    std::vector<double> values;
    std::vector<std::size_t> first;  ///< of each block, and one past the last
};
Blocks block_medians(std::span<const double> values, std::size_t count);
/// Adjusted p-values (Benjamini, Hochberg 1995), in the order given.
std::vector<double> q_values(std::span<const double> p_values);

}  // namespace kn::patterns
