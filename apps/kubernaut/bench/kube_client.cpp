// What `bench kube` measures: one kind of work of this client in a process of its own, which prints what it cost.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>

#include "bench/kube.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube/watch.hpp"
#include "kubernaut/kube_http/http_transport.hpp"

namespace kn::app {
namespace {

namespace res = kube::resources;
using kube::Client;

constexpr const char* ns = "bench";
/// For watches that shall see next to nothing.
constexpr const char* quiet_ns = "kube-public";
/// Of a watch or a reflector that is being opened: an API server answers so many at a time.
constexpr int openers = 32;

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
            if (++seen == 1) cpu = process_cpu_us(), begun = std::chrono::steady_clock::now();  // what was there already
        }
    }
    co_return seen;
}

/// A line of /proc/self/status in kB.
std::int64_t memory_kb(std::string_view name) {
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(name)) return std::strtoll(line.c_str() + name.size() + 1, nullptr, 10);
    }
    return 0;
}

/// The peak counts from here on.
void forget_peak() {
    const int fd = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)!::write(fd, "5", 1);
    ::close(fd);
}

async::Task<> open_watches(std::shared_ptr<Work> work, std::vector<std::unique_ptr<kube::Stream>>& streams) {
    while (work->next < work->count && !work->failure) {
        ++work->next;
        auto stream = co_await work->client->watch(res::config_maps, quiet_ns, {}, "", 600, work->soon());
        if (!stream)
            work->failure = stream.error();
        else
            streams.push_back(*std::move(stream));
    }
}

/// One of many clusters (the same server under another connection): ten reflectors, as a hub has them.
struct Member {
    std::shared_ptr<Client> client;
    std::vector<std::shared_ptr<kube::ObjectCache>> caches;
    std::vector<std::unique_ptr<kube::Reflector>> reflectors;
};

int failed(const Error& error) {
    std::cerr << error.describe() << "\n";
    return 1;
}

struct Measured {
    std::int64_t objects = 0, rss_before_kb = 0;
};

Result<Measured> list_into_cache(async::EventLoop& loop, const std::shared_ptr<Client>& client, const KubeBenchOptions& o,
                                 std::shared_ptr<kube::ObjectCache> cache) {
    Measured out{.rss_before_kb = memory_kb("VmRSS")};
    for (int i = 0; i < o.count; ++i) {
        kube::ObjectCache::Replacement replacement(*cache);
        KN_TRY(const auto version,
               loop.block_on(client->list_into(res::pods, ns, {.page_size = o.page}, replacement, loop.clock().deadline_in(5min))));
        replacement.finish(loop.clock().now());
    }
    out.objects = static_cast<std::int64_t>(cache->size());
    return out;
}

Result<Measured> many_watches(async::EventLoop& loop, const std::shared_ptr<Work>& work, std::vector<std::unique_ptr<kube::Stream>>& streams) {
    // The first watch pays for the connection, the TLS library's tables and the like.
    const int count = std::exchange(work->count, 1);
    loop.block_on(open_watches(work, streams));
    Measured out{.rss_before_kb = memory_kb("VmRSS")};
    work->count = count + 1;
    async::TaskScope scope(loop.executor());
    for (int i = 0; i < openers; ++i) scope.spawn("opener", open_watches(work, streams));
    loop.block_on(scope.join());
    if (work->failure) return std::unexpected(*work->failure);
    out.objects = static_cast<std::int64_t>(streams.size()) - 1;
    return out;
}

Result<Measured> many_clusters(async::EventLoop& loop, const kube::ConnectionConfig& config, int count, RandomSource& random, async::TaskScope& scope,
                               std::vector<Member>& members) {
    Measured out{.rss_before_kb = memory_kb("VmRSS")};
    const kube::Resource* const watched[] = {&res::pods,         &res::services,      &res::config_maps, &res::events, &res::deployments,
                                             &res::replica_sets, &res::stateful_sets, &res::daemon_sets, &res::jobs,   &res::service_accounts};
    for (int i = 0; i < count; ++i) {
        auto& member = members.emplace_back();
        member.client = std::make_shared<Client>(kube::make_http_transport(config, {}, loop), loop.clock());
        for (const auto* resource : watched) {
            auto cache = std::make_shared<kube::ObjectCache>(*resource, kube::ObjectCache::Memory::packed);
            auto& reflector = member.reflectors.emplace_back(
                std::make_unique<kube::Reflector>(member.client, cache, kube::ReflectorOptions{.ns = quiet_ns}, random));
            member.caches.push_back(std::move(cache));
            scope.spawn("reflector", reflector->run());
        }
        const auto synced = [&] { return std::ranges::all_of(member.caches, [](const auto& cache) { return cache->synced(); }); };
        if (!loop.run_until(synced, 60s)) return fail(ErrorCode::unavailable, "a cluster's caches did not fill");
    }
    loop.run_for(8s);  // until all watches stand and what was needed for the lists is closed
    out.objects = static_cast<std::int64_t>(members.size()) * static_cast<std::int64_t>(std::size(watched));
    return out;
}

}  // namespace

std::int64_t process_cpu_us() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto us = [](const timeval& t) { return static_cast<std::int64_t>(t.tv_sec) * 1'000'000 + t.tv_usec; };
    return us(usage.ru_utime) + us(usage.ru_stime);
}

int run_kube_client(const KubeBenchOptions& o) {
    const auto loop = async::EventLoop::real();
    const auto config = kube::load_kubeconfig(o.kubeconfig, "");
    if (!config) return failed(config.error());
    const auto client =
        std::make_shared<Client>(kube::make_http_transport(*config, {.http2_requests = o.http2, .dead_peer_after = 0ms}, *loop), loop->clock());
    const auto work = std::make_shared<Work>(Work{.client = client, .op = o.op, .count = o.count});
    const auto ready = loop->block_on(client->get(res::config_maps, ns, "bench", work->soon()));
    if (!ready) return failed(ready.error());
    forget_peak();
    auto cpu = process_cpu_us();
    auto begun = std::chrono::steady_clock::now();
    Result<Measured> measured = Measured{.rss_before_kb = memory_kb("VmRSS")};
    // What is held until the memory has been looked at.
    const auto cache = std::make_shared<kube::ObjectCache>(res::pods, kube::ObjectCache::Memory::packed);
    std::vector<std::unique_ptr<kube::Stream>> streams;
    std::vector<Member> members;
    SeededRandom random(1);
    async::TaskScope scope(loop->executor());
    if (o.op == "watch") {
        const auto seen = loop->block_on(watch_events(client, o.count, cpu, begun));
        if (!seen) return failed(seen.error());
        measured->objects = *seen;
    } else if (o.op == "cache") {
        measured = list_into_cache(*loop, client, o, cache);
    } else if (o.op == "watches") {
        measured = many_watches(*loop, work, streams);
    } else if (o.op == "clusters") {
        measured = many_clusters(*loop, *config, o.count, random, scope, members);
    } else {
        for (int i = 0; i < o.parallel; ++i) scope.spawn("caller", caller(work));
        loop->block_on(scope.join());
        if (work->failure) return failed(*work->failure);
        measured->objects = work->objects;
    }
    if (!measured) return failed(measured.error());
    const auto wall = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun).count();
    std::cout << json::dump(json::Object{{"op", o.op},
                                         {"count", o.count},
                                         {"objects", measured->objects},
                                         {"wall_us", wall},
                                         {"cpu_us", process_cpu_us() - cpu},
                                         {"rss_before_kb", measured->rss_before_kb},
                                         {"rss_kb", memory_kb("VmRSS")},
                                         {"peak_kb", memory_kb("VmHWM")}})
              << std::endl;
    scope.cancel();
    if (o.op == "clusters") loop->block_on(scope.join());
    return 0;
}

}  // namespace kn::app
