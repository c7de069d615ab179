#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace kn::patterns {

/// A straight line through a series, robust: Theil-Sen (Sen 1968) on at most 240 block medians.
struct Trend {
    double slope = 0;                      ///< a second
    double slope_low = 0, slope_high = 0;  ///< 95 %
    double start = 0, end = 0;             ///< the line's values at the first and the last time
    double p_value = 1;                    ///< Mann-Kendall, its variance corrected for lag-one autocorrelation (Hamed, Rao 1998)
    double r2 = 0;                         ///< share of the variance that the line explains
    [[nodiscard]] bool significant() const { return p_value < 0.01; }
};

/// Nothing with fewer than 24 known values. O(n + 240^2).
std::optional<Trend> find_trend(std::span<const double> times, std::span<const double> values);

}  // namespace kn::patterns
