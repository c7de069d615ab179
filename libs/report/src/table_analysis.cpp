#include "kubernaut/report/table_analysis.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <tuple>

#include "kubernaut/analytics/clustering/explanation.hpp"
#include "kubernaut/analytics/clustering/mixed.hpp"
#include "kubernaut/analytics/clustering/partition.hpp"
#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/regular.hpp"

namespace kn::report {
namespace {

using tabular::TimeTable;
constexpr std::size_t most_members = 20, least_rows = 20, least_series = 4;

/// Columns with few different words are traits; one word a row is a name.
analytics::MixedTable mixed_of(const TimeTable& table) {
    const tabular::Records& records = table.records;
    const std::size_t n = records.rows();
    analytics::MixedTable mixed;
    for (std::size_t c = 0; c < records.columns.size(); ++c) {
        std::vector<double> numbers(n);
        std::size_t words = 0, known = 0;
        for (std::size_t r = 0; r < n; ++r) {
            bool ok = false;
            numbers[r] = tabular::cell_number(records.cell(r, c), records.decimal_comma, ok);
            words += ok ? 0 : 1;
            known += std::isfinite(numbers[r]) ? 1 : 0;
        }
        if (words * 2 <= known) {
            if (known > 0) mixed.columns.push_back({.name = records.columns[c], .numbers = std::move(numbers)});
            continue;
        }
        std::map<std::string_view, std::int32_t> codes;
        analytics::MixedColumn column{.name = records.columns[c]};
        for (std::size_t r = 0; r < n; ++r) {
            const auto cell = records.cell(r, c);
            if (cell.empty()) {
                column.categories.push_back(-1);
                continue;
            }
            const auto [place, fresh] = codes.try_emplace(cell, static_cast<std::int32_t>(codes.size()));
            if (fresh) column.category_names.emplace_back(cell);
            column.categories.push_back(place->second);
        }
        if (codes.size() >= 2 && codes.size() * 4 <= n && codes.size() <= 200) mixed.columns.push_back(std::move(column));
    }
    return mixed;
}

void take_groups(Groups& out, const analytics::Partition& found, const std::function<std::string(std::size_t)>& name_of) {
    out.method = found.chosen.method;
    out.confidence = found.confidence;
    out.groups.resize(found.clusters);
    for (std::size_t i = 0; i < found.labels.size(); ++i) {
        if (found.labels[i] < 0) continue;
        Group& group = out.groups[static_cast<std::size_t>(found.labels[i])];
        if (++group.size <= most_members) group.members.push_back(name_of(i));
    }
    for (Group& group : out.groups) group.share = static_cast<double>(group.size) / static_cast<double>(found.labels.size());
}

Groups group_rows(const TimeTable& table) {
    Groups out{.of_rows = true, .sought = true, .method = {}, .groups = {}, .said = {}};
    const auto mixed = mixed_of(table);
    if (mixed.rows() < least_rows || mixed.columns.empty()) {
        out.said = "too few rows to group: " + std::to_string(mixed.rows()) + ", " + std::to_string(least_rows) + " are needed";
        return out;
    }
    const auto embedded = analytics::embed(mixed);
    const auto found = analytics::partition(embedded.values, {});
    if (!found) {
        out.said = found.error().message;
        return out;
    }
    if (found->clusters < 2) {
        out.said = "no groups: the rows do not come apart";
        return out;
    }
    take_groups(out, *found, [&](std::size_t row) { return "line " + std::to_string(table.records.lines[row]); });
    if (const auto described = analytics::describe_clusters(mixed, found->labels))
        for (const auto& one : *described)
            if (one.label >= 0 && static_cast<std::size_t>(one.label) < out.groups.size())
                out.groups[static_cast<std::size_t>(one.label)].shared = analytics::to_text(mixed, one);
    return out;
}

/// Series of the same shape over the same time, whatever their scale.
Groups group_series(const std::vector<patterns::SeriesAnalysis>& all) {
    Groups out{.of_rows = false, .sought = true, .method = {}, .groups = {}, .said = {}};
    constexpr std::size_t places = 48;
    std::vector<std::size_t> usable;
    double begin = 0, end = 0;
    for (std::size_t s = 0; s < all.size(); ++s) {
        if (all[s].summary.known < 24 || !(all[s].summary.most > all[s].summary.least)) continue;
        begin = usable.empty() ? all[s].grid.times.front() : std::min(begin, all[s].grid.times.front());
        end = usable.empty() ? all[s].grid.times.back() : std::max(end, all[s].grid.times.back());
        usable.push_back(s);
    }
    if (usable.size() < least_series) {
        out.said = "too few series to group: " + std::to_string(usable.size()) + " that vary, " + std::to_string(least_series) + " are needed";
        return out;
    }
    analytics::Matrix shapes(usable.size(), places);
    for (std::size_t u = 0; u < usable.size(); ++u) {
        const auto& grid = all[usable[u]].grid;
        std::vector<double> sum(places, 0), count(places, 0);
        for (std::size_t i = 0; i < grid.values.size(); ++i) {
            if (!std::isfinite(grid.values[i])) continue;
            const auto at = std::min(places - 1, static_cast<std::size_t>((grid.times[i] - begin) / (end - begin) * places));
            sum[at] += grid.values[i];
            ++count[at];
        }
        for (std::size_t p = 0; p < places; ++p) sum[p] = count[p] > 0 ? sum[p] / count[p] : std::nan("");
        const auto filled = analytics::series::fill_missing(sum);
        const double center = analytics::mean(filled), spread = std::sqrt(analytics::variance(filled));
        for (std::size_t p = 0; p < places; ++p) shapes.at(u, p) = spread > 0 ? (filled[p] - center) / spread : 0;
    }
    // Average linkage of correlations: few series are no cloud whose density could tell groups apart.
    constexpr double least_alike = 0.7;
    const std::size_t n = usable.size();
    std::vector<std::vector<double>> alike(n, std::vector<double>(n, 0));
    for (std::size_t a = 0; a < n; ++a)
        for (std::size_t b = a + 1; b < n; ++b) {
            double r = 0;
            for (std::size_t p = 0; p < places; ++p) r += shapes.at(a, p) * shapes.at(b, p) / (places - 1);
            alike[a][b] = alike[b][a] = r;
        }
    std::vector<std::vector<std::size_t>> clusters(n);
    for (std::size_t u = 0; u < n; ++u) clusters[u] = {u};
    for (;;) {
        std::size_t first = 0, second = 0;
        double most = least_alike;
        for (std::size_t a = 0; a < n; ++a)
            for (std::size_t b = a + 1; b < n && !clusters[a].empty(); ++b)
                if (!clusters[b].empty() && alike[a][b] > most) first = a, second = b, most = alike[a][b];
        if (first == second) break;
        const auto left = static_cast<double>(clusters[first].size()), right = static_cast<double>(clusters[second].size());
        for (std::size_t c = 0; c < n; ++c) alike[first][c] = alike[c][first] = (left * alike[first][c] + right * alike[second][c]) / (left + right);
        clusters[first].insert(clusters[first].end(), clusters[second].begin(), clusters[second].end());
        clusters[second].clear();
        out.confidence = most;  // the loosest join
    }
    out.method = "average linkage of correlations above 0.7";
    for (auto& cluster : clusters) {
        if (cluster.size() < 2) continue;
        std::sort(cluster.begin(), cluster.end());
        Group group{
            .shared = "the same shape", .members = {}, .size = cluster.size(), .share = static_cast<double>(cluster.size()) / static_cast<double>(n)};
        for (std::size_t m = 0; m < std::min(cluster.size(), most_members); ++m) group.members.push_back(all[usable[cluster[m]]].name);
        out.groups.push_back(std::move(group));
    }
    if (out.groups.empty()) out.said = "no groups: no two series have the same shape";
    return out;
}

/// Pairs on the same grid; the others cannot be compared place by place.
std::vector<analytics::series::LagCorrelation> pairs_of(const std::vector<patterns::SeriesAnalysis>& all, unsigned threads) {
    constexpr std::size_t most = 60, most_lag = 50;
    constexpr double false_discovery_rate = 0.01;
    std::map<std::tuple<double, double, std::size_t>, std::vector<std::size_t>> grids;
    for (std::size_t s = 0; s < all.size(); ++s)
        if (all[s].summary.known >= 48) grids[{all[s].grid.times.front(), all[s].grid.step, all[s].grid.values.size()}].push_back(s);
    std::vector<analytics::series::LagCorrelation> pairs;
    for (auto& [grid, members] : grids) {
        if (members.size() < 2) continue;
        members.resize(std::min(members.size(), most));
        std::vector<std::vector<double>> rest;
        for (const std::size_t s : members) rest.push_back(all[s].parts.deseasonalized(all[s].grid.values));
        for (auto pair : analytics::series::correlate_all(rest, most_lag, threads)) {
            if (pair.q_value >= false_discovery_rate) continue;
            pair.first = members[pair.first];
            pair.second = members[pair.second];
            pairs.push_back(pair);
        }
    }
    return pairs;
}

}  // namespace

TableAnalysis analyze_table(const TimeTable& table, std::string source, const tabular::Zone& zone, const TableOptions& options) {
    TableAnalysis out;
    out.source = std::move(source);
    out.layout = std::string(to_string(table.layout));
    out.time_column = table.time_column;
    out.time_form = table.time_form;
    out.zone = zone;
    out.notes = table.notes;
    const std::size_t count = std::min(table.series.size(), options.most_series);
    out.left_out = table.series.size() - count;
    if (out.left_out > 0) out.notes.push_back({.line = 0, .count = 1, .what = std::to_string(out.left_out) + " more series were left out"});
    patterns::AnalysisOptions each = options.series;
    // Rows without times have no calendar.
    if (table.time_column.empty()) each.calendar = false;
    if (!each.utc_offset) each.utc_offset = [&zone](std::int64_t utc) { return zone.offset_at(utc); };
    out.series.resize(count);
    analytics::parallel_blocks(count, 1, options.threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t s = begin; s < end; ++s) {
            const auto& series = table.series[s];
            if (auto one = patterns::analyze_series(series.name, series.times, series.values, each)) {
                out.series[s] = *std::move(one);
            } else {
                out.series[s].name = series.name;
                out.series[s].said.push_back("could not be analysed: " + one.error().message);
            }
        }
    });
    if (options.groups)
        out.groups = table.layout == tabular::Layout::no_time && table.records.columns.size() > 1 ? group_rows(table) : group_series(out.series);
    if (options.pairs) out.pairs = pairs_of(out.series, options.threads);
    return out;
}

}  // namespace kn::report
