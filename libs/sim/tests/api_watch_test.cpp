// Lists in pages, watches, and the three faces of "too old".
#include "api_fixture.hpp"

namespace kn::sim {
namespace {

using json::string_at;
using kube::WatchEventType;

class ApiWatch : public ApiFixture {
protected:
    void fill(int count) {
        for (int i = 0; i < count; ++i) post(config_maps, config_map("c" + std::to_string(100 + i)));
    }
    std::string now() const { return std::to_string(server.resource_version()); }
    std::string at_now(std::string_view more = {}) const {
        return std::string(config_maps) + "?watch=1&resourceVersion=" + now() + std::string(more);
    }
    static std::vector<std::string> story(const Watched& watched) {
        std::vector<std::string> out;
        for (const auto& event : watched.events) {
            constexpr std::string_view names[]{"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
            out.push_back(std::string(names[static_cast<std::size_t>(event.type)]) + " " + std::string(kube::name_of(event.object)));
        }
        return out;
    }
};

TEST_F(ApiWatch, ToldInOrderWhatHappensAfterTheVersion) {
    post(config_maps, config_map("before"));
    auto stream = watch(at_now());
    post(config_maps, config_map("a"));
    merge(std::string(config_maps) + "/a", R"({"data":{"b":"2"}})");
    del(std::string(config_maps) + "/a");
    const auto watched = drain(*stream);
    EXPECT_EQ(watched.code, 200);
    EXPECT_EQ(story(watched), (std::vector<std::string>{"ADDED a", "MODIFIED a", "DELETED a"}));
    EXPECT_FALSE(watched.ended);
    EXPECT_EQ(kube::kind_of(watched.events[0].object), "ConfigMap");
    EXPECT_EQ(kube::resource_version_of(watched.events[2].object), now()) << "a deletion has a version of its own";
}

TEST_F(ApiWatch, WithoutVersionBeginsWithWhatStands) {
    fill(2);
    EXPECT_EQ(story(drain(*watch(std::string(config_maps) + "?watch=1"))), (std::vector<std::string>{"ADDED c100", "ADDED c101"}));
    const auto with_end = drain(*watch(std::string(config_maps) + "?watch=1&resourceVersion=0&allowWatchBookmarks=true"));
    ASSERT_EQ(with_end.events.size(), 3U);
    EXPECT_EQ(with_end.events[2].type, WatchEventType::bookmark);
    EXPECT_EQ(kube::annotation_of(with_end.events[2].object, "k8s.io/initial-events-end"), "true");
}

TEST_F(ApiWatch, AStreamingListNeedsItsMatchParameter) {
    fill(1);
    const auto fine =
        drain(*watch(std::string(config_maps) + "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"));
    EXPECT_EQ(fine.events.size(), 2U);
    const auto refused = drain(*watch(std::string(config_maps) + "?watch=1&sendInitialEvents=true"));
    EXPECT_EQ(refused.code, 422);
    EXPECT_NE(refused.text.find("resourceVersionMatch"), std::string::npos);
}

TEST_F(ApiWatch, TellsWhatEntersAndLeavesASelection) {
    auto stream = watch(at_now("&labelSelector=app%3Dweb"));
    post(config_maps, config_map("other"));
    post(config_maps, R"({"metadata":{"name":"a"}})");
    merge(std::string(config_maps) + "/a", R"({"metadata":{"labels":{"app":"web"}}})");
    merge(std::string(config_maps) + "/a", R"({"data":{"x":"1"}})");
    merge(std::string(config_maps) + "/a", R"({"metadata":{"labels":{"app":"db"}}})");
    EXPECT_EQ(story(drain(*stream)), (std::vector<std::string>{"ADDED a", "MODIFIED a", "DELETED a"}));
}

TEST_F(ApiWatch, FieldSelectorsNarrowToANodeAPhaseOrAName) {
    post(pods, pod("p1", "node-1"));
    post(pods, pod("p2", "node-2"));
    merge(std::string(pods) + "/p2/status", R"({"status":{"phase":"Running"}})");
    const auto names = [this](std::string_view selector) {
        std::string out;
        for (const auto& item : json::array_at(get(std::string(pods) + "?fieldSelector=" + std::string(selector)).body, "items"))
            out += std::string(kube::name_of(item)) + " ";
        return out;
    };
    EXPECT_EQ(names("spec.nodeName%3Dnode-1"), "p1 ");
    EXPECT_EQ(names("status.phase!%3DPending"), "p2 ");
    EXPECT_EQ(names("metadata.name%3Dp1,metadata.namespace%3Ddemo"), "p1 ");
    EXPECT_EQ(get(std::string(pods) + "?fieldSelector=spec.foo%3D1").code, 400);
    EXPECT_EQ(get(std::string(pods) + "?labelSelector=a%20b%20c").code, 400);
    post("/api/v1/nodes", R"({"metadata":{"name":"n1"}})");
    post("/api/v1/nodes", R"({"metadata":{"name":"n2"},"spec":{"unschedulable":true}})");
    EXPECT_EQ(json::array_at(get("/api/v1/nodes?fieldSelector=spec.unschedulable%3Dtrue").body, "items").size(), 1U);
    EXPECT_EQ(json::array_at(get("/api/v1/nodes?fieldSelector=spec.unschedulable%3Dfalse").body, "items").size(), 1U);
    const auto single = drain(*watch(std::string(pods) + "?watch=1&fieldSelector=metadata.name%3Dp2"));
    EXPECT_EQ(story(single), (std::vector<std::string>{"ADDED p2"}));
}

TEST_F(ApiWatch, EndsCleanlyAtItsTimeWithALastBookmark) {
    auto stream = watch(at_now("&allowWatchBookmarks=true&timeoutSeconds=6"));
    const auto watched = drain(*stream, 10s);
    EXPECT_TRUE(watched.ended);
    EXPECT_EQ(story(watched), (std::vector<std::string>{"BOOKMARK "}));
    EXPECT_EQ(kube::resource_version_of(watched.events[0].object), now());
}

TEST_F(ApiWatch, BookmarksComeAboutOnceAMinute) {
    auto stream = watch(at_now("&allowWatchBookmarks=true&timeoutSeconds=200"));
    const auto watched = drain(*stream, 70s);
    EXPECT_EQ(watched.events.size(), 4U) << "three by the minute, one at the end";
}

TEST_F(ApiWatch, OfTheFutureIsSilent) {
    auto stream = watch(std::string(config_maps) + "?watch=1&resourceVersion=99999999&timeoutSeconds=8");
    fill(1);
    const auto watched = drain(*stream, 20s);
    EXPECT_EQ(watched.code, 200);
    EXPECT_TRUE(watched.events.empty());
    EXPECT_TRUE(watched.ended);
}

TEST_F(ApiWatch, FromAVersionTooOldGetsAnErrorEventWithStatus410AndEnds) {
    fill(1);
    const auto old = now();
    fill(0);
    merge(std::string(config_maps) + "/c100", R"({"data":{"x":"1"}})");
    server.compact();
    const auto watched = drain(*watch(std::string(config_maps) + "?watch=1&resourceVersion=" + old));
    EXPECT_EQ(watched.code, 200);
    EXPECT_TRUE(watched.ended);
    ASSERT_EQ(watched.events.size(), 1U);
    EXPECT_EQ(watched.events[0].type, WatchEventType::error);
    EXPECT_EQ(json::int_at(watched.events[0].object, "code"), 410);
    EXPECT_EQ(string_at(watched.events[0].object, "reason"), "Expired");
    EXPECT_TRUE(drain(*watch(at_now())).events.empty()) << "the present can be watched from";
}

TEST_F(ApiWatch, AnOpenWatchSurvivesACompactionThatItHasReadUpTo) {
    auto stream = watch(at_now());
    fill(1);
    EXPECT_EQ(drain(*stream).events.size(), 1U);
    server.compact();
    merge(std::string(config_maps) + "/c100", R"({"data":{"x":"1"}})");
    EXPECT_EQ(story(drain(*stream)), (std::vector<std::string>{"MODIFIED c100"}));
}

TEST_F(ApiWatch, AWatcherThatFellBehindTheHistoryIsToldSo) {
    auto stream = watch(at_now());
    fill(3);
    server.compact();
    const auto watched = drain(*stream);
    ASSERT_EQ(watched.events.size(), 1U);
    EXPECT_EQ(json::int_at(watched.events[0].object, "code"), 410);
    EXPECT_TRUE(watched.ended);
}

TEST_F(ApiWatch, HistoryIsKeptForFiveMinutes) {
    fill(1);
    const auto old = now();
    merge(std::string(config_maps) + "/c100", R"({"data":{"x":"1"}})");
    EXPECT_EQ(drain(*watch(std::string(config_maps) + "?watch=1&resourceVersion=" + old)).events.size(), 1U);
    loop->run_for(std::chrono::minutes(6));
    merge(std::string(config_maps) + "/c100", R"({"data":{"x":"2"}})");
    const auto watched = drain(*watch(std::string(config_maps) + "?watch=1&resourceVersion=" + old));
    ASSERT_FALSE(watched.events.empty());
    EXPECT_EQ(watched.events[0].type, WatchEventType::error);
}

TEST_F(ApiWatch, AMalformedVersionIsAnInternalErrorWithoutReason) {
    const auto watched = drain(*watch(std::string(pods) + "?watch=1&resourceVersion=abc"));
    EXPECT_EQ(watched.code, 500);
    EXPECT_EQ(watched.text.find("\"reason\""), std::string::npos);
}

TEST_F(ApiWatch, RestartEndsEveryWatch) {
    auto stream = watch(at_now());
    server.restart();
    EXPECT_TRUE(drain(*stream).ended);
}

TEST_F(ApiWatch, WithoutRightsGetsAPlain403) {
    auto stream = server.open(make_request(kube::Method::get, std::string(pods) + "?watch=1"), alice);
    EXPECT_EQ(stream->head().status, 403);
}

TEST_F(ApiWatch, AsTableHasColumnsInTheFirstEventOnly) {
    post(pods, pod("p1"));
    post(pods, pod("p2"));
    const auto watched = drain(*watch(std::string(pods) + "?watch=1", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"));
    ASSERT_EQ(watched.events.size(), 2U);
    EXPECT_EQ(kube::kind_of(watched.events[0].object), "Table");
    EXPECT_EQ(string_at(watched.events[0].object, "columnDefinitions", 1, "name"), "Ready");
    EXPECT_TRUE(json::array_at(watched.events[1].object, "columnDefinitions").empty());
    EXPECT_EQ(string_at(watched.events[1].object, "rows", 0, "cells", 0), "p2");
}

TEST_F(ApiWatch, PagesShowOneMomentEvenWhenThingsChange) {
    fill(5);
    const auto first = get(std::string(config_maps) + "?limit=2");
    EXPECT_EQ(json::int_at(first.body, "metadata", "remainingItemCount"), 3);
    const std::string token(string_at(first.body, "metadata", "continue"));
    ASSERT_FALSE(token.empty());
    del(std::string(config_maps) + "/c103");
    merge(std::string(config_maps) + "/c102", R"({"data":{"a":"changed"}})");
    post(config_maps, config_map("c1035"));
    const auto rest = get(std::string(config_maps) + "?limit=10&continue=" + token);
    EXPECT_EQ(string_at(rest.body, "metadata", "resourceVersion"), string_at(first.body, "metadata", "resourceVersion"));
    std::string names;
    for (const auto& item : json::array_at(rest.body, "items"))
        names += std::string(kube::name_of(item)) + "=" + std::string(string_at(item, "data", "a")) + " ";
    EXPECT_EQ(names, "c102=1 c103=1 c104=1 ");
    EXPECT_EQ(json::at(rest.body, "metadata", "continue"), nullptr);
}

TEST_F(ApiWatch, WithASelectorNobodyCountsWhatRemains) {
    fill(3);
    const auto page = get(std::string(config_maps) + "?limit=1&labelSelector=!none");
    EXPECT_FALSE(string_at(page.body, "metadata", "continue").empty());
    EXPECT_EQ(json::at(page.body, "metadata", "remainingItemCount"), nullptr);
}

TEST_F(ApiWatch, AnExpiredTokenIs410WithAWayToGoOn) {
    fill(3);
    const std::string token(string_at(get(std::string(config_maps) + "?limit=1").body, "metadata", "continue"));
    merge(std::string(config_maps) + "/c102", R"({"data":{"a":"2"}})");
    server.compact();
    const auto expired = get(std::string(config_maps) + "?limit=1&continue=" + token);
    EXPECT_EQ(expired.code, 410);
    EXPECT_EQ(expired.reason(), "Expired");
    const std::string next(string_at(expired.body, "metadata", "continue"));
    ASSERT_FALSE(next.empty());
    EXPECT_EQ(json::array_at(get(std::string(config_maps) + "?continue=" + next).body, "items").size(), 2U);
}

TEST_F(ApiWatch, OddListParametersAreRefusedAsRecorded) {
    fill(3);
    const std::string token(string_at(get(std::string(config_maps) + "?limit=1").body, "metadata", "continue"));
    EXPECT_EQ(get(std::string(config_maps) + "?continue=abc").code, 400);
    EXPECT_EQ(get(std::string(config_maps) + "?resourceVersion=5&continue=" + token).code, 400);
    const auto future = get(std::string(config_maps) + "?resourceVersion=99999999");
    EXPECT_EQ(future.code, 504);
    EXPECT_EQ(future.cause(), "ResourceVersionTooLarge");
    EXPECT_EQ(future.raw.header("retry-after"), "1");
    server.compact();
    EXPECT_EQ(get(std::string(config_maps) + "?resourceVersion=1&resourceVersionMatch=Exact").code, 410);
}

TEST_F(ApiWatch, AnExactVersionShowsThePast) {
    fill(1);
    const auto then = now();
    merge(std::string(config_maps) + "/c100", R"({"data":{"a":"later"}})");
    const auto past = get(std::string(config_maps) + "?resourceVersion=" + then + "&resourceVersionMatch=Exact");
    EXPECT_EQ(string_at(past.body, "items", 0, "data", "a"), "1");
}

/// Random writes seen through a watch give the same state as a list, whatever the seed.
TEST_F(ApiWatch, AStateBuiltFromEventsIsTheStateOfTheServer) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SeededRandom dice(seed);
        const auto selector = seed % 2 == 0 ? "&labelSelector=even%3Dyes" : "";
        auto stream = watch(std::string(config_maps) + "?watch=1" + selector);
        std::map<std::string, std::string> state;
        for (int round = 0; round < 6; ++round) {
            for (int i = 0; i < 20; ++i) {
                const auto name = "r" + std::to_string(dice.next() % 8);
                const auto path = std::string(config_maps) + "/" + name;
                const std::string label = dice.next() % 2 == 0 ? "yes" : "no";
                switch (dice.next() % 3) {
                    case 0: post(config_maps, R"({"metadata":{"name":")" + name + R"(","labels":{"even":")" + label + R"("}}})"); break;
                    case 1: merge(path, R"({"metadata":{"labels":{"even":")" + label + R"("}},"data":{"n":")" + std::to_string(i) + R"("}})"); break;
                    default: del(path);
                }
            }
            for (const auto& event : drain(*stream).events) {
                const std::string name(kube::name_of(event.object));
                if (event.type == WatchEventType::deleted) {
                    EXPECT_EQ(state.erase(name), 1U);
                } else {
                    EXPECT_EQ(state.contains(name), event.type == WatchEventType::modified);
                    state[name] = kube::resource_version_of(event.object);
                }
            }
            std::map<std::string, std::string> truth;
            for (const auto& item : json::array_at(get(std::string(config_maps) + "?x=1" + selector).body, "items")) {
                truth[std::string(kube::name_of(item))] = kube::resource_version_of(item);
            }
            ASSERT_EQ(state, truth);
        }
        del(config_maps);
    }
}

}  // namespace
}  // namespace kn::sim
