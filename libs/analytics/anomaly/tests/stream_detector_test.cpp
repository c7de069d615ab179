#include "kubernaut/analytics/anomaly/stream/stream_detector.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics {
namespace {
constexpr std::int64_t start = 1'700'000'000, step = 300;

double at(std::size_t i, Rng& rng) { return 10 + 3 * std::sin(2 * std::numbers::pi * static_cast<double>(i % 288) / 288) + 0.5 * rng.normal(); }

std::vector<StreamVerdict> judge(const std::vector<double>& values, StreamOptions options = {}) {
    StreamDetector detector(options);
    std::vector<StreamVerdict> verdicts;
    for (std::size_t i = 0; i < values.size(); ++i) verdicts.push_back(detector.add(start + step * static_cast<std::int64_t>(i), values[i]));
    return verdicts;
}

TEST(StreamDetector, TellsASpikeOnceAndSaysWhatItIs) {
    Rng rng(1);
    std::vector<double> values;
    for (std::size_t i = 0; i < 3000; ++i) values.push_back(at(i, rng));
    for (std::size_t i = 2500; i < 2510; ++i) values[i] += 40;
    const auto verdicts = judge(values);
    EXPECT_TRUE(verdicts[2500].told);
    EXPECT_NE(verdicts[2500].sign, StreamSign::none);
    EXPECT_GT(verdicts[2500].value, verdicts[2500].high);
    for (std::size_t i = 2504; i < 2510; ++i) EXPECT_FALSE(verdicts[i].told) << i;
    EXPECT_GE(verdicts[2505].since, 5U);
}

TEST(StreamDetector, SeesADayThatIsMissingFromACycle) {
    Rng rng(2);
    std::vector<double> values;
    for (std::size_t i = 0; i < 288 * 14; ++i) values.push_back(i % 288 < 100 ? 80 + rng.normal() : 20 + rng.normal());
    for (std::size_t i = 288 * 12; i < 288 * 12 + 100; ++i) values[i] = 20 + rng.normal();
    const auto verdicts = judge(values);
    bool told = false;
    for (std::size_t i = 288 * 12; i < 288 * 12 + 50; ++i) told = told || verdicts[i].told;
    EXPECT_TRUE(told);
}

TEST(StreamDetector, GivesTheSameScoresForScaledAndShiftedValues) {
    Rng rng(3);
    std::vector<double> values, moved;
    for (std::size_t i = 0; i < 3000; ++i) {
        values.push_back(i % 700 == 650 ? 60.0 : at(i, rng));
        moved.push_back(4096 + 8 * values.back());
    }
    const auto a = judge(values), b = judge(moved);
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_NEAR(a[i].score, b[i].score, 1e-6) << i;
        EXPECT_EQ(a[i].told, b[i].told) << i;
    }
}

TEST(StreamDetector, WorksUnderAHugeOffset) {
    Rng rng(4);
    std::vector<double> values;
    for (std::size_t i = 0; i < 2000; ++i) values.push_back(1e9 + 0.01 * rng.normal());
    values[1900] += 1;
    const auto verdicts = judge(values);
    EXPECT_TRUE(verdicts[1900].told);
    EXPECT_NEAR(verdicts[1900].expected, 1e9, 0.1);
}

TEST(StreamDetector, GoesOnFromStoredStateAsIfNeverStopped) {
    Rng rng(5);
    StreamDetector uninterrupted, stopped;
    for (std::size_t i = 0; i < 5000; ++i) {
        const double value = i % 900 == 899 ? 50 : at(i, rng);
        const auto time = start + step * static_cast<std::int64_t>(i);
        if (i % 777 == 0) {
            auto resumed = StreamDetector::resume(stopped.state());
            ASSERT_TRUE(resumed) << resumed.error().describe();
            stopped = *resumed;
        }
        const auto a = uninterrupted.add(time, value), b = stopped.add(time, value);
        ASSERT_EQ(a.p_value, b.p_value) << i;
        ASSERT_EQ(a.score, b.score) << i;
    }
    EXPECT_TRUE(uninterrupted.state() == stopped.state());
    EXPECT_LT(uninterrupted.state().size(), 8192U);
}

TEST(StreamDetector, RefusesStateThatIsCutShortOrOfAnotherKind) {
    StreamDetector detector;
    detector.add(start, 1);
    const std::string state = detector.state();
    for (std::size_t size = 0; size < state.size(); size += 97) EXPECT_FALSE(StreamDetector::resume(state.substr(0, size)));
    EXPECT_FALSE(StreamDetector::resume(state + "x"));
    std::string other = state;
    other[5] = 'X';
    EXPECT_FALSE(StreamDetector::resume(other));
}

TEST(StreamDetector, SaysSoWhenTooLittleIsKnown) {
    const auto verdicts = judge({1, 2});
    EXPECT_EQ(verdicts[1].status, StreamStatus::insufficient_data);
    EXPECT_EQ(verdicts[1].p_value, 1);
    EXPECT_EQ(verdicts[1].score, 0);
}

TEST(StreamDetector, PassesOverMissingRepeatedAndOldRows) {
    StreamDetector detector;
    EXPECT_EQ(detector.add(start, std::numeric_limits<double>::quiet_NaN()).status, StreamStatus::missing);
    EXPECT_EQ(detector.add(start, std::numeric_limits<double>::infinity()).status, StreamStatus::missing);
    EXPECT_EQ(detector.add(start, 1).status, StreamStatus::insufficient_data);
    EXPECT_EQ(detector.add(start, 2).status, StreamStatus::out_of_order);
    EXPECT_EQ(detector.add(start - 60, 2).status, StreamStatus::out_of_order);
    EXPECT_EQ(detector.judged(), 1U);
}

TEST(StreamDetector, FindsNothingInAConstantAndTellsWhenItIsNoLongerOne) {
    std::vector<double> values(2000, 45.0);
    values[1900] = 46;
    const auto verdicts = judge(values);
    for (std::size_t i = 0; i < 1900; ++i) {
        EXPECT_EQ(verdicts[i].score, 0) << i;
        EXPECT_FALSE(verdicts[i].anomalous) << i;
    }
    EXPECT_TRUE(verdicts[1900].told) << "1,900 equal values vouch for p < 0.001";
}

TEST(StreamDetector, JudgesTheRateOfACounterAndIsNotShockedByItsReset) {
    Rng rng(6);
    StreamDetector detector({.kind = StreamKind::counter});
    double count = 0;
    EXPECT_EQ(detector.add(start, 0).status, StreamStatus::first_of_counter);
    for (int i = 1; i < 2000; ++i) {
        const double grown = 3000 + 100 * rng.normal();
        count = i == 1500 ? grown : count + grown;  // the process began anew
        const auto verdict = detector.add(start + step * i, count);
        if (i == 1500) {
            EXPECT_FALSE(verdict.anomalous);
            EXPECT_NEAR(verdict.value, 10, 2);
        }
    }
}

TEST(StreamDetector, MovesItsBaselineWhenTheLevelChangesForGood) {
    Rng rng(7);
    std::vector<double> values;
    for (std::size_t i = 0; i < 288 * 28; ++i) values.push_back(at(i, rng) + (i >= 288 * 14 ? 30 : 0));
    const auto verdicts = judge(values);
    bool told = false, drifted = false;
    for (std::size_t i = 288 * 14; i < 288 * 14 + 50; ++i) told = told || verdicts[i].told;
    for (std::size_t i = 288 * 14; i < values.size(); ++i) drifted = drifted || verdicts[i].drifted;
    EXPECT_TRUE(told);
    EXPECT_TRUE(drifted);
    EXPECT_NEAR(verdicts.back().expected, values.back(), 4);
    std::size_t late = 0;
    for (std::size_t i = 288 * 21; i < values.size(); ++i) late += verdicts[i].anomalous ? 1 : 0;
    EXPECT_LT(late, 40U);
}

TEST(StreamDetector, HoldsTheAskedFalsePositiveRateForNoiseOfSeveralKinds) {
    const std::vector<std::pair<const char*, std::function<double(Rng&)>>> noises{
        {"normal", [](Rng& r) { return r.normal(); }},
        {"exponential", [](Rng& r) { return -std::log(1 - r.uniform()); }},
        {"uniform", [](Rng& r) { return r.uniform(); }},
        {"student 3",
         [](Rng& r) {
             const double a = r.normal(), b = r.normal(), c = r.normal(), d = r.normal();
             return d / std::sqrt((a * a + b * b + c * c) / 3);
         }},
        {"log-normal", [](Rng& r) { return std::exp(r.normal()); }},
        {"counts", [](Rng& r) { return std::floor(-3 * std::log(1 - r.uniform())); }}};
    for (const auto& [name, noise] : noises) {
        for (const double asked : {0.01, 0.002}) {
            Rng rng(11);
            StreamDetector detector({.false_positive_rate = asked});
            std::size_t flagged = 0, judged = 0;
            for (int i = 0; i < 60'000; ++i) {
                const auto verdict = detector.add(start + step * i, noise(rng));
                if (i < 2000) continue;
                ++judged;
                flagged += verdict.anomalous ? 1 : 0;
            }
            const double realised = static_cast<double>(flagged) / static_cast<double>(judged);
            RecordProperty(std::string(name), std::to_string(realised / asked));
            EXPECT_GT(realised, 0.4 * asked) << name << " seed 11";
            EXPECT_LT(realised, 2.0 * asked) << name << " seed 11";
        }
    }
}

}  // namespace
}  // namespace kn::analytics
