#include "kubernaut/patterns/analysis/series_analysis.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>

#include "analysis/line_outlook.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/regular.hpp"

namespace kn::patterns {
namespace {

namespace series = analytics::series;
namespace ch = std::chrono;
constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

ch::sys_days day_of(double seconds) { return ch::floor<ch::days>(ch::sys_seconds(ch::seconds(static_cast<std::int64_t>(std::floor(seconds))))); }

std::int64_t month_number(double seconds) {
    const ch::year_month_day date(day_of(seconds));
    return static_cast<std::int64_t>(static_cast<int>(date.year())) * 12 + static_cast<int>(static_cast<unsigned>(date.month())) - 1;
}

/// The same day and time of day, so many months later (the last day where a month is too short).
double months_later(double seconds, std::int64_t months) {
    const auto day = day_of(seconds);
    const ch::year_month_day date(day);
    auto later = date + ch::months(months);
    if (!later.ok()) later = later.year() / later.month() / ch::last;
    return static_cast<double>(ch::sys_days(later).time_since_epoch().count()) * 86'400 +
           (seconds - static_cast<double>(day.time_since_epoch().count()) * 86'400);
}

/// 1, 3 or 12 where the times are months, quarters or years apart; 0 else.
int calendar_months(std::span<const double> times, double step) {
    constexpr double day = 86'400;
    const int months = step >= 27.5 * day && step <= 31.5 * day     ? 1
                       : step >= 88.5 * day && step <= 92.5 * day   ? 3
                       : step >= 364.5 * day && step <= 366.5 * day ? 12
                                                                    : 0;
    if (months == 0 || std::abs(times.back()) > 2e11 || std::abs(times.front()) > 2e11) return 0;
    for (std::size_t i = 1; i < times.size(); ++i) {
        const std::int64_t apart = month_number(times[i]) - month_number(times[i - 1]);
        if (apart <= 0 || apart % months != 0) return 0;
    }
    return months;
}

void count_missing(Grid& grid) {
    std::size_t run = 0;
    for (std::size_t i = 0; i < grid.values.size(); ++i) {
        if (std::isfinite(grid.values[i])) {
            run = 0;
            ++grid.points;
            continue;
        }
        grid.values[i] = nothing;
        ++grid.missing;
        if (++run > grid.longest_gap) grid.longest_gap = run, grid.longest_gap_at = i + 1 - run;
    }
}

/// Means over equal spans, for times without a usual step.
Grid averaged(std::span<const double> times, std::span<const double> values) {
    Grid grid;
    grid.uneven = true;
    const std::size_t places = std::clamp<std::size_t>(times.size() / 2, 2, 100'000);
    grid.step = (times.back() - times.front()) / static_cast<double>(places - 1);
    std::vector<double> sum(places, 0), count(places, 0);
    for (std::size_t i = 0; i < times.size(); ++i) {
        if (!std::isfinite(values[i])) continue;
        const auto at = std::min(places - 1, static_cast<std::size_t>((times[i] - times.front()) / grid.step + 0.5));
        sum[at] += values[i];
        ++count[at];
    }
    for (std::size_t i = 0; i < places; ++i) {
        grid.times.push_back(times.front() + grid.step * static_cast<double>(i));
        grid.values.push_back(count[i] > 0 ? sum[i] / count[i] : nothing);
    }
    return grid;
}

Summary summarize(const Grid& grid) {
    Summary s;
    s.least = std::numeric_limits<double>::infinity();
    s.most = -s.least;
    for (std::size_t i = 0; i < grid.values.size(); ++i) {
        const double v = grid.values[i];
        if (!std::isfinite(v)) continue;
        ++s.known;
        if (v < s.least) s.least = v, s.least_at = i;
        if (v > s.most) s.most = v, s.most_at = i;
    }
    if (s.known == 0) return {};
    const std::span<const double> values(grid.values);
    s.mean = analytics::mean(values);
    s.median = analytics::median(values);
    s.deviation = analytics::mad(values);
    s.p95 = analytics::quantile(values, 0.95);
    const std::size_t tenth = std::max<std::size_t>(1, values.size() / 10);
    const double first = analytics::median(values.first(tenth)), last = analytics::median(values.last(tenth));
    s.growth = std::isfinite(first) && std::isfinite(last) ? last - first : 0;
    return s;
}

FoundSeason describe(const series::Season& season, const Grid& grid, const series::Decomposition& parts) {
    FoundSeason found{.season = season, .seconds = season.exact_period * grid.step, .name = {}, .profile = {}};
    if (grid.months > 0) found.seconds = static_cast<double>(season.period) * grid.months * 86'400 * 365.2425 / 12;
    found.name = season_name(found.seconds);
    const auto place = std::find(parts.periods.begin(), parts.periods.end(), season.period);
    if (place == parts.periods.end()) return found;
    const auto& values = parts.seasonal[static_cast<std::size_t>(place - parts.periods.begin())];
    found.profile_at = values.size() - season.period;
    found.profile.assign(values.end() - static_cast<std::ptrdiff_t>(season.period), values.end());
    found.peak = static_cast<std::size_t>(std::max_element(found.profile.begin(), found.profile.end()) - found.profile.begin());
    found.trough = static_cast<std::size_t>(std::min_element(found.profile.begin(), found.profile.end()) - found.profile.begin());
    return found;
}

/// Where there is a strong trend, both kinds of outlook are held against the end of the series, as long as the horizon or a quarter of it.
bool line_is_better(const LineOutlook& line, std::span<const double> points, const series::Trend& trend, const std::vector<std::size_t>& periods,
                    std::size_t horizon) {
    if (!trend.significant() || trend.r_squared < 0.5) return false;
    const std::size_t steps = std::min(horizon, points.size() / 4);
    const auto by_line = line.past_error(steps);
    if (!by_line) return false;
    const std::size_t origin = points.size() - steps;
    const auto smooth = series::forecast(points.first(origin), {.horizon = steps, .periods = periods, .coverage = 0.8});
    if (!smooth) return true;
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t h = 0; h < steps; ++h)
        if (std::isfinite(points[origin + h])) sum += std::abs(points[origin + h] - smooth->values[h]), ++count;
    return count > 0 && *by_line < 0.9 * sum / static_cast<double>(count);
}

/// The steps of a forecast as times of the grid.
std::optional<double> time_of_step(const Grid& grid, const std::optional<double>& steps) {
    if (!steps) return std::nullopt;
    const auto whole = static_cast<std::size_t>(*steps);
    const double before = grid.after_end(whole);
    return before + (*steps - static_cast<double>(whole)) * (grid.after_end(whole + 1) - before);
}

void look_ahead(SeriesAnalysis& a, const AnalysisOptions& options, std::span<const double> calm, const std::vector<std::size_t>& periods) {
    const std::span<const double> points(a.grid.values);
    const std::size_t longest = periods.empty() ? 1 : periods.back();
    const std::size_t horizon = options.horizon > 0 ? options.horizon
                                : longest > 1       ? std::min<std::size_t>(longest, 500)
                                                    : std::clamp<std::size_t>(points.size() / 10, 2, 500);
    std::vector<double> levels = options.levels;
    if (levels.empty()) levels.push_back(0.95);
    double last = a.summary.median;
    for (const double v : points)
        if (std::isfinite(v)) last = v;
    std::vector<double> season(points.size(), 0);
    for (const auto& one : a.parts.seasonal)
        for (std::size_t i = 0; i < season.size(); ++i) season[i] += one[i];
    const LineOutlook line(a.grid.times, calm, season, longest);
    std::vector<series::Forecast> said;  // one a level
    if (line_is_better(line, points, a.trend ? *a.trend : series::fit_trend(a.grid.times, calm), periods, horizon)) {
        said = line.ahead(horizon, levels);
    } else {
        auto smooth = series::forecast(points, {.horizon = horizon, .periods = periods, .coverage = levels.front()});
        if (!smooth) {
            a.said.push_back("no forecast: " + smooth.error().message);
            return;
        }
        for (const double level : levels) said.push_back(series::with_coverage(*smooth, level));
    }
    Outlook outlook{.median = said.front().values, .bands = {}, .method = said.front().members.size() > 1 ? "median of " : ""};
    for (std::size_t m = 0; m < said.front().members.size(); ++m) outlook.method += (m > 0 ? ", " : "") + said.front().members[m].model;
    for (std::size_t l = 0; l < levels.size(); ++l) outlook.bands.push_back({.level = levels[l], .low = said[l].lower, .high = said[l].upper});
    if (options.limit) {
        const auto widest = static_cast<std::size_t>(std::ranges::max_element(levels) - levels.begin());
        const bool rising = last < *options.limit;
        const auto end = series::time_to_exhaustion(said[widest], last, *options.limit, rising, levels[widest]);
        a.exhaustion = LimitCrossing{.limit = *options.limit,
                                     .rising = rising,
                                     .chance = end.chance,
                                     .expected = time_of_step(a.grid, end.expected),
                                     .earliest = time_of_step(a.grid, end.earliest),
                                     .latest = time_of_step(a.grid, end.latest)};
    }
    a.forecast = std::move(outlook);
}

/// Calendar cycles that no season tells: a day or a week on an even grid is a season as well, a month is none.
std::vector<series::CalendarPattern> calendar_of(const SeriesAnalysis& a, const AnalysisOptions& options) {
    constexpr double day = 86'400;
    if (!options.calendar || a.grid.months > 0 || a.grid.step > day * 1.01) return {};
    std::vector<std::int64_t> seconds;
    for (const double t : a.grid.times) seconds.push_back(static_cast<std::int64_t>(std::llround(t)));
    auto found = series::find_calendar_patterns(seconds, a.grid.values, options.utc_offset);
    const auto has = [&](double period) {
        return std::ranges::any_of(a.seasons, [&](const FoundSeason& one) { return std::abs(one.seconds - period) < 0.02 * period; });
    };
    const auto told = [&](series::CalendarCycle cycle) { return std::ranges::any_of(found, [&](const auto& one) { return one.cycle == cycle; }); };
    using series::CalendarCycle;
    const bool hour = told(CalendarCycle::hour_of_day) || has(day), weekday = told(CalendarCycle::day_of_week) || has(7 * day);
    std::erase_if(found, [&](const series::CalendarPattern& one) {
        switch (one.cycle) {
            case CalendarCycle::hour_of_day: return has(day) || a.grid.step > day / 2;
            case CalendarCycle::day_of_week: return has(7 * day);
            case CalendarCycle::hour_of_week: return hour || weekday;  // it is both together
            case CalendarCycle::day_of_month: break;
        }
        return false;
    });
    return found;
}

}  // namespace

std::string season_name(double seconds) {
    struct Known {
        double seconds;
        const char* name;
    };
    constexpr double day = 86'400;
    for (const Known known : {Known{60, "every minute"},
                              {3600, "hourly"},
                              {day / 2, "twice a day"},
                              {day, "daily"},
                              {7 * day, "weekly"},
                              {14 * day, "fortnightly"},
                              {30.4369 * day, "monthly"},
                              {91.31 * day, "quarterly"},
                              {365.2425 * day, "yearly"}})
        if (std::abs(seconds - known.seconds) <= 0.02 * known.seconds) return known.name;
    char text[64];
    if (seconds < 120)
        std::snprintf(text, sizeof text, "every %.3g seconds", seconds);
    else if (seconds < 2 * 3600)
        std::snprintf(text, sizeof text, "every %.3g minutes", seconds / 60);
    else if (seconds < 2 * day)
        std::snprintf(text, sizeof text, "every %.3g hours", seconds / 3600);
    else
        std::snprintf(text, sizeof text, "every %.3g days", seconds / day);
    return text;
}

double Grid::after_end(std::size_t steps) const {
    if (times.empty()) return 0;
    if (months > 0) return months_later(times.back(), static_cast<std::int64_t>(steps) * months);
    return times.back() + step * static_cast<double>(steps);
}

Result<Grid> to_grid(std::span<const double> times, std::span<const double> values) {
    if (times.size() != values.size()) return fail(ErrorCode::invalid_argument, "a series needs as many times as values");
    if (times.empty()) return fail(ErrorCode::invalid_argument, "a series without points");
    for (std::size_t i = 0; i < times.size(); ++i)
        if (!std::isfinite(times[i]) || (i > 0 && times[i] <= times[i - 1]))
            return fail(ErrorCode::invalid_argument, "times must be finite and go up; place " + std::to_string(i) + " does not");
    Grid grid;
    if (times.size() >= 3) {
        std::vector<double> steps;
        for (std::size_t i = 1; i < times.size(); ++i) steps.push_back(times[i] - times[i - 1]);
        const double usual = analytics::quantile(steps, 0.5);
        if (const int months = calendar_months(times, usual); months > 0) {
            grid.months = months;
            grid.step = months * 86'400 * 365.2425 / 12;
            const std::int64_t first = month_number(times.front());
            const auto places = static_cast<std::size_t>((month_number(times.back()) - first) / months) + 1;
            if (places <= 100'000) {
                grid.values.assign(places, nothing);
                for (std::size_t i = 0; i < places; ++i) grid.times.push_back(months_later(times.front(), static_cast<std::int64_t>(i) * months));
                for (std::size_t i = 0; i < times.size(); ++i) {
                    const auto at = static_cast<std::size_t>((month_number(times[i]) - first) / months);
                    grid.values[at] = values[i];
                    grid.times[at] = times[i];
                }
                count_missing(grid);
                return grid;
            }
            grid = {};
        }
    }
    auto regular = series::regularize(times, values);
    // Many points on one place mean that the usual step is none.
    if (!regular || regular->duplicates * 10 > times.size()) {
        if (times.size() < 4) return regular ? fail(ErrorCode::invalid_argument, "the times are too uneven") : fail(regular.error());
        grid = averaged(times, values);
    } else {
        grid.step = regular->step;
        grid.values = std::move(regular->values);
        for (std::size_t i = 0; i < grid.values.size(); ++i) grid.times.push_back(regular->start + regular->step * static_cast<double>(i));
    }
    count_missing(grid);
    return grid;
}

Result<SeriesAnalysis> analyze_series(std::string name, std::span<const double> times, std::span<const double> values,
                                      const AnalysisOptions& options) {
    SeriesAnalysis a;
    a.name = std::move(name);
    KN_TRY(a.grid, to_grid(times, values));
    a.summary = summarize(a.grid);
    const std::span<const double> points(a.grid.values);
    if (a.grid.uneven) a.said.push_back("its times have no usual step; values were averaged over equal spans");
    if (a.summary.known < 24) {
        a.said.push_back("too short to find patterns: " + std::to_string(a.summary.known) + " known values, 24 are needed");
        a.parts.trend.assign(points.size(), a.summary.median);
        a.parts.remainder.assign(points.size(), nothing);
        return a;
    }
    if (a.summary.least == a.summary.most) {
        a.said.push_back("its value never changes");
        a.parts.trend.assign(points.size(), a.summary.median);
        a.parts.remainder.assign(points.size(), 0);
        return a;
    }
    std::vector<std::size_t> periods;
    const auto seasons = series::find_seasons(points);
    for (const auto& one : seasons) periods.push_back(one.period);
    std::sort(periods.begin(), periods.end());
    a.parts = series::mstl(points, periods);
    if (options.seasons)
        for (const auto& one : seasons) a.seasons.push_back(describe(one, a.grid, a.parts));
    if (options.seasons && a.seasons.empty()) a.said.push_back("no season: no period explains more than chance would");
    if (options.seasons) a.calendar = calendar_of(a, options);
    const auto calm = a.parts.deseasonalized(points);
    if (options.trend) a.trend = series::fit_trend(a.grid.times, calm);
    if (options.changes) {
        // The strongest season is taken out there. Of several, all are taken out here; what that leaves behind must not look like changes.
        std::size_t strongest = 1;
        if (!seasons.empty()) strongest = seasons.front().period;
        a.changes = series::find_changes(points, {.period = strongest}).changes;
        if (periods.size() > 1 && !a.changes.empty())
            if (auto without = series::find_changes(calm, {.period = 1}).changes; without.size() < a.changes.size()) a.changes = std::move(without);
    }
    if (options.forecast) look_ahead(a, options, calm, periods);
    if (options.outliers) {
        std::vector<double> expected(points.size());
        for (std::size_t i = 0; i < points.size(); ++i) expected[i] = points[i] - a.parts.remainder[i];
        a.outliers = find_outliers(points, expected);
    }
    return a;
}

}  // namespace kn::patterns
