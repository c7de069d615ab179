// A random history against the simulator: whatever is created, changed, deleted, cut, compacted, restarted or frozen, the cache equals the server at every
// quiet moment, and what its listeners heard adds up to the same. KN_HISTORY_EVENTS=1000000 for the long run; KN_SEED repeats one.
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/sim/api/api_server.hpp"

namespace kn::conformance {
namespace {

namespace res = kube::resources;

class History : public testing::TestWithParam<bool> {
protected:
    using Seen = std::map<std::pair<std::string, std::string>, std::string>;  // namespace and name → uid and version

    static std::string state_of(const json::Value& object) {
        return std::string(kube::uid_of(object)) + "@" + std::string(kube::resource_version_of(object));
    }
    Seen truth() const {
        Seen out;
        for (const auto* object : server->peek_all(res::config_maps))
            out[{std::string(kube::namespace_of(*object)), std::string(kube::name_of(*object))}] = state_of(*object);
        return out;
    }
    static Seen of(const kube::ObjectCache& cache) {
        Seen out;
        for (const auto& object : cache.list())
            out[{std::string(kube::namespace_of(*object)), std::string(kube::name_of(*object))}] = state_of(*object);
        return out;
    }
    kube::Response call(kube::Method method, std::string path, std::string body = {}, std::string type = "application/json") {
        kube::Request request{.method = method, .path = std::move(path), .content_type = std::move(type), .body = std::move(body)};
        return server->handle(request, {.user = "admin", .groups = {"system:masters"}});
    }
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(Instant{std::chrono::hours{24 * 365 * 56}});
    std::unique_ptr<sim::ApiServer> server;
};

TEST_P(History, TheCacheEqualsTheServerAtEveryQuietMoment) {
    const char* seed_text = std::getenv("KN_SEED");
    const char* events_text = std::getenv("KN_HISTORY_EVENTS");
    const auto seed = seed_text != nullptr ? std::strtoull(seed_text, nullptr, 10) : std::random_device{}();
    const std::uint64_t wanted = events_text != nullptr ? std::strtoull(events_text, nullptr, 10) : 20'000;
    SCOPED_TRACE("KN_SEED=" + std::to_string(seed));
    std::cout << "seed " << seed << ", " << wanted << " events\n";
    SeededRandom random(seed), server_random(seed + 1), reflector_random(seed + 2);
    sim::ApiServerOptions options;
    options.watch_history = 500;
    options.write_log_limit = 10;
    server = std::make_unique<sim::ApiServer>(*loop, server_random, options);
    for (const auto* ns : {"a", "b", "c"})
        ASSERT_EQ(call(kube::Method::post, "/api/v1/namespaces", std::string(R"({"metadata":{"name":")") + ns + "\"}}").status, 201);

    const auto client = std::make_shared<kube::Client>(server->transport({.user = "watcher", .groups = {"system:masters"}}), loop->clock());
    const auto cache = std::make_shared<kube::ObjectCache>(res::config_maps);
    Seen heard;
    std::uint64_t impossible = 0, events = 0;
    cache->subscribe([&](kube::WatchEventType type, const kube::ObjectPtr& object, const kube::ObjectPtr&) {
        const std::pair key(std::string(kube::namespace_of(*object)), std::string(kube::name_of(*object)));
        ++events;
        const auto found = heard.find(key);
        if (type == kube::WatchEventType::added) {
            if (found != heard.end()) ++impossible;
            heard[key] = state_of(*object);
        } else if (type == kube::WatchEventType::modified) {
            if (found == heard.end() || found->second.substr(0, 36) != state_of(*object).substr(0, 36)) ++impossible;
            heard[key] = state_of(*object);
        } else {
            if (found == heard.end()) ++impossible;
            heard.erase(key);
        }
    });
    kube::Reflector reflector(client, cache, {.list = {.page_size = 7}, .streaming_list = GetParam()}, reflector_random);
    async::TaskScope scope(loop->executor());
    scope.spawn("reflector", reflector.run());

    const sim::TrafficFilter watcher{.users = {"watcher"}};
    std::uint64_t quiet = 0;
    while (events < wanted && !HasFailure()) {
        const auto burst = 1 + random.next() % 300;
        for (std::uint64_t i = 0; i < burst; ++i) {
            const std::string ns(1, static_cast<char>('a' + random.next() % 3)), name = "m" + std::to_string(random.next() % 40);
            const auto collection = "/api/v1/namespaces/" + ns + "/configmaps";
            switch (random.next() % 8) {
                case 0: (void)call(kube::Method::del, collection + "/" + name); break;
                case 1:
                case 2: (void)call(kube::Method::post, collection, R"({"metadata":{"name":")" + name + R"("},"data":{"a":"1"}})"); break;
                default:
                    (void)call(kube::Method::patch, collection + "/" + name, R"({"data":{"a":")" + std::to_string(random.next()) + "\"}}",
                               "application/merge-patch+json");
                    break;
            }
            if (random.unit() < 0.02) loop->run_for(Duration{static_cast<int>(random.next() % 3000)});
        }
        if (const auto dice = random.unit(); dice < 0.10)
            server->network().cut_streams(watcher);
        else if (dice < 0.15)
            server->compact();
        else if (dice < 0.20)
            server->restart();
        else if (dice < 0.25)
            server->network().set("frozen", {.match = watcher, .freeze_watches = true});
        else if (dice < 0.30)
            server->network().set("lossy",
                                  {.match = watcher, .latency = 200ms, .jitter = 300ms, .error_rate = 0.3, .throttle_rate = 0.2, .lose_reply = 0.2});
        else if (dice < 0.33)
            server->network().set("gone", {.match = watcher, .black_hole = true});
        loop->run_for(Duration{static_cast<int>(random.next() % 5000)});
        if (random.unit() < 0.5) continue;
        server->network().clear();
        loop->run_for(10min);  // any backoff, idle limit and request timeout is over
        ++quiet;
        const auto expected = truth();
        EXPECT_EQ(of(*cache), expected) << "after " << events << " events: " << reflector.last_error();
        EXPECT_EQ(heard, expected) << "what listeners heard, after " << events << " events";
        EXPECT_EQ(impossible, 0U) << "after " << events << " events";
    }
    std::cout << events << " events, " << quiet << " quiet moments, " << reflector.restarts() << " lists\n";
    EXPECT_GT(quiet, 3U);
    scope.cancel();
    loop->block_on(scope.join());
}

INSTANTIATE_TEST_SUITE_P(Lists, History, testing::Bool(), [](const auto& info) { return info.param ? "streaming" : "paged"; });

}  // namespace
}  // namespace kn::conformance
