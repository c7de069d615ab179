#include <gtest/gtest.h>

#include <numeric>

#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/calendar.hpp"
#include "kubernaut/analytics/series/decomposition.hpp"
#include "kubernaut/analytics/series/fft.hpp"
#include "kubernaut/analytics/series/regular.hpp"
#include "kubernaut/analytics/series/seasonality.hpp"
#include "samples.hpp"

namespace kn::analytics::series {
namespace {

TEST(Spectra, AutocorrelationAndCrossProductsAreThoseOfTheirDefinitions) {
    const auto a = autoregressive(37, 0.5, 1), b = autoregressive(37, 0.2, 2);
    const double m = mean(a);
    double whole = 0;
    for (const double v : a) whole += (v - m) * (v - m);
    const auto r = autocorrelation(a, 36);
    const auto c = cross_products(a, b, 36);
    for (std::size_t lag = 0; lag <= 36; ++lag) {
        double own = 0, after = 0, before = 0;
        for (std::size_t t = 0; t + lag < a.size(); ++t) {
            own += (a[t] - m) * (a[t + lag] - m);
            after += a[t] * b[t + lag];
            before += a[t + lag] * b[t];
        }
        EXPECT_NEAR(r[lag], own / whole, 1e-12);
        EXPECT_NEAR(c[36 + lag], after / 37, 1e-12);
        EXPECT_NEAR(c[36 - lag], before / 37, 1e-12);
    }
}

TEST(Regularize, FillsGapsWithNothingAndReportsDuplicates) {
    const auto grid = regularize(std::vector<double>{0, 10, 20, 20, 50}, std::vector<double>{1, 2, 3, 4, 5});
    ASSERT_TRUE(grid);
    EXPECT_EQ(grid->step, 10);
    ASSERT_EQ(grid->values.size(), 6U);
    EXPECT_EQ(grid->values[2], 4);
    EXPECT_TRUE(std::isnan(grid->values[3]));
    EXPECT_EQ(grid->duplicates, 1U);
    EXPECT_EQ(grid->missing, 2U);
}

TEST(Regularize, RefusesTimesThatGoBackAndTimesThatAreNoNumber) {
    EXPECT_FALSE(regularize(std::vector<double>{0, 2, 1}, std::vector<double>{1, 2, 3}));
    EXPECT_FALSE(regularize(std::vector<double>{0, missing}, std::vector<double>{1, 2}));
    EXPECT_FALSE(regularize(std::vector<double>{0, 1}, std::vector<double>{1}));
    EXPECT_FALSE(regularize(std::vector<double>{0, 1, 2, 1e12}, std::vector<double>{1, 1, 1, 1}));
    EXPECT_TRUE(regularize({}, {}));
}

TEST(Seasons, FindsAPeriodUnderTrendNoiseAndGaps) {
    auto values = wave(600, 48, 3, 1, 0.02);
    for (std::size_t i = 100; i < 130; ++i) values[i] = missing;
    const auto seasons = find_seasons(values);
    ASSERT_FALSE(seasons.empty());
    EXPECT_NEAR(static_cast<double>(seasons.front().period), 48, 1);
    EXPECT_GT(seasons.front().strength, 0.6);
}

TEST(Seasons, FindsADayAndAWeek) {
    Rng rng(3);
    std::vector<double> values;
    for (int i = 0; i < 24 * 7 * 6; ++i)
        values.push_back(5 * std::sin(2 * std::numbers::pi * i / 24) + 4 * std::sin(2 * std::numbers::pi * i / 168 + 1) + rng.normal());
    const auto seasons = find_seasons(values);
    ASSERT_GE(seasons.size(), 2U);
    EXPECT_EQ(seasons[0].period, 24U);
    EXPECT_NEAR(static_cast<double>(seasons[1].period), 168, 4);
}

TEST(Seasons, DoNotDependOnScaleOrShift) {
    const auto values = wave(400, 31, 2, 1);
    const auto plain = find_seasons(values), other = find_seasons(scaled(values, 1e-3, 1e3)), huge = find_seasons(scaled(values, 1, 1e9));
    ASSERT_FALSE(plain.empty());
    ASSERT_FALSE(other.empty());
    ASSERT_FALSE(huge.empty());
    EXPECT_EQ(plain.front().period, other.front().period);
    EXPECT_EQ(plain.front().period, huge.front().period);
    EXPECT_NEAR(plain.front().strength, other.front().strength, 1e-6);
}

TEST(Seasons, AreNotSeenInNoiseInMoreThanOneOfAHundred) {
    for (const std::size_t n : {60U, 300U}) {
        int found = 0;
        constexpr int runs = 400;
        for (int run = 0; run < runs; ++run) found += find_seasons(autoregressive(n, 0, 1000 + static_cast<std::uint64_t>(run))).empty() ? 0 : 1;
        EXPECT_LE(found, 10) << n;  // 1 % is 4; more than 10 would come once in 100 changes of this test
    }
}

TEST(Seasons, AreNoneWhereThereIsTooLittleOrNothingToSee) {
    EXPECT_TRUE(find_seasons({}).empty());
    EXPECT_TRUE(find_seasons(std::vector<double>{1, 2}).empty());
    EXPECT_TRUE(find_seasons(std::vector<double>(100, 1e9)).empty());
    EXPECT_TRUE(find_seasons(std::vector<double>(100, missing)).empty());
    std::vector<double> line(100);
    std::iota(line.begin(), line.end(), 0.0);
    EXPECT_TRUE(find_seasons(line).empty());
}

TEST(Decomposition, PartsAddUpAndTheSeasonIsTheOnePutIn) {
    const auto values = wave(480, 24, 3, 0.3, 0.01);
    const auto parts = stl(values, 24);
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(parts.trend[i] + parts.seasonal[0][i] + parts.remainder[i], values[i], 1e-9);
    EXPECT_GT(parts.seasonal_strength[0], 0.95);
    EXPECT_LT(mad(parts.remainder), 0.4);
    EXPECT_NEAR(parts.trend[400] - parts.trend[100], 3, 0.4);
}

TEST(Decomposition, OutliersStayInTheRemainder) {
    auto values = wave(480, 24, 3, 0.2);
    values[200] += 100;
    const auto parts = stl(values, 24);
    EXPECT_GT(parts.remainder[200], 95);
    EXPECT_LT(std::abs(parts.remainder[224]), 2);
    EXPECT_EQ(parts.weights[200], 0);
}

TEST(Decomposition, TwoSeasonsAreToldApartAndMissingValuesHaveNoRemainder) {
    std::vector<double> values;
    for (int i = 0; i < 24 * 7 * 5; ++i) values.push_back(5 * std::sin(2 * std::numbers::pi * i / 24) + 3 * std::cos(2 * std::numbers::pi * i / 168));
    values[50] = missing;
    const std::size_t periods[] = {168, 24};
    const auto parts = mstl(values, periods);
    ASSERT_EQ(parts.periods, (std::vector<std::size_t>{24, 168}));
    EXPECT_NEAR(parts.seasonal[0][24 * 10 + 6], 5, 0.6);
    EXPECT_TRUE(std::isnan(parts.remainder[50]));
    EXPECT_TRUE(std::isfinite(parts.trend[50]));
}

TEST(Decomposition, ScaleAndShiftGoThrough) {
    const auto values = wave(300, 12, 2, 1);
    const auto plain = stl(values, 12), other = stl(scaled(values, 7, -40), 12);
    for (std::size_t i = 0; i < values.size(); i += 17) {
        EXPECT_NEAR(other.trend[i], plain.trend[i] * 7 - 40, 1e-7);
        EXPECT_NEAR(other.seasonal[0][i], plain.seasonal[0][i] * 7, 1e-7);
    }
}

TEST(Decomposition, DegenerateInputGivesDefinedParts) {
    for (const auto& values : {std::vector<double>{}, std::vector<double>{1}, std::vector<double>(50, 3.0), std::vector<double>(50, missing)}) {
        const auto parts = stl(values, 7);
        EXPECT_EQ(parts.trend.size(), values.size());
        for (const double v : parts.trend) EXPECT_TRUE(std::isfinite(v));
        EXPECT_EQ(parts.trend_strength, 0);
    }
}

TEST(Calendar, KnowsLocalTimeThroughDaylightSaving) {
    // Central Europe 2024: summer time from 31 March 01:00 UTC to 27 October 01:00 UTC.
    const ZoneTable zone{.before = 3600, .at = {1711846800, 1729990800}, .offset = {7200, 3600}};
    EXPECT_EQ(local_time(1711846799, zone).hour, 1);
    EXPECT_EQ(local_time(1711846800, zone).hour, 3);
    EXPECT_EQ(local_time(1729990800, zone).hour, 2);
    const auto leap = local_time(1709164800, {});  // 2024-02-29 00:00 UTC, a Thursday
    EXPECT_EQ(leap.day_of_month, 29);
    EXPECT_EQ(leap.day_of_week, 3);
    EXPECT_EQ(local_time(-1, {}).day_of_month, 31);
}

TEST(Calendar, ALocalHourIsSharperInItsZoneThanInUtc) {
    const ZoneTable zone{.before = 3600, .at = {1711846800}, .offset = {7200}};
    std::vector<std::int64_t> times;
    std::vector<double> values;
    Rng rng(1);
    for (std::int64_t t = 1711846800 - 40 * 86400; t < 1711846800 + 40 * 86400; t += 3600) {
        times.push_back(t);
        values.push_back((local_time(t, zone).hour == 9 ? 10 : 0) + rng.normal());
    }
    const auto local = find_calendar_patterns(times, values, zone), utc = find_calendar_patterns(times, values);
    ASSERT_FALSE(local.empty());
    EXPECT_EQ(local.front().cycle, CalendarCycle::hour_of_day);
    EXPECT_EQ(local.front().peak, 9U);
    ASSERT_FALSE(utc.empty());
    EXPECT_GT(local.front().r_squared, utc.front().r_squared + 0.2);
}

TEST(Calendar, MonthlyIsTheDayOfTheMonth) {
    std::vector<std::int64_t> times;
    std::vector<double> values;
    Rng rng(2);
    for (std::int64_t t = 1600000000; t < 1600000000 + 400 * 86400; t += 86400) {
        times.push_back(t);
        values.push_back((local_time(t, {}).day_of_month == 1 ? 8 : 0) + rng.normal());
    }
    const auto found = find_calendar_patterns(times, values);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found.front().cycle, CalendarCycle::day_of_month);
    EXPECT_EQ(found.front().peak, 0U);
}

TEST(Calendar, NoiseHasNoCalendar) {
    int found = 0;
    for (std::uint64_t run = 0; run < 100; ++run) {
        std::vector<std::int64_t> times;
        for (std::int64_t i = 0; i < 24 * 60; ++i) times.push_back(1700000000 + i * 3600);
        found += find_calendar_patterns(times, autoregressive(times.size(), 0, run)).empty() ? 0 : 1;
    }
    EXPECT_LE(found, 2);
}

TEST(Seasons, AStepIsNoSeasonThatCameRoundTwice) {
    Rng rng(3);
    std::vector<double> values(2000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = (i < 1200 ? 10 : 14) + 0.3 * rng.normal();
    EXPECT_TRUE(find_seasons(values).empty());
    // A season beneath the step is still seen.
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += std::sin(2 * std::numbers::pi * static_cast<double>(i) / 24);
    const auto found = find_seasons(values);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].period, 24U);
}

}  // namespace
}  // namespace kn::analytics::series
