// `kubernaut analyze --prometheus` against the real Prometheus: two weeks of made-up measurements are put into its storage, more points than it gives
// in one answer, and come back as the patterns that were put in.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <thread>

#include "kubernaut/json/json.hpp"
#include "kubernaut/testing/process.hpp"
#include "kubernaut/testing/temp_dir.hpp"

namespace kn::e2e {
namespace {

using namespace std::chrono_literals;

std::string program(const char* name) {
    for (const char* folder : {"/usr/bin/", "/usr/local/bin/"})
        if (std::filesystem::exists(std::string(folder) + name)) return std::string(folder) + name;
    return {};
}

/// Two series, a value a minute: one with a daily swing that rises, one that is flat until it jumps.
std::string measurements(std::int64_t first, std::size_t count) {
    std::string load = "# TYPE load gauge\n";
    for (const char* host : {"a", "b"})
        for (std::size_t i = 0; i < count; ++i) {
            const double t = static_cast<double>(i), share = t / static_cast<double>(count);
            // Noise that needs no generator: the same on every machine.
            const double noise = std::sin(t * 12.9898) * 43758.5453 - std::floor(std::sin(t * 12.9898) * 43758.5453) - 0.5;
            const double value =
                *host == 'a' ? 100 + 20 * std::sin(2 * std::numbers::pi * t / 1440) + 30 * share + 4 * noise : (share < 0.6 ? 10 : 14) + noise;
            load += std::string("load{host=\"") + host + "\"} " + std::to_string(value) + " " +
                    std::to_string(first + 60 * static_cast<std::int64_t>(i)) + "\n";
        }
    return load + "# EOF\n";
}

TEST(AnalyzePrometheus, FindsInARealPrometheusWhatWasPutIntoIt) {
    const std::string prometheus = program("prometheus"), promtool = program("promtool");
    if (prometheus.empty() || promtool.empty()) GTEST_SKIP() << "no prometheus or promtool is installed";
    const testing::TempDir folder;
    const std::string binary = testing::kubernaut_binary(KN_BINARY), data = folder.path() + "/data", text = folder.path() + "/load.txt";
    constexpr std::size_t minutes = 14 * 24 * 60;
    const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    testing::write_file(text, measurements(now - 60 * static_cast<std::int64_t>(minutes), minutes));
    const auto stored = testing::run({promtool, "tsdb", "create-blocks-from", "openmetrics", text, data}, {}, 2min);
    ASSERT_TRUE(stored) << stored.error().describe();
    ASSERT_EQ(stored->exit_code, 0) << stored->out << stored->err;
    testing::write_file(folder.path() + "/prometheus.yml", "scrape_configs: []\n");
    const std::string address = "127.0.0.1:" + std::to_string(testing::free_port());
    auto server = testing::Process::start({prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=" + data,
                                           "--storage.tsdb.retention.time=60d", "--web.listen-address=" + address},
                                          {.output = folder.path() + "/prometheus.log", .folder = folder.path()});
    ASSERT_TRUE(server) << server.error().describe();

    const std::vector<std::string> command{binary, "analyze", "--prometheus", "http://" + address, "--query", "load", "--last", "14d", "--step",
                                           "1m",   "-o",      "json"};
    // It refuses connections, or answers 503, until its blocks are loaded.
    Result<testing::Finished> finished = testing::run(command, {}, 2min);
    for (int attempt = 0; attempt < 60 && finished && finished->exit_code != 0; ++attempt) {
        std::this_thread::sleep_for(500ms);
        finished = testing::run(command, {}, 2min);
    }
    ASSERT_TRUE(finished) << finished.error().describe();
    ASSERT_EQ(finished->exit_code, 0) << finished->err << testing::read_file(folder.path() + "/prometheus.log");
    const auto found = json::parse(finished->out);
    ASSERT_TRUE(found) << finished->out;
    ASSERT_EQ(json::array_at(*found, "series").size(), 2U);
    for (std::size_t s = 0; s < 2; ++s) {
        const std::string name(json::string_at(*found, "series", s, "name"));
        // More than the 11,000 that Prometheus gives at once.
        EXPECT_GT(json::double_at(*found, "series", s, "summary", "points").value_or(0), 20'000) << name;
        if (name.find("host=\"a\"") != std::string::npos) {
            EXPECT_EQ(json::string_at(*found, "series", s, "seasons", 0, "name"), "daily");
            EXPECT_NEAR(json::double_at(*found, "series", s, "trend", "slope_per_second").value_or(0) * 14 * 86'400, 30, 3);
        } else {
            ASSERT_GE(json::array_at(*found, "series", s, "changes").size(), 1U);
            EXPECT_NEAR(json::double_at(*found, "series", s, "changes", 0, "after").value_or(0), 14, 0.5);
        }
    }
    // What is no query is said with Prometheus' own words.
    const auto refused = testing::run({binary, "analyze", "--prometheus", address, "--query", "load{", "--last", "1h"}, {}, 1min);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->exit_code, 1);
    EXPECT_NE(refused->err.find("parse error"), std::string::npos) << refused->err;
}

}  // namespace
}  // namespace kn::e2e
