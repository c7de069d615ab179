// What the store does in a second, and how long one call takes: store_bench [url ...]; without urls a SQLite file and a PostgreSQL of its own (fsync on).
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <cstdio>
#include <functional>

#include "../contract.hpp"

namespace {

using namespace kn;
using namespace kn::store_test;
using Timer = std::chrono::steady_clock;

double seconds_since(Timer::time_point start) { return std::chrono::duration<double>(Timer::now() - start).count(); }

/// Processor time of this process: on a busy machine the figure to compare.
double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Run {
    async::EventLoop& loop;
    ports::Stores& stores;
    int next = 1, last = 0, finished = 0, failed = 0;
    std::vector<double> latencies_ms{};
    [[nodiscard]] Deadline soon() const { return loop.clock().deadline_in(30s); }
    void note(Timer::time_point start, bool ok) {
        latencies_ms.push_back(1000 * seconds_since(start));
        ++finished;
        if (!ok) ++failed;
    }
};

async::Task<> accept_batches(Run& run, int batch) {
    while (run.next <= run.last) {
        const int n = run.next++;
        std::vector<Signal> signals;
        for (int i = 0; i < batch; ++i) signals.push_back(a_signal(n * batch + i));
        const auto start = Timer::now();
        const auto done = co_await run.stores.signals.accept({"am", std::string(static_cast<std::size_t>(batch) * 600, 'x') + std::to_string(n), t0},
                                                             std::move(signals), run.soon());
        run.note(start, done.has_value());
    }
}

async::Task<> start_many(Run& run) {
    while (run.next <= run.last) {
        const int n = run.next++;
        ports::StartRequest request = a_start(n);
        request.audit = {a_record(n)};
        request.cooldowns = {{"eu1/shop/Deployment/c" + std::to_string(n) + " rollback_deployment", t0}};
        for (const char* scope : {"eu1/shop", "eu1", "_fleet"}) request.budgets.push_back({scope, "budget", 1'000'000'000, 1'000'000'000});
        request.budgets.push_back({request.locks[0], "budget_object", 1, 3});
        const auto start = Timer::now();
        const auto done = co_await run.stores.executions.start(std::move(request), run.soon());
        run.note(start, done.has_value());
    }
}

/// One workflow of ten mutating steps: start, claim, then intent and outcome of each step as a transaction of its own, then the end.
async::Task<> run_workflow(Run& run) {
    while (run.next <= run.last) {
        const int n = run.next++;
        const auto start = Timer::now();
        bool ok = (co_await run.stores.executions.start(a_start(n), run.soon())).has_value();
        auto claimed = co_await run.stores.executions.claim("w", t0 + std::chrono::hours(1), 60s, 1, run.soon());
        ok = ok && claimed && claimed->size() == 1;
        if (!ok) {
            run.note(start, false);
            continue;
        }
        Execution execution = claimed->front().execution;
        execution.state = ExecutionState::running;
        for (int i = 0; i < 10; ++i) {
            Step step = a_step(execution, "step" + std::to_string(i), StepState::intent_stored);
            step.mutating = true;
            ok = ok && (co_await run.stores.executions.commit({.execution = execution, .steps = {step}}, run.soon())).has_value();
            step.state = StepState::succeeded;
            ok = ok && (co_await run.stores.executions.commit({.execution = execution, .steps = {step}}, run.soon())).has_value();
        }
        execution.state = ExecutionState::verifying;
        ok = ok && (co_await run.stores.executions.commit({.execution = execution}, run.soon())).has_value();
        execution.state = ExecutionState::succeeded;
        ok = ok &&
             (co_await run.stores.executions.commit({.execution = execution, .audit = {a_record(n)}, .release_locks = true}, run.soon())).has_value();
        run.note(start, ok);
    }
}

void measure(const char* what, Run& run, int from, int count, int at_once, double per_call, const std::function<async::Task<>()>& task) {
    run.next = from;
    run.last = from + count - 1;
    run.finished = run.failed = 0;
    run.latencies_ms.clear();
    const auto start = Timer::now();
    const double cpu = cpu_seconds();
    for (int i = 0; i < at_once; ++i) boost::asio::co_spawn(run.loop.executor(), task(), boost::asio::detached);
    run.loop.run_until([&] { return run.finished >= count; }, 120s);
    const double seconds = seconds_since(start);
    const double cpu_ms = 1000 * (cpu_seconds() - cpu) / count;
    std::ranges::sort(run.latencies_ms);
    const auto at = [&](double q) {
        return run.latencies_ms.empty() ? 0 : run.latencies_ms[static_cast<std::size_t>(q * static_cast<double>(run.latencies_ms.size() - 1))];
    };
    double sum = 0;
    for (const double each : run.latencies_ms) sum += each;
    std::printf("  %-52s %9.0f /s   mean %7.2f ms   p50 %7.2f   p99 %7.2f   cpu %6.3f ms   failed %d\n", what, count * per_call / seconds,
                sum / std::max<double>(1, static_cast<double>(run.latencies_ms.size())), at(0.5), at(0.99), cpu_ms, run.failed);
    std::fflush(stdout);
}

void bench(const std::string& url, const char* name) {
    const auto loop = async::EventLoop::real();
    sql::StoreOptions options;
    options.inbox_rows = 100'000'000;
    auto stores = open_store(url, options, *loop);
    if (!stores) {
        std::printf("%s: %s\n", name, stores.error().describe().c_str());
        return;
    }
    Run run{*loop, (*stores)->ports()};
    std::printf("%s\n", name);
    measure("10-step workflow (24 transactions), one after another", run, 300'000, 60, 1, 1, [&] { return run_workflow(run); });
    measure("10-step workflow (24 transactions), 16 at once", run, 400'000, 320, 16, 1, [&] { return run_workflow(run); });
    measure("alerts accepted, batches of 50, 4 senders", run, 1, 400, 4, 50, [&] { return accept_batches(run, 50); });
    measure("alerts accepted, one by one, 32 senders", run, 100'000, 4000, 32, 1, [&] { return accept_batches(run, 1); });
    measure("starts (lock, cooldown, 4 budgets, audit), 32 at once", run, 200'000, 4000, 32, 1, [&] { return start_many(run); });
    (*stores)->stop();
}

}  // namespace

int main(int argc, char** argv) {
    kn::log::configure(kn::log::Level::error, kn::log::Format::text);
    for (int i = 1; i < argc; ++i) bench(argv[i], argv[i]);
    if (argc > 1) return 0;
    const kn::testing::TempDir dir;
    bench("sqlite://" + dir.path() + "/bench.db", "SQLite (WAL, synchronous=FULL)");
    const auto server = kn::testing::PostgresServer::start(kn::testing::PostgresServer::Disk::flushed);
    if (server)
        bench((*server)->url(), "PostgreSQL (fsync on, Unix socket)");
    else
        std::printf("PostgreSQL: %s\n", server.error().describe().c_str());
    return 0;
}
