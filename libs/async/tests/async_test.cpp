#include <gtest/gtest.h>

#include <thread>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/pool.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/async/with_deadline.hpp"

namespace kn::async {
namespace {

constexpr Instant start{Duration{1'000'000}};

Task<> note_after(Clock& clock, Duration d, std::vector<int>& notes, int n) {
    co_await sleep_for(clock, d);
    notes.push_back(n);
}

TEST(VirtualLoop, RunsTimersInOrderWithoutWaiting) {
    const auto loop = EventLoop::simulated(start);
    std::vector<int> notes;
    TaskScope scope(loop->executor());
    scope.spawn("b", note_after(loop->clock(), std::chrono::hours{2}, notes, 2));
    scope.spawn("a", note_after(loop->clock(), std::chrono::hours{1}, notes, 1));
    loop->run();
    EXPECT_EQ(notes, (std::vector{1, 2}));
    EXPECT_EQ(loop->clock().now(), start + std::chrono::hours{2});
}

TEST(TaskScope, CancelUnwindsASleeperAndJoinSeesIt) {
    const auto loop = EventLoop::simulated(start);
    std::vector<int> notes;
    TaskScope scope(loop->executor());
    scope.spawn("sleeper", note_after(loop->clock(), std::chrono::hours{1}, notes, 1));
    loop->run_for(1s);
    scope.cancel();
    loop->block_on(scope.join());
    EXPECT_TRUE(notes.empty());
    EXPECT_EQ(scope.size(), 0U);
    EXPECT_LT(loop->clock().now(), start + 2s);
}

Task<Result<int>> slow(Clock& clock, Duration d) {
    co_await sleep_for(clock, d);
    co_return 7;
}

TEST(WithDeadline, GivesTheValueOrTheErrorWithUnknownEffect) {
    const auto loop = EventLoop::simulated(start);
    Clock& clock = loop->clock();
    EXPECT_EQ(loop->block_on(with_deadline(clock, clock.deadline_in(5s), slow(clock, 1s))).value(), 7);
    const auto late = loop->block_on(with_deadline(clock, clock.deadline_in(5s), slow(clock, 60s)));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
    EXPECT_EQ(late.error().applied, Applied::maybe);
}

Task<> outer(Clock& clock, bool& unwound) {
    struct Mark {
        bool& flag;
        ~Mark() { flag = true; }
    } mark{unwound};
    (void)co_await with_deadline(clock, clock.deadline_in(std::chrono::hours{5}), slow(clock, std::chrono::hours{1}));
}

TEST(WithDeadline, PassesTheCallersCancellationInwards) {
    const auto loop = EventLoop::simulated(start);
    bool unwound = false;
    TaskScope scope(loop->executor());
    scope.spawn("outer", outer(loop->clock(), unwound));
    loop->run_for(1s);
    scope.cancel();
    loop->block_on(scope.join());
    EXPECT_TRUE(unwound);
    EXPECT_LT(loop->clock().now(), start + 1min);
}

TEST(Signal, RemembersOneNotificationAndTimesOut) {
    const auto loop = EventLoop::simulated(start);
    Clock& clock = loop->clock();
    Signal signal;
    signal.notify();
    EXPECT_TRUE(loop->block_on(signal.wait(clock, clock.deadline_in(1s))));
    EXPECT_FALSE(loop->block_on(signal.wait(clock, clock.deadline_in(1s))));
    clock.call_at(clock.steady() + 1s, [&] { signal.notify(); });
    EXPECT_TRUE(loop->block_on(signal.wait(clock, clock.deadline_in(5s))));
}

TEST(Semaphore, ServesInOrderAndGivesBack) {
    const auto loop = EventLoop::simulated(start);
    Clock& clock = loop->clock();
    Semaphore semaphore(1);
    auto first = loop->block_on(semaphore.acquire(clock, Deadline::never())).value();
    EXPECT_FALSE(loop->block_on(semaphore.acquire(clock, clock.deadline_in(1s))));
    first = {};
    EXPECT_TRUE(loop->block_on(semaphore.acquire(clock, clock.deadline_in(1s))));
}

TEST(ThreadPool, RunsWorkElsewhereAndComesBack) {
    const auto loop = EventLoop::real();
    ThreadPool pool("test", 2);
    const auto here = std::this_thread::get_id();
    const auto there = loop->block_on(run_on(pool, [] { return std::this_thread::get_id(); }));
    EXPECT_NE(here, there);
}

}  // namespace
}  // namespace kn::async
