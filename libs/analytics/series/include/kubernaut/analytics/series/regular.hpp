#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::analytics::series {

/// Evenly spaced values: value i belongs to time start + i * step (seconds). NaN = missing.
struct RegularSeries {
    double start = 0;
    double step = 1;
    std::vector<double> values;
    std::size_t missing = 0;     ///< NaN among values: gaps of the input and its own NaN and infinities
    std::size_t duplicates = 0;  ///< input points that fell on a place already taken; the later one won
    std::size_t points = 0;      ///< input points

    [[nodiscard]] double time_of(std::size_t i) const { return start + step * static_cast<double>(i); }
};

/// Puts measured points on an even grid whose step is the most usual distance between neighbours (the median of positive ones), each
/// on its nearest place. O(n log n).
/// Errors (invalid_argument): lengths differ, a time is not finite or lies before the one above it, or gaps so long that more than
/// eight of nine places (and more than 10,000) would be empty.
Result<RegularSeries> regularize(std::span<const double> times, std::span<const double> values);

/// Values with the missing ones (not finite) drawn straight between their neighbours and flat at the ends; all zero when none is known.
std::vector<double> fill_missing(std::span<const double> values);

/// How many values are finite.
std::size_t count_finite(std::span<const double> values);

}  // namespace kn::analytics::series
