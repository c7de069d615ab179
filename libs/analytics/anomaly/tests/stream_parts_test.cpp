#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kubernaut/analytics/anomaly/stream/drift.hpp"
#include "kubernaut/analytics/anomaly/stream/quantile_sketch.hpp"
#include "kubernaut/analytics/anomaly/stream/season_slots.hpp"
#include "kubernaut/analytics/anomaly/stream/tail_model.hpp"
#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics {
namespace {

TEST(QuantileSketch, IsCloseToTheTrueQuantilesAndClosestAtTheEnds) {
    Rng rng(1);
    QuantileSketch sketch;
    std::vector<double> all;
    for (int i = 0; i < 100'000; ++i) {
        all.push_back(std::exp(rng.normal()));
        sketch.add(all.back());
    }
    std::ranges::sort(all);
    for (const double q : {0.0001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.9999}) {
        const double found = sketch.quantile(q);
        const double rank = static_cast<double>(std::ranges::lower_bound(all, found) - all.begin()) / static_cast<double>(all.size());
        EXPECT_NEAR(rank, q, 0.02 * std::sqrt(q * (1 - q)) + 1e-4) << q;
        EXPECT_NEAR(sketch.rank(found), q, 1e-3);
    }
    EXPECT_EQ(sketch.quantile(0), all.front());
    EXPECT_EQ(sketch.quantile(1), all.back());
}

TEST(QuantileSketch, MergedTellsWhatOneWouldHaveTold) {
    Rng rng(2);
    QuantileSketch whole, a, b;
    for (int i = 0; i < 20'000; ++i) {
        const double value = rng.normal() + (i % 2 == 0 ? 0 : 5);
        whole.add(value);
        (i % 2 == 0 ? a : b).add(value);
    }
    a.merge(b);
    EXPECT_DOUBLE_EQ(a.weight(), whole.weight());
    EXPECT_EQ(a.max(), whole.max());
    for (const double q : {0.05, 0.25, 0.75, 0.95}) EXPECT_NEAR(a.quantile(q), whole.quantile(q), 0.1);
    EXPECT_TRUE(std::isnan(QuantileSketch().quantile(0.5)));
}

TEST(QuantileSketch, GoesOnFromStoredState) {
    Rng rng(3);
    QuantileSketch sketch;
    for (int i = 0; i < 1000; ++i) sketch.add(rng.normal());
    auto resumed = QuantileSketch::resume(sketch.state());
    ASSERT_TRUE(resumed);
    for (int i = 0; i < 1000; ++i) {
        const double value = rng.normal();
        sketch.add(value);
        resumed->add(value);
    }
    EXPECT_EQ(sketch.state(), resumed->state());
    EXPECT_FALSE(QuantileSketch::resume("rubbish"));
}

TEST(TailModel, TellsTheTailsOfKnownDistributions) {
    Rng rng(4);
    TailModel normal, exponential;
    for (int i = 0; i < 50'000; ++i) {
        normal.learn(std::abs(rng.normal()));
        exponential.learn(-std::log(1 - rng.uniform()));
    }
    EXPECT_NEAR(std::log10(exponential.p_value(std::log(1000))), -3, 0.35);
    EXPECT_NEAR(std::log10(normal.p_value(3.2905)), -3, 0.35);
    EXPECT_NEAR(exponential.threshold(0.001), std::log(1000), 1);
    EXPECT_EQ(TailModel().p_value(1e9), 1) << "nothing is surprising before anything is known";
}

TEST(TailModel, HoldsTheAskedRateOnAStreamWhoseScaleGrows) {
    Rng rng(5);
    TailModel tail;
    std::size_t above = 0, judged = 0;
    for (int i = 0; i < 100'000; ++i) {
        const double value = (1 + i / 50'000.0) * std::abs(rng.normal());
        if (i > 5000) {
            ++judged;
            above += value > tail.threshold(0.005) ? 1 : 0;
        }
        tail.learn(value);
    }
    const double realised = static_cast<double>(above) / static_cast<double>(judged);
    EXPECT_GT(realised, 0.0025);
    EXPECT_LT(realised, 0.01);
}

TEST(PageHinkley, TellsAMovedMeanSoonAndIsQuietOtherwise) {
    Rng rng(6);
    PageHinkley drift(0.5, 30);
    for (int i = 0; i < 20'000; ++i) EXPECT_FALSE(drift.add(rng.normal()));
    int delay = 0;
    while (!drift.add(rng.normal() + 2)) ++delay;
    EXPECT_LT(delay, 40);
    EXPECT_NEAR(static_cast<double>(drift.since()), delay, 10);
}

TEST(Adwin, ForgetsWhatCameBeforeAChangeAndKeepsAllOfAStationaryStream) {
    Rng rng(7);
    Adwin window;
    int cuts = 0;
    for (int i = 0; i < 20'000; ++i) cuts += window.add(rng.normal()) ? 1 : 0;
    EXPECT_LE(cuts, 1);
    EXPECT_NEAR(window.mean(), 0, 0.05);
    EXPECT_NEAR(window.variance(), 1, 0.1);
    bool told = false;
    for (int i = 0; i < 2000; ++i) told = window.add(3 + rng.normal()) || told;
    EXPECT_TRUE(told);
    EXPECT_NEAR(window.mean(), 3, 0.2);
    EXPECT_LT(window.size(), 2600);
}

TEST(SeasonSlots, AreNotMovedFarByOneOutlier) {
    SeasonSlots<24> slots;
    for (int i = 0; i < 50; ++i) slots.learn(3, 10 + (i % 2 == 0 ? 0.5 : -0.5), 1);
    slots.learn(3, 1e6, 1);
    EXPECT_NEAR(slots.center(3), 10, 0.5);
    EXPECT_FALSE(slots.knows(4));
}

}  // namespace
}  // namespace kn::analytics
