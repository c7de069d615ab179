#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace kn::analytics::series::detail {

enum class SeasonKind : unsigned char { none, additive, multiplicative };

/// Forecasts of one fitted method from any origin: row o holds the steps after the first `origins[o]` values, by the fixed parameters.
struct Fitted {
    std::string model;
    std::vector<std::vector<double>> paths;
    double criterion = 0;  ///< AICc
    std::vector<double> parameters{};
};

struct SmoothingTask {
    std::span<const double> values;
    std::size_t horizon = 1;
    std::span<const std::size_t> origins;  ///< ascending; the last one is values.size()
    std::span<const Fitted> known{};       ///< the same members fitted on most of the values: their parameters are used as they are
};

/// Exponential smoothing with error correction: level, optional (damped) trend, optional season. Parameters by least squares of one-step errors.
Fitted fit_ets(const SmoothingTask& task, bool trend, bool damped, SeasonKind season, std::size_t period);
/// Dynamic optimised Theta (Fiorucci, Pellegrini, Louzada, Petropoulos, Koehler 2016).
Fitted fit_theta(const SmoothingTask& task);

/// Ridge regression on the value's own past: lags 1 to 3 and those around one and two rounds of each period, about the
/// mean. Needs more points than lags by far.
Fitted fit_autoregression(const SmoothingTask& task, std::span<const std::size_t> periods);

/// Nelder, Mead 1965 within bounds (outside is clamped). At most `evaluations` calls.
std::vector<double> minimize(const std::function<double(std::span<const double>)>& cost, std::vector<double> start, std::span<const double> low,
                             std::span<const double> high, std::size_t evaluations);

/// Classical seasonal indexes (ratio or difference to the centred moving average), one a phase of index modulo period, normalised.
std::vector<double> seasonal_indexes(std::span<const double> values, std::size_t period, bool multiplicative);

}  // namespace kn::analytics::series::detail
