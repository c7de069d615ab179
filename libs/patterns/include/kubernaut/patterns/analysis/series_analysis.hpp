#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/analytics/series/calendar.hpp"
#include "kubernaut/analytics/series/change_points.hpp"
#include "kubernaut/analytics/series/decomposition.hpp"
#include "kubernaut/analytics/series/forecast.hpp"
#include "kubernaut/analytics/series/seasonality.hpp"
#include "kubernaut/analytics/series/trend.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/patterns/analysis/outliers.hpp"

namespace kn::patterns {

/// A series on an even grid. Months and quarters are even by the calendar: their times are not exactly a step apart.
struct Grid {
    std::vector<double> times;    ///< seconds since 1970
    std::vector<double> values;   ///< NaN = missing
    double step = 1;              ///< seconds, the usual one
    std::size_t points = 0;       ///< of the input that are known
    std::size_t missing = 0;      ///< places without a value
    std::size_t longest_gap = 0;  ///< of these, neighbouring ones
    std::size_t longest_gap_at = 0;
    bool uneven = false;  ///< times had no usual step: values were averaged
    /// The time `steps` after the last.
    [[nodiscard]] double after_end(std::size_t steps) const;
    int months = 0;  ///< a step, for calendar grids
};
/// `times` strictly ascending. invalid_argument: lengths differ, times that are not finite or go back.
Result<Grid> to_grid(std::span<const double> times, std::span<const double> values);

struct Summary {
    std::size_t known = 0;
    double mean = 0, median = 0, deviation = 0, p95 = 0;  ///< deviation: robust
    double least = 0, most = 0;
    std::size_t least_at = 0, most_at = 0;  ///< places on the grid
    double growth = 0;                      ///< median of the last tenth less that of the first
};

struct FoundSeason {
    analytics::series::Season season;
    double seconds = 0;
    std::string name;                  ///< "daily", "weekly", "every 40 minutes"
    std::vector<double> profile;       ///< one cycle of the decomposition, the last one
    std::size_t profile_at = 0;        ///< the place of its first point on the grid
    std::size_t peak = 0, trough = 0;  ///< within the profile
};

struct Band {
    double level = 0.95;
    std::vector<double> low, high;
};
struct Outlook {
    std::vector<double> median;  ///< one a step after the end of the grid
    std::vector<Band> bands;     ///< in the order of the levels asked
    std::string method;          ///< "median of theta, ets, holt-winters"
};
/// When the limit is crossed.
struct LimitCrossing {
    double limit = 0;
    bool rising = true;                                      ///< reached from below
    double chance = 0;                                       ///< that it happens within the horizon
    std::optional<double> expected{}, earliest{}, latest{};  ///< seconds since 1970; the latter two bound it at the widest level
};

struct AnalysisOptions {
    bool trend = true, seasons = true, changes = true, forecast = true, outliers = true;
    bool calendar = true;                       ///< times are seconds since 1970, not row numbers; sought together with seasons
    analytics::series::UtcOffset utc_offset{};  ///< of the local time that calendar cycles follow; empty = UTC
    std::size_t horizon = 0;                    ///< points; 0 = one longest season, else a tenth of the series, 2 .. 500
    std::vector<double> levels{0.8, 0.95};
    std::optional<double> limit{};  ///< the value that must not be crossed
};

/// Everything that is found in one series. A part that had too little to go by is absent and `said` tells why.
struct SeriesAnalysis {
    std::string name;
    Grid grid;
    Summary summary;
    std::vector<FoundSeason> seasons;
    std::vector<analytics::series::CalendarPattern> calendar;  ///< what `seasons` does not tell already: days of the month, or cycles too weak for it
    analytics::series::Decomposition parts;                    ///< trend, seasons and remainder on the grid
    std::optional<analytics::series::Trend> trend;             ///< of the series without its seasons; a second
    std::vector<analytics::series::Change> changes;
    std::optional<Outlook> forecast;
    std::optional<LimitCrossing> exhaustion;
    std::vector<OddStretch> outliers;
    std::vector<std::string> said;
};

/// 10,000 points take some 20 ms on one core.
Result<SeriesAnalysis> analyze_series(std::string name, std::span<const double> times, std::span<const double> values,
                                      const AnalysisOptions& options);

/// "daily", "weekly", "hourly", "every 40 minutes".
std::string season_name(double seconds);

}  // namespace kn::patterns
