#include <gtest/gtest.h>

#include <algorithm>

#include "kubernaut/analytics/series/events.hpp"
#include "kubernaut/analytics/series/forecast.hpp"
#include "samples.hpp"

namespace kn::analytics::series {
namespace {

TEST(Forecasts, FollowTrendAndSeason) {
    const auto all = wave(480 + 48, 24, 4, 0.3, 0.01);
    const auto made = forecast(std::span(all).first(480), {.horizon = 48, .periods = {24}});
    ASSERT_TRUE(made);
    for (std::size_t h = 0; h < 48; ++h) EXPECT_NEAR(made->values[h], all[480 + h], 1.5) << h;
    EXPECT_EQ(made->periods, std::vector<std::size_t>{24});
}

TEST(Forecasts, IntervalsCoverAboutWhatTheyPromise) {
    int inside = 0, all = 0;
    for (std::uint64_t run = 0; run < 150; ++run) {
        const auto values = autoregressive(120 + 10, 0.7, run);
        const auto made = forecast(std::span(values).first(120), {.horizon = 10, .coverage = 0.9});
        ASSERT_TRUE(made);
        for (std::size_t h = 0; h < 10; ++h, ++all) inside += values[120 + h] >= made->lower[h] && values[120 + h] <= made->upper[h] ? 1 : 0;
    }
    EXPECT_GT(static_cast<double>(inside) / all, 0.85);
    EXPECT_LT(static_cast<double>(inside) / all, 0.97);
}

TEST(Forecasts, ScaleAndShiftGoThrough) {
    const auto values = autoregressive(100, 0.7, 4);
    const auto plain = forecast(values, {.horizon = 5}), other = forecast(scaled(values, 100, 0), {.horizon = 5});
    ASSERT_TRUE(plain && other);
    for (std::size_t h = 0; h < 5; ++h) EXPECT_NEAR(other->values[h], 100 * plain->values[h], 2 + std::abs(plain->values[h]));
}

TEST(Forecasts, DegenerateInputIsRefusedOrFlat) {
    EXPECT_FALSE(forecast({}, {.horizon = 3}));
    EXPECT_FALSE(forecast(std::vector<double>{1, 2}, {.horizon = 3}));
    EXPECT_FALSE(forecast(std::vector<double>(9, missing), {.horizon = 3}));
    EXPECT_FALSE(forecast(std::vector<double>(9, 1.0), {.horizon = 0}));
    for (const std::size_t n : {3U, 4U, 7U, 100U})
        for (const double level : {0.0, 5.0, 1e9}) {
            const auto made = forecast(std::vector<double>(n, level), {.horizon = 4, .periods = {2, 3}});
            ASSERT_TRUE(made);
            for (std::size_t h = 0; h < 4; ++h) {
                EXPECT_NEAR(made->values[h], level, 1e-6 * level + 1e-6);
                EXPECT_LE(made->lower[h], made->upper[h]);
            }
        }
}

TEST(Exhaustion, ADiskThatFillsHasATimeAndAnInterval) {
    std::vector<double> used;
    Rng rng(3);
    for (int i = 0; i < 200; ++i) used.push_back(50 + 0.1 * i + 0.2 * rng.normal());
    const auto made = forecast(used, {.horizon = 300, .follow_trend = true});
    ASSERT_TRUE(made);
    const auto end = time_to_exhaustion(*made, used.back(), 80, true);
    ASSERT_TRUE(end.expected);
    EXPECT_NEAR(*end.expected, 100, 25);
    ASSERT_TRUE(end.earliest);
    EXPECT_LE(*end.earliest, *end.expected);
    EXPECT_GT(end.chance, 0.9);
    const auto never = time_to_exhaustion(*made, used.back(), 0, false);
    EXPECT_FALSE(never.expected);
    EXPECT_EQ(time_to_exhaustion(*made, 81, 80, true).expected, 0.0);
}

TEST(Bursts, AreFoundWithTheirBoundsAndNotInEvenRandomness) {
    Rng rng(5);
    std::vector<double> times;
    double t = 0;
    for (int i = 0; i < 200; ++i) times.push_back(t += -std::log(1 - rng.uniform()) * 100);
    const double begin = times[100];
    for (int i = 0; i < 30; ++i) times.push_back(begin + i * 2.0);
    std::ranges::sort(times);
    const auto found = find_bursts(times);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_NEAR(found[0].begin, begin, 200);
    EXPECT_LT(found[0].p_value, 1e-6);

    int wrong = 0;
    for (std::uint64_t run = 0; run < 300; ++run) {
        Rng other(run);
        std::vector<double> even;
        for (int i = 0; i < 150; ++i) even.push_back(other.uniform() * 1e6);
        std::ranges::sort(even);
        wrong += find_bursts(even).empty() ? 0 : 1;
    }
    EXPECT_LE(wrong, 6);
    EXPECT_TRUE(find_bursts(std::vector<double>(20, 5.0)).empty());
}

TEST(Recurrences, ANightlyFailureHasItsNextTime) {
    Rng rng(6);
    std::vector<double> times;
    const double midnight = 1700006400;  // 2023-11-15 00:00 UTC
    for (int day = 0; day < 20; ++day) times.push_back(midnight + day * 86400.0 + 3 * 3600 + rng.normal() * 120);
    std::ranges::sort(times);
    const auto found = find_recurrences(times, times.back() + 60 * 60);
    ASSERT_FALSE(found.empty());
    const auto& first = found.front();
    EXPECT_NEAR(first.next_expected, midnight + 20 * 86400.0 + 3 * 3600, 600);
    EXPECT_GT(first.hit_rate, 0.75);
}

TEST(Recurrences, AWeeklyFailureIsNotExpectedTomorrow) {
    Rng rng(7);
    std::vector<double> times;
    const double monday = 1699833600;  // 2023-11-13 00:00 UTC
    for (int week = 0; week < 10; ++week) times.push_back(monday + week * 7 * 86400.0 + 2 * 3600 + rng.normal() * 300);
    const auto found = find_recurrences(times, times.back() + 3600);
    ASSERT_FALSE(found.empty());
    EXPECT_NEAR(found.front().next_expected, monday + 70 * 86400.0 + 2 * 3600, 3600);
}

TEST(Recurrences, ALocalTimeStaysThroughDaylightSaving) {
    const ZoneTable zone{.before = 3600, .at = {1711846800}, .offset = {7200}};
    std::vector<double> times;
    for (int day = -15; day < 5; ++day) {
        const double utc_noon = 1711800000 + day * 86400.0;  // 2024-03-30 12:00 UTC
        times.push_back(utc_noon + (utc_noon < 1711846800 ? 3600 : 0));
    }
    const auto found = find_recurrences(times, times.back() + 3600, zone);
    ASSERT_FALSE(found.empty());
    const auto day = std::ranges::find(found, RecurrenceKind::hour_of_day, &Recurrence::kind);
    ASSERT_NE(day, found.end());
    EXPECT_NEAR(day->phase, 14 * 3600, 60);
    EXPECT_NEAR(day->next_expected, times.back() + 86400, 60);
}

TEST(Recurrences, RandomTimesHaveNone) {
    int found = 0;
    for (std::uint64_t run = 0; run < 500; ++run) {
        Rng rng(run);
        std::vector<double> times;
        for (int i = 0; i < 40; ++i) times.push_back(1.7e9 + rng.uniform() * 40 * 86400);
        std::ranges::sort(times);
        found += find_recurrences(times, times.back()).empty() ? 0 : 1;
    }
    EXPECT_LE(found, 5);
    EXPECT_TRUE(find_recurrences(std::vector<double>{3, 2, 1, 0, -1}, 9).empty());
    EXPECT_TRUE(find_recurrences(std::vector<double>(10, 4.0), 9).empty());
}

TEST(Durations, ARegressionIsNamedWithItsRatio) {
    Rng rng(8);
    std::vector<double> runs;
    for (int i = 0; i < 120; ++i) runs.push_back((i < 70 ? 60 : 90) * std::exp(0.1 * rng.normal()));
    const auto found = find_duration_changes(runs);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_NEAR(static_cast<double>(found[0].index), 70, 2);
    EXPECT_NEAR(found[0].ratio, 1.5, 0.1);
    EXPECT_TRUE(found[0].regression());
    EXPECT_TRUE(find_duration_changes({}).empty());
    EXPECT_TRUE(find_duration_changes(std::vector<double>(50, 2.0)).empty());
}

}  // namespace
}  // namespace kn::analytics::series
