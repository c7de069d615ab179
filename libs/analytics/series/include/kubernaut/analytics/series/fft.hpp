#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::analytics::series {

// Spectra of evenly spaced values. No value may be missing: fill them first (fill_missing in regular.hpp). All O(n log n).

/// The smallest even 2^a 3^b 5^c that is >= n: the lengths at which the transform is quick.
std::size_t fast_length(std::size_t n);

/// r[0..max_lag], r[0] = 1: the biased sample autocorrelation about the mean. All zero (but r[0] = 1) for a constant series.
std::vector<double> autocorrelation(std::span<const double> values, std::size_t max_lag);

/// Power at frequency k / length for k = 0..length / 2, mean removed, zero-padded to `length` = fast_length(n) (also returned).
struct Periodogram {
    std::size_t length = 0;
    std::vector<double> power;
};
Periodogram periodogram(std::span<const double> values);

/// c[lag + max_lag] = sum over t of a[t] * b[t + lag] / n, both as they are (nothing removed), lag = -max_lag..max_lag.
/// a and b are equally long.
std::vector<double> cross_products(std::span<const double> a, std::span<const double> b, std::size_t max_lag);

}  // namespace kn::analytics::series
