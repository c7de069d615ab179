#include "kubernaut/fleet/health_machine.hpp"

#include <gtest/gtest.h>

namespace kn::fleet {
namespace {

using Probe = HealthMachine::Probe;
constexpr SteadyTime t0{};

TEST(HealthMachine, TrustsTheFirstAnswerAfterStart) {
    HealthMachine health;
    health.on_probe(Probe::success, t0);
    EXPECT_EQ(health.verdict(), ClusterVerdict::healthy);
}

TEST(HealthMachine, SuspectsAfterTwoFailuresAndLosesOnlyAfterSilence) {
    HealthMachine health;
    health.on_probe(Probe::success, t0);
    health.on_probe(Probe::failure, t0 + 1500ms);
    EXPECT_EQ(health.verdict(), ClusterVerdict::healthy);
    health.on_probe(Probe::failure, t0 + 3s);
    EXPECT_EQ(health.verdict(), ClusterVerdict::suspect);
    health.on_probe(Probe::failure, t0 + 4500ms);
    health.on_probe(Probe::failure, t0 + 6s);
    EXPECT_EQ(health.verdict(), ClusterVerdict::suspect) << "silence is not yet 7 s";
    health.on_probe(Probe::failure, t0 + 7500ms);
    EXPECT_EQ(health.verdict(), ClusterVerdict::lost);
}

TEST(HealthMachine, AnswersOfOtherCallsKeepItFromBeingLost) {
    HealthMachine health;
    health.on_probe(Probe::success, t0);
    for (int i = 1; i < 10; ++i) {
        health.on_answer(t0 + i * 1500ms - 1s);
        health.on_probe(Probe::failure, t0 + i * 1500ms);
    }
    EXPECT_EQ(health.verdict(), ClusterVerdict::suspect);
}

TEST(HealthMachine, ComesBackAfterThreeSuccessesOverTheSpan) {
    HealthMachine health;
    health.on_probe(Probe::success, t0);
    for (int i = 1; i <= 6; ++i) health.on_probe(Probe::failure, t0 + i * 1500ms);
    ASSERT_EQ(health.verdict(), ClusterVerdict::lost);
    for (int i = 0; i < 20; ++i) health.on_probe(Probe::success, t0 + 10s + i * 1500ms);
    EXPECT_NE(health.verdict(), ClusterVerdict::healthy) << "30 s are asked after a loss";
    health.on_probe(Probe::success, t0 + 41s);
    EXPECT_EQ(health.verdict(), ClusterVerdict::healthy);
}

TEST(HealthMachine, AuthFailureIsReachableButUnknown) {
    HealthMachine health;
    health.on_probe(Probe::success, t0);
    health.on_probe(Probe::auth_failed, t0 + 1500ms);
    EXPECT_EQ(health.verdict(), ClusterVerdict::unknown);
    EXPECT_EQ(health.reason(), "auth_failed");
}

TEST(SuspicionMachine, IsolatesWhenMostClustersVanishAtOnceAndRecoversAfterAMinute) {
    SuspicionMachine suspicion;
    suspicion.on_look(2, 2, t0);
    EXPECT_FALSE(suspicion.isolated()) << "two clusters prove nothing";
    suspicion.on_look(4, 3, t0);
    EXPECT_TRUE(suspicion.isolated());
    suspicion.on_look(4, 0, t0 + 10s);
    suspicion.on_look(4, 0, t0 + 69s);
    EXPECT_TRUE(suspicion.isolated());
    suspicion.on_look(4, 0, t0 + 71s);
    EXPECT_FALSE(suspicion.isolated());
}

}  // namespace
}  // namespace kn::fleet
