#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::patterns {

/// b follows a by `lag` points (negative: a follows b).
struct LeadLag {
    std::size_t a = 0, b = 0;
    std::ptrdiff_t lag = 0;
    double correlation = 0;  ///< of the whitened series at the lag
    double p_value = 1, q_value = 1;
};

/// Pairs of series on the same grid that move together: each is whitened by its own autoregression (so that slow series do not correlate by
/// chance; Haugh 1976), the largest cross-correlation is held against its chance over all lags, and the pairs against each other
/// (Benjamini, Hochberg 1995). Only pairs with q < `false_discovery_rate`, the smallest q first. O(pairs n log n).
std::vector<LeadLag> find_lead_lag(std::span<const std::vector<double>> series, std::size_t max_lag, double false_discovery_rate = 0.01);

}  // namespace kn::patterns
