#include "kubernaut/tabular/time_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace kn::tabular {
namespace {

bool notes_hold(const TimeTable& table, std::string_view part) {
    return std::any_of(table.notes.begin(), table.notes.end(), [&](const Note& note) { return to_text(note).find(part) != std::string::npos; });
}

TimeTable read(std::string_view text, const TableOptions& options = {}) {
    auto table = read_time_table(text, options);
    EXPECT_TRUE(table) << (table ? "" : table.error().describe());
    return table ? *std::move(table) : TimeTable{};
}

TEST(TimeTable, ReadsAWideTable) {
    const auto table = read("time,cpu,memory,note\n2026-01-05T09:00:00Z,0.5,100,x\n2026-01-05T09:01:00Z,0.6,,y\n");
    EXPECT_EQ(table.layout, Layout::wide);
    EXPECT_EQ(table.time_column, "time");
    ASSERT_EQ(table.series.size(), 2U);
    EXPECT_EQ(table.series[0].name, "cpu");
    EXPECT_EQ(table.series[0].values, (std::vector{0.5, 0.6}));
    EXPECT_EQ(table.series[0].times[1] - table.series[0].times[0], 60);
    EXPECT_TRUE(std::isnan(table.series[1].values[1]));
}

TEST(TimeTable, ReadsALongTableByTheColumnThatTellsItsRowsApart) {
    const auto table = read(
        "when;pod;namespace;value\n2026-01-05 09:00;a;shop;1,5\n2026-01-05 09:00;b;shop;2\n2026-01-05 09:01;a;shop;3\n2026-01-05 09:01;b;shop;4\n");
    EXPECT_EQ(table.layout, Layout::long_);
    EXPECT_EQ(table.series_columns, std::vector<std::string>{"pod"});
    ASSERT_EQ(table.series.size(), 2U);
    EXPECT_EQ(table.series[0].name, "a");
    EXPECT_EQ(table.series[0].values, (std::vector{1.5, 3.0}));
    EXPECT_EQ(table.series[1].values, (std::vector{2.0, 4.0}));
}

TEST(TimeTable, ReadsLinesOfJsonWithNestedObjects) {
    const auto table = read("{\"ts\":1767603600000,\"host\":{\"load\":1.5},\"ok\":true}\n\n{\"ts\":1767603660000,\"host\":{\"load\":2}}\nnonsense\n");
    EXPECT_EQ(table.time_column, "ts");
    ASSERT_EQ(table.series.size(), 2U);
    EXPECT_EQ(table.series[0].name, "host.load");
    EXPECT_EQ(table.series[0].values, (std::vector{1.5, 2.0}));
    EXPECT_TRUE(notes_hold(table, "line 4: a line is no JSON object"));
}

TEST(TimeTable, NotesWhatIsOddWithItsLine) {
    const auto table = read(
        "time,v\n2026-01-05T09:01:00Z,1\n2026-01-05T09:00:00Z,2\n2026-01-05T09:02:00Z,oops\n2026-01-05T09:02:00Z,3\n2026-01-05T09:02:00Z,4\nyesterday,5\n2026-01-05T09:03:00Z\n");
    EXPECT_TRUE(notes_hold(table, "line 3: a row's time is before"));
    EXPECT_TRUE(notes_hold(table, "line 4: \"oops\" in column \"v\" is no number"));
    EXPECT_TRUE(notes_hold(table, "different values"));
    EXPECT_TRUE(notes_hold(table, "line 7: a row was left out: \"yesterday\" is no time"));
    EXPECT_TRUE(notes_hold(table, "line 8: a row has fewer cells"));
    ASSERT_EQ(table.series.size(), 1U);
    EXPECT_EQ(table.series[0].values.size(), 4U);
    EXPECT_EQ(table.series[0].values[0], 2);
    EXPECT_EQ(table.series[0].values[2], 4);
}

TEST(TimeTable, TakesRowsAsEvenlySpacedWithoutTimes) {
    const auto table = read("1\n2\n3\n");
    EXPECT_EQ(table.layout, Layout::no_time);
    ASSERT_EQ(table.series.size(), 1U);
    EXPECT_EQ(table.series[0].times, (std::vector{0.0, 1.0, 2.0}));
    EXPECT_TRUE(notes_hold(table, "no column of times"));
}

TEST(TimeTable, DoesNotTakeBytesForTimes) {
    const auto table = read("time,bytes\n2026-01-05T09:00:00Z,1767603600\n2026-01-05T09:01:00Z,1600000000\n");
    EXPECT_EQ(table.time_column, "time");
    ASSERT_EQ(table.series.size(), 1U);
    const auto alone = read("bytes,x\n1767603600,1\n1600000000,2\n1700000000,3\n");
    EXPECT_EQ(alone.layout, Layout::no_time);
}

TEST(TimeTable, KeepsQuotedDelimitersAndLineBreaks) {
    const auto table = read("time,\"a \"\"quoted\"\", name\"\n# a remark\n\"2026-01-05T09:00:00Z\",\"1\"\r\n\"2026-01-05\nT09:00:00Z\",2\n");
    ASSERT_EQ(table.series.size(), 1U);
    EXPECT_EQ(table.series[0].name, "a \"quoted\", name");
    EXPECT_TRUE(notes_hold(table, "line 4: a row was left out"));
}

TEST(TimeTable, SaysClearlyWhatCannotBeRead) {
    const auto error = [](std::string_view text, const TableOptions& options = {}) {
        const auto table = read_time_table(text, options);
        return table ? std::string("read") : table.error().describe();
    };
    EXPECT_NE(error("").find("empty"), std::string::npos);
    EXPECT_NE(error("time,v\n").find("no row"), std::string::npos);
    EXPECT_NE(error("time,v\n2026-01-05,hello\n2026-01-06,world\n").find("no column of numbers"), std::string::npos);
    EXPECT_NE(error("time,v\n\"2026-01-05,1\n").find("never closed"), std::string::npos);
    EXPECT_NE(error("time,v\n2026-01-05,1\n", {.time_column = "when"}).find("there are: time, v"), std::string::npos);
    EXPECT_NE(error("time,v\n2026-01-05,1\n", {.time_column = "v"}).find("holds no times"), std::string::npos);
    EXPECT_NE(error("{\"a\":1\n{oops}\n").find("no line could be read as JSON"), std::string::npos);
    EXPECT_NE(error(std::string_view("PK\0\0\0", 5)).find("no text"), std::string::npos);
}

TEST(TimeTable, ShufflingTheRowsDoesNotChangeTheSeries) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::vector<std::string> rows;
    for (int i = 0; i < 300; ++i)
        for (const char* pod : {"a", "b", "c"})
            rows.push_back(std::to_string(1'767'603'600 + 60 * i) + "," + pod + "," + std::to_string(random() % 1000));
    const auto text_of = [&] {
        std::string text = "time,pod,value\n";
        for (const auto& row : rows) text += row + "\n";
        return text;
    };
    const std::string ordered = text_of();
    std::shuffle(rows.begin(), rows.end(), random);
    const std::string shuffled = text_of();
    auto first = read(ordered), second = read(shuffled);
    const auto by_name = [](const TimedSeries& a, const TimedSeries& b) { return a.name < b.name; };
    std::sort(first.series.begin(), first.series.end(), by_name);
    std::sort(second.series.begin(), second.series.end(), by_name);
    ASSERT_EQ(first.series.size(), 3U);
    ASSERT_EQ(second.series.size(), 3U);
    for (std::size_t s = 0; s < 3; ++s) {
        EXPECT_EQ(first.series[s].times, second.series[s].times);
        EXPECT_EQ(first.series[s].values, second.series[s].values);
    }
}

}  // namespace
}  // namespace kn::tabular
