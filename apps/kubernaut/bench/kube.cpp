// `bench kube`: what a call costs this client and client-go, in turns on the same machine and server, so that only the ratio counts.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <memory>

#include "bench/kube.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/watch.hpp"
#include "kubernaut/kube_http/http_transport.hpp"

extern char** environ;

namespace kn::app {
namespace {

namespace res = kube::resources;
using kube::Client;

constexpr const char* ns = "bench";

struct Options {
    std::string kubeconfig, peer = "bin/kubernaut-testbed", output = "table", op;
    int rounds = 5, count = 1000, pods = 2000, parallel = 1;
};

std::int64_t cpu_us() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto us = [](const timeval& t) { return static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_usec; };
    return us(usage.ru_utime) + us(usage.ru_stime);
}

// One run of one kind of call, in a process of its own.

struct Work {
    std::shared_ptr<Client> client;
    std::string op;
    int count = 0, next = 0;
    std::int64_t objects = 0;
    std::optional<Error> failure;
    [[nodiscard]] Deadline soon() const { return client->clock().deadline_in(5min); }
};

async::Task<> caller(std::shared_ptr<Work> work) {
    while (work->next < work->count && !work->failure) {
        const int i = ++work->next;
        if (work->op == "list") {
            const auto list = co_await work->client->list(res::pods, ns, {.page_size = 0}, work->soon());
            if (!list)
                work->failure = list.error();
            else
                work->objects += static_cast<std::int64_t>(list->items.size());
        } else if (work->op == "patch") {
            const auto text = "kn-" + std::to_string(getpid()) + "-" + std::to_string(i);
            const auto done = co_await work->client->patch(res::config_maps, ns, "bench", kube::PatchType::merge,
                                                           json::Object{{"data", json::Object{{"n", text}}}}, {}, work->soon());
            if (!done) work->failure = done.error();
        } else {
            const auto got = co_await work->client->get(res::config_maps, ns, "bench", work->soon());
            if (!got) work->failure = got.error();
        }
    }
}

async::Task<Result<std::int64_t>> watch_events(std::shared_ptr<Client> client, int count, std::int64_t& cpu,
                                               std::chrono::steady_clock::time_point& begun) {
    KN_CO_TRY(const auto stream, co_await client->watch(res::config_maps, ns, {.field_selector = "metadata.name=bench-watched"}, "", 600,
                                                        client->clock().deadline_in(60s)));
    std::cout << R"({"watching":true})" << std::endl;
    kube::WatchDecoder decoder;
    std::int64_t seen = 0;
    while (seen <= count) {
        KN_CO_TRY(const auto bytes, co_await stream->next(client->clock().deadline_in(5min)));
        if (!bytes) co_return fail(ErrorCode::unavailable, "the watch ended");
        KN_CO_TRY(const auto events, decoder.feed(*bytes));
        for (const auto& event : events) {
            if (event.type == kube::WatchEventType::bookmark) continue;
            if (++seen == 1) cpu = cpu_us(), begun = std::chrono::steady_clock::now();  // what was there already
        }
    }
    co_return seen;
}

int run_client(const Options& o) {
    const auto loop = async::EventLoop::real();
    const auto config = kube::load_kubeconfig(o.kubeconfig, "");
    if (!config) return std::cerr << config.error().describe() << "\n", 1;
    const auto client = std::make_shared<Client>(kube::make_http_transport(*config, {.dead_peer_after = 0ms}, *loop), loop->clock());
    const auto work = std::make_shared<Work>(Work{.client = client, .op = o.op, .count = o.count});
    const auto ready = loop->block_on(client->get(res::config_maps, ns, "bench", work->soon()));
    if (!ready) return std::cerr << ready.error().describe() << "\n", 1;
    auto cpu = cpu_us();
    auto begun = std::chrono::steady_clock::now();
    if (o.op == "watch") {
        const auto seen = loop->block_on(watch_events(client, o.count, cpu, begun));
        if (!seen)
            work->failure = seen.error();
        else
            work->objects = *seen;
    } else {
        async::TaskScope scope(loop->executor());
        for (int i = 0; i < o.parallel; ++i) scope.spawn("caller", caller(work));
        loop->block_on(scope.join());
    }
    if (work->failure) return std::cerr << work->failure->describe() << "\n", 1;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto wall = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun).count();
    std::cout << json::dump(json::Object{{"op", o.op},
                                         {"count", o.count},
                                         {"objects", work->objects},
                                         {"wall_us", wall},
                                         {"cpu_us", cpu_us() - cpu},
                                         {"peak_kb", usage.ru_maxrss}})
              << std::endl;
    return 0;
}

// The driver.

/// A program whose lines are read.
class Child {
public:
    static Result<Child> start(std::vector<std::string> words) {
        std::array<int, 2> out{};
        if (::pipe2(out.data(), O_CLOEXEC) != 0) return fail(ErrorCode::internal, "pipe");
        std::vector<char*> argv;
        for (auto& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        Child child;
        const int code = ::posix_spawn(&child.pid_, words[0].c_str(), &actions, nullptr, argv.data(), environ);
        posix_spawn_file_actions_destroy(&actions);
        ::close(out[1]);
        child.out_ = out[0];
        if (code != 0) {
            child.pid_ = -1;
            return fail(ErrorCode::not_found, "cannot start " + words[0]);
        }
        return child;
    }
    Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), out_(std::exchange(other.out_, -1)), buffer_(std::move(other.buffer_)) {}
    Child& operator=(Child&&) = delete;
    ~Child() {
        if (out_ >= 0) ::close(out_);
        if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    }
    Result<json::Value> line() {
        std::array<char, 4096> piece;
        while (!buffer_.contains('\n')) {
            const auto count = ::read(out_, piece.data(), piece.size());
            if (count <= 0) return fail(ErrorCode::internal, "the measured program failed");
            buffer_.append(piece.data(), static_cast<std::size_t>(count));
        }
        const auto end = buffer_.find('\n');
        auto parsed = json::parse(buffer_.substr(0, end));
        buffer_.erase(0, end + 1);
        return parsed;
    }

private:
    Child() = default;
    pid_t pid_ = -1;
    int out_ = -1;
    std::string buffer_;
};

async::Task<> make_pods(std::shared_ptr<Work> work) {
    while (work->next < work->count && !work->failure) {
        const auto name = "pod-" + std::to_string(work->next++);
        // About as large as a pod of a Deployment, and never scheduled.
        json::Object env{{"name", "SETTINGS"}, {"value", std::string(400, 's')}};
        json::Array containers{json::Object{{"name", "app"},
                                            {"image", "registry.example/team/app:1.2.3"},
                                            {"env", json::Array{env}},
                                            {"ports", json::Array{json::Object{{"containerPort", 8080}}}},
                                            {"resources", json::Object{{"requests", json::Object{{"cpu", "100m"}, {"memory", "128Mi"}}},
                                                                       {"limits", json::Object{{"memory", "256Mi"}}}}}}};
        json::Object pod{
            {"kind", "Pod"},
            {"apiVersion", "v1"},
            {"metadata", json::Object{{"name", name}, {"labels", json::Object{{"app", "bench"}, {"pod-template-hash", "5d4f8c7b9"}}}}},
            {"spec", json::Object{{"schedulingGates", json::Array{json::Object{{"name", "bench.example/hold"}}}}, {"containers", containers}}}};
        const auto made = co_await work->client->create(res::pods, ns, std::move(pod), {}, work->soon());
        if (!made && made.error().code != ErrorCode::already_exists) work->failure = made.error();
    }
}

async::Task<> change_watched(std::shared_ptr<Work> work) {
    while (work->next < work->count && !work->failure) {
        const auto text = std::to_string(getpid()) + "-" + std::to_string(++work->next) + "-" +
                          std::to_string(work->client->clock().steady().time_since_epoch().count());
        const auto done = co_await work->client->patch(res::config_maps, ns, "bench-watched", kube::PatchType::merge,
                                                       json::Object{{"data", json::Object{{"n", text}}}}, {}, work->soon());
        if (!done) work->failure = done.error();
    }
}

Result<> in_parallel(async::EventLoop& loop, async::Task<> (*task)(std::shared_ptr<Work>), std::shared_ptr<Work> work, int callers) {
    async::TaskScope scope(loop.executor());
    for (int i = 0; i < callers; ++i) scope.spawn("caller", task(work));
    loop.block_on(scope.join());
    if (work->failure) return std::unexpected(*work->failure);
    return {};
}

Result<> prepare(async::EventLoop& loop, const std::shared_ptr<Client>& client, const Options& o) {
    const auto soon = [&] { return loop.clock().deadline_in(60s); };
    const auto fine = [](const Result<json::Value>& made) { return made || made.error().code == ErrorCode::already_exists; };
    auto made = loop.block_on(client->create(
        res::namespaces, "", json::Object{{"kind", "Namespace"}, {"apiVersion", "v1"}, {"metadata", json::Object{{"name", ns}}}}, {}, soon()));
    if (!fine(made)) return std::unexpected(made.error());
    for (const auto* name : {"bench", "bench-watched"}) {
        made = loop.block_on(client->create(res::config_maps, ns,
                                            json::Object{{"kind", "ConfigMap"},
                                                         {"apiVersion", "v1"},
                                                         {"metadata", json::Object{{"name", name}}},
                                                         {"data", json::Object{{"a", std::string(200, 'x')}}}},
                                            {}, soon()));
        if (!fine(made)) return std::unexpected(made.error());
    }
    // Pods need the namespace's service account, which comes a moment later.
    for (int i = 0; i < 100 && !loop.block_on(client->get(res::service_accounts, ns, "default", soon())); ++i) loop.run_for(100ms);
    return in_parallel(loop, make_pods, std::make_shared<Work>(Work{.client = client, .count = o.pods}), 32);
}

struct Cost {
    std::vector<double> cpu, wall;  ///< microseconds a call
    double peak_mb = 0;
};

Result<> measure(async::EventLoop& loop, const std::shared_ptr<Client>& client, const std::string& op, int count, std::vector<std::string> words,
                 Cost& cost) {
    KN_TRY(Child child, Child::start(std::move(words)));
    KN_TRY(json::Value line, child.line());
    if (op == "watch") {
        KN_CHECK(in_parallel(loop, change_watched, std::make_shared<Work>(Work{.client = client, .count = count}), 8));
        KN_TRY(line, child.line());
    }
    cost.cpu.push_back(json::double_at(line, "cpu_us").value_or(0) / count);
    cost.wall.push_back(json::double_at(line, "wall_us").value_or(0) / count);
    cost.peak_mb = std::max(cost.peak_mb, json::double_at(line, "peak_kb").value_or(0) / 1024);
    return {};
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    return values[values.size() / 2];
}

int run_driver(const Options& o) {
    const auto loop = async::EventLoop::real();
    const auto config = kube::load_kubeconfig(o.kubeconfig, "");
    if (!config) return std::cerr << config.error().describe() << "\n", 1;
    const auto client = std::make_shared<Client>(kube::make_http_transport(*config, {}, *loop), loop->clock());
    if (const auto ready = prepare(*loop, client, o); !ready) return std::cerr << ready.error().describe() << "\n", 1;
    // One body, decoded again and again: the speed of the decoder alone.
    const auto raw = loop->block_on(client->transport()->send({.path = res::pods.path(ns)}, loop->clock().deadline_in(60s)));
    if (!raw) return std::cerr << raw.error().describe() << "\n", 1;
    const double body_mb = static_cast<double>(raw->body.size()) / 1e6;
    std::vector<double> decode;
    for (int i = 0; i < o.rounds; ++i) {
        const auto begun = cpu_us();
        const auto parsed = json::parse(raw->body, {.max_bytes = 1U << 30U});
        if (!parsed) return std::cerr << parsed.error().describe() << "\n", 1;
        decode.push_back(body_mb / (static_cast<double>(cpu_us() - begun) / 1e6));
    }
    struct Case {
        std::string name, op;
        int parallel, count;
    };
    const std::vector<Case> cases = {{"GET, one caller", "get", 1, o.count},
                                     {"GET, 32 callers", "get", 32, o.count},
                                     {"merge PATCH", "patch", 1, o.count},
                                     {"LIST of " + std::to_string(o.pods) + " pods", "list", 1, 3},
                                     {"watch event", "watch", 1, o.count}};
    json::Array figures;
    const bool table = o.output == "table";
    if (table)
        std::cout << "client CPU per call in us, medians of " << o.rounds << " rounds in turns\n"
                  << "call                          kubernaut   client-go   protobuf    ratio   (protobuf)   wall ratio   peak MB\n";
    for (const auto& c : cases) {
        Cost ours, json_peer, protobuf_peer;
        for (int round = 0; round < o.rounds; ++round) {
            const std::vector<std::string> common = {
                "--kubeconfig", o.kubeconfig, "--op", c.op, "--count", std::to_string(c.count), "--parallel", std::to_string(c.parallel)};
            const auto words = [&](std::vector<std::string> head, std::vector<std::string> tail) {
                head.insert(head.end(), common.begin(), common.end());
                head.insert(head.end(), tail.begin(), tail.end());
                return head;
            };
            for (auto* cost : {&ours, &json_peer, &protobuf_peer}) {
                const auto run = cost == &ours ? words({"/proc/self/exe", "bench", "kube-client"}, {})
                                               : words({o.peer, "bench-client"},
                                                       cost == &json_peer ? std::vector<std::string>{} : std::vector<std::string>{"--protobuf"});
                if (const auto done = measure(*loop, client, c.op, c.count, run, *cost); !done)
                    return std::cerr << c.name << ": " << done.error().describe() << "\n", 1;
            }
        }
        const double mine = median(ours.cpu), theirs = median(json_peer.cpu), packed = median(protobuf_peer.cpu);
        if (table) {
            std::printf("%-28s %10.0f  %10.0f %10.0f   %6.2f       %6.2f       %6.2f   %.0f / %.0f\n", c.name.c_str(), mine, theirs, packed,
                        mine / theirs, mine / packed, median(ours.wall) / median(json_peer.wall), ours.peak_mb, json_peer.peak_mb);
            std::fflush(stdout);
        }
        figures.push_back(json::Object{{"call", c.name},
                                       {"cpu_us", mine},
                                       {"client_go_cpu_us", theirs},
                                       {"client_go_protobuf_cpu_us", packed},
                                       {"ratio", mine / theirs},
                                       {"wall_us", median(ours.wall)},
                                       {"client_go_wall_us", median(json_peer.wall)},
                                       {"peak_mb", ours.peak_mb},
                                       {"client_go_peak_mb", json_peer.peak_mb}});
    }
    if (table)
        std::printf("decoding a list of %.1f MB: %.0f MB/s\n", body_mb, median(decode));
    else
        std::cout << json::dump_pretty(json::Object{{"figures", std::move(figures)}, {"list_mb", body_mb}, {"decode_mb_s", median(decode)}}) << "\n";
    return 0;
}

}  // namespace

void add_bench_kube(CLI::App& bench, int& exit_code) {
    auto options = std::make_shared<Options>();
    auto* driver =
        bench.add_subcommand("kube", "Measure the Kubernetes client beside client-go on a cluster of yours (a namespace `bench` is made in it)");
    driver->add_option("--kubeconfig", options->kubeconfig, "how to reach the cluster, such as one of `kubernaut-testbed up`")->required();
    driver->add_option("--peer", options->peer, "the program with client-go")->capture_default_str();
    driver->add_option("--rounds", options->rounds, "runs of each, in turns")->capture_default_str();
    driver->add_option("--count", options->count, "calls in a run")->capture_default_str();
    driver->add_option("--pods", options->pods, "pods to list")->capture_default_str();
    driver->add_option("-o,--output", options->output, "table or json")->check(CLI::IsMember({"table", "json"}));
    driver->callback([options, &exit_code] { exit_code = run_driver(*options); });
    auto* client = bench.add_subcommand("kube-client", "");
    client->group("");  // for the driver only
    client->add_option("--kubeconfig", options->kubeconfig)->required();
    client->add_option("--op", options->op)->required();
    client->add_option("--count", options->count);
    client->add_option("--parallel", options->parallel);
    client->callback([options, &exit_code] { exit_code = run_client(*options); });
}

}  // namespace kn::app
