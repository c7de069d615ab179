#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::analytics::series {

/// How smooth the parts may be. Windows are counted in points (trend) or in whole periods (season); 0 = chosen from the period.
struct StlOptions {
    std::size_t season_window = 0;  ///< neighbouring periods that share one seasonal value; odd; default 11
    std::size_t trend_window = 0;   ///< points; odd; default 1.5 p / (1 - 1.5 / season_window)
    std::size_t robust_rounds = 2;  ///< 0: least squares; each round weighs outliers down once more
    std::size_t inner_rounds = 2;   ///< before the first weights; one more after each
};

/// value = trend + sum of seasonal + remainder, point by point. Where the value is missing the parts are still given and the remainder is NaN.
struct Decomposition {
    std::vector<std::size_t> periods;  ///< in points, ascending; may be empty
    std::vector<double> trend;
    std::vector<std::vector<double>> seasonal;  ///< one a period
    std::vector<double> remainder;
    std::vector<double> weights;            ///< robustness weight of each point, 0 (outlier, missing) to 1
    double trend_strength = 0;              ///< 1 - var(remainder) / var(trend + remainder), at least 0 (Wang, Smith, Hyndman 2006)
    std::vector<double> seasonal_strength;  ///< the same for each season

    [[nodiscard]] std::vector<double> deseasonalized(std::span<const double> values) const;
};

/// Robust seasonal-trend decomposition by loess (Cleveland, Cleveland, McRae, Terpenning 1990), here with missing values as weight 0 and
/// fits on a coarse grid with straight lines between. `period` >= 2 points and at least two whole periods, else only a trend is taken
/// (as with period 0 or 1): a robust loess over a quarter of the series. O(n) a round with a constant of about 30.
Decomposition stl(std::span<const double> values, std::size_t period, const StlOptions& options = {});

/// Several seasons (MSTL: Bandara, Hyndman, Bergmeir 2021): each season is taken in turn from the series without the others, the shortest
/// first, two rounds. Periods that do not fit in twice, or repeat, are left out.
Decomposition mstl(std::span<const double> values, std::span<const std::size_t> periods, const StlOptions& options = {});

/// Local linear smooth with tricube weights over the `window` nearest points, on an even grid; missing values have no weight.
std::vector<double> loess(std::span<const double> values, std::size_t window, std::size_t robust_rounds = 0);

}  // namespace kn::analytics::series
