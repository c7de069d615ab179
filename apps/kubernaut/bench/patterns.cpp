// `kubernaut bench patterns`: how good pattern discovery is on labelled data beside the best that is known, and how fast.
#include "bench/patterns.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>

#include "bench/pattern_speed.hpp"
#include "kubernaut/analytics/judging/quality_sets.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::app {
namespace {

using analytics::judging::quality_sets;
using analytics::judging::QualitySet;
using analytics::judging::Row;
using Path = std::filesystem::path;

struct Options {
    std::string data, only, output = "table";
    std::size_t rows = 1'000'000;
    unsigned threads = std::max(1U, std::thread::hardware_concurrency());
    bool no_speed = false;
    std::string peers = "build/peers";
};

void measure_quality(const Options& o, std::vector<Row>& rows, std::vector<Skipped>& skipped) {
    for (const auto& set : quality_sets()) {
        if (!o.only.empty() && o.only != set.name) continue;
        if (o.data.empty() && !set.folder.empty()) {
            skipped.push_back({std::string(set.name), "no --data folder was given"});
            continue;
        }
        if (!set.folder.empty() && !std::filesystem::exists(Path(o.data) / set.folder)) {
            skipped.push_back({std::string(set.name), "there is no folder " + std::string(set.folder) + " in " + o.data});
            continue;
        }
        std::cerr << set.name << " ..." << std::flush;
        const auto began = std::chrono::steady_clock::now();
        const auto measured = set.measure(o.data, o.threads);
        std::cerr << " " << std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() << " s\n";
        if (measured)
            rows.insert(rows.end(), measured->begin(), measured->end());
        else
            skipped.push_back({std::string(set.name), measured.error().describe()});
    }
}

json::Value number_or_null(const std::optional<double>& value) { return value ? json::Value(*value) : json::Value(nullptr); }

void print_json(const std::vector<Row>& rows, const std::vector<Skipped>& skipped) {
    json::Array list, left_out;
    for (const Row& row : rows)
        list.push_back(json::Object{{"set", row.set},
                                    {"metric", row.metric},
                                    {"value", row.value},
                                    {"best_known", number_or_null(row.best_known)},
                                    {"goal", number_or_null(row.goal)},
                                    {"holds", row.goal ? json::Value(row.holds()) : json::Value(nullptr)},
                                    {"larger_is_better", row.larger_is_better},
                                    {"note", row.note}});
    for (const Skipped& one : skipped) left_out.push_back(json::Object{{"set", one.set}, {"why", one.why}});
    std::cout << json::dump_pretty(json::Object{{"rows", std::move(list)}, {"skipped", std::move(left_out)}}) << "\n";
}

std::string short_number(const std::optional<double>& value) {
    if (!value) return "-";
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", *value);
    return text;
}

void print_table(const std::vector<Row>& rows, const std::vector<Skipped>& skipped) {
    std::size_t set_width = 4, metric_width = 8;
    for (const Row& row : rows) set_width = std::max(set_width, row.set.size()), metric_width = std::max(metric_width, row.metric.size());
    const auto line = [&](const std::string& set, const std::string& metric, const std::string& value, const std::string& best,
                          const std::string& goal, const std::string& holds, const std::string& note) {
        std::printf("%-*s  %-*s  %9s  %9s  %9s  %-6s%s\n", static_cast<int>(set_width), set.c_str(), static_cast<int>(metric_width), metric.c_str(),
                    value.c_str(), best.c_str(), goal.c_str(), holds.c_str(), note.c_str());
    };
    if (!rows.empty()) line("SET", "MEASURE", "OURS", "BEST", "GOAL", "HOLDS", "  NOTE");
    for (const Row& row : rows)
        line(row.set, row.metric, short_number(row.value), short_number(row.best_known), short_number(row.goal),
             !row.goal     ? "-"
             : row.holds() ? "yes"
                           : "no",
             row.note.empty() ? "" : "  " + row.note);
    for (const Skipped& one : skipped) std::printf("skipped %s: %s\n", one.set.c_str(), one.why.c_str());
    std::fflush(stdout);
}

int run(const Options& o) {
    std::vector<Row> rows;
    std::vector<Skipped> skipped;
    const auto sets = quality_sets();
    const bool known =
        o.only.empty() || o.only == "speed" || std::any_of(sets.begin(), sets.end(), [&](const QualitySet& set) { return set.name == o.only; });
    if (!known) {
        std::cerr << "error: no set is called " << o.only << "; there are: speed";
        for (const auto& set : sets) std::cerr << ", " << set.name;
        std::cerr << "\n";
        return 2;
    }
    if (!o.data.empty() && !std::filesystem::is_directory(o.data)) {
        std::cerr << "error: " << o.data << " is no folder\n";
        return 2;
    }
    measure_quality(o, rows, skipped);
    if ((o.only.empty() && !o.no_speed) || o.only == "speed") measure_pattern_speed(o.rows, o.threads, Peers(o.peers, o.threads), rows, skipped);
    if (o.output == "json")
        print_json(rows, skipped);
    else
        print_table(rows, skipped);
    return 0;
}

}  // namespace

void add_bench_patterns(CLI::App& app, int& exit_code) {
    auto options = std::make_shared<Options>();
    auto* command = app.get_subcommand("bench")->add_subcommand(
        "patterns", "Measure pattern discovery on labelled data beside the best that is known, and its speed");
    command->add_option("--data", options->data, "folder with the benchmark data, one folder a set; without it only the speed is measured");
    command->add_option("--only", options->only, "one set, or speed");
    command->add_option("--rows", options->rows, "rows of the large speed measures")
        ->capture_default_str()
        ->check(CLI::Range(std::size_t{1000}, std::size_t{10'000'000}));
    command->add_option("--threads", options->threads, "threads")->capture_default_str()->check(CLI::Range(1U, 256U));
    command->add_option("--peers", options->peers, "folder with the Python libraries that `make peers` installs, to measure them in the same run")
        ->capture_default_str();
    command->add_flag("--no-speed", options->no_speed, "quality only");
    command->add_option("-o,--output", options->output, "table or json")->check(CLI::IsMember({"table", "json"}));
    command->callback([options, &exit_code] {
        exit_code = run(*options);
        // What `bench` itself measures is not run as well.
        if (exit_code == 0) throw CLI::Success();
        throw CLI::RuntimeError(exit_code);
    });
}

}  // namespace kn::app
