#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::analytics::series {

struct LagCorrelation {
    std::size_t first = 0, second = 0;  ///< of the series compared (0 and 1 for a single pair)
    std::ptrdiff_t lag = 0;             ///< points by which `second` follows `first`; negative: it leads
    double correlation = 0;             ///< at that lag, of the whitened series
    double p_value = 1;                 ///< corrected for the lags tried
    double q_value = 1;                 ///< Benjamini-Hochberg over all pairs
};

/// The lag with the strongest correlation between two evenly spaced, equally long series, each whitened first by its own autoregression (order by AIC;
/// Haugh 1976), since two slow series correlate by chance at some lag. By FFT, O(n log n). p = 1 with fewer than 20 points or a constant series.
LagCorrelation correlate(std::span<const double> first, std::span<const double> second, std::size_t max_lag);

/// All pairs, q-values filled in, ascending by p; the same for any number of threads. Series of other lengths than the first are left out.
std::vector<LagCorrelation> correlate_all(std::span<const std::vector<double>> series, std::size_t max_lag, unsigned threads = 1);

/// What an autoregression of the order with the least AIC (at most `max_order`) leaves, scaled to deviation 1; empty for a constant.
std::vector<double> whiten(std::span<const double> values, std::size_t max_order = 12);

}  // namespace kn::analytics::series
