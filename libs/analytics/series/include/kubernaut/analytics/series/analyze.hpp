#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/analytics/series/calendar.hpp"
#include "kubernaut/analytics/series/change_points.hpp"
#include "kubernaut/analytics/series/forecast.hpp"
#include "kubernaut/analytics/series/regular.hpp"
#include "kubernaut/analytics/series/seasonality.hpp"
#include "kubernaut/analytics/series/trend.hpp"

namespace kn::analytics::series {

struct AnalyzeOptions {
    std::size_t horizon = 24;  ///< forecast steps; 0: no forecast
    UtcOffset offset{};        ///< local time for calendar patterns; empty = UTC
    bool calendar = true;      ///< times are seconds since 1970
    bool parts = false;        ///< keep trend, season and remainder of every point (memory)
    double coverage = 0.95;
};

/// Everything about one series, on its even grid.
struct SeriesAnalysis {
    double start = 0, step = 1;  ///< of the grid, seconds
    std::size_t duplicates = 0;  ///< input points that fell on a place already taken
    Summary summary;
    std::vector<Season> seasons;
    std::vector<CalendarPattern> calendar;
    Trend trend;  ///< of the series without its seasons; slope per second
    double trend_strength = 0;
    std::vector<double> seasonal_strength;  ///< as `seasons`
    Changes changes;                        ///< places on the grid
    std::optional<Forecast> forecast;
    std::vector<double> trend_part, season_part, remainder;  ///< when asked for
    std::vector<std::string> notes;                          ///< what could not be said and why, for a person
};

/// Summary, seasons, calendar patterns, trend, changes and forecast of one series. Errors: those of regularize (lengths, times that go back).
/// Too little data is no error: the parts that need more say so in `notes`. About 1 µs a point and half a millisecond fixed.
Result<SeriesAnalysis> analyze_series(std::span<const double> times, std::span<const double> values, const AnalyzeOptions& options = {});

struct SeriesInput {
    std::span<const double> times, values;
};
/// analyze_series for each; the answers do not depend on the number of threads.
std::vector<Result<SeriesAnalysis>> analyze_many(std::span<const SeriesInput> inputs, const AnalyzeOptions& options, unsigned threads);

}  // namespace kn::analytics::series
