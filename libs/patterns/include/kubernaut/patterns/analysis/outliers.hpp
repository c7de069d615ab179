#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::patterns {

/// Neighbouring points that are far from what was expected.
struct OddStretch {
    std::size_t first = 0, last = 0;  ///< both in
    std::size_t peak = 0;             ///< the oddest point
    double value = 0, expected = 0;   ///< there
    double score = 0;                 ///< robust deviations from what was expected
    double p_value = 1;
};

/// Points whose remainder lies beyond the tail that the remainders themselves show (Pickands 1975, from the 90, 95 and 97.5 % quantiles, so
/// that the outliers do not shape it), holding the false discovery rate (Benjamini, Hochberg 1995). `values`, `expected`: equally long; a value
/// that is not finite is passed over. O(n log n).
std::vector<OddStretch> find_outliers(std::span<const double> values, std::span<const double> expected, double false_discovery_rate = 0.01);

}  // namespace kn::patterns
