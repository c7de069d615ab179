#include <gtest/gtest.h>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/kube/status.hpp"
#include "scripted_transport.hpp"

namespace kn::kube {
namespace {

TEST(ObjectCache, TellsListenersWhatChangedAndKeepsSnapshots) {
    ObjectCache cache(resources::pods);
    std::vector<std::string> heard;
    cache.subscribe([&](WatchEventType type, const ObjectPtr& object, const ObjectPtr& before) {
        heard.push_back(std::to_string(static_cast<int>(type)) + std::string(name_of(*object)) + (before ? "<" : ""));
    });
    EXPECT_FALSE(cache.synced());
    std::vector<json::Value> first;
    first.push_back(pod_object("a", "p1", "1", "1", "rs"));
    first.push_back(pod_object("b", "p2", "2", "1"));
    cache.replace_all(std::move(first), Instant{5ms});
    EXPECT_TRUE(cache.synced());
    EXPECT_EQ(cache.last_heard(), Instant{5ms});
    const auto snapshot = cache.find("a", "p1");
    cache.apply({WatchEventType::modified, pod_object("a", "p1", "1", "2")}, Instant{6ms});
    EXPECT_EQ(resource_version_of(*snapshot), "1") << "what was handed out does not change";
    EXPECT_EQ(cache.owned_by("rs").size(), 0U);
    cache.apply({WatchEventType::added, pod_object("a", "p3", "3", "3", "rs")}, Instant{7ms});
    EXPECT_EQ(cache.owned_by("rs").size(), 1U);
    EXPECT_EQ(cache.list("a").size(), 2U);
    EXPECT_EQ(cache.list().size(), 3U);
    cache.apply({WatchEventType::deleted, pod_object("a", "p3", "3", "4", "rs")}, Instant{8ms});
    EXPECT_EQ(cache.owned_by("rs").size(), 0U);
    cache.apply({WatchEventType::modified, pod_object("a", "p1", "1", "2")}, Instant{8ms});  // again the same: nobody is told
    EXPECT_EQ(heard, (std::vector<std::string>{"0p1", "0p2", "1p1<", "0p3", "2p3<"}));
}

TEST(ObjectCache, ASecondListBecomesTheDifference) {
    ObjectCache cache(resources::pods);
    std::vector<json::Value> first;
    for (const auto* name : {"gone", "same", "changed", "reborn"}) first.push_back(pod_object("a", name, name, "1"));
    cache.replace_all(std::move(first), Instant{1ms});
    std::vector<std::string> heard;
    cache.subscribe([&](WatchEventType type, const ObjectPtr& object, const ObjectPtr&) {
        heard.push_back(std::to_string(static_cast<int>(type)) + std::string(name_of(*object)));
    });
    std::vector<json::Value> second;
    second.push_back(pod_object("a", "same", "same", "1"));
    second.push_back(pod_object("a", "changed", "changed", "2"));
    second.push_back(pod_object("a", "reborn", "other", "3"));
    cache.replace_all(std::move(second), Instant{2ms});
    EXPECT_EQ(heard, (std::vector<std::string>{"2gone", "1changed", "2reborn", "0reborn"}));
}

class ReflectorTest : public testing::Test {
protected:
    ReflectorTest() {
        transport->answer = [this](const Request&) { return ++lists, json_response(200, pod_list("10", {pod_object("a", "p1", "1", "9")})); };
    }
    void start() { scope.spawn("reflector", reflector.run()); }
    void stream(std::deque<StreamStep> steps, int status = 200) { transport->streams.emplace_back(std::pair(status, std::move(steps))); }
    static StreamStep bytes(Duration after, std::string text) { return {after, std::optional(std::move(text))}; }
    static StreamStep end(Duration after) { return {after, std::optional<std::string>{}}; }
    std::string watch_version(std::size_t i) { return query_of(transport->watches.at(i), "resourceVersion"); }
    ~ReflectorTest() override {
        scope.cancel();
        loop->block_on(scope.join());
        EXPECT_EQ(transport->open_streams, 0);
    }

    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(Instant{Duration{1'700'000'000'000}});
    std::shared_ptr<ScriptedTransport> transport = std::make_shared<ScriptedTransport>(loop->clock());
    std::shared_ptr<Client> client = std::make_shared<Client>(transport, loop->clock());
    std::shared_ptr<ObjectCache> cache = std::make_shared<ObjectCache>(resources::pods);
    SeededRandom random{7};
    Reflector reflector{client, cache, {}, random};
    async::TaskScope scope{loop->executor()};
    int lists = 0;
};

TEST_F(ReflectorTest, FollowsEventsAndGoesOnFromTheLastVersionAfterACleanEnd) {
    stream({bytes(1s, event_line("ADDED", pod_object("a", "p2", "2", "11"))),
            bytes(1s, event_line("BOOKMARK", json::parse(R"({"metadata":{"resourceVersion":"50"}})").value())), end(1s)});
    start();
    loop->run_for(5s);
    EXPECT_EQ(cache->size(), 2U);
    ASSERT_EQ(transport->watches.size(), 2U);
    EXPECT_EQ(watch_version(0), "10");
    EXPECT_EQ(watch_version(1), "50");
    EXPECT_EQ(lists, 1);
    EXPECT_EQ(reflector.restarts(), 0U);
}

TEST_F(ReflectorTest, AnExpiredVersionInsideA200StreamMeansANewListAtOnce) {
    stream({bytes(10ms, event_line("ERROR", make_status(410, "Expired", "too old")))});
    start();
    loop->run_for(100ms);
    EXPECT_EQ(lists, 2);
    EXPECT_EQ(reflector.restarts(), 1U);
}

TEST_F(ReflectorTest, AnExpiredVersionAsHttp410MeansANewList) {
    stream({bytes(0ms, json::dump(make_status(410, "Gone", "too old"))), end(0ms)}, 410);
    start();
    loop->run_for(100ms);
    EXPECT_EQ(lists, 2);
}

TEST_F(ReflectorTest, ExpiryTwiceInARowIsNotATightLoop) {
    for (int i = 0; i < 50; ++i) stream({bytes(0ms, event_line("ERROR", make_status(410, "Expired", "too old")))});
    start();
    loop->run_for(10s);
    EXPECT_LT(lists, 8);
}

TEST_F(ReflectorTest, AQuietWatchIsAskedForAgainFromItsVersionWithoutANewList) {
    int questions = 0;
    transport->answer = [&](const Request& request) {
        ++(query_of(request, "limit") == "1" ? questions : lists);
        return json_response(200, pod_list("10", {pod_object("a", "p1", "1", "9")}));
    };
    start();  // streams that never say a word, not even a bookmark
    loop->run_for(74s);
    EXPECT_EQ(transport->watches.size(), 1U);
    loop->run_for(10min);
    EXPECT_EQ(lists, 1);
    EXPECT_EQ(questions, 8);
    EXPECT_EQ(transport->watches.size(), 9U);
    EXPECT_EQ(watch_version(8), "10");
    EXPECT_EQ(reflector.restarts(), 0U);
    EXPECT_LE(loop->clock().now() - cache->last_heard(), 75s) << "an accepted watch is a sign of life";
}

TEST_F(ReflectorTest, AQuietWatchOfAVersionThatTheServerHasNotComeToMeansANewList) {
    transport->answer = [&](const Request& request) {
        if (query_of(request, "limit") == "1") {
            json::Value details = json::Object{{"causes", json::Array{json::Object{{"reason", "ResourceVersionTooLarge"}}}}};
            return json_response(504, make_status(504, "Timeout", "Too large resource version", std::move(details)));
        }
        return ++lists, json_response(200, pod_list("10", {pod_object("a", "p1", "1", "9")}));
    };
    start();
    loop->run_for(80s);
    EXPECT_EQ(lists, 2);
    EXPECT_EQ(reflector.restarts(), 1U);
}

TEST(ObjectCache, APackedCacheGivesWhatAPlainOneGives) {
    ObjectCache plain(resources::pods), packed(resources::pods, ObjectCache::Memory::packed);
    std::vector<std::string> heard[2];
    ObjectCache* caches[] = {&plain, &packed};
    for (int i = 0; i < 2; ++i) {
        caches[i]->subscribe([&heard, i](WatchEventType type, const ObjectPtr& object, const ObjectPtr& before) {
            heard[i].push_back(std::to_string(static_cast<int>(type)) + json::dump(*object) + (before ? json::dump(*before) : ""));
        });
        std::vector<json::Value> first, second;
        for (const auto* name : {"gone", "same", "changed", "reborn"}) first.push_back(pod_object("a", name, name, "1", "rs"));
        caches[i]->replace_all(std::move(first), Instant{1ms});
        for (const auto* name : {"same", "changed", "reborn"})
            second.push_back(pod_object("a", name, name == std::string("reborn") ? "other" : name, name == std::string("same") ? "1" : "2", "rs"));
        caches[i]->replace_all(std::move(second), Instant{2ms});
        caches[i]->apply({WatchEventType::modified, pod_object("a", "same", "same", "5")}, Instant{3ms});
        caches[i]->apply({WatchEventType::deleted, pod_object("a", "changed", "changed", "6", "rs")}, Instant{4ms});
    }
    EXPECT_EQ(heard[0], heard[1]);
    EXPECT_EQ(packed.size(), 2U);
    EXPECT_EQ(packed.owned_by("rs").size(), 1U);
    EXPECT_EQ(*packed.find("a", "same"), *plain.find("a", "same"));
    const auto held = packed.find("a", "reborn");
    EXPECT_EQ(held, packed.find("a", "reborn")) << "what somebody holds is not made twice";
}

TEST_F(ReflectorTest, ACutInsideAnEventKeepsTheVersionAndAsksAgain) {
    stream({bytes(1s, event_line("ADDED", pod_object("a", "p2", "2", "11")) + R"({"type":"ADD)"), end(0ms)});
    start();
    loop->run_for(5s);
    EXPECT_EQ(lists, 1);
    ASSERT_GE(transport->watches.size(), 2U);
    EXPECT_EQ(watch_version(1), "11");
}

TEST_F(ReflectorTest, AServerThatIsAwayIsAskedLessAndLessOften) {
    for (int i = 0; i < 1000; ++i) transport->streams.emplace_back(fail(ErrorCode::unavailable, "connection refused"));
    start();
    loop->run_for(5min);
    EXPECT_LT(transport->watches.size(), 25U);
    EXPECT_GT(transport->watches.size(), 8U);
    EXPECT_EQ(lists, 1) << "the version is still good";
}

TEST_F(ReflectorTest, AStreamThatEndsAtOnceIsNotATightLoop) {
    for (int i = 0; i < 1000; ++i) stream({end(0ms)});
    start();
    loop->run_for(1min);
    EXPECT_LT(transport->watches.size(), 20U);
}

TEST_F(ReflectorTest, RubbishInTheStreamMeansANewList) {
    stream({bytes(0ms, "<html>\n")});
    start();
    loop->run_for(5s);
    EXPECT_EQ(lists, 2);
}

TEST_F(ReflectorTest, AListThatFailsIsRepeatedForEver) {
    transport->answer = [this](const Request&) { return ++lists, json_response(403, make_status(403, "Forbidden", "no")); };
    start();
    loop->run_for(10min);
    EXPECT_GT(lists, 15);
    EXPECT_FALSE(cache->synced());
    transport->answer = [this](const Request&) { return ++lists, json_response(200, pod_list("10", {})); };
    loop->run_for(1min);
    EXPECT_TRUE(cache->synced());
}

}  // namespace
}  // namespace kn::kube
