// The client behind a network that fails in every way that a script can name, in front of a real API server.
#include <random>

#include "conformance.hpp"
#include "fault_proxy.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/kube_http/http_transport.hpp"

namespace kn::conformance {
namespace {

using Kind = Fault::Kind;
namespace res = kube::resources;

class Faults : public Conformance {
protected:
    void SetUp() override {
        Conformance::SetUp();
        if (server == nullptr || IsSkipped()) return;
        proxy = std::make_unique<FaultProxy>(*server->connection());
        connect({});
    }
    void TearDown() override {
        through.reset();
        proxy.reset();
    }
    void connect(kube::HttpOptions options) {
        through = std::make_shared<kube::Client>(kube::make_http_transport(proxy->config(), std::move(options), loop()), loop().clock());
    }
    Result<json::Value> read(const std::string& name, Duration limit = 60s) { return wait(through->get(res::config_maps, ns, name, soon(limit))); }
    Result<json::Value> create(const std::string& name, Duration limit = 60s) {
        return wait(through->create(res::config_maps, ns, json::parse(config_map(name)).value(), {}, soon(limit)));
    }
    bool exists(const std::string& name) { return get(core("configmaps/") + name).code == 200; }

    std::unique_ptr<FaultProxy> proxy;
    std::shared_ptr<kube::Client> through;
};

TEST_P(Faults, AReadIsTriedAgainAfterEveryPassingTrouble) {
    make_config_map("c");
    const std::vector<Fault> troubles = {
        {.kind = Kind::answer, .status = 503},
        {.kind = Kind::answer, .status = 502, .body = "<html>bad gateway</html>"},
        {.kind = Kind::answer, .status = 500},
        {.kind = Kind::answer, .status = 429, .headers = "Retry-After: 1\r\n"},
        {.kind = Kind::answer, .status = 200, .body = "<html>not yours</html>"},
        {.kind = Kind::reset},
        {.kind = Kind::cut_after, .bytes = 40},
    };
    for (auto trouble : troubles) {
        trouble.match = "configmaps/c";
        const auto before = proxy->count("configmaps/c");
        proxy->script(trouble);
        const auto answer = read("c");
        // An answer that is no JSON is not repeated by itself: a proxy's page stays a proxy's page.
        if (trouble.status == 200 && trouble.kind == Kind::answer) {
            EXPECT_FALSE(answer);
            EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
        } else {
            ASSERT_TRUE(answer) << static_cast<int>(trouble.kind) << " " << trouble.status << ": " << answer.error().describe();
            EXPECT_EQ(proxy->count("configmaps/c"), before + 2);
        }
        proxy->clear();
    }
}

TEST_P(Faults, AReadGivesUpAtItsDeadline) {
    make_config_map("c");
    proxy->script({.kind = Kind::hang, .match = "configmaps/c", .times = 1000});
    const auto started = loop().clock().steady();
    const auto answer = read("c", 700ms);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::deadline_exceeded);
    EXPECT_GE(loop().clock().steady() - started, 700ms);
    proxy->clear();
    EXPECT_TRUE(read("c")) << "over a fresh connection";
}

TEST_P(Faults, AWriteWhoseReplyIsLostIsInDoubtAndIsSentOnce) {
    proxy->script({.kind = Kind::lose_reply, .match = "POST"});
    const auto lost = create("c");
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().applied, Applied::maybe);
    EXPECT_EQ(lost.error().code, ErrorCode::unavailable);
    EXPECT_EQ(proxy->count("POST"), 1);
    EXPECT_TRUE(exists("c")) << "it has happened";
}

TEST_P(Faults, AWriteThatIsCutBeforeTheServerIsInDoubtAsWell) {
    proxy->script({.kind = Kind::reset, .match = "POST"});
    const auto lost = create("c");
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().applied, Applied::maybe) << "the two look alike from here";
    EXPECT_FALSE(exists("c"));
    proxy->script({.kind = Kind::hang, .match = "POST"});
    EXPECT_EQ(create("d", 500ms).error().applied, Applied::maybe);
}

TEST_P(Faults, AWriteThatWasRefusedForOverloadDidNothing) {
    struct Case {
        int status;
        std::string headers;
        Applied applied;
    };
    for (const auto& c : std::vector<Case>{{429, "Retry-After: 1\r\n", Applied::no},
                                           {503, "Retry-After: 1\r\n", Applied::no},
                                           {503, "", Applied::maybe},
                                           {500, "", Applied::maybe},
                                           {504, "", Applied::maybe},
                                           {410, "", Applied::no}}) {
        proxy->script({.kind = Kind::answer, .match = "POST", .status = c.status, .headers = c.headers});
        const auto answer = create("c");
        ASSERT_FALSE(answer) << c.status;
        EXPECT_EQ(answer.error().applied, c.applied) << c.status << c.headers;
    }
    EXPECT_EQ(proxy->count("POST"), 6) << "none was repeated";
    EXPECT_FALSE(exists("c"));
}

TEST_P(Faults, AWriteWhoseAnswerIsCutIsInDoubt) {
    proxy->script({.kind = Kind::cut_after, .match = "POST", .bytes = 30});
    const auto cut = create("c");
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().applied, Applied::maybe);
    EXPECT_TRUE(exists("c"));
}

/// A reflector through the proxy and what it must come to.
class Followed {
public:
    Followed(Faults&, async::EventLoop& loop, std::shared_ptr<kube::Client> client, kube::ReflectorOptions options)
        : loop_(loop),
          cache(std::make_shared<kube::ObjectCache>(res::config_maps)),
          random_(5),
          reflector(client, cache, std::move(options), random_),
          scope_(loop.executor()) {
        scope_.spawn("reflector", reflector.run());
    }
    ~Followed() {
        scope_.cancel();
        loop_.block_on(scope_.join());
    }
    async::EventLoop& loop_;
    std::shared_ptr<kube::ObjectCache> cache;
    SeededRandom random_;
    kube::Reflector reflector;

private:
    async::TaskScope scope_;
};

TEST_P(Faults, AWatchSurvivesCutsRefusalsAndExpiryAndMissesNothing) {
    kube::ReflectorOptions options{.ns = ns, .backoff_base = 50ms, .backoff_cap = 500ms};
    const std::vector<Fault> troubles = {
        {.kind = Kind::cut_after, .bytes = 700},
        {.kind = Kind::answer, .status = 410, .body = R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Gone","code":410})"},
        {.kind = Kind::answer,
         .status = 200,
         .body =
             "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"Expired\",\"code\":410}}\n"},
        {.kind = Kind::answer, .status = 429, .headers = "Retry-After: 1\r\n"},
        {.kind = Kind::answer, .status = 500},
        {.kind = Kind::answer, .status = 200, .body = "<html>\n"},
        {.kind = Kind::reset},
        {.kind = Kind::duplicate},
        {.kind = Kind::delay, .bytes = 100},
    };
    int n = 0;
    for (auto trouble : troubles) {
        trouble.match = "watch=1";
        proxy->script(trouble);
        Followed followed(*this, loop(), through, options);
        ASSERT_TRUE(eventually([&] { return followed.cache->synced(); })) << followed.reflector.last_error();
        const std::string name = "m" + std::to_string(++n);
        make_config_map(name);
        ASSERT_EQ(merge(core("configmaps/") + name, R"({"data":{"a":"2"}})").code, 200);
        EXPECT_TRUE(eventually([&] {
            const auto object = followed.cache->find(ns, name);
            return object != nullptr && json::string_at(*object, "data", "a") == "2";
        })) << n
            << ": " << followed.reflector.last_error();
        EXPECT_TRUE(eventually([&] {
            return wait(kube::differences(client, *followed.cache, options, soon())).value_or(std::vector<std::string>{"?"}).empty();
        })) << n;
        proxy->clear();
    }
}

TEST_P(Faults, AWatchThatGoesSilentIsNoticedAtItsIdleDeadline) {
    kube::ReflectorOptions options{.ns = ns, .idle_limit = 2s, .backoff_base = 50ms, .backoff_cap = 200ms};
    proxy->script({.kind = Kind::stall_after, .match = "watch=1", .bytes = 1});
    Followed followed(*this, loop(), through, options);
    ASSERT_TRUE(eventually([&] { return followed.cache->synced(); }));
    const auto started = loop().clock().steady();
    make_config_map("c");
    EXPECT_TRUE(eventually([&] { return followed.cache->find(ns, "c") != nullptr; })) << followed.reflector.last_error();
    EXPECT_GE(proxy->count("watch=1"), 2);
    EXPECT_LT(loop().clock().steady() - started, 60s);
}

TEST_P(Faults, AQuietWatchIsAskedForAgainWithoutANewListAndStillHears) {
    Followed followed(*this, loop(), through, {.ns = ns, .idle_limit = 1s, .backoff_base = 50ms, .backoff_cap = 200ms});
    ASSERT_TRUE(eventually([&] { return followed.cache->synced(); })) << followed.reflector.last_error();
    ASSERT_TRUE(eventually([&] { return proxy->count("watch=1") >= 4; })) << followed.reflector.last_error();
    EXPECT_EQ(followed.reflector.restarts(), 0U) << followed.reflector.last_error();
    EXPECT_EQ(proxy->count("limit=500"), 1) << "one list at the beginning";
    make_config_map("late");
    EXPECT_TRUE(eventually([&] { return followed.cache->find(ns, "late") != nullptr; })) << followed.reflector.last_error();
}

TEST_P(Faults, UnderAStormTheCacheIsRightAgainAtEveryQuietMoment) {
    const char* named = std::getenv("KN_SEED");
    const auto seed = named != nullptr ? std::strtoull(named, nullptr, 10) : std::random_device{}();
    SCOPED_TRACE("KN_SEED=" + std::to_string(seed));
    std::cout << "seed " << seed << "\n";
    SeededRandom random(seed);
    auto chooser_random = std::make_shared<SeededRandom>(seed + 1);
    auto guard = std::make_shared<std::mutex>();
    kube::ReflectorOptions options{.ns = ns, .idle_limit = 2s, .request_timeout = 5s, .backoff_base = 20ms, .backoff_cap = 300ms};
    Followed followed(*this, loop(), through, options);
    for (int round = 0; round < 5; ++round) {
        proxy->on_request([chooser_random, guard](const std::string&) -> std::optional<Fault> {
            const std::lock_guard lock(*guard);
            if (chooser_random->unit() < 0.4) return std::nullopt;
            static constexpr Kind kinds[] = {Kind::answer, Kind::reset, Kind::cut_after, Kind::stall_after, Kind::duplicate, Kind::delay};
            Fault fault{.kind = kinds[chooser_random->next() % std::size(kinds)]};
            static constexpr int statuses[] = {410, 429, 500, 503, 504};
            fault.status = statuses[chooser_random->next() % std::size(statuses)];
            fault.bytes = static_cast<std::int64_t>(fault.kind == Kind::delay ? chooser_random->next() % 200 : chooser_random->next() % 3000);
            return fault;
        });
        for (int i = 0; i < 40; ++i) {
            const std::string name = "m" + std::to_string(random.next() % 15);
            switch (random.next() % 4) {
                case 0: (void)del(core("configmaps/") + name); break;
                case 1: (void)merge(core("configmaps/") + name, R"({"data":{"n":")" + std::to_string(random.next()) + "\"}}"); break;
                default: (void)post(core("configmaps"), config_map(name)); break;
            }
        }
        proxy->clear();
        EXPECT_TRUE(eventually([&] {
            return followed.cache->synced() &&
                   wait(kube::differences(client, *followed.cache, options, soon())).value_or(std::vector<std::string>{"?"}).empty();
        })) << "round "
            << round << ": " << followed.reflector.last_error();
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, Faults, testing::Values("v1_36"), [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace kn::conformance
