#include "analyze/command.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <thread>

#include "analyze/sources.hpp"
#include "kubernaut/report/render.hpp"

namespace kn::app {
namespace {

struct Options {
    std::string file, what = "all", output = "text", html, format = "auto", time_column, zone = "UTC", prometheus, query, last = "24h", step = "1m",
                      token;
    std::vector<std::string> value_columns, series_columns;
    std::vector<double> levels;
    std::size_t horizon = 0;
    std::optional<double> limit;
};

constexpr std::array<const char*, 7> all_whats{"trend", "seasonality", "changes", "forecast", "anomalies", "clusters", "all"};

bool is_what(const std::string& word) { return std::find(all_whats.begin(), all_whats.end(), word) != all_whats.end(); }

report::TableOptions options_for(const Options& o) {
    const auto wanted = [&](const char* what) { return o.what == "all" || o.what == what; };
    report::TableOptions options;
    options.series = {.trend = wanted("trend"),
                      .seasons = wanted("seasonality"),
                      .changes = wanted("changes"),
                      .forecast = wanted("forecast") || o.limit,
                      .outliers = wanted("anomalies"),
                      .horizon = o.horizon,
                      .limit = o.limit};
    if (!o.levels.empty()) options.series.levels.clear();
    for (const double level : o.levels) options.series.levels.push_back(level > 1 ? level / 100 : level);
    std::sort(options.series.levels.begin(), options.series.levels.end());
    options.groups = wanted("clusters");
    options.pairs = o.what == "all";
    options.threads = std::max(1U, std::thread::hardware_concurrency());
    return options;
}

Result<report::TableAnalysis> analyze(const Options& o) {
    KN_TRY(const tabular::Zone zone, find_zone(o.zone));
    if (!o.prometheus.empty()) {
        PrometheusQuery query{.url = o.prometheus, .query = o.query, .token = o.token};
        if (const char* token = std::getenv("KUBERNAUT_PROMETHEUS_TOKEN"); token != nullptr && query.token.empty()) query.token = token;
        KN_TRY(query.last, parse_duration(o.last));
        KN_TRY(query.step, parse_duration(o.step));
        query.now = std::chrono::floor<Duration>(std::chrono::system_clock::now());
        KN_TRY(const auto table, ask_prometheus(query));
        return report::analyze_table(table, o.query, zone, options_for(o));
    }
    KN_TRY(const std::string text, read_input(o.file));
    tabular::TableOptions reading{.format = o.format == "csv"      ? tabular::Format::csv
                                            : o.format == "ndjson" ? tabular::Format::ndjson
                                                                   : tabular::Format::automatic,
                                  .time_column = o.time_column,
                                  .value_columns = o.value_columns,
                                  .series_columns = o.series_columns,
                                  .zone = zone};
    auto table = tabular::read_time_table(text, reading);
    const std::string name = o.file == "-" ? "standard input" : o.file;
    if (!table) return fail(table.error().with_context(name));
    return report::analyze_table(*table, o.file == "-" ? name : std::filesystem::path(o.file).filename().string(), zone, options_for(o));
}

int refuse(const std::string& why) {
    std::cerr << "error: " << why << "\n";
    return 2;
}

int run(Options o) {
    if (!o.prometheus.empty() && is_what(o.file)) o.what = o.file, o.file.clear();
    if (!is_what(o.what))
        return refuse("\"" + o.what + "\" cannot be looked for; there are trend, seasonality, changes, forecast, anomalies, clusters, all");
    if (o.prometheus.empty() && o.file.empty()) return refuse("name a FILE, - for standard input, or --prometheus with --query");
    if (!o.prometheus.empty() && !o.file.empty()) return refuse("either a FILE or --prometheus, not both");
    if (!o.prometheus.empty() && o.query.empty()) return refuse("--prometheus needs --query");
    for (const double level : o.levels)
        if (!(level > 0) || level >= 100 || level == 1) return refuse("--level is a share such as 0.9 or a percentage such as 90");
    const auto answer = analyze(o);
    if (!answer) {
        std::cerr << "error: " << answer.error().describe() << "\n";
        return 1;
    }
    if (!o.html.empty()) {
        std::ofstream out(o.html, std::ios::binary);
        out << report::to_html(*answer);
        if (!out.flush()) return refuse("cannot write " + o.html);
        std::cerr << "wrote " << o.html << "\n";
    }
    if (o.output == "json")
        std::cout << json::dump_pretty(report::to_json(*answer)) << "\n";
    else if (o.html.empty())
        std::cout << report::to_text(*answer);
    return 0;
}

}  // namespace

void add_analyze(CLI::App& app, int& exit_code) {
    auto options = std::make_shared<Options>();
    auto* command = app.add_subcommand("analyze", "Find trends, seasons, changes, anomalies, groups and the outlook in a table of measurements");
    command->add_option("FILE", options->file, "CSV or lines of JSON, wide or long; - is standard input");
    command->add_option("what", options->what, "trend, seasonality, changes, forecast, anomalies, clusters or all")->capture_default_str();
    command->add_option("--format", options->format, "auto, csv or ndjson")->check(CLI::IsMember({"auto", "csv", "ndjson"}))->capture_default_str();
    command->add_option("--time-column", options->time_column, "the column of times; found when not given");
    command
        ->add_option("--value-column", options->value_columns,
                     "a column to analyse; may be given several times; all columns of numbers when not given")
        ->allow_extra_args(false);
    command->add_option("--series-column", options->series_columns, "a column that names the series of a long table; may be given several times")
        ->allow_extra_args(false);
    command->add_option("--tz", options->zone, "time zone of times without an offset, and of the report: UTC, local, +02:00, Europe/Berlin")
        ->capture_default_str();
    command->add_option("--horizon", options->horizon, "points to look ahead; one longest season when not given")
        ->check(CLI::Range(std::size_t{1}, std::size_t{10'000}));
    command->add_option("--level", options->levels, "coverage of the outlook's bands, may be given several times; 0.8 and 0.95 when not given")
        ->allow_extra_args(false);
    command->add_option("--limit", options->limit, "a value that must not be crossed: when will it be?");
    command->add_option("--html", options->html, "write a page with plots to this file");
    command->add_option("-o,--output", options->output, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
    command->add_option("--prometheus", options->prometheus, "a Prometheus to ask instead of a FILE: http://host:9090");
    command->add_option("--query", options->query, "the PromQL for it");
    command->add_option("--last", options->last, "how far back: 24h, 7d")->capture_default_str();
    command->add_option("--step", options->step, "between points: 1m")->capture_default_str();
    command->add_option("--prometheus-token", options->token, "bearer token; better in KUBERNAUT_PROMETHEUS_TOKEN");
    command->footer(
        "Examples:\n"
        "  kubernaut analyze latency.csv                               everything, as text\n"
        "  kubernaut analyze latency.csv --html report.html            everything, with plots\n"
        "  kubernaut analyze disk.csv forecast --limit 95 --horizon 48 when is it full?\n"
        "  kubernaut analyze - anomalies -o json < metrics.ndjson\n"
        "  kubernaut analyze runs.csv clusters                         which rows are alike (a table without times)\n"
        "  kubernaut analyze --prometheus http://localhost:9090 --query 'sum by (namespace) (rate(http_requests_total[5m]))' --last 7d --step 5m\n\n"
        "Exit code 0: analysed; 1: the input could not be read; 2: wrong usage.");
    command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace kn::app
