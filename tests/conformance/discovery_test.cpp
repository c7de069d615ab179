// What the server serves, and the paths that are no resources (facts 9, 24, 25, 27).
#include <algorithm>

#include "conformance.hpp"
#include "kubernaut/kube/discovery.hpp"

namespace kn::conformance {
namespace {

const std::string aggregated =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

TEST_P(Conformance, TheVersionIsToldInMajorAndMinor) {
    const auto answer = get("/version");
    EXPECT_EQ(answer.code, 200);
    EXPECT_EQ(json::string_at(answer.body, "major"), "1");
    EXPECT_EQ(json::string_at(answer.body, "minor"), std::to_string(server->minor()));
}

TEST_P(Conformance, AggregatedDiscoveryListsEveryGroupInOneAnswer) {
    const auto answer = get("/apis", {.accept = aggregated});
    ASSERT_EQ(answer.code, 200);
    EXPECT_EQ(answer.kind(), "APIGroupDiscoveryList");
    EXPECT_TRUE(answer.raw.content_type.contains("as=APIGroupDiscoveryList")) << answer.raw.content_type;
    EXPECT_FALSE(answer.raw.header("etag").empty());
    EXPECT_EQ(json::string_at(get("/api", {.accept = aggregated}).body, "items", 0, "versions", 0, "version"), "v1");
}

TEST_P(Conformance, DiscoveryThatHasNotChangedIsAnEmpty304) {
    std::string etag;
    Answer again;
    // A server that has just started still changes its list.
    EXPECT_TRUE(eventually([&] {
        etag = std::string(get("/apis", {.accept = aggregated}).raw.header("etag"));
        again = get("/apis", {.accept = aggregated, .headers = {{"If-None-Match", etag}}});
        return again.code == 304;
    }));
    EXPECT_EQ(again.raw.body, "");
}

TEST_P(Conformance, LegacyDiscoveryListsGroupsAndThenResources) {
    const auto groups = get("/apis");
    ASSERT_EQ(groups.kind(), "APIGroupList");
    bool apps = false;
    for (const auto& group : json::array_at(groups.body, "groups")) apps = apps || json::string_at(group, "name") == "apps";
    EXPECT_TRUE(apps);
    const auto core_versions = get("/api");
    EXPECT_EQ(core_versions.kind(), "APIVersions");
    EXPECT_EQ(json::string_at(core_versions.body, "versions", 0), "v1");
    const auto resources = get("/apis/apps/v1");
    EXPECT_EQ(resources.kind(), "APIResourceList");
    bool scale = false;
    for (const auto& entry : json::array_at(resources.body, "resources")) scale = scale || json::string_at(entry, "name") == "deployments/scale";
    EXPECT_TRUE(scale);
}

TEST_P(Conformance, TheClientDiscoversEveryKindThatItKnows) {
    const auto found = wait(kube::discover_all(client, soon()));
    ASSERT_TRUE(found) << found.error().describe();
    for (const auto& known : kube::known_resources()) {
        const auto* served = found->find(known.group, known.kind);
        ASSERT_NE(served, nullptr) << known.kind_group();
        EXPECT_EQ(served->resource.plural, known.plural);
        EXPECT_EQ(served->resource.namespaced, known.namespaced) << known.kind_group();
    }
    const auto* pods = found->find("", "Pod");
    EXPECT_TRUE(has(pods->subresources, "eviction"));
    EXPECT_TRUE(has(pods->verbs, "watch"));
}

TEST_P(Conformance, TheClientDiscoversOneKindByNameAndSaysWhenItIsNotServed) {
    EXPECT_EQ(wait(client->discover("apps", "Deployment", soon())).value(), kube::resources::deployments);
    EXPECT_EQ(wait(client->discover("autoscaling", "HorizontalPodAutoscaler", soon())).value(), kube::resources::horizontal_pod_autoscalers);
    EXPECT_EQ(wait(client->discover("example.com", "Nothing", soon())).error().code, ErrorCode::not_found);
}

TEST_P(Conformance, AGroupWhoseServerIsDeadBreaksNothingButItself) {
    const std::string group = "broken" + ns + ".example";
    const auto made = post(
        "/apis/apiregistration.k8s.io/v1/apiservices",
        R"({"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.)" + group + R"("},"spec":{"group":")" + group +
            R"(","version":"v1","groupPriorityMinimum":100,"versionPriority":100,"insecureSkipTLSVerify":true,"service":{"name":"nope","namespace":")" +
            ns + "\"}}}");
    ASSERT_EQ(made.code, 201) << made.raw.body;
    Answer things;
    EXPECT_TRUE(eventually([&] { return things = get("/apis/" + group + "/v1/things"), things.code == 503; })) << things.code;
    EXPECT_FALSE(things.raw.content_type.contains("json")) << "plain text";
    EXPECT_EQ(things.error().code, ErrorCode::unavailable);
    EXPECT_EQ(get("/apis/" + group + "/v1").code, 503);
    Result<kube::Discovery> all = fail(ErrorCode::internal, "");
    EXPECT_TRUE(eventually([&] {
        all = wait(kube::discover_all(client, soon()));
        return all && has(all->broken, group + "/v1");
    }));
    ASSERT_TRUE(all) << all.error().describe();
    EXPECT_NE(all->find("apps", "Deployment"), nullptr);
    const auto legacy = wait(kube::discover_all(client, soon(), kube::DiscoveryForm::legacy));
    ASSERT_TRUE(legacy) << legacy.error().describe();
    EXPECT_NE(legacy->find("apps", "Deployment"), nullptr);
    EXPECT_TRUE(has(legacy->broken, group + "/v1"));
    EXPECT_EQ(del("/apis/apiregistration.k8s.io/v1/apiservices/v1." + group).code, 200);
}

TEST_P(Conformance, AnAggregatedApiThatIsKilledIsMissedByItsOwnGroupOnlyAndComesBack) {
    if (server->simulated()) GTEST_SKIP() << "the simulator has no servers behind it; a dead one it imitates (AGroupWhoseServerIsDead...)";
    const std::string group = "things.testbed.example", things = "/apis/" + group + "/v1/things";
    const auto sees = [&](kube::DiscoveryForm form) {
        const auto all = wait(kube::discover_all(client, soon(), form));
        EXPECT_TRUE(all) << all.error().describe();
        if (!all) return false;
        EXPECT_NE(all->find("apps", "Deployment"), nullptr) << "whatever becomes of other servers";
        return all->find(group, "Thing") != nullptr && !has(all->broken, group + "/v1");
    };
    for (const auto form : {kube::DiscoveryForm::best, kube::DiscoveryForm::legacy}) {
        EXPECT_TRUE(eventually([&] { return sees(form); }));
        const auto served = wait(client->discover(group, "Thing", soon()));
        ASSERT_TRUE(served) << served.error().describe();
        const auto listed = wait(client->list(*served, "", {}, soon()));
        ASSERT_TRUE(listed) << listed.error().describe();
        ASSERT_EQ(listed->items.size(), 1U);
        EXPECT_EQ(kube::kind_of(listed->items[0]), "Thing");

        ASSERT_TRUE(server->run_aggregated(false));
        EXPECT_TRUE(eventually([&] { return get(things).code == 503; }));
        EXPECT_EQ(get(things).error().code, ErrorCode::unavailable);
        EXPECT_TRUE(eventually([&] { return !sees(form); }));
        EXPECT_EQ(make_config_map("c-" + std::to_string(static_cast<int>(form))).code, 201) << "other groups do not notice";
        ASSERT_TRUE(server->run_aggregated(true));
        EXPECT_TRUE(eventually([&] { return get(things).code == 200 && sees(form); }));
    }
}

TEST_P(Conformance, BothFormsOfDiscoveryAgree) {
    const auto one = wait(kube::discover_all(client, soon())), other = wait(kube::discover_all(client, soon(), kube::DiscoveryForm::legacy));
    ASSERT_TRUE(one && other);
    for (const auto& served : one->resources) {
        const auto* same = other->find(served.resource.group, served.resource.kind);
        ASSERT_NE(same, nullptr) << served.resource.kind_group();
    }
    EXPECT_EQ(one->resources.size(), other->resources.size());
}

TEST_P(Conformance, AnUnknownPathIsTextAndAnUnknownResourceOfAKnownGroupIsAStatus) {
    const auto path = get("/apis/nope.example/v1/things");
    EXPECT_EQ(path.code, 404);
    EXPECT_TRUE(path.raw.content_type.starts_with("text/plain"));
    EXPECT_EQ(path.raw.body, "404 page not found\n");
    const auto resource = get(core("widgets"));
    EXPECT_EQ(resource.code, 404);
    EXPECT_EQ(resource.kind(), "Status");
    EXPECT_EQ(resource.reason(), "NotFound");
    EXPECT_EQ(path.error().code, ErrorCode::not_found);
}

TEST_P(Conformance, HealthIsToldInText) {
    const auto answer = get("/readyz", {.accept = "*/*"});
    EXPECT_EQ(answer.code, 200);
    EXPECT_EQ(answer.raw.body, "ok");
    EXPECT_TRUE(get("/readyz?verbose", {.accept = "*/*"}).raw.body.contains("[+]ping ok"));
}

TEST_P(Conformance, HeadAndOptionsOnResourcesAreNotAllowed) {
    EXPECT_EQ(server->raw("HEAD", core("pods"), {}).status, 405);
    EXPECT_EQ(server->raw("OPTIONS", core("pods"), {}).status, 405);
}

TEST_P(Conformance, LargeBodiesAreCompressedOnlyForThoseWhoAsk) {
    if (server->simulated()) GTEST_SKIP() << "compression is the socket's business: an in-process exchange has none";
    const auto plain = server->raw("GET", "/openapi/v2", {}), packed = server->raw("GET", "/openapi/v2", {{"Accept-Encoding", "gzip"}});
    EXPECT_EQ(plain.header("content-encoding"), "");
    EXPECT_EQ(packed.header("content-encoding"), "gzip");
    EXPECT_LT(packed.body.size(), plain.body.size());
    EXPECT_EQ(server->raw("GET", core("configmaps"), {{"Accept-Encoding", "gzip"}}).header("content-encoding"), "") << "small";
}

TEST_P(Conformance, PlainHttpToTheTlsPortIsA400InText) {
    if (server->simulated()) GTEST_SKIP() << "an in-process exchange has no TLS port";
    const auto url = server->connection()->server;
    const auto answer = server->raw("GET", "http" + url.substr(5) + "/version", {});
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(kube::error_from(answer, kube::Method::get).code, ErrorCode::invalid_argument);
}

TEST_P(Conformance, APodHasTheResizeSubresourceSince133) {
    make_pod("p");
    // 422, because no node supports it here; the path is there.
    const auto answer = strategic(core("pods/p/resize"), R"({"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"50m"}}}]}})");
    EXPECT_EQ(answer.code, 422) << answer.raw.body;
    EXPECT_EQ(answer.reason(), "Invalid");
}

}  // namespace
}  // namespace kn::conformance
