#include "kubernaut/analytics/series/analyze.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/series/decomposition.hpp"

namespace kn::analytics::series {

Result<SeriesAnalysis> analyze_series(std::span<const double> times, std::span<const double> values, const AnalyzeOptions& options) {
    KN_TRY(const RegularSeries grid, regularize(times, values));
    SeriesAnalysis out;
    out.start = grid.start;
    out.step = grid.step;
    out.duplicates = grid.duplicates;
    out.summary = summarize(grid.values);
    const std::size_t n = grid.values.size();
    if (out.summary.points < 8) {
        out.notes.push_back("only " + std::to_string(out.summary.points) + " known values: no seasons, changes or trend");
        out.changes.boundaries = {0, n};
    }
    out.seasons = find_seasons(grid.values);
    std::vector<std::size_t> periods;
    for (const auto& season : out.seasons) periods.push_back(season.period);

    std::vector<double> grid_times(n);
    for (std::size_t i = 0; i < n; ++i) grid_times[i] = grid.time_of(i);
    std::vector<double> without_season = grid.values;
    if (!periods.empty() || options.parts) {
        auto parts = mstl(grid.values, periods, {.robust_rounds = 1});
        without_season = parts.deseasonalized(grid.values);
        out.trend_strength = parts.trend_strength;
        for (const auto& season : out.seasons) {
            const auto at = std::ranges::find(parts.periods, season.period);
            out.seasonal_strength.push_back(
                at == parts.periods.end() ? 0 : parts.seasonal_strength[static_cast<std::size_t>(at - parts.periods.begin())]);
        }
        if (options.parts) {
            out.season_part.assign(n, 0.0);
            for (const auto& season : parts.seasonal)
                for (std::size_t i = 0; i < n; ++i) out.season_part[i] += season[i];
            out.trend_part = std::move(parts.trend);
            out.remainder = std::move(parts.remainder);
        }
    }
    out.trend = fit_trend(grid_times, without_season);
    if (!out.trend.enough) out.notes.emplace_back("too few values for a trend");
    if (out.summary.points >= 8) {
        out.changes = find_changes(
            without_season,
            {.min_segment = std::clamp<std::size_t>(periods.empty() ? 5 : periods.front(), 5, std::max<std::size_t>(5, n / 4)), .period = 1});
        if (!periods.empty()) out.changes.period = periods.front();
    }
    if (options.calendar) {
        std::vector<std::int64_t> seconds(n);
        for (std::size_t i = 0; i < n; ++i) seconds[i] = static_cast<std::int64_t>(std::llround(grid_times[i]));
        out.calendar = find_calendar_patterns(seconds, grid.values, options.offset);
    }
    if (options.horizon > 0) {
        std::vector<std::size_t> tried(periods);
        // A day and a week are worth asking for even where no season stood out.
        for (const double seconds : {86'400.0, 7 * 86'400.0}) {
            const double points = seconds / grid.step;
            if (options.calendar && points >= 2 && points <= 1000 && std::abs(points - std::round(points)) < 1e-6)
                tried.push_back(static_cast<std::size_t>(std::llround(points)));
        }
        std::erase_if(tried, [](std::size_t p) { return p > 1000; });
        if (auto made = forecast(grid.values, {.horizon = options.horizon, .periods = tried, .coverage = options.coverage}))
            out.forecast = std::move(*made);
        else
            out.notes.push_back("no forecast: " + made.error().message);
    }
    return out;
}

std::vector<Result<SeriesAnalysis>> analyze_many(std::span<const SeriesInput> inputs, const AnalyzeOptions& options, unsigned threads) {
    std::vector<Result<SeriesAnalysis>> out(inputs.size());
    parallel_blocks(inputs.size(), 1, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) out[i] = analyze_series(inputs[i].times, inputs[i].values, options);
    });
    return out;
}

}  // namespace kn::analytics::series
