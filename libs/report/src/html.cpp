#include <algorithm>
#include <cmath>

#include "kubernaut/report/render.hpp"
#include "kubernaut/report/wording.hpp"
#include "svg.hpp"

namespace kn::report {
namespace {

constexpr std::size_t most_plots = 60;

constexpr std::string_view style = R"(
:root{color-scheme:light dark;--back:#f7f7f5;--card:#fff;--ink:#1d2329;--soft:#667079;--rule:#e3e5e7;--series:#2b6cb0;--trend:#2f855a;--outlook:#b7791f;--odd:#c53030;--change:#6b46c1}
@media(prefers-color-scheme:dark){:root{--back:#14171a;--card:#1c2125;--ink:#e4e8eb;--soft:#98a2ab;--rule:#2c3338;--series:#63a4ff;--trend:#68d391;--outlook:#f6c263;--odd:#fc8181;--change:#b794f4}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1040px;margin:0 auto;padding:28px 18px 60px}h1{font-size:24px;margin:0 0 2px;overflow-wrap:anywhere}h2{font-size:18px;margin:0 0 8px;overflow-wrap:anywhere}h3{font-size:13px;font-weight:600;color:var(--soft);margin:14px 0 2px}
.sub{color:var(--soft);margin:0 0 18px}.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:16px 18px;margin:0 0 16px}
ul{list-style:none;margin:0 0 10px;padding:0}li{padding:2px 0;overflow-wrap:anywhere}li b{display:inline-block;min-width:78px;font-weight:600}
.none{color:var(--soft)}.k-trend b{color:var(--trend)}.k-season b{color:var(--series)}.k-change b{color:var(--change)}.k-forecast b,.k-limit b{color:var(--outlook)}.k-anomaly b{color:var(--odd)}.k-data b{color:var(--soft)}
svg{width:100%;height:auto;display:block}.small{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:4px 16px}
.grid{stroke:var(--rule);stroke-width:1}.tick{fill:var(--soft);font-size:11px}path{fill:none;stroke-linejoin:round;stroke-linecap:round}
.line{stroke:var(--series);stroke-width:1.5}.expected{stroke:var(--trend);stroke-width:1.3;opacity:.85}.median{stroke:var(--outlook);stroke-width:2}.band{fill:var(--outlook);opacity:.18;stroke:none}
.rest{stroke:var(--soft);stroke-width:1}.odd{fill:var(--odd);stroke:var(--card);stroke-width:1.2}.change{stroke:var(--change);stroke-width:1.6;stroke-dasharray:5 4}.limit{stroke:var(--odd);stroke-width:1.4;stroke-dasharray:2 3}
.key{color:var(--soft);font-size:12.5px;margin:2px 0 0}.key i{display:inline-block;width:16px;height:3px;margin:0 5px 3px 12px;border-radius:2px}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 10px 4px 0;border-top:1px solid var(--rule);vertical-align:top;overflow-wrap:anywhere}th{color:var(--soft);font-weight:600;border:0}
nav a{color:var(--series);text-decoration:none;margin-right:12px}footer{color:var(--soft);font-size:13px;margin-top:26px}
)";

std::string key(std::string_view colour, std::string_view text) {
    return "<i style=\"background:var(--" + std::string(colour) + ")\"></i>" + std::string(text);
}

std::string main_plot(const patterns::SeriesAnalysis& a, const Clock& clock) {
    Chart chart(clock, {.width = 960, .height = 280});
    const auto& times = a.grid.times;
    std::vector<double> ahead;
    if (a.forecast)
        for (std::size_t h = 1; h <= a.forecast->median.size(); ++h) ahead.push_back(a.grid.after_end(h));
    if (a.forecast)
        for (auto band = a.forecast->bands.rbegin(); band != a.forecast->bands.rend(); ++band) chart.band(ahead, band->low, band->high, "band");
    chart.line(times, a.grid.values, "line");
    std::string keys = key("series", "measured");
    if (!a.parts.trend.empty() && a.summary.known >= 24) {
        chart.line(times, a.parts.trend, "expected");
        keys += key("trend", "level without seasons and noise");
    }
    if (a.forecast) {
        chart.line(ahead, a.forecast->median, "median");
        keys += key("outlook", "outlook with its bands");
    }
    for (const auto& one : a.changes) chart.rule(times[one.index], "change", "change at " + clock.moment(times[one.index]));
    if (!a.changes.empty()) keys += key("change", "change");
    for (const auto& one : a.outliers)
        chart.dot(times[one.peak], one.value, "odd", clock.moment(times[one.peak]) + ": " + number(one.value) + ", expected " + number(one.expected));
    if (!a.outliers.empty()) keys += key("odd", "anomaly");
    if (a.exhaustion) chart.level(a.exhaustion->limit, "limit", "limit " + number(a.exhaustion->limit));
    return chart.svg("measured values of " + a.name) + "<p class=\"key\">" + keys + "</p>";
}

std::string season_plots(const patterns::SeriesAnalysis& a, const Clock& clock) {
    std::string out;
    for (const auto& season : a.seasons) {
        if (season.profile.size() < 2) continue;
        Chart chart(clock, {.width = 460, .height = 170});
        std::vector<double> place;
        for (std::size_t i = 0; i < season.profile.size(); ++i) place.push_back(static_cast<double>(i));
        chart.line(place, season.profile, "line");
        std::vector<std::pair<double, std::string>> ticks;
        const std::size_t every = std::max<std::size_t>(1, season.profile.size() / 4);
        for (std::size_t i = 0; i < season.profile.size(); i += every) {
            const double t = a.grid.times[std::min(season.profile_at + i, a.grid.times.size() - 1)];
            ticks.emplace_back(static_cast<double>(i), clock.rows() ? "+" + std::to_string(i) : clock.phase(t, season.seconds));
        }
        chart.name_x(std::move(ticks));
        const std::string name = clock.rows() ? "every " + std::to_string(season.season.period) + " rows" : season.name;
        out += "<div><h3>season: " + escaped(name) + " (" + percent(season.season.strength) + ")</h3>" + chart.svg("profile of the season " + name) +
               "</div>";
    }
    if (a.summary.known >= 24 && a.parts.remainder.size() == a.grid.times.size()) {
        Chart chart(clock, {.width = 460, .height = 170});
        chart.line(a.grid.times, a.parts.remainder, "rest");
        for (const auto& one : a.outliers)
            chart.dot(a.grid.times[one.peak], a.parts.remainder[one.peak], "odd", clock.moment(a.grid.times[one.peak]));
        out += "<div><h3>what is left: neither level nor season</h3>" + chart.svg("remainder") + "</div>";
    }
    return out.empty() ? "" : "<div class=\"small\">" + out + "</div>";
}

std::string series_card(const patterns::SeriesAnalysis& a, const Clock& clock, std::size_t id, bool plots) {
    std::string out = "<section class=\"card\" id=\"s" + std::to_string(id) + "\"><h2>" + escaped(a.name) + "</h2><ul>";
    for (const auto& one : findings(a, clock))
        out += "<li class=\"k-" + std::string(one.kind) + (one.notable ? "" : " none") + "\"><b>" + std::string(one.kind) + "</b> " +
               escaped(one.text) + "</li>";
    out += "</ul>";
    if (plots && a.summary.known > 1) out += main_plot(a, clock) + season_plots(a, clock);
    return out + "</section>";
}

std::string groups_card(const Groups& g) {
    std::string out = "<section class=\"card\" id=\"groups\"><h2>Groups of " + std::string(g.of_rows ? "rows" : "series") + "</h2>";
    if (g.groups.empty()) return out + "<p class=\"none\">" + escaped(g.said) + "</p></section>";
    out += "<p class=\"sub\">" + std::to_string(g.groups.size()) + " groups by " + escaped(g.method) + "; they are apart to " +
           percent(g.confidence) + "</p><table><tr><th>share</th><th>what they have in common</th><th>members</th></tr>";
    for (const auto& group : g.groups) {
        std::string members;
        for (const auto& member : group.members) members += (members.empty() ? "" : ", ") + member;
        if (group.size > group.members.size()) members += " and " + std::to_string(group.size - group.members.size()) + " more";
        out += "<tr><td>" + percent(group.share) + " (" + std::to_string(group.size) + ")</td><td>" + escaped(group.shared) + "</td><td>" +
               escaped(members) + "</td></tr>";
    }
    return out + "</table></section>";
}

std::string pairs_card(const TableAnalysis& table) {
    std::string out =
        "<section class=\"card\" id=\"pairs\"><h2>What follows what</h2><table><tr><th>first</th><th>then</th><th>after</th><th>correlation</th></tr>";
    constexpr std::size_t most = 50;
    for (std::size_t i = 0; i < std::min(most, table.pairs.size()); ++i) {
        const auto& p = table.pairs[i];
        const auto& first = table.series[p.lag >= 0 ? p.first : p.second];
        const auto& then = table.series[p.lag >= 0 ? p.second : p.first];
        const double steps = std::abs(static_cast<double>(p.lag));
        const std::string after = p.lag == 0 ? "at once" : table.time_column.empty() ? number(steps) + " rows" : span(steps * first.grid.step);
        out += "<tr><td>" + escaped(first.name) + "</td><td>" + escaped(then.name) + "</td><td>" + after + "</td><td>" + number(p.correlation) +
               "</td></tr>";
    }
    return out + "</table></section>";
}

}  // namespace

std::string escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default:
                if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)
                    out += c;
                else if (c == '\n' || c == '\t')
                    out += ' ';
        }
    }
    return out;
}

std::string to_html(const TableAnalysis& table) {
    std::string out =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>" +
        escaped(table.source) + " - patterns</title><style>" + std::string(style) + "</style></head><body><main><h1>" + escaped(table.source) +
        "</h1><p class=\"sub\">" + std::to_string(table.series.size()) + (table.series.size() == 1 ? " series" : " series, ") +
        (table.series.size() == 1 ? "" : escaped(table.layout) + " table") +
        (table.time_column.empty()
             ? ""
             : "; times from " + escaped(table.time_column) + " (" + escaped(table.time_form) + "), shown in " + escaped(table.zone.name())) +
        "</p>";
    if (!table.notes.empty()) {
        out += "<section class=\"card\"><h2>About the data</h2><ul>";
        for (const auto& note : table.notes) out += "<li>" + escaped(tabular::to_text(note)) + "</li>";
        out += "</ul></section>";
    }
    if (table.series.size() > 1) {
        out += "<nav class=\"card\">";
        for (std::size_t s = 0; s < std::min(most_plots, table.series.size()); ++s)
            out += "<a href=\"#s" + std::to_string(s) + "\">" + escaped(table.series[s].name) + "</a> ";
        out += "</nav>";
    }
    if (table.groups.sought && (table.series.size() >= 4 || table.groups.of_rows)) out += groups_card(table.groups);
    if (!table.pairs.empty()) out += pairs_card(table);
    for (std::size_t s = 0; s < table.series.size(); ++s) out += series_card(table.series[s], clock_for(table, table.series[s]), s, s < most_plots);
    if (table.series.size() > most_plots) out += "<p class=\"sub\">Plots for the first " + std::to_string(most_plots) + " series only.</p>";
    return out +
           "<footer>Made by kubernaut analyze. Bands are checked against the series' own past; a season or change is shown only when chance would hardly make it.</footer></main></body></html>\n";
}

}  // namespace kn::report
