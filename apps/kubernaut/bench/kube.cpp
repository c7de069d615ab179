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

using Options = KubeBenchOptions;

struct Work {
    std::shared_ptr<Client> client;
    int count = 0, next = 0;
    std::optional<Error> failure;
    [[nodiscard]] Deadline soon() const { return client->clock().deadline_in(5min); }
};

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

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    return values[values.size() / 2];
}

/// What one program needed for one kind of work, in all rounds.
struct Cost {
    std::vector<double> cpu, wall, start;    ///< microseconds a call; milliseconds from the process's start to its first answer
    std::vector<double> rss, grown, peaked;  ///< MB: all of it; more than before; more than before at the worst moment
    std::vector<double> objects;
};

struct Case {
    std::string name, op;
    int parallel, count;
    bool with_peer = true;
};

Result<> measure(async::EventLoop& loop, const std::shared_ptr<Client>& client, const Case& c, std::vector<std::string> words, Cost& cost) {
    const auto begun = std::chrono::steady_clock::now();
    KN_TRY(Child child, Child::start(std::move(words)));
    KN_TRY(json::Value line, child.line());
    cost.start.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
    if (c.op == "watch") {
        KN_CHECK(in_parallel(loop, change_watched, std::make_shared<Work>(Work{.client = client, .count = c.count}), 8));
        KN_TRY(line, child.line());
    }
    const auto number = [&line](const char* key) { return json::double_at(line, key).value_or(0); };
    const double calls = std::max(c.count, 1);
    cost.cpu.push_back(number("cpu_us") / calls);
    cost.wall.push_back(number("wall_us") / calls);
    cost.rss.push_back(number("rss_kb") / 1024);
    cost.grown.push_back((number("rss_kb") - number("rss_before_kb")) / 1024);
    cost.peaked.push_back((number("peak_kb") - number("rss_before_kb")) / 1024);
    cost.objects.push_back(number("objects"));
    return {};
}

/// Ours and the two peers', in turns.
struct Compared {
    Cost ours, json_peer, protobuf_peer;
};

Result<Compared> compare(async::EventLoop& loop, const std::shared_ptr<Client>& client, const Options& o, const Case& c) {
    Compared out;
    for (int round = 0; round < o.rounds; ++round) {
        for (auto* cost : {&out.ours, &out.json_peer, &out.protobuf_peer}) {
            if (cost != &out.ours && !c.with_peer) continue;
            std::vector<std::string> words = {"/proc/self/exe", "bench", "kube-client"};
            if (cost != &out.ours) words = {o.peer, "bench-client"};
            for (const auto& word : {std::string("--kubeconfig"), o.kubeconfig, std::string("--op"), c.op, std::string("--count"),
                                     std::to_string(c.count), std::string("--parallel"), std::to_string(c.parallel)})
                words.push_back(word);
            if (cost == &out.ours && o.http2) words.emplace_back("--http2");
            if (cost == &out.protobuf_peer) words.emplace_back("--protobuf");
            if (auto done = measure(loop, client, c, std::move(words), *cost); !done) return std::unexpected(done.error().with_context(c.name));
        }
    }
    return out;
}

/// A figure that is no cost of a call.
struct Single {
    std::string name, unit;
    double ours = 0, peer = 0, aim = 0;  ///< peer 0: not measured
    bool more_is_better = false;
};

/// One body, decoded again and again: the speed of the decoder alone, in MB a second.
class Discard final : public kube::ItemSink {
public:
    explicit Discard(bool packed) : packed_(packed) {}
    [[nodiscard]] bool wants_packed() const override { return packed_; }
    void add(json::Value item) override { values_.push_back(std::move(item)); }
    void add(kube::PackedItem item) override { items_.push_back(std::move(item)); }
    void rewind(std::size_t count) override { packed_ ? items_.resize(count) : values_.resize(count); }

private:
    bool packed_;
    std::vector<json::Value> values_;
    std::vector<kube::PackedItem> items_;
};

Result<double> decoding_speed(const std::string& body, bool packed, int rounds) {
    std::vector<double> speeds;
    for (int i = 0; i < rounds; ++i) {
        const auto begun = process_cpu_us();
        Discard items(packed);
        kube::ListDecoder decoder(items);
        decoder.begin();
        // In pieces as they come from a connection.
        constexpr std::size_t piece = 16U * 1024U;
        for (std::size_t at = 0; at < body.size(); at += piece) KN_CHECK(decoder.data(std::string_view(body).substr(at, piece)));
        KN_CHECK(decoder.finish());
        speeds.push_back(static_cast<double>(body.size()) / static_cast<double>(std::max<std::int64_t>(process_cpu_us() - begun, 1)));
    }
    return median(std::move(speeds));
}

Result<std::vector<Single>> singles(async::EventLoop& loop, const std::shared_ptr<Client>& client, const Options& o) {
    std::vector<Single> out;
    double body_mb = 0;
    {
        KN_TRY(const auto raw, loop.block_on(client->transport()->send({.path = res::pods.path(ns)}, loop.clock().deadline_in(60s))));
        body_mb = static_cast<double>(raw.body.size()) / 1e6;
        KN_TRY(const double packed, decoding_speed(raw.body, true, o.rounds));
        KN_TRY(const double kept, decoding_speed(raw.body, false, o.rounds));
        out.push_back({"size of that list", "MB", body_mb});
        out.push_back({"decoding it for a cache", "MB/s", packed, 0, 400, true});
        out.push_back({"decoding it into JSON values", "MB/s", kept, 0, 0, true});
    }
    KN_TRY(const Compared cache, compare(loop, client, o, {"list into a cache", "cache", 1, 1}));
    constexpr double mb = 1024.0 * 1024.0 / 1e6;
    out.push_back({"the list into a cache, CPU", "ms", median(cache.ours.cpu) / 1e3, median(cache.json_peer.cpu) / 1e3});
    out.push_back({"the same, peak growth : body", "", median(cache.ours.peaked) * mb / body_mb, median(cache.json_peer.peaked) * mb / body_mb, 1.5});
    out.push_back({"the same, RSS of the process", "MB", median(cache.ours.rss), median(cache.json_peer.rss), 45});
    KN_TRY(const Compared watches, compare(loop, client, o, {"watches", "watches", 1, o.watches}));
    out.push_back({std::to_string(o.watches) + " watches, each", "kB", median(watches.ours.grown) * 1024 / o.watches,
                   median(watches.json_peer.grown) * 1024 / o.watches, 20});
    KN_TRY(const Compared start, compare(loop, client, o, {"start", "get", 1, 0}));
    out.push_back({"process start to first GET", "ms", median(start.ours.start), median(start.json_peer.start), 10});
    KN_TRY(const Compared clusters, compare(loop, client, o, {"clusters", "clusters", 1, o.clusters, false}));
    out.push_back({std::to_string(o.clusters) + " clusters x 10 watches, RSS", "MB", median(clusters.ours.rss), 0, 100});
    return out;
}

json::Object figure_of(const Case& c, const Compared& r) {
    const double mine = median(r.ours.cpu), theirs = median(r.json_peer.cpu);
    return json::Object{{"call", c.name},
                        {"cpu_us", mine},
                        {"client_go_cpu_us", theirs},
                        {"client_go_protobuf_cpu_us", median(r.protobuf_peer.cpu)},
                        {"ratio", mine / theirs},
                        {"wall_us", median(r.ours.wall)},
                        {"client_go_wall_us", median(r.json_peer.wall)},
                        {"rss_mb", median(r.ours.rss)},
                        {"client_go_rss_mb", median(r.json_peer.rss)}};
}

Result<> run_driver(const Options& o) {
    const auto loop = async::EventLoop::real();
    KN_TRY(const auto config, kube::load_kubeconfig(o.kubeconfig, ""));
    const auto client = std::make_shared<Client>(kube::make_http_transport(config, {}, *loop), loop->clock());
    KN_CHECK(prepare(*loop, client, o));
    const std::vector<Case> cases = {{"GET, one caller", "get", 1, o.count},
                                     {"GET, 32 callers", "get", 32, o.count},
                                     {"merge PATCH", "patch", 1, o.count},
                                     {"LIST of " + std::to_string(o.pods) + " pods", "list", 1, 3},
                                     {"watch event", "watch", 1, o.count}};
    json::Array figures;
    const bool table = o.output == "table";
    if (table)
        std::cout << "client CPU per call in us, medians of " << o.rounds << " rounds in turns\n"
                  << "call                          kubernaut   client-go   protobuf    ratio   (protobuf)   wall ratio   RSS MB\n";
    for (const auto& c : cases) {
        KN_TRY(const Compared r, compare(*loop, client, o, c));
        if (table) {
            const double mine = median(r.ours.cpu), theirs = median(r.json_peer.cpu), packed = median(r.protobuf_peer.cpu);
            std::printf("%-28s %10.0f  %10.0f %10.0f   %6.2f       %6.2f       %6.2f   %.0f / %.0f\n", c.name.c_str(), mine, theirs, packed,
                        mine / theirs, mine / packed, median(r.ours.wall) / median(r.json_peer.wall), median(r.ours.rss), median(r.json_peer.rss));
            std::fflush(stdout);
        }
        figures.push_back(figure_of(c, r));
    }
    KN_TRY(const auto others, singles(*loop, client, o));
    json::Array rows;
    if (table) std::printf("\n%-40s %10s  %10s   aim\n", "", "kubernaut", "client-go");
    for (const auto& row : others) {
        if (table) {
            const std::string peer = row.peer > 0 ? std::to_string(std::lround(row.peer * 10) / 10).substr(0, 8) : "";
            std::printf("%-40s %10.2f  %10s   ", (row.name + (row.unit.empty() ? "" : ", " + row.unit)).c_str(), row.ours, peer.c_str());
            if (row.aim > 0)
                std::printf("%s %g\n", row.more_is_better ? ">" : "<", row.aim);
            else
                std::printf("\n");
        }
        rows.push_back(json::Object{{"name", row.name}, {"unit", row.unit}, {"value", row.ours}, {"client_go", row.peer}, {"aim", row.aim}});
    }
    if (!table) std::cout << json::dump_pretty(json::Object{{"figures", std::move(figures)}, {"others", std::move(rows)}}) << "\n";
    return {};
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
    driver->add_option("--watches", options->watches, "watches at a time")->capture_default_str();
    driver->add_option("--clusters", options->clusters, "connections that stand for a cluster each, with ten watches")->capture_default_str();
    driver->add_flag("--http2", options->http2, "requests over HTTP/2 too, not only watches");
    driver->add_option("-o,--output", options->output, "table or json")->check(CLI::IsMember({"table", "json"}));
    driver->callback([options, &exit_code] {
        const auto done = run_driver(*options);
        if (!done) std::cerr << done.error().describe() << "\n";
        exit_code = done ? 0 : 1;
    });
    auto* client = bench.add_subcommand("kube-client", "");
    client->group("");  // for the driver only
    client->add_option("--kubeconfig", options->kubeconfig)->required();
    client->add_option("--op", options->op)->required();
    client->add_option("--count", options->count);
    client->add_option("--parallel", options->parallel);
    client->add_option("--page", options->page);
    client->add_flag("--http2", options->http2);
    client->callback([options, &exit_code] { exit_code = run_kube_client(*options); });
}

}  // namespace kn::app
