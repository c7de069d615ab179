#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <numeric>

#include "bench/figures.hpp"
#include "bench/kube.hpp"
#include "commands.hpp"
#include "hub.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/catalog/catalog.hpp"
#include "kubernaut/domain/codec.hpp"
#include "kubernaut/notify/notifier.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/store/open_store.hpp"

namespace kn::app {

double percentile(std::vector<double> values, double q) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}

double seconds_since(std::chrono::steady_clock::time_point began) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

namespace {

using Options = BenchOptions;

/// Alerts accepted durably: whole batches through parser, keys and commit, eight senders at a time.
async::Task<> send_batches(intake::IntakeService& intake, int first, int last, int size, std::vector<double>& latencies, int& failed) {
    for (int b = first; b < last; ++b) {
        std::string body = R"({"version":"4","alerts":[)";
        for (int i = 0; i < size; ++i) {
            if (i > 0) body += ',';
            body += R"({"status":"firing","labels":{"alertname":"KubePodCrashLooping","cluster":"bench","namespace":"shop","pod":"p-)" +
                    std::to_string(b) + "-" + std::to_string(i) +
                    R"(","severity":"warning"},"annotations":{"summary":"a pod crashes"},"startsAt":"2026-01-05T09:00:00Z"})";
        }
        body += "]}";
        const auto began = std::chrono::steady_clock::now();
        const auto answer = co_await intake.handle(
            {.kind = "alerts", .method = "POST", .content_type = "application/json", .body = std::move(body), .loopback = true});
        latencies.push_back(seconds_since(began));
        if (answer.status != 200) ++failed;
    }
}

async::Task<> counted(async::Task<> task, int& open) {
    co_await std::move(task);
    --open;
}

Result<> bench_intake(const Options& o, ports::Stores stores, async::EventLoop& loop, RandomSource& random, std::vector<Figure>& figures) {
    ports::Wakeups wakeups;
    metrics::Registry metrics;
    intake::IntakeService intake({.inbox_rows = 1'000'000, .alerts_per_second = 1e9}, stores.signals, wakeups, loop.clock(), random, metrics,
                                 [] { return std::set<std::string>{"bench"}; });
    std::vector<double> latencies;
    int failed = 0, open = 0;
    const auto began = std::chrono::steady_clock::now();
    async::TaskScope scope(loop.executor());
    constexpr int senders = 8;
    for (int s = 0; s < senders; ++s) {
        ++open;
        scope.spawn("sender",
                    counted(send_batches(intake, o.batches * s / senders, o.batches * (s + 1) / senders, o.batch_size, latencies, failed), open));
    }
    loop.run_until([&] { return open == 0; }, 5min);
    const double wall = seconds_since(began);
    if (failed > 0) return fail(ErrorCode::internal, std::to_string(failed) + " batches were not accepted");
    figures.push_back({"alerts accepted durably", "1/s", o.batches * o.batch_size / wall});
    figures.push_back({"batch of " + std::to_string(o.batch_size) + " p50", "ms", 1000 * percentile(latencies, 0.5)});
    figures.push_back({"batch of " + std::to_string(o.batch_size) + " p99", "ms", 1000 * percentile(latencies, 0.99)});
    return {};
}

/// Does nothing, as a mutating action: intent, gate, call and outcome are all stored.
class NothingAction final : public ports::Action {
public:
    NothingAction() { spec_.name = "nothing"; }
    [[nodiscard]] const ports::ActionSpec& spec() const override { return spec_; }
    ports::Task<Result<ports::Prepared>> prepare(const ports::ActionContext&) override {
        co_return ports::Prepared{.pre_image = json::Object{}, .request_digest = "0"};
    }
    ports::Task<Result<ports::ActionOutcome>> execute(const ports::ActionContext& context) override {
        calls.push_back({context.execution, std::chrono::steady_clock::now()});
        co_return ports::ActionOutcome{.output = json::Object{}};
    }
    ports::Task<Result<ports::AppliedCheck>> applied_already(const ports::ActionContext&) override { co_return ports::AppliedCheck::not_applied; }
    ports::Task<Result<bool>> verify(const ports::ActionContext&) override { co_return true; }
    ports::Task<Result<ports::ActionOutcome>> compensate(const ports::ActionContext&) override { co_return ports::ActionOutcome{}; }
    std::vector<std::pair<ExecutionId, std::chrono::steady_clock::time_point>> calls;

private:
    ports::ActionSpec spec_;
};

class NothingRegistry final : public ports::ActionRegistry {
public:
    explicit NothingRegistry(NothingAction& action) : action_(action) {}
    [[nodiscard]] ports::Action* find(std::string_view name) const override { return name == "nothing" ? &action_ : nullptr; }
    [[nodiscard]] std::vector<const ports::Action*> all() const override { return {&action_}; }

private:
    NothingAction& action_;
};

class OpenGuard final : public ports::WriteGuard {
public:
    ports::Task<Result<>> before_write(const Execution&, const ClusterId&, const ports::ActionSpec&, bool, Deadline) override {
        co_return Result<>{};
    }
    void after_write(const Execution&, const ports::ActionSpec&, bool) override {}
};

json::Value definition(int steps) {
    json::Array list;
    for (int i = 0; i < steps; ++i) list.push_back(json::Object{{"id", "s" + std::to_string(i)}, {"kind", "action"}, {"action", "nothing"}});
    return json::Object{{"id", "nothing-" + std::to_string(steps)},
                        {"version", 1},
                        {"description", "measures the engine"},
                        {"risk", "low"},
                        {"steps", std::move(list)}};
}

Execution execution_of(const json::Value& workflow, int number, Instant now, RandomSource& random) {
    Execution execution;
    execution.id = ExecutionId(make_id("exe_", now, random));
    execution.cluster = ClusterId("bench");
    execution.plan.workflow = json::string_at(workflow, "id");
    execution.plan.target = ObjectRef{.key = ObjectKey{ClusterId("bench"), "shop", "Deployment", "apps", "d" + std::to_string(number)}, .uid = "u"};
    execution.plan.risk = Risk::low;
    execution.definition = workflow;
    execution.state = ExecutionState::queued;
    execution.requested_by = "bench";
    execution.created_at = execution.updated_at = now;
    return execution;
}

async::Task<> start_executions(ports::ExecutionStore& store, ports::Wakeups& wakeups, async::Clock& clock, RandomSource& random,
                               const json::Value& workflow, int first, int last, int& failed,
                               std::map<std::string, std::chrono::steady_clock::time_point>& started) {
    for (int i = first; i < last; ++i) {
        ports::StartRequest request;
        request.execution = execution_of(workflow, i, clock.now(), random);
        request.locks = {request.execution.plan.target.key.str()};
        request.locks_until = clock.now() + 60s;
        const std::string id = request.execution.id.str();
        started[id] = std::chrono::steady_clock::now();
        auto done = co_await store.start(std::move(request), clock.deadline_in(10s));
        if (!done) {
            ++failed;
            log::error("an execution did not start", {{"error", done.error().describe()}});
        }
        wakeups.executions.notify();
    }
}

Result<> bench_engine(const Options& o, ports::Stores stores, async::EventLoop& loop, RandomSource& random, std::vector<Figure>& figures) {
    NothingAction action;
    NothingRegistry registry(action);
    OpenGuard guard;
    metrics::Registry metrics;
    ports::Wakeups wakeups;
    ports::LiveFeed feed;
    notify::ChannelNotifier notifier(loop, metrics, nullptr, {}, {});
    // The engine asks the gateway for the step's client; the action never uses it.
    fleet::Fleet clusters(loop, random, stores.registry, notifier, feed, metrics, {});
    sim::SimCluster cluster(loop, random, {.name = "bench", .nodes = 1});
    KN_CHECK(clusters.add({.record = {.id = ClusterId("bench"), .mode = Mode::automatic}, .transport = cluster.transport()}));
    engine::EngineDriver engine(stores.executions, registry, clusters, guard, notifier, wakeups, feed, loop.clock(), random, loop.executor(),
                                {.slots = 256, .server_dry_run = false});
    engine.start();

    const auto run = [&](int steps, int count, int parallel, std::vector<double>& latencies) -> Result<double> {
        const json::Value workflow = definition(steps);
        std::map<std::string, std::chrono::steady_clock::time_point> started;
        int failed = 0, open = 0;
        const auto finished_before = engine.stats().finished;
        const std::size_t calls_before = action.calls.size();
        const auto began = std::chrono::steady_clock::now();
        async::TaskScope scope(loop.executor());
        for (int p = 0; p < parallel; ++p) {
            ++open;
            scope.spawn("starter", counted(start_executions(stores.executions, wakeups, loop.clock(), random, workflow, count * p / parallel,
                                                            count * (p + 1) / parallel, failed, started),
                                           open));
        }
        loop.run_until([&] { return open == 0 && engine.stats().finished >= finished_before + static_cast<std::uint64_t>(count - failed); }, 5min);
        const double wall = seconds_since(began);
        if (failed > 0) return fail(ErrorCode::internal, std::to_string(failed) + " executions did not start");
        std::map<std::string, bool> seen;
        for (std::size_t i = calls_before; i < action.calls.size(); ++i) {
            const auto& [id, at] = action.calls[i];
            if (!seen[id.str()]) latencies.push_back(std::chrono::duration<double>(at - started[id.str()]).count());
            seen[id.str()] = true;
        }
        return wall;
    };
    // One after another: latency of a whole workflow.
    std::vector<double> ignored, whole;
    for (int i = 0; i < 50; ++i) {
        KN_TRY(const double wall, run(10, 1, 1, ignored));
        whole.push_back(wall);
    }
    figures.push_back(
        {"10-step workflow, durable, mean", "ms", 1000 * std::accumulate(whole.begin(), whole.end(), 0.0) / static_cast<double>(whole.size())});
    figures.push_back({"10-step workflow, durable, p99", "ms", 1000 * percentile(whole, 0.99)});
    std::vector<double> delays;
    KN_TRY(const double wall, run(1, o.workflows, o.parallel, delays));
    figures.push_back({"one-step workflows, started and finished", "1/s", o.workflows / wall});
    figures.push_back({"start to first call p50, at that load", "ms", 1000 * percentile(delays, 0.5)});
    figures.push_back({"start to first call p99, at that load", "ms", 1000 * percentile(delays, 0.99)});
    loop.block_on(engine.stop());
    clusters.stop();
    loop.block_on(clusters.join());
    return {};
}

/// Evidence, classification and plan for a broken Deployment among many, against the in-memory API server.
Result<> bench_decision(const Options& o, ports::Stores stores, async::EventLoop& loop, RandomSource& random, std::vector<Figure>& figures) {
    metrics::Registry metrics;
    notify::ChannelNotifier notifier(loop, metrics, nullptr, {}, {});
    sim::SimCluster cluster(loop, random, {.name = "bench", .nodes = 3});
    KN_CHECK(loop.block_on(cluster.start()));
    HubOptions options;
    options.watch_signals = false;
    options.fleet.lane.qps = 1e6;
    options.fleet.lane.burst = 1e6;
    KN_TRY(auto hub, Hub::create(loop, random, stores, notifier, nullptr, metrics, options));
    KN_CHECK(hub->add_cluster(
        {.record = {.id = ClusterId("bench"), .environment = Environment::staging, .mode = Mode::shadow}, .transport = cluster.transport()}));
    KN_CHECK(loop.block_on(hub->start()));
    const auto client = cluster.client();
    std::vector<ObjectRef> targets;
    for (int i = 0; i < o.targets; ++i) {
        const std::string name = "app-" + std::to_string(i);
        const json::Value labels = json::Object{{"app", name}};
        json::Value object = json::Object{
            {"apiVersion", "apps/v1"},
            {"kind", "Deployment"},
            {"metadata", json::Object{{"name", name}, {"namespace", "default"}}},
            {"spec",
             json::Object{
                 {"replicas", 2},
                 {"selector", json::Object{{"matchLabels", labels}}},
                 {"template",
                  json::Object{{"metadata", json::Object{{"labels", labels}}},
                               {"spec", json::Object{{"containers", json::Array{json::Object{{"name", "app"},
                                                                                             {"image", "registry.local/app:1"},
                                                                                             {"command", json::Array{"sh", "-c", "exit 1"}}}}}}}}}}}};
        KN_TRY(const auto made,
               loop.block_on(client->create(kube::resources::deployments, "default", std::move(object), {}, loop.clock().deadline_in(10s))));
        targets.push_back({.key = ObjectKey{ClusterId("bench"), "default", "Deployment", "apps", name},
                           .uid = std::string(json::string_at(made, "metadata", "uid"))});
    }
    loop.run_for(20s);  // pods crash a few times
    std::vector<double> latencies;
    for (int round = 0; round < 5; ++round) {
        for (const ObjectRef& target : targets) {
            const auto began = std::chrono::steady_clock::now();
            const auto analysis = loop.block_on(hub->driver().analyze(target, {"KubePodCrashLooping"}, loop.clock().deadline_in(10s)));
            if (!analysis) return fail(analysis.error().with_context("analysing"));
            latencies.push_back(seconds_since(began));
        }
    }
    figures.push_back({"evidence, class and plan p50", "ms", 1000 * percentile(latencies, 0.5)});
    figures.push_back({"evidence, class and plan p99", "ms", 1000 * percentile(latencies, 0.99)});
    loop.block_on(hub->stop());
    cluster.stop();
    loop.block_on(cluster.join());
    return {};
}

int run(const Options& o) {
    log::configure(log::Level::error, log::Format::text);
    const auto folder = std::filesystem::temp_directory_path() / ("kubernaut-bench-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    std::vector<Figure> figures;
    Result<> result;
    {
        const auto loop = async::EventLoop::real();
        SeededRandom random(o.seed);
        const std::string url = o.store.empty() ? "sqlite://" + (folder / "bench.db").string() : o.store;
        auto stores = open_store(url, {.query_timeout = 10s, .inbox_rows = 10'000'000, .inbox_bytes = 1LL << 40}, *loop);
        if (!stores) {
            result = fail(stores.error());
        } else {
            for (const auto bench : {bench_remediation, bench_intake, bench_engine, bench_decision}) {
                result = bench(o, (*stores)->ports(), *loop, random, figures);
                if (!result) break;
                // As a hub that has run for a minute: the database knows its tables.
                result = loop->block_on((*stores)->analyze(loop->clock().deadline_in(30s)));
                if (!result) break;
            }
            (*stores)->stop();
        }
    }
    std::filesystem::remove_all(folder);
    if (o.output == "json") {
        json::Array list;
        for (const auto& figure : figures) list.push_back(json::Object{{"name", figure.name}, {"value", figure.value}, {"unit", figure.unit}});
        std::cout << json::dump_pretty(json::Object{{"store", o.store.empty() ? "sqlite" : "given"}, {"figures", std::move(list)}}) << "\n";
    } else {
        for (const auto& figure : figures) {
            std::string name = figure.name;
            name.resize(46, ' ');
            std::cout << name << figure.value << " " << figure.unit << "\n";
        }
    }
    if (!result) {
        std::cerr << "error: " << result.error().describe() << "\n";
        return 1;
    }
    return 0;
}

}  // namespace

void add_bench(CLI::App& app, int& exit_code) {
    auto options = std::make_shared<Options>();
    auto* command = app.add_subcommand("bench", "Measure intake, engine and decision on this machine");
    command->add_option("--store", options->store, "a database to use (postgres://...); default: SQLite in a temporary folder");
    command->add_option("--batches", options->batches, "batches of alerts")->capture_default_str();
    command->add_option("--batch-size", options->batch_size, "alerts in each")->capture_default_str();
    command->add_option("--workflows", options->workflows, "one-step workflows")->capture_default_str();
    command->add_option("--parallel", options->parallel, "starters at a time")->capture_default_str();
    command->add_option("-o,--output", options->output, "table or json")->check(CLI::IsMember({"table", "json"}));
    add_bench_kube(*command, exit_code);
    command->callback([options, command, &exit_code] {
        if (command->get_subcommands().empty()) exit_code = run(*options);
    });
}

}  // namespace kn::app
