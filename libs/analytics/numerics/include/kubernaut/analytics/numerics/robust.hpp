#pragma once

#include <span>

namespace kn::analytics {

// Values that are not finite are left out; with none left the answer is NaN. All O(n) on average, on a copy.

double median(std::span<const double> values);
/// Median absolute deviation from the median, times 1.4826: the standard deviation of a normal sample.
double mad(std::span<const double> values);
/// The q-quantile by linear interpolation between order statistics (Hyndman and Fan's type 7), q in [0, 1].
double quantile(std::span<const double> values, double q);
/// Mean by shifted sums: exact enough for 1e9 + small noise.
double mean(std::span<const double> values);
/// Sample variance (n - 1), two passes; 0 for one value.
double variance(std::span<const double> values);

}  // namespace kn::analytics
