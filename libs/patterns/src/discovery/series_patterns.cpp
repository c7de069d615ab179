#include <cmath>

#include "discovery/common.hpp"
#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/patterns/analysis/series_analysis.hpp"

namespace kn::patterns {
namespace {

constexpr double day = 86'400;
constexpr double band_level = 0.95;             // of the widest band, which bounds the window
constexpr std::size_t most_steps_ahead = 1000;  // an outlook beyond this is no outlook

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
    if (!c.row.labels.empty()) {
        json::Object labels;
        for (const auto& [name, value] : c.row.labels) labels[name] = value;
        pattern.detail["labels"] = std::move(labels);
    }
}

void add_seasons(const Context& c, std::vector<Pattern>& out) {
    for (const auto& season : c.a.seasons) {
        auto pattern =
            make_pattern(PatternKind::season, "trend", c.row.cluster, c.row.name, season.name,
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
    auto pattern = make_pattern(PatternKind::change_point, "trend", c.row.cluster, c.row.name, std::to_string(static_cast<long long>(at)),
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
        PatternKind::forecast, "forecast", c.row.cluster, c.row.name, "limit",
        worded("%.120s reaches %.4g around %s", c.row.name.c_str(), e.limit, format_rfc3339(instant_of(std::floor(*e.expected))).c_str()));
    pattern.raw = e.chance * band_level;  // that it happens, and within the window
    const double reach = std::max(c.a.grid.step, 0.25 * (*e.expected - seconds_of(c.now)));
    // A step more on either side: within a step nobody knows when it happened.
    pattern.next_expected = TimeWindow{instant_of(e.earliest.value_or(*e.expected - reach) - c.a.grid.step),
                                       instant_of(e.latest.value_or(*e.expected + reach) + c.a.grid.step)};
    pattern.detail = json::Object{
        {"limit", e.limit}, {"rising", e.rising}, {"chance", e.chance}, {"expected", format_rfc3339(instant_of(std::floor(*e.expected)))}};
    place(pattern, c, c.a.grid.times.front(), c.a.grid.times.back());
    out.push_back(std::move(pattern));
}

void add_odd(const Context& c, std::vector<Pattern>& out) {
    const double recent = seconds_of(c.now) - day;
    for (const auto& odd : c.a.outliers) {
        if (c.a.grid.times[odd.last] < recent) continue;
        auto pattern = make_pattern(PatternKind::anomaly, "anomaly", c.row.cluster, c.row.name,
                                    std::to_string(static_cast<long long>(c.a.grid.times[odd.first])),
                                    worded("%.120s was %.4g where %.4g was expected", c.row.name.c_str(), odd.value, odd.expected));
        pattern.raw = 1 - odd.p_value;
        pattern.support = odd.last - odd.first + 1;
        pattern.detail = json::Object{{"value", odd.value}, {"expected", odd.expected}, {"deviations", odd.score}, {"p_value", odd.p_value}};
        place(pattern, c, c.a.grid.times[odd.first], c.a.grid.times[odd.last]);
        out.push_back(std::move(pattern));
    }
}

/// Every series that can be analysed, each with what `look` makes of it.
template <class Look> Found each_series(const Question& q, const AnalysisOptions& options, bool only_limited, Look look) {
    std::vector<Pattern> found;
    for (const auto& row : q.history.series) {
        KN_CHECK(in_time(q));
        if (only_limited && !row.limit) continue;
        AnalysisOptions mine = options;
        if (only_limited) {
            mine.limit = row.limit;
            if (row.horizon > 0 && row.times.size() > 1) {
                const double step = (row.times.back() - row.times.front()) / static_cast<double>(row.times.size() - 1);
                mine.horizon = std::clamp<std::size_t>(static_cast<std::size_t>(row.horizon / std::max(step, 1.0)), 2, most_steps_ahead);
            }
        }
        const auto a = analyze_series(row.name, row.times, row.values, mine);
        if (!a || a->summary.known < 24) continue;
        look(Context{row, *a, q.now}, found);
    }
    return found;
}

}  // namespace

Found find_trends(const Question& q) {
    std::vector<Pattern> trends;
    std::vector<double> p;
    KN_TRY(auto found, each_series(q, {.forecast = false, .outliers = false}, false, [&](const Context& c, std::vector<Pattern>& out) {
               add_seasons(c, out);
               add_change(c, out);
               if (!c.a.trend) return;
               const auto& trend = *c.a.trend;
               auto pattern = make_pattern(
                   PatternKind::trend, "trend", c.row.cluster, c.row.name, "trend",
                   worded("%.120s %s by %.4g a day", c.row.name.c_str(), trend.slope > 0 ? "rises" : "falls", std::abs(trend.slope) * day));
               pattern.raw = trend.r_squared;
               pattern.detail = json::Object{{"slope_per_second", trend.slope}, {"low", trend.slope_low},   {"high", trend.slope_high},
                                             {"r2", trend.r_squared},           {"p_value", trend.p_value}, {"end", trend.end}};
               place(pattern, c, c.a.grid.times.front(), c.a.grid.times.back());
               trends.push_back(std::move(pattern));
               p.push_back(trend.p_value);
           }));
    const auto adjusted = analytics::false_discovery_q(p);
    for (std::size_t i = 0; i < trends.size(); ++i)
        if (adjusted[i] < q.false_discovery_rate && trends[i].raw >= 0.1) found.push_back(std::move(trends[i]));
    return found;
}

Found find_exhaustion(const Question& q) { return each_series(q, {.trend = false, .changes = false, .outliers = false}, true, add_limit); }

Found find_anomalies(const Question& q) {
    History batch;
    std::vector<Pattern> streamed;
    const double recent = seconds_of(q.now) - day;
    for (const auto& row : q.history.series) {
        if (!row.odd) {
            batch.series.push_back(row);
            continue;
        }
        for (const auto& odd : *row.odd) {
            if (odd.at < recent || odd.at > seconds_of(q.now)) continue;
            auto pattern = make_pattern(PatternKind::anomaly, "anomaly", row.cluster, row.name, std::to_string(static_cast<long long>(odd.at)),
                                        worded("%.120s was %.4g where %.4g was expected", row.name.c_str(), odd.value, odd.expected));
            pattern.raw = 1 - odd.p_value;
            pattern.support = 1;
            pattern.first_seen = pattern.last_seen = instant_of(odd.at);
            pattern.detail = json::Object{{"value", odd.value}, {"expected", odd.expected}, {"p_value", odd.p_value}, {"sign", odd.sign}};
            streamed.push_back(std::move(pattern));
        }
    }
    KN_TRY(auto found, each_series({.history = batch, .now = q.now, .false_discovery_rate = q.false_discovery_rate, .out_of_time = q.out_of_time},
                                   {.trend = false, .changes = false, .forecast = false}, false, add_odd));
    found.insert(found.end(), std::make_move_iterator(streamed.begin()), std::make_move_iterator(streamed.end()));
    return found;
}

}  // namespace kn::patterns
