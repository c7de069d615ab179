#include "kubernaut/tabular/time_text.hpp"

#include <gtest/gtest.h>

namespace kn::tabular {
namespace {

constexpr double nine_o_clock = 1'767'603'600;  // 2026-01-05T09:00:00Z

TEST(TimeText, ReadsTheFormsPeopleWrite) {
    const Zone utc;
    const auto is = [&](std::string_view text, TimeForm form, double wanted) {
        const auto time = parse_time(text, form, utc);
        ASSERT_TRUE(time) << text;
        EXPECT_NEAR(*time, wanted, 1e-3) << text;
    };
    is("2026-01-05T09:00:00Z", TimeForm::year_first, nine_o_clock);
    is("2026-01-05T10:00:00+01:00", TimeForm::year_first, nine_o_clock);
    is("2026-01-05 03:30:00 -0530", TimeForm::year_first, nine_o_clock);
    is("2026-01-05 09:00", TimeForm::year_first, nine_o_clock);
    is("2026/01/05 09:00:00.250", TimeForm::year_first, nine_o_clock + .25);
    is("20260105T090000Z", TimeForm::year_first, nine_o_clock);
    is("2026-01-05", TimeForm::year_first, nine_o_clock - 9 * 3600);
    is("2026-01", TimeForm::year_first, nine_o_clock - 9 * 3600 - 4 * 86'400);
    is("05.01.2026 09:00", TimeForm::day_first, nine_o_clock);
    is("1/5/2026 9:00:00 AM", TimeForm::month_first, nine_o_clock);
    is("1/5/2026 12:00 am", TimeForm::month_first, nine_o_clock - 9 * 3600);
    is("05/Jan/2026:10:00:00 +0100", TimeForm::day_name_month, nine_o_clock);
    is("[05/Jan/2026:10:00:00 +0100]", TimeForm::day_name_month, nine_o_clock);
    is("5 January 2026 09:00", TimeForm::day_name_month, nine_o_clock);
    is("1767603600", TimeForm::epoch_seconds, nine_o_clock);
    is("1767603600250", TimeForm::epoch_millis, nine_o_clock + .25);
    is("1767603600000000000", TimeForm::epoch_nanos, nine_o_clock);
}

TEST(TimeText, RefusesWhatIsNoTime) {
    const Zone utc;
    for (const char* text : {"", "2026-13-01", "2026-02-30", "2026-01-05T25:00", "2026-01-05T09:61", "2026-01-05T09:00:00 somewhere", "hello",
                             "2026-01-05T", "2026-01-05 09:00 13 pm"})
        EXPECT_FALSE(parse_time(text, TimeForm::year_first, utc)) << text;
    EXPECT_FALSE(parse_time("1e300", TimeForm::epoch_seconds, utc));
    EXPECT_FALSE(parse_time("nan", TimeForm::epoch_seconds, utc));
}

TEST(TimeText, FindsTheFormOfAColumn) {
    const auto form = [](std::initializer_list<std::string_view> texts) { return find_time_form(std::vector<std::string_view>(texts)); };
    EXPECT_EQ(form({"2026-01-05T09:00:00Z", "", "2026-01-05T10:00:00Z"})->form, TimeForm::year_first);
    EXPECT_EQ(form({"13/01/2026", "05/01/2026"})->form, TimeForm::day_first);
    EXPECT_EQ(form({"01/13/2026", "01/05/2026"})->form, TimeForm::month_first);
    EXPECT_TRUE(form({"01/02/2026"})->ambiguous);
    EXPECT_EQ(form({"01/02/2026"})->form, TimeForm::month_first);
    EXPECT_EQ(form({"01.02.2026"})->form, TimeForm::day_first);
    EXPECT_EQ(form({"1767603600", "1767603660"})->form, TimeForm::epoch_seconds);
    EXPECT_EQ(form({"1767603600000"})->form, TimeForm::epoch_millis);
    EXPECT_FALSE(form({"1", "2", "3"}));
    EXPECT_FALSE(form({"", ""}));
}

/// Central European time, with its rule only, as slim TZif files have it.
std::string berlin() {
    std::string file = "TZif2" + std::string(15, '\0') + std::string(24, '\0');
    file[44 - 5] = 1;  // one type ...
    file[44 - 1] = 1;  // ... and one character in the first part
    file += std::string(6, '\0') + std::string(1, '\0');
    file += "TZif2" + std::string(15, '\0') + std::string(24, '\0');
    file[44 + 7 + 44 - 5] = 1;
    file[44 + 7 + 44 - 1] = 4;
    file += std::string("\x00\x00\x0e\x10\x00\x00", 6) + std::string("CET\0", 4);
    return file + "\nCET-1CEST,M3.5.0,M10.5.0/3\n";
}

TEST(Zone, KnowsDaylightTimeByItsRule) {
    const auto zone = Zone::from_tzif(berlin(), "Europe/Berlin");
    ASSERT_TRUE(zone) << zone.error().describe();
    EXPECT_EQ(zone->offset_at(1'767'603'600), 3600);  // January
    EXPECT_EQ(zone->offset_at(1'783'000'000), 7200);  // July
    constexpr std::int64_t spring = 1'774'746'000;    // 2026-03-29T01:00:00Z
    EXPECT_EQ(zone->offset_at(spring - 1), 3600);
    EXPECT_EQ(zone->offset_at(spring), 7200);
    constexpr std::int64_t autumn = 1'792'890'000;  // 2026-10-25T01:00:00Z
    EXPECT_EQ(zone->offset_at(autumn - 1), 7200);
    EXPECT_EQ(zone->offset_at(autumn), 3600);
    EXPECT_EQ(zone->to_utc(1'767'603'600), 1'767'603'600 - 3600);
    // 02:30 came twice on the day of autumn: the earlier one is meant.
    EXPECT_EQ(zone->to_utc(autumn + 5400), autumn - 1800);
    // 02:30 never came in spring: 03:30 was meant.
    EXPECT_EQ(zone->to_utc(spring + 3600 + 1800), spring + 1800);
    EXPECT_EQ(parse_time("2026-07-01 12:00", TimeForm::year_first, *zone), 1'782'900'000.0);
}

TEST(Zone, RefusesDamagedFiles) {
    const std::string whole = berlin();
    for (std::size_t size = 0; size < 44 + 7 + 44 + 10; ++size) EXPECT_FALSE(Zone::from_tzif(whole.substr(0, size), "x")) << size;
    EXPECT_FALSE(Zone::from_offset("Europe/Berlin"));
    EXPECT_FALSE(Zone::from_offset("+99:00"));
    EXPECT_EQ(Zone::from_offset("-05:30")->offset_at(0), -19'800);
}

}  // namespace
}  // namespace kn::tabular
