#include <gtest/gtest.h>

#include "kubernaut/base/log.hpp"
#include "kubernaut/store/open_store.hpp"
#include "world.hpp"

// The driver over the real SQL store (SQLite in memory), killed at random points: the rules of the store and the engine fit together.
namespace kn::engine::test {
namespace {

/// The store as a mortal process sees it.
class MortalStore final : public ports::ExecutionStore {
public:
    MortalStore(ports::ExecutionStore& real, Process& process) : r_(real), p_(process) {}
    Task<Result<>> start(ports::StartRequest request, Deadline d) override { co_return co_await r_.start(std::move(request), d); }
    Task<Result<std::vector<ExecutionWithSteps>>> claim(std::string owner, Instant now, Duration lease, int limit, Deadline d) override {
        co_await p_.point();
        auto claimed = co_await r_.claim(std::move(owner), now, lease, limit, d);
        co_await p_.point();
        co_return claimed;
    }
    Task<Result<std::vector<ExecutionId>>> renew(std::string owner, Instant until, Deadline d) override {
        co_await p_.point();
        co_return co_await r_.renew(std::move(owner), until, d);
    }
    Task<Result<>> commit(ports::ExecutionCommit commit, Deadline d) override {
        co_await p_.point();
        auto stored = co_await r_.commit(std::move(commit), d);
        if (!stored && stored.error().code == ErrorCode::failed_precondition) refused = stored.error().describe();
        co_await p_.point();
        co_return stored;
    }
    Task<Result<>> lock(ClusterId cluster, ExecutionId id, std::int64_t epoch, std::vector<std::string> keys, Instant until, Deadline d) override {
        co_await p_.point();
        co_return co_await r_.lock(std::move(cluster), std::move(id), epoch, std::move(keys), until, d);
    }
    Task<Result<ExecutionWithSteps>> get(ExecutionId id, Deadline d) override { co_return co_await r_.get(std::move(id), d); }
    Task<Result<ports::PageOf<Execution>>> list(ports::ExecutionFilter f, ports::Page page, Deadline d) override {
        co_return co_await r_.list(std::move(f), std::move(page), d);
    }
    Task<Result<std::optional<Instant>>> next_wake(Deadline d) override {
        co_await p_.point();
        co_return co_await r_.next_wake(d);
    }
    Task<Result<>> request_cancel(ExecutionId id, std::string by, Instant now, Deadline d) override {
        co_return co_await r_.request_cancel(std::move(id), std::move(by), now, d);
    }
    Task<Result<>> send_signal(ExecutionId id, std::string name, json::Value payload, Instant now, Deadline d) override {
        co_return co_await r_.send_signal(std::move(id), std::move(name), std::move(payload), now, d);
    }
    Task<Result<std::vector<std::pair<std::string, json::Value>>>> signals(ExecutionId id, Deadline d) override {
        co_return co_await r_.signals(std::move(id), d);
    }
    Task<Result<std::vector<Execution>>> dead_letters(Deadline d) override {
        co_await p_.point();
        co_return co_await r_.dead_letters(d);
    }
    Task<Result<ports::PageOf<ActionRecord>>> actions(ports::ActionFilter f, ports::Page page, Deadline d) override {
        co_return co_await r_.actions(std::move(f), std::move(page), d);
    }
    Task<Result<std::vector<std::pair<std::string, ExecutionId>>>> locks(ClusterId cluster, Deadline d) override {
        co_return co_await r_.locks(std::move(cluster), d);
    }
    std::string refused;

private:
    ports::ExecutionStore& r_;
    Process& p_;
};

struct MortalWorker {
    MortalWorker(async::EventLoop& loop, ports::ExecutionStore& real, FakeCluster& cluster, std::string name, std::uint64_t seed)
        : random(seed), store(real, process), registry(cluster, process, random), gateway(loop.clock()), guard(process) {
        process.clock = &loop.clock();
        EngineOptions options;
        options.owner = std::move(name);
        options.look_every = Duration{5'000};
        driver =
            std::make_unique<EngineDriver>(store, registry, gateway, guard, notifier, wakeups, feed, loop.clock(), random, loop.executor(), options);
    }
    Process process;
    SeededRandom random;
    MortalStore store;
    FakeRegistry registry;
    FakeGateway gateway;
    FakeGuard guard;
    kn::testing::RecordingNotifier notifier;
    ports::Wakeups wakeups;
    ports::LiveFeed feed;
    std::unique_ptr<EngineDriver> driver;
};

const char* const workflow = R"(
steps:
  - {id: a, action: act, with: {value: a}}
  - id: both
    kind: parallel
    branches: [[{id: l, action: act, with: {value: l}}], [{id: r, action: oneway, with: {value: r}}]]
  - {id: w, kind: wait, duration: 2m}
  - {id: z, action: act, with: {value: z}}
finally:
  - {id: back, kind: undo, with: {step: a}}
)";

}  // namespace

TEST(EngineOverSql, EveryEffectHappensExactlyOnceWhereverItIsKilled) {
    log::configure(log::Level::off, log::Format::text);
    constexpr std::uint64_t first_seed = 500;
    int kills = 0, ended = 0;
    for (std::uint64_t seed = first_seed; seed < first_seed + 150; ++seed) {
        SCOPED_TRACE(::testing::Message() << "seed " << seed);
        SeededRandom random(seed);
        auto loop = async::EventLoop::simulated(t0);
        auto opened = open_store("sqlite::memory:", {}, *loop);
        ASSERT_TRUE(opened) << opened.error().describe();
        auto& real = (*opened)->ports().executions;
        FakeCluster cluster;
        cluster.lose_answer = seed % 3 == 0 ? 0.2 : 0;
        const Execution execution = make_execution(workflow);
        ASSERT_TRUE(loop->block_on(
            real.start({.execution = execution, .locks = {"eu1/shop/Deployment.apps/cart"}, .locks_until = t0 + 30s}, Deadline::never())));
        std::vector<std::unique_ptr<MortalWorker>> workers;
        Execution last = execution;
        for (int number = 0; number < 30 && !is_terminal(last.state); ++number) {
            workers.push_back(std::make_unique<MortalWorker>(*loop, real, cluster, "w" + std::to_string(number), random.next()));
            MortalWorker& worker = *workers.back();
            if (number < 3) worker.process.kill_at = 3 + static_cast<std::int64_t>(random.next() % 60);
            worker.driver->start();
            const Instant end = loop->clock().now() + 20min;
            while (!worker.process.dead && loop->clock().now() < end && !is_terminal(last.state)) {
                loop->run_for(1s);
                last = loop->block_on(real.get(execution.id, Deadline::never()))->execution;
            }
            kills += worker.process.dead ? 1 : 0;
            ASSERT_EQ(worker.store.refused, "");
        }
        ASSERT_TRUE(is_terminal(last.state));
        const bool poison = !loop->block_on(real.dead_letters(Deadline::never()))->empty();
        if (!poison) {
            ASSERT_EQ(last.state, ExecutionState::succeeded) << last.error;
            ASSERT_EQ(cluster.effects, (std::map<std::string, int>{{"a", 1}, {"l", 1}, {"r", 1}, {"z", 1}}));
            ASSERT_EQ(cluster.undone, (std::map<std::string, int>{{"a", 1}}));
            ++ended;
        }
        for (const auto& [value, count] : cluster.effects) ASSERT_EQ(count, 1) << value;
        ASSERT_TRUE(loop->block_on(real.locks(execution.cluster, Deadline::never()))->empty());
        workers.clear();
    }
    EXPECT_GT(kills, 150);
    EXPECT_GT(ended, 100);
}

}  // namespace kn::engine::test
