#include <array>
#include <cmath>

#include "kubernaut/base/time.hpp"
#include "kubernaut/report/render.hpp"
#include "kubernaut/report/wording.hpp"

namespace kn::report {
namespace {

json::Value number_or_null(double value) { return std::isfinite(value) ? json::Value(value) : json::Value(nullptr); }

/// RFC 3339, or the row's number from 1.
json::Value moment(double seconds, bool rows) {
    if (rows) return seconds + 1;
    if (!std::isfinite(seconds) || std::abs(seconds) > 2e11) return nullptr;
    return json::Value(format_rfc3339(from_millis(static_cast<std::int64_t>(std::llround(seconds * 1000)))));
}

json::Object json_of(const patterns::SeriesAnalysis& a, bool rows) {
    const auto at = [&](std::size_t place) { return moment(a.grid.times[place], rows); };
    json::Object out{{"name", a.name}};
    const auto& s = a.summary;
    if (s.known > 0)
        out["summary"] = json::Object{{"points", s.known},
                                      {"missing", a.grid.missing},
                                      {"step_seconds", rows ? json::Value(nullptr) : json::Value(a.grid.step)},
                                      {"from", at(0)},
                                      {"to", at(a.grid.times.size() - 1)},
                                      {"mean", s.mean},
                                      {"median", s.median},
                                      {"deviation", s.deviation},
                                      {"p95", s.p95},
                                      {"min", s.least},
                                      {"min_at", at(s.least_at)},
                                      {"max", s.most},
                                      {"max_at", at(s.most_at)},
                                      {"growth", s.growth}};
    if (a.trend) {
        const auto& t = *a.trend;
        out["trend"] = json::Object{{rows ? "slope_per_row" : "slope_per_second", t.slope},
                                    {"low", t.slope_low},
                                    {"high", t.slope_high},
                                    {"start", t.start},
                                    {"end", t.end},
                                    {"p_value", t.p_value},
                                    {"r2", t.r_squared},
                                    {"significant", t.significant()}};
    }
    json::Array seasons, changes, anomalies, said;
    for (const auto& one : a.seasons) {
        json::Array profile;
        for (const double v : one.profile) profile.push_back(v);
        json::Object season{{"period_points", one.season.period}, {"strength", one.season.strength}, {"p_value", one.season.p_value}};
        if (!rows) season["name"] = one.name, season["period_seconds"] = one.seconds;
        if (!one.profile.empty())
            season["peak_at"] = at(one.profile_at + one.peak), season["trough_at"] = at(one.profile_at + one.trough),
            season["profile"] = std::move(profile), season["profile_from"] = at(one.profile_at);
        seasons.push_back(std::move(season));
    }
    json::Array calendar;
    for (const auto& one : a.calendar) {
        constexpr std::array<const char*, 4> cycles{"hour_of_day", "day_of_week", "hour_of_week", "day_of_month"};
        json::Array profile;
        for (const double v : one.profile) profile.push_back(number_or_null(v));
        calendar.push_back(json::Object{{"cycle", cycles[static_cast<std::size_t>(one.cycle)]},
                                        {"r_squared", one.r_squared},
                                        {"p_value", one.p_value},
                                        {"peak", one.peak},
                                        {"low", one.low},
                                        {"profile", std::move(profile)}});
    }
    out["calendar"] = std::move(calendar);
    using analytics::series::ChangeKind;
    for (const auto& one : a.changes)
        changes.push_back(json::Object{{"at", at(one.index)},
                                       {"kind", one.kind == ChangeKind::mean    ? "level"
                                                : one.kind == ChangeKind::slope ? "slope"
                                                                                : "spread"},
                                       {"before", one.before},
                                       {"after", one.after},
                                       {"score", number_or_null(one.score)}});
    for (const auto& one : a.outliers)
        anomalies.push_back(json::Object{{"from", at(one.first)},
                                         {"to", at(one.last)},
                                         {"peak_at", at(one.peak)},
                                         {"value", one.value},
                                         {"expected", one.expected},
                                         {"deviations", one.score},
                                         {"p_value", one.p_value}});
    for (const auto& word : a.said) said.push_back(json::Value(word));
    out["seasons"] = std::move(seasons);
    out["changes"] = std::move(changes);
    out["anomalies"] = std::move(anomalies);
    if (a.forecast) {
        json::Array points;
        for (std::size_t h = 0; h < a.forecast->median.size(); ++h) {
            json::Object point{{"at", moment(a.grid.after_end(h + 1), rows)}, {"median", number_or_null(a.forecast->median[h])}};
            json::Array bands;
            for (const auto& band : a.forecast->bands)
                bands.push_back(json::Object{{"level", band.level}, {"low", number_or_null(band.low[h])}, {"high", number_or_null(band.high[h])}});
            point["bands"] = std::move(bands);
            points.push_back(std::move(point));
        }
        out["forecast"] = json::Object{{"method", a.forecast->method}, {"points", std::move(points)}};
    }
    if (a.exhaustion) {
        const auto& e = *a.exhaustion;
        const auto when = [&](const std::optional<double>& t) { return t ? moment(*t, rows) : json::Value(nullptr); };
        out["limit"] = json::Object{
            {"value", e.limit},        {"rising", e.rising}, {"chance", e.chance}, {"expected", when(e.expected)}, {"earliest", when(e.earliest)},
            {"latest", when(e.latest)}};
    }
    out["said"] = std::move(said);
    return out;
}

/// Names from outside must not move the cursor.
std::string plain(std::string_view text) {
    std::string out;
    for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    return out;
}

}  // namespace

json::Value to_json(const TableAnalysis& table) {
    const bool rows = table.time_column.empty();
    json::Array notes, series, pairs, groups;
    for (const auto& note : table.notes)
        notes.push_back(
            json::Object{{"line", note.line > 0 ? json::Value(note.line) : json::Value(nullptr)}, {"count", note.count}, {"what", note.what}});
    for (const auto& one : table.series) series.push_back(json_of(one, rows));
    for (const auto& p : table.pairs)
        pairs.push_back(json::Object{{"first", table.series[p.lag >= 0 ? p.first : p.second].name},
                                     {"then", table.series[p.lag >= 0 ? p.second : p.first].name},
                                     {"lag_points", std::abs(p.lag)},
                                     {"correlation", p.correlation},
                                     {"q_value", p.q_value}});
    for (const auto& g : table.groups.groups) {
        json::Array members;
        for (const auto& member : g.members) members.push_back(json::Value(member));
        groups.push_back(json::Object{{"size", g.size}, {"share", g.share}, {"shared", g.shared}, {"members", std::move(members)}});
    }
    json::Object out{
        {"source", table.source},    {"layout", table.layout},      {"time_column", rows ? json::Value(nullptr) : json::Value(table.time_column)},
        {"notes", std::move(notes)}, {"series", std::move(series)}, {"pairs", std::move(pairs)}};
    if (table.groups.sought)
        out["groups"] = json::Object{{"of", table.groups.of_rows ? "rows" : "series"},
                                     {"confidence", table.groups.confidence},
                                     {"method", table.groups.method},
                                     {"said", table.groups.said},
                                     {"groups", std::move(groups)}};
    return out;
}

std::string to_text(const TableAnalysis& table) {
    std::string out = plain(table.source) + ": " + std::to_string(table.series.size()) + " series";
    if (!table.time_column.empty())
        out += ", times from \"" + plain(table.time_column) + "\" (" + table.time_form + "), shown in " + plain(table.zone.name());
    out += "\n";
    for (const auto& note : table.notes) out += "  note: " + plain(tabular::to_text(note)) + "\n";
    for (const auto& series : table.series) {
        out += "\n" + plain(series.name) + "\n";
        for (const auto& one : findings(series, clock_for(table, series))) {
            std::string kind(one.kind);
            kind.resize(10, ' ');
            out += "  " + kind + plain(one.text) + "\n";
        }
    }
    constexpr std::size_t most_pairs = 20;
    if (!table.pairs.empty()) out += "\nwhat follows what\n";
    for (std::size_t i = 0; i < std::min(most_pairs, table.pairs.size()); ++i) {
        const auto& p = table.pairs[i];
        const auto& first = table.series[p.lag >= 0 ? p.first : p.second];
        const auto& then = table.series[p.lag >= 0 ? p.second : p.first];
        const double steps = std::abs(static_cast<double>(p.lag));
        out += "  " + plain(first.name) + (p.lag == 0 ? " moves with " : " comes before ") + plain(then.name) +
               (p.lag == 0                  ? ""
                : table.time_column.empty() ? " by " + number(steps) + " rows"
                                            : " by " + span(steps * first.grid.step)) +
               " (correlation " + number(p.correlation) + ")\n";
    }
    if (table.groups.sought && (table.groups.of_rows || table.series.size() >= 4)) {
        out += std::string("\ngroups of ") + (table.groups.of_rows ? "rows" : "series") + "\n";
        if (table.groups.groups.empty()) out += "  " + table.groups.said + "\n";
        for (const auto& g : table.groups.groups) {
            std::string members;
            for (std::size_t m = 0; m < std::min<std::size_t>(6, g.members.size()); ++m) members += (m > 0 ? ", " : "") + g.members[m];
            if (g.size > 6) members += ", ...";
            out += "  " + std::to_string(g.size) + " (" + percent(g.share) + ")" + (g.shared.empty() ? "" : " share: " + plain(g.shared)) + ": " +
                   plain(members) + "\n";
        }
    }
    return out;
}

}  // namespace kn::report
