#include "kubernaut/analytics/series/calendar.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics::series {
namespace {
constexpr std::int64_t day_seconds = 86'400;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

struct Cycle {
    CalendarCycle kind;
    std::size_t phases;
    std::size_t round_days;  ///< days until the phase comes again
};
constexpr Cycle cycles[] = {{CalendarCycle::hour_of_day, 24, 1},
                            {CalendarCycle::day_of_week, 7, 7},
                            {CalendarCycle::hour_of_week, 168, 7},
                            {CalendarCycle::day_of_month, 31, 30}};

std::size_t phase_of(CalendarCycle cycle, const LocalTime& t) {
    switch (cycle) {
        case CalendarCycle::hour_of_day: return static_cast<std::size_t>(t.hour);
        case CalendarCycle::day_of_week: return static_cast<std::size_t>(t.day_of_week);
        case CalendarCycle::hour_of_week: return static_cast<std::size_t>(t.day_of_week * 24 + t.hour);
        case CalendarCycle::day_of_month: break;
    }
    return static_cast<std::size_t>(t.day_of_month - 1);
}

struct Profile {
    std::vector<double> sums, counts;
    explicit Profile(std::size_t phases) : sums(phases, 0.0), counts(phases, 0.0) {}
    void add(std::size_t phase, double v, double sign = 1) {
        sums[phase] += sign * v;
        counts[phase] += sign;
    }
};
/// F test of the phases. What one phase holds on one day (sixty minutes of an hour, 24 hours of a day) is not independent and counts as one, its mean.
double chance_of_phases(const Cycle& cycle, const std::vector<LocalTime>& when, const std::vector<double>& values) {
    std::vector<double> sums(cycle.phases, 0.0), squares(cycle.phases, 0.0), counts(cycle.phases, 0.0);
    for (std::size_t i = 0; i < values.size();) {
        const std::size_t phase = phase_of(cycle.kind, when[i]);
        const std::int64_t day = when[i].day;
        double sum = 0, count = 0;
        for (; i < values.size() && when[i].day == day && phase_of(cycle.kind, when[i]) == phase; ++i) sum += values[i], count += 1;
        const double middle = sum / count;
        sums[phase] += middle;
        squares[phase] += middle * middle;
        counts[phase] += 1;
    }
    double total = 0, cells = 0, phases = 0, within = 0, between = 0;
    for (std::size_t p = 0; p < cycle.phases; ++p) {
        if (counts[p] == 0) continue;
        total += sums[p], cells += counts[p], phases += 1;
        within += std::max(0.0, squares[p] - sums[p] * sums[p] / counts[p]);
        between += sums[p] * sums[p] / counts[p];
    }
    between -= total * total / cells;
    if (phases < 2 || cells - phases < 2) return 1;
    return f_tail(between / (phases - 1) / (std::max(within, 1e-300) / (cells - phases)), phases - 1, cells - phases);
}
}  // namespace

std::int64_t ZoneTable::operator()(std::int64_t utc) const {
    const auto next = std::ranges::upper_bound(at, utc);
    if (next == at.begin()) return before;
    const auto i = static_cast<std::size_t>(next - at.begin()) - 1;
    return i < offset.size() ? offset[i] : before;
}

LocalTime local_time(std::int64_t utc_seconds, const UtcOffset& offset) {
    const std::int64_t local = utc_seconds + (offset ? offset(utc_seconds) : 0);
    LocalTime out;
    out.day = floor_div(local, day_seconds);
    out.hour = static_cast<int>((local - out.day * day_seconds) / 3600);
    const std::int64_t since_monday = out.day + 3;  // 1970-01-01 was a Thursday
    out.day_of_week = static_cast<int>(since_monday - floor_div(since_monday, 7) * 7);
    // Civil date from days: eras of 400 years that begin on 1 March.
    const std::int64_t shifted = out.day + 719'468, era = floor_div(shifted, 146'097), in_era = shifted - era * 146'097;
    const std::int64_t year = (in_era - in_era / 1460 + in_era / 36'524 - in_era / 146'096) / 365;
    const std::int64_t in_year = in_era - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    out.day_of_month = static_cast<int>(in_year - (153 * month + 2) / 5 + 1);
    return out;
}

std::vector<CalendarPattern> find_calendar_patterns(std::span<const std::int64_t> utc_seconds, std::span<const double> values,
                                                    const UtcOffset& offset) {
    std::vector<CalendarPattern> out;
    if (utc_seconds.size() != values.size()) return out;
    std::vector<LocalTime> when;
    std::vector<double> y, x;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!std::isfinite(values[i])) continue;
        when.push_back(local_time(utc_seconds[i], offset));
        y.push_back(values[i]);
        x.push_back(static_cast<double>(utc_seconds[i]));
    }
    const std::size_t n = y.size();
    if (n < 20) return out;
    // Least-squares line away.
    const double mx = mean(x), my = mean(y);
    double xx = 0, xy = 0;
    for (std::size_t i = 0; i < n; ++i) {
        xx += (x[i] - mx) * (x[i] - mx);
        xy += (x[i] - mx) * (y[i] - my);
    }
    double total = 0, largest = 0;
    for (std::size_t i = 0; i < n; ++i) {
        largest = std::max(largest, std::abs(y[i]));
        y[i] -= my + (xx > 0 ? xy / xx : 0) * (x[i] - mx);
        total += y[i] * y[i];
    }
    if (!(total > static_cast<double>(n) * largest * largest * 1e-24)) return out;
    const auto [first, last] = std::ranges::minmax(when, {}, &LocalTime::day);
    const auto days = static_cast<double>(last.day - first.day + 1);

    std::vector<double> rest = y;
    for (const Cycle& cycle : cycles) {
        // Three times round at least.
        if (days < 3.0 * static_cast<double>(cycle.round_days)) continue;
        const auto& target = cycle.kind == CalendarCycle::day_of_month ? rest : y;
        // Folds of whole rounds: neighbours in time, which share their weather, are never on both sides.
        constexpr std::size_t folds = 5;
        const auto fold_of = [&](const LocalTime& t) {
            const auto round = (t.day - first.day) / static_cast<std::int64_t>(cycle.kind == CalendarCycle::day_of_month ? 31 : cycle.round_days);
            return static_cast<std::size_t>(round) % folds;
        };
        Profile all(cycle.phases);
        std::vector<Profile> held(folds, Profile(cycle.phases));
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t phase = phase_of(cycle.kind, when[i]);
            all.add(phase, target[i]);
            held[fold_of(when[i])].add(phase, target[i]);
        }
        double squares = 0, errors = 0;
        std::size_t seen_phases = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t phase = phase_of(cycle.kind, when[i]);
            const Profile& own = held[fold_of(when[i])];
            const double count = all.counts[phase] - own.counts[phase];
            const double guess = count > 0 ? (all.sums[phase] - own.sums[phase]) / count : 0;
            errors += (target[i] - guess) * (target[i] - guess);
            squares += target[i] * target[i];
        }
        for (std::size_t p = 0; p < cycle.phases; ++p) {
            if (all.counts[p] > 0) ++seen_phases;
        }
        CalendarPattern pattern{.cycle = cycle.kind, .r_squared = squares > 0 ? 1 - errors / squares : 0};
        if (seen_phases < 2) continue;
        pattern.p_value = std::min(1.0, static_cast<double>(std::size(cycles)) * chance_of_phases(cycle, when, target));
        pattern.profile.assign(cycle.phases, std::numeric_limits<double>::quiet_NaN());
        double top = -std::numeric_limits<double>::infinity(), bottom = -top;
        for (std::size_t p = 0; p < cycle.phases; ++p) {
            pattern.counts.push_back(static_cast<std::size_t>(all.counts[p]));
            if (all.counts[p] == 0) continue;
            pattern.profile[p] = all.sums[p] / all.counts[p];
            if (pattern.profile[p] > top) top = pattern.profile[p], pattern.peak = p;
            if (pattern.profile[p] < bottom) bottom = pattern.profile[p], pattern.low = p;
        }
        constexpr double least_r_squared = 0.02, significant = 0.01;
        const bool holds = pattern.r_squared > least_r_squared && pattern.p_value < significant;
        if (holds && cycle.kind == CalendarCycle::hour_of_week)
            for (std::size_t i = 0; i < n; ++i) rest[i] -= pattern.profile[phase_of(cycle.kind, when[i])];
        if (holds) out.push_back(std::move(pattern));
    }
    std::ranges::stable_sort(out, std::ranges::greater{}, &CalendarPattern::r_squared);
    return out;
}

}  // namespace kn::analytics::series
