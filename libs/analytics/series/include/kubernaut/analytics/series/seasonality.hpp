#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::analytics::series {

struct SeasonOptions {
    std::size_t max_seasons = 3;
    std::size_t min_period = 2;
    std::size_t max_period = 0;  ///< 0: half the series
    double significance = 0.01;  ///< chance of any season in a series without one (white or AR(1) noise)
};

/// A period that repeats.
struct Season {
    std::size_t period = 0;      ///< points
    double exact_period = 0;     ///< points, with its fraction
    std::size_t harmonics = 0;   ///< sines that its shape needs
    double strength = 0;         ///< share of the detrended variance that it explains, 0..1
    double p_value = 1;          ///< against AR(1) noise, corrected for the number of periods tried
    double autocorrelation = 0;  ///< of the detrended series at the period
};

/// Unknown seasons, the strongest first; none when nothing is significant, when the series is constant or shorter than two periods.
/// Detrends, asks for each period how much a sum of harmonics explains (non-linear least squares over a zero-padded spectrum with
/// the number of harmonics by BIC: Nielsen, Jensen, Jensen, Christensen, Jensen 2017; so a period wins over its multiples), holds the winner
/// to a hill of the autocorrelation (Vlachos, Yu, Castelli 2005) and to the power of AR(1) noise, then removes it and asks again. A single step
/// that explains more than the first season is taken out before.
/// Missing values are drawn straight first. O(n log n).
std::vector<Season> find_seasons(std::span<const double> values, const SeasonOptions& options = {});

}  // namespace kn::analytics::series
