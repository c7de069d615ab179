#include "kubernaut/assess/score.hpp"

#include <gtest/gtest.h>

namespace kn::assess {
namespace {

TEST(Score, UnknownIsNotFalse) {
    EXPECT_FALSE(score_of({}).value) << "R unknown: no score at all";
    const Score only_r = score_of({.resolved = Truth::yes});
    EXPECT_DOUBLE_EQ(*only_r.value, 1);
    EXPECT_DOUBLE_EQ(only_r.confidence, 0.4);
    const Score all = score_of({.resolved = Truth::yes, .metric = 1, .came_back = Truth::no, .side_effects = Truth::no});
    EXPECT_DOUBLE_EQ(*all.value, 1);
    EXPECT_DOUBLE_EQ(all.confidence, 1);
}

TEST(Score, ComingBackAndSideEffectsCostMoreThanTheirWeight) {
    const Score back = score_of({.resolved = Truth::yes, .metric = 1, .came_back = Truth::yes, .side_effects = Truth::no});
    EXPECT_NEAR(*back.value, 0.5, 1e-9);
    const Score harm = score_of({.resolved = Truth::yes, .metric = 1, .came_back = Truth::no, .side_effects = Truth::yes});
    EXPECT_NEAR(*harm.value, 0.7, 1e-9);
    const Score useless = score_of({.resolved = Truth::no, .metric = 0, .came_back = Truth::yes, .side_effects = Truth::no});
    EXPECT_NEAR(*useless.value, 0.125, 1e-9);
    EXPECT_DOUBLE_EQ(useless.confidence, 1);
}

UntreatedSpell spell(Duration entered, Duration left, bool healed) { return {.entered = entered, .left = left, .healed = healed}; }

TEST(Survival, CountsOnlyWhoWasAtRiskAndNeedsFive) {
    std::vector<UntreatedSpell> spells;
    for (int i = 1; i <= 4; ++i) spells.push_back(spell(0ms, i * 1min, true));
    EXPECT_FALSE(heals_by_itself(spells, 0ms, 10min));
    for (int i = 0; i < 4; ++i) spells.push_back(spell(0ms, 20min, false));
    EXPECT_NEAR(*heals_by_itself(spells, 0ms, 10min), 0.5, 1e-9);
    EXPECT_NEAR(*heals_by_itself(spells, 0ms, 90s), 1.0 / 8, 1e-9);
    for (int i = 0; i < 8; ++i) spells.push_back(spell(15min, 20min, false));
    EXPECT_NEAR(*heals_by_itself(spells, 0ms, 10min), 0.5, 1e-9) << "those who came later were not at risk early";
}

TEST(Posterior, DecaysByHalfLifeAndAddsByConfidence) {
    Posterior sums = updated({}, 1.0, 0.8, Instant{}, 10 * 24h);
    EXPECT_DOUBLE_EQ(sums.a, 0.8);
    sums = updated(sums, 0.25, 1.0, Instant{} + 10 * 24h, 10 * 24h);
    EXPECT_NEAR(sums.a, 0.4 + 0.25, 1e-9);
    EXPECT_NEAR(sums.b, 0.75, 1e-9);
    EXPECT_NEAR(weight_of(20 * 24h, 10 * 24h, 0.5), 0.125, 1e-9);
}

}  // namespace
}  // namespace kn::assess
