// kill -9 of the real hub at random points under load: nothing lost, nothing doubled, counted at the API server.
//   KN_CRASH_KILLS=5000 KN_CRASH_SEED=7 ctest -R hub_crash -V
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "crash_world.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/testing/postgres_server.hpp"

namespace kn::chaos {
namespace {

int number_from(const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr && *text != '\0' ? std::atoi(text) : otherwise;
}

std::string lines(const std::vector<std::string>& all) {
    std::string text;
    for (std::size_t i = 0; i < all.size() && i < 20; ++i) text += "\n  " + all[i];
    if (all.size() > 20) text += "\n  and " + std::to_string(all.size() - 20) + " more";
    return text;
}

void play(const char* store, std::string url) {
    log::configure(log::Level::error, log::Format::text);
    CrashPlan plan{.binary = testing::kubernaut_binary(KN_BINARY), .store_url = std::move(url)};
    plan.seed = static_cast<std::uint64_t>(number_from("KN_CRASH_SEED", 20261));
    plan.kills = number_from("KN_CRASH_KILLS", 220) / 2;
    plan.faults = number_from("KN_CRASH_FAULTS", 32);
    std::cout << store << ": seed " << plan.seed << ", " << plan.kills << " kills, " << plan.faults << " faults\n" << std::flush;
    const auto loop = async::EventLoop::real();
    CrashWorld world(*loop, plan);
    const auto report = loop->block_on(world.run());
    ASSERT_TRUE(report) << report.error().describe() << "\n" << testing::read_file(world.log_file());
    std::cout << store << ": " << report->kills << " kills (" << report->causes << "); " << report->posted << " alerts accepted in " << report->tries
              << " tries; " << report->incidents << " incidents (" << report->outcomes << "); " << report->faults << " faults, " << report->cured
              << " cured, " << report->effects << " effects at the API server; " << report->lost.size() << " lost, " << report->doubled.size()
              << " doubled\n"
              << std::flush;
    if (number_from("KN_CRASH_VERBOSE", 0) != 0) std::cout << "escalated:" << lines(report->escalated) << "\n";
    EXPECT_GE(report->kills, plan.kills);
    EXPECT_TRUE(report->lost.empty()) << lines(report->lost);
    EXPECT_TRUE(report->doubled.empty()) << lines(report->doubled);
    EXPECT_TRUE(report->harmed.empty()) << lines(report->harmed);
    if (::testing::Test::HasFailure()) {
        const std::string kept = "hub-crash-" + std::string(store) + ".log";
        testing::write_file(kept, testing::read_file(world.log_file()));
        std::cout << "the hub's log is in " << kept << "\n";
    }
}

TEST(HubCrash, NothingIsLostAndNothingDoubledOnSqlite) { play("sqlite", ""); }

TEST(HubCrash, NothingIsLostAndNothingDoubledOnPostgres) {
    auto server = testing::PostgresServer::start();
    if (!server && server.error().code == ErrorCode::not_found) GTEST_SKIP() << server.error().message;
    ASSERT_TRUE(server) << server.error().describe();
    const auto url = (*server)->create_database("hub");
    ASSERT_TRUE(url) << url.error().describe();
    play("postgres", *url);
}

}  // namespace
}  // namespace kn::chaos
