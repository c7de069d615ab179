#include "kubernaut/metrics/registry.hpp"

#include <gtest/gtest.h>

namespace kn::metrics {
namespace {

TEST(Registry, WritesFamiliesInOrderWithEscapedLabels) {
    Registry registry;
    registry.counter("b_total", "bees", {{"name", "a\"b\n"}}).add(2);
    registry.gauge("a_ratio", "share").set(0.5);
    EXPECT_EQ(registry.text(),
              "# HELP a_ratio share\n# TYPE a_ratio gauge\na_ratio 0.5\n"
              "# HELP b_total bees\n# TYPE b_total counter\nb_total{name=\"a\\\"b\\n\"} 2\n");
}

TEST(Registry, HistogramBucketsAreCumulative) {
    Registry registry;
    auto& h = registry.histogram("t_seconds", "time");
    h.observe(0.003);
    h.observe(100);
    const std::string text = registry.text();
    EXPECT_NE(text.find("t_seconds_bucket{le=\"0.0025\"} 0\n"), std::string::npos);
    EXPECT_NE(text.find("t_seconds_bucket{le=\"0.005\"} 1\n"), std::string::npos);
    EXPECT_NE(text.find("t_seconds_bucket{le=\"+Inf\"} 2\n"), std::string::npos);
    EXPECT_NE(text.find("t_seconds_count 2\n"), std::string::npos);
}

TEST(Registry, FoldsLabelSetsBeyondTheLimit) {
    Registry registry;
    for (std::size_t i = 0; i < Registry::max_series_per_family + 50; ++i) registry.counter("x_total", "x", {{"id", std::to_string(i)}}).add();
    EXPECT_NE(registry.text().find("x_total{id=\"other\"} 50\n"), std::string::npos);
}

}  // namespace
}  // namespace kn::metrics
