#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kn::analytics::series {

enum class Direction : std::uint8_t { none, rising, falling };

/// A robust straight trend. Slopes are per unit of the times given.
struct Trend {
    bool enough = false;  ///< fewer than 4 known points, or all at one time: nothing else is set
    std::size_t points = 0;
    double slope = 0;      ///< Theil-Sen
    double start = 0;      ///< of the line at the first time: median of value - slope * (time - first time)
    double end = 0;        ///< of the line at the last time
    double slope_low = 0;  ///< 95 % interval of the slope, widened for autocorrelation
    double slope_high = 0;
    double p_value = 1;                     ///< two-sided Mann-Kendall, variance by Hamed and Rao
    double r_squared = 0;                   ///< of the line: 1 - residual squares / squares about the mean, at least 0
    double effective_points = 0;            ///< points / (variance inflation)
    Direction direction = Direction::none;  ///< none unless p_value < 0.01
    [[nodiscard]] bool significant() const { return direction != Direction::none; }
};

/// Theil-Sen slope (all pairs up to 160 points; above that some 12,000 pairs far apart, O(n) in all), Mann-Kendall
/// test with the correction for autocorrelated data of Hamed and Rao (1998), interval by Sen's normal approximation. Values not finite are left out.
/// `times` ascending, as long as `values`; when they differ in length or go back, enough = false.
Trend fit_trend(std::span<const double> times, std::span<const double> values);

/// The Theil-Sen slope alone, by the same pairs; NaN where fit_trend would say "not enough".
double robust_slope(std::span<const double> times, std::span<const double> values);

/// A line piece of a piecewise linear fit.
struct TrendPiece {
    std::size_t begin = 0, end = 0;  ///< places [begin, end)
    double slope = 0;                ///< per point
    double start_value = 0;          ///< of the line at `begin`
};
struct PiecewiseTrend {
    std::vector<TrendPiece> pieces;
    double r_squared = 0;
};
/// Lines between the changes of slope that find_changes accepts (evenly spaced values).
PiecewiseTrend fit_piecewise(std::span<const double> values);

struct Summary {
    std::size_t points = 0, missing = 0;
    double mean = 0, median = 0, min = 0, max = 0, deviation = 0;
    double p95 = 0;
    std::size_t peak_index = 0;  ///< of the largest value, the first when several
    double variability = 0;      ///< deviation / |mean|; 0 when the mean is 0
    double growth = 0;           ///< (median of the last tenth - median of the first tenth) / |first|; 0 when the first is 0
};
Summary summarize(std::span<const double> values);

}  // namespace kn::analytics::series
