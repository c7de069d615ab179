#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::analytics::series {

struct ForecastOptions {
    std::size_t horizon = 1;             ///< steps ahead
    std::vector<std::size_t> periods{};  ///< seasons to try, in points; each is used only when the series shows it
    double coverage = 0.95;              ///< of the interval at each step
    bool follow_trend = false;           ///< trust a line that explains 80 % instead of damping it: for disks that fill, leaks, certificates
    std::size_t history = 2000;          ///< only the latest points are used: what is older says little about what comes next
};

/// What one method says.
struct MemberForecast {
    std::string model;           ///< "naive", "theta", "ets", "holt-winters", "multi-season"
    std::vector<double> values;  ///< one a step
};

struct Forecast {
    std::vector<double> values;  ///< the median over the members, one a step
    std::vector<double> lower;   ///< of the interval
    std::vector<double> upper;
    std::vector<double> deviation;  ///< standard deviation of the error at each step
    std::vector<MemberForecast> members;
    std::vector<std::size_t> periods;  ///< the seasons in use
    std::size_t points = 0;            ///< known values used
};

/// The median of several exponential-smoothing forecasts (Petropoulos, Svetunkov 2020): dynamic optimised Theta (Fiorucci et al. 2016), the ETS
/// family chosen by AICc (Hyndman et al. 2002) on the deseasonalized series, and damped Holt-Winters with additive season. Long seasonal series
/// add seasonal level, three autoregressions (of the values, their logarithms, their seasonal changes) and seasonal naive, weighed by their errors on
/// the held-back end. Half-widths of the intervals are the
/// root mean square error of the same combination at past origins, separately for each number of steps ahead, times a normal quantile and a
/// factor for what was fitted; they never shrink with the step. O(n) a model with a constant of some hundred. Missing values are drawn straight.
/// Errors: invalid_argument for horizon 0 or coverage outside (0, 1); failed_precondition with fewer than 3 known values.
Result<Forecast> forecast(std::span<const double> values, const ForecastOptions& options);

/// The same forecast with the interval of another coverage; as it is when coverage lies outside (0, 1).
Forecast with_coverage(Forecast forecast, double coverage);

/// When a resource with the given limit is used up, in steps after the last value.
struct Exhaustion {
    std::optional<double> expected;  ///< the middle forecast reaches the limit here; none within the horizon
    std::optional<double> earliest;  ///< the interval's near side does
    std::optional<double> latest;    ///< its far side does
    double chance = 0;               ///< that it happens within the horizon, from where the limit lies in the last interval
};
/// `rising`: used up when the value reaches the limit from below, else from above. Linear between steps; 0 when it is already beyond.
Exhaustion time_to_exhaustion(const Forecast& forecast, double last_value, double limit, bool rising, double coverage = 0.95);

}  // namespace kn::analytics::series
