#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/report/render.hpp"
#include "kubernaut/report/wording.hpp"

namespace kn::report {
namespace {

/// Four weeks of hours: a daily swing, a slope, a spike, a gap.
std::string table_text(const std::string& name) {
    analytics::Rng random(3);
    std::string text = "time," + name + "\n";
    for (int i = 0; i < 24 * 28; ++i) {
        if (i > 300 && i < 306) continue;
        const double value = 100 + 0.1 * i + 20 * std::sin(2 * M_PI * i / 24) + random.normal() + (i == 400 ? 60 : 0);
        text += std::to_string(1'767'571'200 + 3600 * i) + "," + std::to_string(value) + "\n";
    }
    return text;
}

TableAnalysis analysed(const std::string& text, TableOptions options = {}) {
    const auto table = tabular::read_time_table(text);
    EXPECT_TRUE(table) << (table ? "" : table.error().describe());
    return table ? analyze_table(*table, "test.csv", tabular::Zone{}, options) : TableAnalysis{};
}

TEST(Report, SaysWhatIsInTheSeries) {
    TableOptions options;
    options.series.limit = 200;
    const auto table = analysed(table_text("load"), options);
    const std::string text = to_text(table);
    for (const char* part : {"rises by", "daily: explains", "5 missing", "where", "was expected", "points ahead", "200"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    const auto json = to_json(table);
    EXPECT_EQ(json::string_at(json, "series", 0, "seasons", 0, "name"), "daily");
    EXPECT_EQ(json::array_at(json, "series", 0, "forecast", "points").size(), 24U);
    EXPECT_EQ(json::string_at(json, "series", 0, "anomalies", 0, "peak_at"), "2026-01-21T16:00:00Z");
    EXPECT_TRUE(json::parse(json::dump(json)));
}

TEST(Report, IsOnePageThatLoadsNothingAndRunsNothing) {
    const std::string page = to_html(analysed(table_text("load")));
    EXPECT_NE(page.find("<svg"), std::string::npos);
    EXPECT_NE(page.find("prefers-color-scheme:dark"), std::string::npos);
    EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
    for (const char* part : {"<script", "http://", "https://", "src=", "url(", "nan", "inf"}) EXPECT_EQ(page.find(part), std::string::npos) << part;
}

TEST(Report, EscapesHostileNames) {
    const std::string hostile = "\"</title><script>alert(1)</script><img src=x onerror=alert(1)>\"\"' &\"";
    const std::string page = to_html(analysed(table_text(hostile)));
    EXPECT_EQ(page.find("<script"), std::string::npos);
    EXPECT_EQ(page.find("<img"), std::string::npos);
    EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
    EXPECT_EQ(escaped("a\x1b[31m\x01<&>\"'"), "a[31m&lt;&amp;&gt;&quot;&#39;");
    EXPECT_EQ(to_text(analysed(table_text("\x1b[31mred"))).find('\x1b'), std::string::npos);
}

TEST(Report, GroupsRowsAndSaysWhatTheyShare) {
    analytics::Rng random(9);
    std::string text = "pool,memory,seconds\n";
    for (int i = 0; i < 120; ++i) {
        const bool spot = i % 3 == 0;
        text += std::string(spot ? "spot-a" : "standard") + "," + std::to_string((spot ? 3900 : 800) + 60 * random.normal()) + "," +
                std::to_string((spot ? 300 : 40) + 5 * random.normal()) + "\n";
    }
    const auto table = analysed(text);
    ASSERT_TRUE(table.groups.of_rows);
    ASSERT_EQ(table.groups.groups.size(), 2U) << table.groups.said;
    EXPECT_NE(to_text(table).find("spot-a"), std::string::npos);
}

TEST(Report, GroupsSeriesOfTheSameShape) {
    analytics::Rng random(4);
    std::string text = "time,a,b,c,d,e,f\n";
    for (int i = 0; i < 300; ++i) {
        text += std::to_string(1'767'571'200 + 60 * i);
        for (int s = 0; s < 6; ++s) text += "," + std::to_string((s < 3 ? 5.0 * i : 900 - 3.0 * i) * (s + 1) + 20 * random.normal());
        text += "\n";
    }
    const auto table = analysed(text);
    ASSERT_EQ(table.groups.groups.size(), 2U) << table.groups.said;
    EXPECT_EQ(table.groups.groups[0].members, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(Report, ReadsAndShowsDegenerateTables) {
    for (const char* text : {"v\n1\n", "time,v\n2026-01-05,1\n2026-01-06,1\n", "1\n1\n1\n", "time,v,w\n2026-01-05,,1\n2026-01-05,,1\n"}) {
        const auto table = analysed(text);
        EXPECT_FALSE(to_text(table).empty());
        EXPECT_EQ(to_html(table).find("nan"), std::string::npos) << text;
        EXPECT_TRUE(json::parse(json::dump(to_json(table))));
    }
}

TEST(Report, WritesNumbersAsPeopleDo) {
    EXPECT_EQ(number(0), "0");
    EXPECT_EQ(number(1234.5), "1234");
    EXPECT_EQ(number(12345678), "12.35 M");
    EXPECT_EQ(number(-0.01234), "-0.01234");
    EXPECT_EQ(number(std::nan("")), "unknown");
    EXPECT_EQ(percent(0.123), "12 %");
    EXPECT_EQ(percent(0.004), "0.4 %");
    EXPECT_EQ(span(2400), "40 minutes");
}

}  // namespace
}  // namespace kn::report
