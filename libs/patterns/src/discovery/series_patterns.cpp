#include <cmath>

#include "discovery/common.hpp"
#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/patterns/analysis/series_analysis.hpp"

namespace kn::patterns {
namespace {

constexpr double day = 86'400;

struct Context {
    const SeriesRow& row;
    const SeriesAnalysis& a;
    Instant now;
};

void place(Pattern& pattern, const Context& c, double from, double to) {
    pattern.first_seen = instant_of(from);
    pattern.last_seen = instant_of(to);
    if (pattern.support == 0) pattern.support = c.a.summary.known;
    pattern.detail["series"] = c.row.name;
}

void add_seasons(const Context& c, std::vector<Pattern>& out) {
    for (const auto& season : c.a.seasons) {
        auto pattern =
            make_pattern(PatternKind::season, "series", c.row.cluster, c.row.name, season.name,
                         worded("%.120s repeats %s: %.0f %% of its variance", c.row.name.c_str(), season.name.c_str(), 100 * season.season.strength));
        pattern.raw = season.season.strength;
        pattern.support = static_cast<std::size_t>(static_cast<double>(c.a.grid.values.size()) / static_cast<double>(season.season.period));
        pattern.detail = json::Object{{"period_seconds", season.seconds}, {"strength", season.season.strength}, {"p_value", season.season.p_value}};
        if (!season.profile.empty()) {
            double peak = c.a.grid.times[season.profile_at + season.peak];
            while (peak < seconds_of(c.now)) peak += season.seconds;
            pattern.next_expected = TimeWindow{instant_of(peak - season.seconds / 24), instant_of(peak + season.seconds / 24)};
            pattern.detail["amplitude"] = (season.profile[season.peak] - season.profile[season.trough]) / 2;
        }
        place(pattern, c, c.a.grid.times.front(), c.a.grid.times.back());
        out.push_back(std::move(pattern));
    }
}

void add_change(const Context& c, std::vector<Pattern>& out) {
    if (c.a.changes.empty()) return;
    const auto& change = c.a.changes.back();  // the latest is the one to ask "what was changed then?"
    if (change.kind != analytics::series::ChangeKind::mean || change.score < 2) return;
    const double at = c.a.grid.times[change.index];
    auto pattern = make_pattern(PatternKind::change_point, "series", c.row.cluster, c.row.name, std::to_string(static_cast<long long>(at)),
                                worded("the level of %.120s moved from %.4g to %.4g", c.row.name.c_str(), change.before, change.after));
    pattern.raw = 1 - 1 / change.score;
    pattern.detail = json::Object{{"before", change.before}, {"after", change.after}, {"score", change.score}};
    place(pattern, c, at, c.a.grid.times.back());
    out.push_back(std::move(pattern));
}

void add_limit(const Context& c, std::vector<Pattern>& out) {
    if (!c.a.exhaustion || c.a.exhaustion->chance < 0.5 || !c.a.exhaustion->expected) return;
    const auto& e = *c.a.exhaustion;
    auto pattern = make_pattern(
        PatternKind::forecast, "series", c.row.cluster, c.row.name, "limit",
        worded("%.120s reaches %.4g around %s", c.row.name.c_str(), e.limit, format_rfc3339(instant_of(std::floor(*e.expected))).c_str()));
    pattern.raw = e.chance;
    const double reach = std::max(c.a.grid.step, 0.25 * (*e.expected - seconds_of(c.now)));
    pattern.next_expected = TimeWindow{instant_of(e.earliest.value_or(*e.expected - reach)), instant_of(e.latest.value_or(*e.expected + reach))};
    pattern.detail = json::Object{
        {"limit", e.limit}, {"rising", e.rising}, {"chance", e.chance}, {"expected", format_rfc3339(instant_of(std::floor(*e.expected)))}};
    place(pattern, c, c.a.grid.times.front(), c.a.grid.times.back());
    out.push_back(std::move(pattern));
}

void add_odd(const Context& c, std::vector<Pattern>& out) {
    const double recent = seconds_of(c.now) - day;
    for (const auto& odd : c.a.outliers) {
        if (c.a.grid.times[odd.last] < recent) continue;
        auto pattern =
            make_pattern(PatternKind::anomaly, "series", c.row.cluster, c.row.name, std::to_string(static_cast<long long>(c.a.grid.times[odd.first])),
                         worded("%.120s was %.4g where %.4g was expected", c.row.name.c_str(), odd.value, odd.expected));
        pattern.raw = 1 - odd.p_value;
        pattern.support = odd.last - odd.first + 1;
        pattern.detail = json::Object{{"value", odd.value}, {"expected", odd.expected}, {"deviations", odd.score}, {"p_value", odd.p_value}};
        place(pattern, c, c.a.grid.times[odd.first], c.a.grid.times[odd.last]);
        out.push_back(std::move(pattern));
    }
}

}  // namespace

Found find_series_patterns(const Question& q) {
    std::vector<Pattern> found, trends;
    std::vector<double> p;
    for (const auto& row : q.history.series) {
        const auto a = analyze_series(row.name, row.times, row.values, {.forecast = row.limit.has_value(), .limit = row.limit});
        if (!a || a->summary.known < 24) continue;
        const Context c{row, *a, q.now};
        add_seasons(c, found);
        add_change(c, found);
        add_limit(c, found);
        add_odd(c, found);
        if (!a->trend) continue;
        auto pattern = make_pattern(
            PatternKind::trend, "series", row.cluster, row.name, "trend",
            worded("%.120s %s by %.4g a day", row.name.c_str(), a->trend->slope > 0 ? "rises" : "falls", std::abs(a->trend->slope) * day));
        pattern.raw = a->trend->r_squared;
        pattern.detail = json::Object{{"slope_per_second", a->trend->slope}, {"low", a->trend->slope_low},   {"high", a->trend->slope_high},
                                      {"r2", a->trend->r_squared},           {"p_value", a->trend->p_value}, {"end", a->trend->end}};
        place(pattern, c, a->grid.times.front(), a->grid.times.back());
        trends.push_back(std::move(pattern));
        p.push_back(a->trend->p_value);
    }
    const auto adjusted = analytics::false_discovery_q(p);
    for (std::size_t i = 0; i < trends.size(); ++i)
        if (adjusted[i] < q.false_discovery_rate && trends[i].raw >= 0.1) found.push_back(std::move(trends[i]));
    return found;
}

}  // namespace kn::patterns
