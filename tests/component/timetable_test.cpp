// The whole hub in virtual time: every scenario, from its alert to its end, judged by the simulator's own state.
#include <gtest/gtest.h>

#include "demo/world.hpp"
#include "kubernaut/base/log.hpp"

namespace kn::component {
namespace {

std::vector<app::FaultReport> play(std::vector<std::string> only, std::uint64_t seed) {
    log::configure(log::Level::error, log::Format::text);
    const auto loop = async::EventLoop::simulated(parse_rfc3339("2026-01-05T09:00:00Z").value());
    auto world = app::DemoWorld::create(*loop, {.seed = seed, .story = false, .only = std::move(only), .all = true});
    EXPECT_TRUE(world) << world.error().describe();
    const auto started = loop->block_on((*world)->start());
    EXPECT_TRUE(started) << started.error().describe();
    auto reports = loop->block_on((*world)->run());
    EXPECT_TRUE(reports) << reports.error().describe();
    loop->block_on((*world)->stop());
    return reports.value_or(std::vector<app::FaultReport>{});
}

TEST(Timetable, EveryFaultEndsAsItShould) {
    const std::uint64_t seed = 11;
    const auto reports = play({}, seed);
    EXPECT_GE(reports.size(), 44U);
    for (const auto& report : reports) {
        std::string story = "seed " + std::to_string(seed) + ", " + report.id + ": taken for " + report.classified + ", done " + report.workflow +
                            ", outcome " + report.outcome;
        for (const auto& harm : report.harm) story += "\n  " + harm;
        for (const auto& missing : report.missing) story += "\n  missing: " + missing;
        EXPECT_TRUE(report.right()) << story;
    }
}

TEST(Timetable, ALeakThatOutrunsItsRestartsIsRestartedTwiceAndThenToldToPeople) {
    const auto reports = play({"S06"}, 3);
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(reports[0].outcome, "escalated");
    EXPECT_EQ(reports[0].rollouts, 2) << "every restart that the story tells must have reached the API server, and no other";
}

}  // namespace
}  // namespace kn::component
