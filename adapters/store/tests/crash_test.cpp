#include <sys/wait.h>
#include <unistd.h>

#include <sys/stat.h>
#include <cerrno>
#include <csignal>

#include "contract.hpp"

// kill -9 while it commits: what was acknowledged is there, what is there is whole, and the next process goes on.
namespace kn::store_test {
namespace {

class CrashContract : public StoreContract {
protected:
    /// Accepts signals and writes their audit until it is killed; every acknowledged number goes down the pipe.
    [[noreturn]] void commit_for_ever(int pipe, int from) {
        const auto loop = async::EventLoop::real();
        auto stores = open_store(database_.url(), {}, *loop);
        if (!stores) _exit(1);
        int acknowledged = 0, next = from;
        for (int lane = 0; lane < 8; ++lane)
            boost::asio::co_spawn(loop->executor(), work((*stores)->ports(), *loop, pipe, next, acknowledged), boost::asio::detached);
        loop->run();
        _exit(0);
    }
    static async::Task<> work(ports::Stores& stores, async::EventLoop& loop, int pipe, int& next, int& acknowledged) {
        while (true) {
            const int n = next++;
            ports::StartRequest request = a_start(n);
            request.audit = {a_record(n)};
            request.budgets = {{"eu1", "budget_cluster", 1'000'000, 1'000'000}};
            const Deadline deadline = loop.clock().deadline_in(10s);
            const auto started = co_await stores.executions.start(std::move(request), deadline);
            const auto accepted = co_await stores.signals.accept({"am", std::to_string(n), t0}, {a_signal(n)}, deadline);
            if (!started || !accepted) _exit(2);
            if (write(pipe, &n, sizeof n) != sizeof n) _exit(3);
            ++acknowledged;
        }
    }
};

TEST_P(CrashContract, WhatWasAcknowledgedIsStoredAfterAKill) {
    if (!database_.durable()) GTEST_SKIP() << "memory ends with its owner";
    std::mt19937_64 random(seed("WhatWasAcknowledgedIsStoredAfterAKill"));
    stores_.reset();
    std::vector<int> acknowledged;
    constexpr int kills = 6;
    for (int kill_number = 0; kill_number < kills; ++kill_number) {
        int ends[2];
        ASSERT_EQ(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            commit_for_ever(ends[1], 1 + kill_number * 100'000);
        }
        close(ends[1]);
        const std::size_t enough = acknowledged.size() + 5 + random() % 150;
        int n = 0;
        while (acknowledged.size() < enough && read(ends[0], &n, sizeof n) == sizeof n) acknowledged.push_back(n);
        ASSERT_GE(acknowledged.size(), enough) << "the child ended by itself";
        kill(child, SIGKILL);
        while (read(ends[0], &n, sizeof n) == sizeof n) acknowledged.push_back(n);
        close(ends[0]);
        waitpid(child, nullptr, 0);
    }
    reopen();
    std::set<std::string> started, accepted, recorded;
    ports::Page page{.limit = 1000};
    do {
        const auto got = must(executions().list({}, page, soon()));
        for (const auto& execution : got.items) started.insert(execution.id.str());
        page.cursor = got.next;
    } while (!page.cursor.empty());
    for (const auto& signal : must(signals().recent("", "", 100'000, soon()))) accepted.insert(signal.id.str());
    page = {.limit = 1000};
    do {
        const auto got = must(registry().audit({.cluster = "eu1"}, page, soon()));
        for (const auto& record : got.items) recorded.insert(record.object);
        page.cursor = got.next;
    } while (!page.cursor.empty());
    for (const int n : acknowledged) {
        EXPECT_TRUE(started.contains(an_execution(n).id.str())) << n;
        EXPECT_TRUE(accepted.contains(a_signal(n).id.str())) << n;
    }
    // A start and its lock, budget and audit record are one: none without the other.
    EXPECT_EQ(recorded.size(), started.size());
    EXPECT_EQ(must(executions().locks(eu1, soon())).size(), started.size());
    const auto check = must(registry().verify_audit("", soon()));
    EXPECT_TRUE(check.intact) << check.first_break;
    std::cout << kills << " kills, " << acknowledged.size() << " acknowledged, " << started.size() << " stored\n";
}

TEST_P(CrashContract, ADatabaseThatGoesAwayFailsCallsAtOnceAndIsFoundAgain) {
    if (database_.kind() != "postgres") GTEST_SKIP() << "a file does not go away";
    testing::PostgresServer* server = postgres_server().value();
    must(executions().start(a_start(1), soon()));
    must(executions().get(an_execution(1).id, soon()));
    server->kill();
    for (int i = 0; i < 3; ++i) {
        const Error error = error_of(executions().start(a_start(2), soon()));
        EXPECT_EQ(error.code, ErrorCode::unavailable) << error.describe();
        EXPECT_EQ(error_of(executions().get(an_execution(1).id, soon())).code, ErrorCode::unavailable);
    }
    ASSERT_TRUE(server->restart());
    const Deadline deadline = soon();
    bool back = false;
    while (!back && !deadline.passed(loop_->clock().steady())) back = run(executions().start(a_start(3), soon())).has_value();
    EXPECT_TRUE(back);
    must(executions().get(an_execution(1).id, soon()));
    EXPECT_EQ(must(executions().list({}, {}, soon())).items.size(), 2U);
}

TEST_P(CrashContract, TheFileIsPrivateAndServesOneProcess) {
    if (database_.kind() != "sqlite") GTEST_SKIP() << "files only";
    const std::string path = database_.url().substr(std::string("sqlite://").size());
    must(executions().start(a_start(1), soon()));
    for (const std::string& file : {path, path + "-wal"}) {
        struct stat info{};
        ASSERT_EQ(stat(file.c_str(), &info), 0) << file;
        EXPECT_EQ(info.st_mode & 0777U, 0600U) << file;
    }
    const auto second = open_store(database_.url(), {}, *loop_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::failed_precondition);
}

TEST(OpenStore, SaysWhatIsWrongWithAUrl) {
    const auto loop = async::EventLoop::real();
    for (const char* bad : {"", "mysql://x", "sqlite:", "sqlite:///tmp/", "postgres"}) {
        const auto opened = open_store(bad, {}, *loop);
        ASSERT_FALSE(opened) << bad;
        EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument) << bad;
    }
    EXPECT_EQ(open_store("postgres://nobody@127.0.0.1:1/none", {}, *loop).error().code, ErrorCode::unavailable);
    EXPECT_EQ(open_store("sqlite:///no/such/folder/x.db", {}, *loop).error().code, ErrorCode::unavailable);
}

TEST(OpenStore, RunsInVirtualTimeWithoutThreads) {
    const auto loop = async::EventLoop::simulated(t0);
    auto stores = open_store("sqlite::memory:", {}, *loop);
    ASSERT_TRUE(stores) << stores.error().describe();
    ASSERT_TRUE(loop->block_on((*stores)->ports().executions.start(a_start(1), Deadline::never())));
    EXPECT_EQ(loop->block_on((*stores)->ports().executions.claim("w", t0 + 1s, 15s, 10, Deadline::never())).value().size(), 1U);
}

KN_EVERY_STORE(CrashContract);

}  // namespace
}  // namespace kn::store_test
