#include "kubernaut/report/wording.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace kn::report {
namespace {

namespace ch = std::chrono;
constexpr double minute = 60, hour = 3600, day = 86'400;

template <class... Values> std::string print(const char* form, Values... values) {
    std::array<char, 128> text{};
    std::snprintf(text.data(), text.size(), form, values...);
    return text.data();
}

struct Wall {
    ch::year_month_day date{};
    unsigned weekday = 0;
    int hour = 0, minute = 0, second = 0;
};
Wall wall(double seconds, const tabular::Zone& zone) {
    auto local = static_cast<std::int64_t>(std::clamp(std::floor(seconds), -1e11, 1e11));
    local += zone.offset_at(local);
    const auto days = ch::floor<ch::days>(ch::sys_seconds(ch::seconds(local)));
    const auto rest = local - days.time_since_epoch().count() * std::int64_t{86'400};
    return {.date = ch::year_month_day(days),
            .weekday = ch::weekday(days).c_encoding(),
            .hour = static_cast<int>(rest / 3600),
            .minute = static_cast<int>(rest / 60 % 60),
            .second = static_cast<int>(rest % 60)};
}
constexpr std::array<const char*, 7> weekdays{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

std::string p_text(double p) { return p < 1e-9 ? "p < 1e-9" : print("p = %.2g", p); }

std::string signed_number(double value) { return (value >= 0 ? "+" : "") + number(value); }

/// A slope's unit: the largest of which the series holds at least five.
std::pair<double, const char*> slope_unit(double seconds_covered) {
    std::pair<double, const char*> unit{1, "a second"};
    for (const auto& [size, name] :
         {std::pair{minute, "a minute"}, {hour, "an hour"}, {day, "a day"}, {7 * day, "a week"}, {365.2425 * day, "a year"}})
        if (seconds_covered >= 5 * size) unit = {size, name};
    return unit;
}

void say_trend(const patterns::SeriesAnalysis& a, const Clock& clock, std::vector<Finding>& out) {
    if (!a.trend) return;
    const auto& t = *a.trend;
    if (!t.significant()) {
        out.push_back({.kind = "trend", .text = "no trend (" + p_text(t.p_value) + ")", .notable = false});
        return;
    }
    const auto [size, unit] = clock.rows() ? std::pair{1.0, "a row"} : slope_unit(a.grid.times.back() - a.grid.times.front());
    const double low = std::min(std::abs(t.slope_low), std::abs(t.slope_high)) * size,
                 high = std::max(std::abs(t.slope_low), std::abs(t.slope_high)) * size;
    out.push_back({.kind = "trend",
                   .text = std::string(t.slope > 0 ? "rises" : "falls") + " by " + number(std::abs(t.slope) * size) + " " + unit +
                           " (95 %: " + number(low) + " to " + number(high) + "), from about " + number(t.start) + " to " + number(t.end) +
                           "; the line explains " + percent(t.r_squared) + " of the variance, " + p_text(t.p_value)});
}

void say_seasons(const patterns::SeriesAnalysis& a, const Clock& clock, std::vector<Finding>& out) {
    for (const auto& s : a.seasons) {
        std::string text = clock.rows() ? "every " + std::to_string(s.season.period) + " rows" : s.name;
        text += ": explains " + percent(s.season.strength) + " of the variance";
        if (!s.profile.empty()) {
            const auto at = [&](std::size_t place) { return a.grid.times[std::min(s.profile_at + place, a.grid.times.size() - 1)]; };
            text += "; highest around " + clock.phase(at(s.peak), s.seconds) + " (" + signed_number(s.profile[s.peak]) + "), lowest around " +
                    clock.phase(at(s.trough), s.seconds) + " (" + signed_number(s.profile[s.trough]) + ")";
        }
        out.push_back({.kind = "season", .text = text});
    }
}

void say_calendar(const patterns::SeriesAnalysis& a, std::vector<Finding>& out) {
    using analytics::series::CalendarCycle;
    constexpr std::array<const char*, 7> weekdays{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
    const auto hour = [](std::size_t h) { return (h < 10 ? "0" : "") + std::to_string(h) + ":00"; };
    for (const auto& one : a.calendar) {
        const auto phase = [&](std::size_t p) -> std::string {
            switch (one.cycle) {
                case CalendarCycle::hour_of_day: return "around " + hour(p);
                case CalendarCycle::day_of_week: return std::string("on ") + weekdays[p % 7];
                case CalendarCycle::hour_of_week: return std::string("on ") + weekdays[p / 24 % 7] + " around " + hour(p % 24);
                case CalendarCycle::day_of_month: break;
            }
            return "on day " + std::to_string(p + 1);
        };
        const char* name = one.cycle == CalendarCycle::hour_of_day    ? "the hour of the day"
                           : one.cycle == CalendarCycle::day_of_week  ? "the day of the week"
                           : one.cycle == CalendarCycle::hour_of_week ? "the hour of the week"
                                                                      : "the day of the month";
        out.push_back({.kind = "calendar",
                       .text = std::string(name) + " explains " + percent(one.r_squared) + " of the variance on days not looked at; highest " +
                               phase(one.peak) + " (" + signed_number(one.profile[one.peak]) + "), lowest " + phase(one.low) + " (" +
                               signed_number(one.profile[one.low]) + ")"});
    }
}

void say_changes(const patterns::SeriesAnalysis& a, const Clock& clock, std::vector<Finding>& out) {
    constexpr std::size_t most = 10;
    using analytics::series::ChangeKind;
    std::vector<const analytics::series::Change*> largest;
    for (const auto& one : a.changes) largest.push_back(&one);
    std::sort(largest.begin(), largest.end(),
              [](const auto* x, const auto* y) { return x->score != y->score ? x->score > y->score : x->index < y->index; });
    largest.resize(std::min(largest.size(), most));
    std::sort(largest.begin(), largest.end(), [](const auto* x, const auto* y) { return x->index < y->index; });
    for (const auto* change : largest) {
        const auto& c = *change;
        const double per =
            c.kind == ChangeKind::slope && !clock.rows() ? slope_unit(a.grid.times.back() - a.grid.times.front()).first / a.grid.step : 1;
        const std::string unit = c.kind != ChangeKind::slope ? ""
                                 : clock.rows()              ? " a row"
                                                             : std::string(" ") + slope_unit(a.grid.times.back() - a.grid.times.front()).second;
        const char* what = c.kind == ChangeKind::mean ? "level" : c.kind == ChangeKind::slope ? "slope" : "spread";
        out.push_back({.kind = "change",
                       .text = clock.moment(a.grid.times[c.index]) + ": the " + what + " goes from " + number(c.before * per) + " to " +
                               number(c.after * per) + unit});
    }
    if (a.changes.size() > most) out.push_back({.kind = "change", .text = std::to_string(a.changes.size() - most) + " smaller ones"});
}

void say_outlook(const patterns::SeriesAnalysis& a, const Clock& clock, std::vector<Finding>& out) {
    if (a.forecast && !a.forecast->median.empty()) {
        const auto& f = *a.forecast;
        const std::size_t last = f.median.size() - 1;
        std::string text =
            "by " + clock.moment(a.grid.after_end(last + 1)) + " (" + std::to_string(f.median.size()) + " points ahead): " + number(f.median[last]);
        for (const auto& band : f.bands) text += ", " + percent(band.level) + " within " + number(band.low[last]) + " to " + number(band.high[last]);
        out.push_back({.kind = "forecast", .text = text + "; " + f.method});
    }
    if (a.exhaustion) {
        const auto& e = *a.exhaustion;
        std::string text;
        if (e.expected) {
            text = std::string(e.rising ? "reaches " : "falls to ") + number(e.limit) + " around " + clock.moment(*e.expected);
            if (e.earliest) text += ", not before " + clock.moment(*e.earliest);
            if (e.latest) text += ", at the latest " + clock.moment(*e.latest);
        } else if (e.earliest) {
            text = std::string(e.rising ? "may reach " : "may fall to ") + number(e.limit) + ", not before " + clock.moment(*e.earliest);
        } else {
            text = "does not come near " + number(e.limit) + " within the horizon";
        }
        out.push_back({.kind = "limit", .text = text + " (chance " + percent(e.chance) + ")", .notable = e.chance >= 0.05});
    }
}

void say_odd(const patterns::SeriesAnalysis& a, const Clock& clock, std::vector<Finding>& out) {
    constexpr std::size_t most = 10;
    std::vector<const patterns::OddStretch*> worst;
    for (const auto& one : a.outliers) worst.push_back(&one);
    std::sort(worst.begin(), worst.end(),
              [](const auto* x, const auto* y) { return x->score != y->score ? x->score > y->score : x->first < y->first; });
    if (worst.size() > most) worst.resize(most);
    std::sort(worst.begin(), worst.end(), [](const auto* x, const auto* y) { return x->first < y->first; });
    for (const auto* one : worst) {
        std::string when = clock.moment(a.grid.times[one->first]);
        if (one->last > one->first) when += " to " + clock.moment(a.grid.times[one->last]);
        out.push_back({.kind = "anomaly",
                       .text = when + ": " + number(one->value) + " where " + number(one->expected) + " was expected (" + print("%.1f", one->score) +
                               " deviations)"});
    }
    if (a.outliers.size() > most) out.push_back({.kind = "anomaly", .text = std::to_string(a.outliers.size() - most) + " smaller ones"});
}

}  // namespace

std::string number(double value) {
    if (!std::isfinite(value)) return "unknown";
    const double size = std::abs(value);
    if (size >= 1e15 || (size > 0 && size < 1e-4)) return print("%.3g", value);
    if (size >= 1e12) return print("%.4g T", value / 1e12);
    if (size >= 1e9) return print("%.4g G", value / 1e9);
    if (size >= 1e6) return print("%.4g M", value / 1e6);
    if (size >= 1e4) return print("%.0f", value);
    return print("%.4g", value);
}

std::string percent(double share) {
    const double value = 100 * share;
    if (value > 0 && value < 1) return value < 0.1 ? "under 0.1 %" : print("%.1f %%", value);
    return std::abs(value - std::round(value)) > 0.05 && value > 99 ? print("%.1f %%", value) : print("%.0f %%", value);
}

std::string span(double seconds) {
    for (const auto& [size, name] : {std::pair{day, "days"}, {hour, "hours"}, {minute, "minutes"}})
        if (seconds >= 2 * size) return print("%.3g %s", seconds / size, name);
    return print("%.3g seconds", seconds);
}

std::string Clock::moment(double seconds) const {
    if (rows_) return "row " + print("%.0f", seconds + 1);
    const Wall w = wall(seconds, zone_);
    std::string text =
        print("%04d-%02u-%02u", static_cast<int>(w.date.year()), static_cast<unsigned>(w.date.month()), static_cast<unsigned>(w.date.day()));
    if (step_ >= day && w.hour == 0 && w.minute == 0) return text;
    text += print(" %02d:%02d", w.hour, w.minute);
    if (step_ < minute) text += print(":%02d", w.second);
    return text;
}

std::string Clock::phase(double seconds, double season) const {
    if (rows_) return moment(seconds);
    const Wall w = wall(seconds, zone_);
    const std::string time = print("%02d:%02d", w.hour, w.minute);
    const auto is = [&](double wanted) { return std::abs(season - wanted) <= 0.02 * wanted; };
    if (is(hour)) return print("minute %d", w.minute);
    if (is(day)) return time;
    if (is(7 * day)) return step_ >= day ? weekdays[w.weekday] : std::string(weekdays[w.weekday]) + " " + time;
    if (is(30.4369 * day)) return "day " + print("%u", static_cast<unsigned>(w.date.day()));
    if (is(365.2425 * day)) return print("%02u-%02u", static_cast<unsigned>(w.date.month()), static_cast<unsigned>(w.date.day()));
    return moment(seconds);
}

Clock clock_for(const TableAnalysis& table, const patterns::SeriesAnalysis& series) {
    return {table.zone, series.grid.step, table.time_column.empty()};
}

std::vector<Finding> findings(const patterns::SeriesAnalysis& a, const Clock& clock) {
    std::vector<Finding> out;
    if (a.summary.known > 0) {
        std::string text = std::to_string(a.summary.known) + " values";
        if (a.grid.times.size() > 1)
            text += ", " + clock.moment(a.grid.times.front()) + " to " + clock.moment(a.grid.times.back()) +
                    (clock.rows() ? ""
                                  : ", one every " + (a.grid.months == 1    ? "month"
                                                      : a.grid.months == 3  ? "quarter"
                                                      : a.grid.months == 12 ? "year"
                                                                            : span(a.grid.step)));
        text += "; median " + number(a.summary.median) + ", " + number(a.summary.least) + " to " + number(a.summary.most);
        if (a.grid.missing > 0)
            text += "; " + std::to_string(a.grid.missing) + " missing, the longest gap " + std::to_string(a.grid.longest_gap) + " from " +
                    clock.moment(a.grid.times[a.grid.longest_gap_at]);
        out.push_back({.kind = "data", .text = text});
    }
    std::vector<Finding> ahead;
    say_outlook(a, clock, ahead);
    for (const auto& one : ahead)
        if (one.kind == "limit") out.push_back(one);
    say_trend(a, clock, out);
    say_seasons(a, clock, out);
    say_calendar(a, out);
    say_changes(a, clock, out);
    say_odd(a, clock, out);
    for (const auto& one : ahead)
        if (one.kind != "limit") out.push_back(one);
    for (const auto& word : a.said) out.push_back({.kind = "data", .text = word, .notable = false});
    return out;
}

}  // namespace kn::report
