// Watches: what starts them, what ends them, and the three faces of 410 (facts 1-4, 23, 28).
#include "conformance.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/kube/cache.hpp"

namespace kn::conformance {
namespace {

using kube::WatchEventType;

bool ends_initial(const kube::WatchEvent& event) {
    return event.type == WatchEventType::bookmark && kube::annotation_of(event.object, "k8s.io/initial-events-end") == "true";
}
std::function<bool(const Watched&)> events(std::size_t count) {
    return [count](const Watched& w) { return w.events.size() >= count; };
}

TEST_P(Conformance, AWatchTellsEveryChangeInOrder) {
    const auto made = make_config_map("c");
    const auto stream =
        open(core("configmaps?watch=1&fieldSelector=metadata.name%3Dc&timeoutSeconds=60&resourceVersion=") + std::string(made.version()));
    ASSERT_EQ(merge(core("configmaps/c"), R"({"data":{"a":"2"}})").code, 200);
    ASSERT_EQ(merge(core("configmaps/c"), R"({"data":{"a":"3"}})").code, 200);
    ASSERT_EQ(del(core("configmaps/c")).code, 200);
    const auto seen = read(*stream, events(3));
    ASSERT_EQ(seen.events.size(), 3U);
    EXPECT_EQ(seen.events[0].type, WatchEventType::modified);
    EXPECT_EQ(json::string_at(seen.events[0].object, "data", "a"), "2");
    EXPECT_EQ(json::string_at(seen.events[1].object, "data", "a"), "3");
    EXPECT_EQ(seen.events[2].type, WatchEventType::deleted);
    EXPECT_EQ(kube::kind_of(seen.events[2].object), "ConfigMap") << "events carry their kind, unlike items of lists";
    EXPECT_NE(kube::resource_version_of(seen.events[2].object), kube::resource_version_of(seen.events[1].object))
        << "a deletion has a version of its own";
}

TEST_P(Conformance, AWatchWithoutAVersionBeginsWithWhatIsThere) {
    make_config_map("c");
    const auto seen = watch(core("configmaps?watch=1&timeoutSeconds=60"), [](const Watched& w) { return has(w.names(), "c"); });
    EXPECT_EQ(seen.code, 200);
    for (const auto& event : seen.events) EXPECT_EQ(event.type, WatchEventType::added);
}

TEST_P(Conformance, TheEndOfTheInitialEventsIsABookmarkEvenIfNobodyAskedForIt) {
    // Only where streaming lists are on: 1.32 and since 1.34.
    const bool expected = server->minor() >= 34;
    make_config_map("c");
    const auto seen = watch(
        core("configmaps?watch=1&resourceVersion=0&allowWatchBookmarks=true&timeoutSeconds=60"),
        [](const Watched& w) { return !w.events.empty() && w.events.back().type == WatchEventType::bookmark; }, {},
        expected ? Duration{30s} : Duration{3s});
    ASSERT_FALSE(seen.events.empty());
    EXPECT_EQ(ends_initial(seen.events.back()), expected) << seen.text;
    if (!expected) return;
    EXPECT_FALSE(kube::resource_version_of(seen.events.back().object).empty());
}

TEST_P(Conformance, AStreamingListEndsItsInitialEventsWithABookmark) {
    make_config_map("c");
    const auto target =
        core("configmaps?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=60");
    const auto seen = watch(target, [](const Watched& w) { return !w.events.empty() && ends_initial(w.events.back()); });
    if (seen.code == 422) {
        EXPECT_LT(server->minor(), 34) << "older servers have it off: the client lists and watches";
        return;
    }
    ASSERT_EQ(seen.code, 200) << seen.text;
    EXPECT_TRUE(has(seen.names(), "c"));
    EXPECT_TRUE(ends_initial(seen.events.back()));
}

TEST_P(Conformance, AStreamingListNeedsItsMatch) {
    EXPECT_EQ(watch(core("configmaps?watch=1&sendInitialEvents=true&timeoutSeconds=3")).code, 422);
    EXPECT_EQ(watch(core("configmaps?watch=1&resourceVersionMatch=NotOlderThan&timeoutSeconds=3")).code, 422);
}

TEST_P(Conformance, AWatchEndsAtItsTimeoutCleanlyWithABookmarkBefore) {
    const auto made = make_config_map("c");
    Watched seen;
    // A busy server may miss the moment of a short watch: the next one is longer.
    for (const auto* seconds : {"8", "20", "75"}) {
        seen =
            watch(core("configmaps?watch=1&allowWatchBookmarks=true&timeoutSeconds=") + seconds + "&resourceVersion=" + std::string(made.version()),
                  {}, {}, 100s);
        EXPECT_TRUE(seen.ended);
        if (std::ranges::find(seen.events, WatchEventType::bookmark, &kube::WatchEvent::type) != seen.events.end()) break;
        // Servers need not send any. The client lives without: AQuietWatchIsAskedForAgainWithoutANewListAndStillHears.
        if (server->minor() == 33) GTEST_SKIP() << "the watch ended cleanly; this control plane of 1.33 sends no bookmarks on quiet watches";
    }
    const auto bookmark = std::ranges::find(seen.events, WatchEventType::bookmark, &kube::WatchEvent::type);
    ASSERT_NE(bookmark, seen.events.end()) << "shortly before the end: " << seen.text;
    EXPECT_GE(std::stoull(std::string(kube::resource_version_of(bookmark->object))), std::stoull(std::string(made.version())));
    EXPECT_EQ(kube::kind_of(bookmark->object), "ConfigMap");
    EXPECT_EQ(kube::name_of(bookmark->object), "");
}

TEST_P(Conformance, WithoutBookmarksThereAreNone) {
    const auto seen = watch(core("configmaps?watch=1&timeoutSeconds=2"));
    EXPECT_TRUE(seen.ended);
    for (const auto& event : seen.events) EXPECT_EQ(event.type, WatchEventType::added);
}

TEST_P(Conformance, AWatchFromTheFutureIsSilent) {
    make_config_map("c");
    const auto seen = watch(core("configmaps?watch=1&resourceVersion=99999999&timeoutSeconds=3"));
    EXPECT_EQ(seen.code, 200);
    EXPECT_TRUE(seen.ended);
    EXPECT_TRUE(seen.events.empty()) << "no error either";
}

TEST_P(Conformance, AVersionThatIsNoNumberIsA500) {
    const auto seen = watch(core("pods?watch=1&resourceVersion=abc"));
    EXPECT_EQ(seen.code, 500) << seen.text;
}

TEST_P(Conformance, AWatchOfOneObjectHearsOnlyOfIt) {
    make_config_map("one");
    make_config_map("two");
    const auto stream = open(core("configmaps?watch=1&fieldSelector=metadata.name%3Done&timeoutSeconds=60"));
    ASSERT_EQ(merge(core("configmaps/two"), R"({"data":{"a":"2"}})").code, 200);
    ASSERT_EQ(merge(core("configmaps/one"), R"({"data":{"a":"2"}})").code, 200);
    const auto seen = read(*stream, events(2));
    EXPECT_EQ(seen.names(), (std::vector<std::string>{"one", "one"}));
}

TEST_P(Conformance, WhatLeavesTheSelectionIsDeletedFromTheWatchAndMayComeBack) {
    const auto made = make_config_map("c", "{}", R"("labels":{"app":"x"})");
    const auto stream = open(core("configmaps?watch=1&labelSelector=app%3Dx&timeoutSeconds=60&resourceVersion=") + std::string(made.version()));
    ASSERT_EQ(merge(core("configmaps/c"), R"({"metadata":{"labels":{"app":"y"}}})").code, 200);
    ASSERT_EQ(merge(core("configmaps/c"), R"({"data":{"a":"unseen"}})").code, 200);
    ASSERT_EQ(merge(core("configmaps/c"), R"({"metadata":{"labels":{"app":"x"}}})").code, 200);
    const auto seen = read(*stream, events(2));
    ASSERT_EQ(seen.events.size(), 2U);
    EXPECT_EQ(seen.events[0].type, WatchEventType::deleted);
    EXPECT_EQ(kube::label_of(seen.events[0].object, "app"), "x") << "the last state that was in it";
    EXPECT_EQ(seen.events[1].type, WatchEventType::added);
}

const std::string table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

TEST_P(Conformance, AWatchAsTableDescribesItsColumnsOnce) {
    make_config_map("one");
    make_config_map("two");
    const auto seen = watch(core("configmaps?watch=1&timeoutSeconds=60"), events(2), {.accept = table});
    ASSERT_GE(seen.events.size(), 2U);
    EXPECT_FALSE(json::array_at(seen.events[0].object, "columnDefinitions").empty());
    EXPECT_TRUE(json::array_at(seen.events[1].object, "columnDefinitions").empty());
    EXPECT_EQ(json::array_at(seen.events[1].object, "rows").size(), 1U);
}

TEST_P(Conformance, AWatchOfMetadataHasNoSpec) {
    make_deployment("d");
    const auto seen = watch(apps("deployments?watch=1&timeoutSeconds=60"), events(1),
                            {.accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"});
    ASSERT_FALSE(seen.events.empty());
    EXPECT_EQ(kube::kind_of(seen.events[0].object), "PartialObjectMetadata");
    EXPECT_EQ(json::at(seen.events[0].object, "spec"), nullptr);
}

TEST_P(Conformance, AWatchThatIsForbiddenIsRefusedBeforeItBegins) {
    EXPECT_EQ(watch(core("pods?watch=1"), {}, {.who = Who::alice}).code, 403);
    kube::Client alice(server->transport(Who::alice), loop().clock());
    const auto refused = wait(alice.watch(kube::resources::pods, ns, {}, "", 10, soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
}

TEST_P(Conformance, AnExpiredVersionIsAnErrorEventInsideA200AndThenTheEnd) {
    const auto made = make_config_map("c");
    ASSERT_EQ(merge(core("configmaps/c"), R"({"data":{"a":"2"}})").code, 200);
    server->compact();
    server->restart();  // or the watch cache would still cover it
    const auto target = core("configmaps?watch=1&timeoutSeconds=20&resourceVersion=") + std::string(made.version());
    Watched seen;
    ASSERT_TRUE(eventually([&] {
        return seen = watch(target), seen.code == 200 && !seen.events.empty() && seen.events.front().type == WatchEventType::error;
    })) << seen.text;
    EXPECT_EQ(seen.events.size(), 1U);
    EXPECT_TRUE(seen.ended);
    EXPECT_EQ(kube::error_from_status(seen.events[0].object).reason, "Expired");
    const auto as_table = watch(target, {}, {.accept = table});
    ASSERT_EQ(as_table.events.size(), 1U) << as_table.text;
    EXPECT_EQ(as_table.events[0].type, WatchEventType::error);
    EXPECT_EQ(kube::kind_of(as_table.events[0].object), "Status") << "not a Table";
}

TEST_P(Conformance, AReflectorLivesThroughARestartAndHearsOfEveryObject) {
    for (const bool streaming : {false, true}) {
        const std::string name = streaming ? "streaming" : "listing";
        const auto cache = std::make_shared<kube::ObjectCache>(kube::resources::config_maps);
        SeededRandom random(1);
        kube::Reflector reflector(client, cache, {.ns = ns, .streaming_list = streaming}, random);
        async::TaskScope scope(loop().executor());
        scope.spawn("reflector", reflector.run());
        ASSERT_TRUE(eventually([&] { return cache->synced(); })) << reflector.last_error();
        make_config_map(name + "-before");
        EXPECT_TRUE(eventually([&] { return cache->find(ns, name + "-before") != nullptr; })) << reflector.last_error();
        server->restart();
        ASSERT_TRUE(eventually([&] { return post(core("configmaps"), config_map(name + "-after")).code == 201; }));
        ASSERT_EQ(del(core("configmaps/") + name + "-before").code, 200);
        EXPECT_TRUE(eventually([&] { return cache->find(ns, name + "-after") != nullptr && cache->find(ns, name + "-before") == nullptr; }))
            << reflector.last_error();
        EXPECT_TRUE(
            eventually([&] { return wait(kube::differences(client, *cache, {.ns = ns}, soon())).value_or(std::vector<std::string>{"?"}).empty(); }));
        scope.cancel();
        wait(scope.join());
    }
}

}  // namespace
}  // namespace kn::conformance
