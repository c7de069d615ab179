#pragma once

#include <cstddef>
#include <span>

namespace kn::analytics::series::detail {

/// Local line at `x` from values[i] at i = 0..n-1 with the given weights over the `window` nearest places (all, when there are fewer).
/// NaN when no weight is left. `x` may lie outside [0, n - 1].
double loess_at(std::span<const double> values, std::span<const double> weights, std::size_t window, double x);

/// loess_at for every place of `out`, at each `jump`th place exactly and straight between. out[i] is at place i + first.
void loess_along(std::span<const double> values, std::span<const double> weights, std::size_t window, std::size_t jump, double first,
                 std::span<double> out);

}  // namespace kn::analytics::series::detail
