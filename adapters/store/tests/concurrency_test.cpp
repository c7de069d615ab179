#include <atomic>
#include <barrier>
#include <thread>

#include "contract.hpp"

// Several hubs on one database at once: each has its own loop, thread and connections. SQLite serves one process, so there it is many calls at once on one loop.
namespace kn::store_test {
namespace {

class ConcurrencyContract : public StoreContract {};

struct Tally {
    int started = 0, busy = 0, other = 0;
};

async::Task<> try_start(ports::ExecutionStore& store, ports::StartRequest request, Deadline deadline, Tally& tally) {
    const auto done = co_await store.start(std::move(request), deadline);
    if (done)
        ++tally.started;
    else if (done.error().reason == "busy" || done.error().reason == "budget_cluster")
        ++tally.busy;
    else {
        ++tally.other;
        ADD_FAILURE() << done.error().describe();
    }
}

TEST_P(ConcurrencyContract, OfManyStartsAtOnceOnOneTargetExactlyOneWins) {
    std::mt19937_64 random(seed("OfManyStartsAtOnceOnOneTargetExactlyOneWins"));
    constexpr int rounds = 20, at_once = 12;
    for (int round = 0; round < rounds; ++round) {
        Tally tally;
        for (int i = 0; i < at_once; ++i) {
            auto request = a_start(round * 100 + i);
            request.locks = {an_object("target" + std::to_string(round)).str()};
            if (random() % 2 == 0) request.locks.push_back(an_object("a-shared-pool" + std::to_string(round)).str());
            boost::asio::co_spawn(loop_->executor(), try_start(executions(), request, soon(), tally), boost::asio::detached);
        }
        ASSERT_TRUE(loop_->run_until([&] { return tally.started + tally.busy + tally.other == at_once; }, 30s));
        EXPECT_EQ(tally.started, 1) << "round " << round;
    }
}

TEST_P(ConcurrencyContract, ManyHubsNeverStartTwoOnOneTargetNorOverrunABudget) {
    if (database_.kind() != "postgres") GTEST_SKIP() << "one process, one writer";
    const std::uint64_t start_seed = seed("ManyHubsNeverStartTwoOnOneTargetNorOverrunABudget");
    constexpr int hubs = 4, rounds = 12, budget = 7;
    std::barrier sync(hubs);
    std::array<std::atomic<int>, rounds> winners{};
    std::atomic<int> in_flight{0}, broken{0};
    std::vector<std::thread> threads;
    for (int hub = 0; hub < hubs; ++hub) {
        threads.emplace_back([&, hub] {
            std::mt19937_64 random(start_seed + static_cast<std::uint64_t>(hub));
            const auto loop = async::EventLoop::real();
            auto stores = open_store(database_.url(), {}, *loop);
            if (!stores) ++broken;
            for (int round = 0; round < rounds; ++round) {
                sync.arrive_and_wait();
                if (!stores) continue;
                auto request = a_start(round * 100 + hub);
                request.locks = {an_object("target" + std::to_string(round)).str(), an_object("pool" + std::to_string(random() % 1000)).str()};
                request.budgets = {{"eu1", "budget_cluster", budget, 1000}, {"_fleet", "budget_fleet", 1000, 1000}};
                request.audit = {a_record(round, random() % 2 == 0 ? eu1 : us1), a_record(round, random() % 2 == 0 ? eu1 : us1)};
                const auto done = loop->block_on((*stores)->ports().executions.start(request, loop->clock().deadline_in(20s)));
                if (done)
                    ++winners[static_cast<std::size_t>(round)], ++in_flight;
                else if (done.error().reason != "busy" && done.error().reason != "budget_cluster") {
                    ++broken;
                    ADD_FAILURE() << done.error().describe();
                }
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(broken, 0);
    for (int round = 0; round < rounds; ++round) EXPECT_LE(winners[static_cast<std::size_t>(round)], 1) << round;
    EXPECT_EQ(in_flight, budget) << "filled, and not overrun";
    const auto check = must(registry().verify_audit("", soon()));
    EXPECT_TRUE(check.intact) << check.first_break;
    EXPECT_EQ(check.records, budget * 2);
}

TEST_P(ConcurrencyContract, ManyHubsClaimEveryExecutionOnce) {
    if (database_.kind() != "postgres") GTEST_SKIP() << "one process, one writer";
    constexpr int executions_made = 60, hubs = 4;
    for (int n = 0; n < executions_made; ++n) must(executions().start(a_start(n), soon()));
    std::barrier sync(hubs);
    std::array<std::set<std::string>, hubs> taken;
    std::vector<std::thread> threads;
    for (int hub = 0; hub < hubs; ++hub) {
        threads.emplace_back([&, hub] {
            const auto loop = async::EventLoop::real();
            auto stores = open_store(database_.url(), {}, *loop);
            sync.arrive_and_wait();
            if (!stores) return;
            for (int tries = 0; tries < 30; ++tries) {
                const auto got =
                    loop->block_on((*stores)->ports().executions.claim("hub" + std::to_string(hub), t0 + 1s, 60s, 5, loop->clock().deadline_in(20s)));
                if (!got) ADD_FAILURE() << got.error().describe();
                if (!got || got->empty()) break;
                for (const auto& each : *got) taken[static_cast<std::size_t>(hub)].insert(each.execution.id.str());
            }
        });
    }
    for (auto& thread : threads) thread.join();
    std::set<std::string> all;
    std::size_t count = 0;
    for (const auto& set : taken) all.insert(set.begin(), set.end()), count += set.size();
    EXPECT_EQ(count, static_cast<std::size_t>(executions_made));
    EXPECT_EQ(all.size(), count);
}

async::Task<> accept_one(ports::SignalStore& store, int n, Deadline deadline, int& done, int& failed) {
    auto signal = a_signal(n);
    if (n % 5 == 0) signal.name = "x";
    const auto out = co_await store.accept({"am", std::to_string(n), t0}, {signal}, deadline);
    ++(out ? done : failed);
}

TEST_P(ConcurrencyContract, AFailingCallInAGroupTakesNothingBackFromTheOthers) {
    Tally tally;
    int done = 0, failed = 0;
    must(executions().start(a_start(1), soon()));
    for (int i = 0; i < 40; ++i) {
        boost::asio::co_spawn(loop_->executor(), accept_one(signals(), i, soon(), done, failed), boost::asio::detached);
        auto request = a_start(100 + i);
        request.locks = a_start(1).locks;
        boost::asio::co_spawn(loop_->executor(), try_start(executions(), request, soon(), tally), boost::asio::detached);
    }
    ASSERT_TRUE(loop_->run_until([&] { return done + failed == 40 && tally.busy + tally.started + tally.other == 40; }, 30s));
    EXPECT_EQ(done, 40);
    EXPECT_EQ(tally.busy, 40);
    EXPECT_EQ(must(signals().pending(100, soon())).size(), 40U);
    EXPECT_EQ(must(executions().list({}, {}, soon())).items.size(), 1U);
}

TEST_P(ConcurrencyContract, ACallThatIsLateSaysWhetherItMayHaveHappened) {
    if (!database_.durable()) GTEST_SKIP() << "in memory nothing waits";
    const auto error = error_of(signals().accept({"am", "x", t0}, {a_signal(1)}, Deadline{loop_->clock().steady()}));
    EXPECT_EQ(error.code, ErrorCode::deadline_exceeded);
    const bool stored = !must(signals().pending(10, soon())).empty();
    if (error.applied == Applied::no) EXPECT_FALSE(stored);
}

KN_EVERY_STORE(ConcurrencyContract);

}  // namespace
}  // namespace kn::store_test
