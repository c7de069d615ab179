// The client, the reflector and the patches against a real Kubernetes API server.
#include <gtest/gtest.h>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/status.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "testbed.hpp"

namespace kn::integration {
namespace {

using namespace kube;

json::Value J(std::string_view text) { return json::parse(text).value(); }

class RealCluster : public testing::Test {
protected:
    static void SetUpTestSuite() {
        const auto binary = Testbed::find_binary();
        if (!binary) return;
        auto up = Testbed::up(*binary, {"--clusters", "1", "--compaction", "5s"});
        if (up)
            bed = new Testbed(*std::move(up));
        else
            ADD_FAILURE() << up.error().describe();
    }
    static void TearDownTestSuite() {
        delete bed;
        bed = nullptr;
    }
    void SetUp() override {
        if (bed == nullptr) GTEST_SKIP() << "no real control plane: bin/kubernaut-testbed is not built (make testbed)";
        loop = async::EventLoop::real();
        config = load_kubeconfig(bed->clusters()[0].kubeconfig, "").value();
        client = std::make_shared<Client>(make_http_transport(config, {}, *loop), loop->clock());
        ns = "t" + std::to_string(++counter);
        const auto made = wait(
            client->create(resources::namespaces, "", J(R"({"kind":"Namespace","apiVersion":"v1","metadata":{"name":")" + ns + "\"}}"), {}, soon()));
        ASSERT_TRUE(made) << made.error().describe();
    }
    [[nodiscard]] Deadline soon(Duration d = 30s) const { return loop->clock().deadline_in(d); }
    template <class T> T wait(async::Task<T> task) { return loop->block_on(std::move(task)); }
    /// Looks again every 50 ms until `done()`; false after `limit`.
    bool eventually(const std::function<bool()>& done, Duration limit = 60s) {
        const auto end = loop->clock().steady() + limit;
        while (!done()) {
            if (loop->clock().steady() > end) return false;
            loop->run_for(50ms);
        }
        return true;
    }
    json::Value create(const Resource& resource, json::Value object) {
        // A new namespace gets its service account a moment later; until then pods are refused.
        Result<json::Value> made = fail(ErrorCode::internal, "");
        EXPECT_TRUE(eventually([&] {
            made = wait(client->create(resource, ns, object, {}, soon()));
            return made || made.error().code != ErrorCode::permission_denied;
        }));
        EXPECT_TRUE(made) << made.error().describe();
        return made.value_or(json::Object{});
    }
    json::Value config_map(const std::string& name, std::string_view value) {
        return create(
            resources::config_maps,
            json::Object{
                {"kind", "ConfigMap"}, {"apiVersion", "v1"}, {"metadata", json::Object{{"name", name}}}, {"data", json::Object{{"k", value}}}});
    }

    static inline Testbed* bed = nullptr;
    static inline int counter = 0;
    std::unique_ptr<async::EventLoop> loop;
    ConnectionConfig config;
    std::shared_ptr<Client> client;
    std::string ns;
};

TEST_F(RealCluster, CreatesReadsListsAndDeletes) {
    EXPECT_FALSE(wait(client->cluster_uid(soon())).value().empty());
    const auto made = config_map("one", "v");
    const auto read = wait(client->get(resources::config_maps, ns, "one", soon())).value();
    EXPECT_EQ(uid_of(read), uid_of(made));
    config_map("two", "v");
    const auto list = wait(client->list(resources::config_maps, ns, {.page_size = 1}, soon())).value();
    ASSERT_GE(list.items.size(), 2U);
    EXPECT_EQ(kind_of(list.items[0]), "ConfigMap");
    EXPECT_EQ(api_version_of(list.items[0]), "v1");
    EXPECT_EQ(wait(client->get(resources::config_maps, ns, "nope", soon())).error().code, ErrorCode::not_found);
    auto again = made;
    again.get_object()["metadata"].get_object().erase("resourceVersion");
    again.get_object()["metadata"].get_object().erase("uid");
    EXPECT_EQ(wait(client->create(resources::config_maps, ns, again, {}, soon())).error().code, ErrorCode::already_exists);
    EXPECT_EQ(wait(client->remove(resources::config_maps, ns, "one", {.uid = "00000000-0000-0000-0000-000000000000"}, soon())).error().code,
              ErrorCode::aborted);
    EXPECT_TRUE(wait(client->remove(resources::config_maps, ns, "one", {.uid = std::string(uid_of(made))}, soon())));
    EXPECT_EQ(wait(client->get(resources::config_maps, ns, "one", soon())).error().code, ErrorCode::not_found);
}

TEST_F(RealCluster, ADryRunChangesNothing) {
    const auto made = config_map("one", "v");
    const auto patched =
        wait(client->patch(resources::config_maps, ns, "one", PatchType::merge, J(R"({"data":{"k":"w"}})"), {.write = {.dry_run = true}}, soon()))
            .value();
    EXPECT_EQ(json::string_at(patched, "data", "k"), "w");
    EXPECT_EQ(json::string_at(wait(client->get(resources::config_maps, ns, "one", soon())).value(), "data", "k"), "v");
    EXPECT_TRUE(wait(client->remove(resources::config_maps, ns, "one", {.dry_run = true}, soon())));
    EXPECT_TRUE(wait(client->get(resources::config_maps, ns, "one", soon())));
}

TEST_F(RealCluster, PatchesWithPreconditionsSayWhyTheyFail) {
    const auto made = config_map("one", "v");
    ASSERT_TRUE(wait(client->patch(resources::config_maps, ns, "one", PatchType::merge, J(R"({"data":{"k":"w"}})"), {}, soon())));
    json::Value stale = J(R"({"data":{"k":"x"}})");
    json::make_at(stale, "metadata", "resourceVersion") = resource_version_of(made);
    const auto conflict = wait(client->patch(resources::config_maps, ns, "one", PatchType::merge, stale, {}, soon()));
    EXPECT_EQ(conflict.error().code, ErrorCode::aborted);
    EXPECT_EQ(conflict.error().reason, "Conflict");
    EXPECT_EQ(conflict.error().applied, Applied::no);
    const auto test =
        wait(client->patch(resources::config_maps, ns, "one", PatchType::json, J(R"([{"op":"test","path":"/data/k","value":"v"}])"), {}, soon()));
    EXPECT_EQ(test.error().code, ErrorCode::invalid_argument);
    const auto strict = wait(client->patch(resources::config_maps, ns, "one", PatchType::merge, J(R"({"dato":{"k":"x"}})"), {}, soon()));
    EXPECT_EQ(strict.error().code, ErrorCode::invalid_argument) << "fieldValidation=Strict";
    json::Value applied = J(R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"one"},"data":{"k":"mine"}})");
    const auto owned =
        wait(client->patch(resources::config_maps, ns, "one", PatchType::apply, applied, {.write = {.field_manager = "other"}}, soon()));
    EXPECT_EQ(owned.error().reason, "FieldManagerConflict");
    EXPECT_EQ(owned.error().code, ErrorCode::failed_precondition);
}

async::Task<> read_often(std::shared_ptr<Client> client, std::string ns, int times, int& good) {
    for (int i = 0; i < times; ++i) {
        const auto read = co_await client->get(resources::config_maps, ns, "one", client->clock().deadline_in(60s));
        good += read ? 1 : 0;
        if (!read) ADD_FAILURE() << read.error().describe();
    }
}

TEST_F(RealCluster, ThousandsOfReadsBesideOpenWatchesAllSucceed) {
    config_map("one", "v");
    std::vector<std::unique_ptr<Stream>> watches;
    for (int i = 0; i < 10; ++i) watches.push_back(wait(client->watch(resources::config_maps, ns, {}, "", 120, soon())).value());
    int good = 0;
    const auto started = loop->clock().steady();
    async::TaskScope scope(loop->executor());
    for (int i = 0; i < 20; ++i) scope.spawn("reader", read_often(client, ns, 150, good));
    loop->block_on(scope.join());
    EXPECT_EQ(good, 3000);
    RecordProperty("reads_per_second", static_cast<int>(3000 / std::chrono::duration<double>(loop->clock().steady() - started).count()));
    for (const auto& watch : watches) EXPECT_TRUE(wait(watch->next(soon()))) << "still alive, with the first event";
}

const char* const deployment =
    R"({"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web","labels":{"a":"1","b":"2"},"finalizers":["example.com/a"]},
    "spec":{"replicas":0,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{
    "tolerations":[{"key":"k","operator":"Exists"}],"volumes":[{"name":"v1","emptyDir":{}},{"name":"v2","emptyDir":{}}],
    "initContainers":[{"name":"i","image":"i:1"}],
    "containers":[{"name":"one","image":"one:1","args":["x","y"],"env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],"ports":[{"containerPort":80},{"containerPort":81,"name":"x"}],
                   "volumeMounts":[{"name":"v1","mountPath":"/v1"}],"resources":{"limits":{"memory":"64Mi"}}},
                  {"name":"two","image":"two:1"},{"name":"three","image":"three:1"}]}}}})";

TEST_F(RealCluster, StrategicMergePatchesGiveWhatOurOwnComputationGives) {
    auto before = create(resources::deployments, J(deployment));
    const std::vector<std::string> patches = {
        R"({"spec":{"template":{"spec":{"containers":[{"name":"two","image":"two:2"}]}}}})",
        R"({"spec":{"template":{"spec":{"containers":[{"name":"one","env":[{"name":"B","value":"3"},{"name":"C","value":"4"}]}]}}}})",
        R"({"spec":{"template":{"spec":{"containers":[{"name":"four","image":"four:1"}]}}}})",
        R"({"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"two"},{"name":"one"}],"containers":[{"name":"one","image":"one:2"}]}}}})",
        R"({"spec":{"template":{"spec":{"containers":[{"name":"three","$patch":"delete"}]}}}})",
        R"({"spec":{"template":{"spec":{"containers":[{"name":"one","ports":[{"containerPort":80,"name":"http"},{"containerPort":90}]}]}}}})",
        R"({"spec":{"template":{"spec":{"containers":[{"name":"one","args":["z"],"resources":{"limits":{"memory":"128Mi","cpu":"1"}}}]}}}})",
        R"({"spec":{"template":{"spec":{"containers":[{"name":"one","env":[{"name":"A","$patch":"delete"}],"volumeMounts":[{"mountPath":"/v2","name":"v2"}]}]}}}})",
        R"({"spec":{"template":{"spec":{"tolerations":[{"key":"t","operator":"Exists"}],"volumes":[{"$retainKeys":["name","hostPath"],"name":"v2","hostPath":{"path":"/x"}}]}}}})",
        R"({"spec":{"template":{"spec":{"initContainers":[{"$patch":"replace"},{"name":"j","image":"j:1"}]}}}})",
        R"({"metadata":{"labels":{"a":null,"c":"3"},"finalizers":["example.com/b"]},"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}})",
        R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["example.com/a"]},"spec":{"template":{"spec":{"nodeSelector":{"disk":"ssd"}}}}})",
        R"({"spec":{"template":{"spec":{"nodeSelector":{"$patch":"replace","zone":"a"},"containers":[{"name":"five","image":"f","env":[]},{"name":"one","image":"one:3"}]}}}})",
        R"({"metadata":{"finalizers":null}})",
    };
    for (const auto& patch : patches) {
        const auto ours = apply_strategic_merge_patch(before, J(patch));
        ASSERT_TRUE(ours) << patch << ours.error().describe();
        const auto theirs = wait(client->patch(resources::deployments, ns, "web", PatchType::strategic, J(patch), {}, soon()));
        ASSERT_TRUE(theirs) << patch << theirs.error().describe();
        // The server adds defaults to new elements: ours must be contained in theirs, in the same order, and lists must be as long.
        const std::function<void(const json::Value&, const json::Value&, const std::string&)> contained =
            [&](const json::Value& mine, const json::Value& its, const std::string& path) {
                if (const auto* object = mine.if_object()) {
                    for (const auto& [key, value] : *object) {
                        const auto* other = json::at(its, std::string_view(key));
                        const bool empty = (value.is_array() && value.get_array().empty()) || (value.is_object() && value.get_object().empty());
                        if (other == nullptr && empty) continue;
                        ASSERT_NE(other, nullptr) << patch << " at " << path << "/" << std::string_view(key);
                        contained(value, *other, path + "/" + std::string(key));
                    }
                } else if (const auto* array = mine.if_array()) {
                    ASSERT_TRUE(its.is_array() && its.get_array().size() == array->size())
                        << patch << " at " << path << ": " << json::dump(mine) << " / " << json::dump(its);
                    for (std::size_t i = 0; i < array->size(); ++i) contained((*array)[i], its.get_array()[i], path + "/" + std::to_string(i));
                } else {
                    EXPECT_EQ(mine, its) << patch << " at " << path;
                }
            };
        contained(json::object_at(*ours, "spec"), json::object_at(*theirs, "spec"), "spec");
        for (const auto* field : {"labels", "finalizers"}) {
            const auto* mine = json::at(*ours, "metadata", field);
            const auto* its = json::at(*theirs, "metadata", field);
            EXPECT_EQ(mine == nullptr ? "none" : json::canonical(*mine), its == nullptr ? "none" : json::canonical(*its)) << patch;
        }
        EXPECT_EQ(json::object_at(*ours, "spec", "template", "spec", "nodeSelector"),
                  json::object_at(*theirs, "spec", "template", "spec", "nodeSelector"));
        before = *theirs;
    }
}

TEST_F(RealCluster, RightsAreTheTokensRights) {
    auto alice_config = config;
    alice_config.client_cert_pem = alice_config.client_key_pem = alice_config.client_cert_file = alice_config.client_key_file = "";
    alice_config.token = bed->clusters()[0].alice_token;
    Client alice(make_http_transport(alice_config, {}, *loop), loop->clock());
    EXPECT_EQ(wait(alice.list(resources::pods, ns, {}, soon())).error().code, ErrorCode::permission_denied);
    EXPECT_FALSE(wait(alice.can_i("list", resources::pods, "", ns, "", soon())).value());
    EXPECT_TRUE(wait(client->can_i("list", resources::pods, "", ns, "", soon())).value());
    EXPECT_FALSE(wait(client->can_user("system:serviceaccount:" + ns + ":default", {}, "delete", resources::pods, ns, soon())).value());
    alice_config.token = "not-a-token";
    Client nobody(make_http_transport(alice_config, {}, *loop), loop->clock());
    EXPECT_EQ(wait(nobody.list(resources::pods, ns, {}, soon())).error().code, ErrorCode::unauthenticated);
}

TEST_F(RealCluster, DiscoversKinds) {
    EXPECT_EQ(wait(client->discover("apps", "Deployment", soon())).value(), resources::deployments);
    EXPECT_EQ(wait(client->discover("", "Pod", soon())).value(), resources::pods);
    EXPECT_EQ(wait(client->discover("autoscaling", "HorizontalPodAutoscaler", soon())).value(), resources::horizontal_pod_autoscalers);
    EXPECT_EQ(wait(client->discover("example.com", "Widget", soon())).error().code, ErrorCode::not_found);
    for (const auto& resource : known_resources()) {
        const auto found = wait(client->discover(resource.group, resource.kind, soon()));
        ASSERT_TRUE(found) << resource.kind_group() << found.error().describe();
        EXPECT_EQ(found->plural, resource.plural);
        EXPECT_EQ(found->namespaced, resource.namespaced) << resource.kind_group();
    }
}

TEST_F(RealCluster, EvictionObeysTheDisruptionBudget) {
    create(
        resources::pod_disruption_budgets,
        J(R"({"kind":"PodDisruptionBudget","apiVersion":"policy/v1","metadata":{"name":"b"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"x"}}}})"));
    create(
        resources::pods,
        J(R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","labels":{"app":"x"}},"spec":{"nodeName":"","containers":[{"name":"c","image":"c"}]}})"));
    EXPECT_EQ(wait(client->logs(ns, "p", {}, soon())).value(), "") << "a pod without a node: 204";
    const auto ready = wait(client->patch(resources::pods, ns, "p", PatchType::merge,
                                          J(R"({"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}})"),
                                          {.subresource = "status"}, soon()));
    ASSERT_TRUE(ready) << ready.error().describe();
    ASSERT_TRUE(eventually([&] {
        const auto budget = wait(client->get(resources::pod_disruption_budgets, ns, "b", soon()));
        return budget && json::int_at(*budget, "status", "currentHealthy") == 1;
    }));
    const auto blocked = wait(client->evict(ns, "p", {}, soon()));
    ASSERT_FALSE(blocked);
    EXPECT_EQ(blocked.error().code, ErrorCode::resource_exhausted);
    EXPECT_EQ(blocked.error().reason, "DisruptionBudget");
    EXPECT_EQ(blocked.error().applied, Applied::no);
    ASSERT_TRUE(wait(client->remove(resources::pod_disruption_budgets, ns, "b", {}, soon())));
    EXPECT_TRUE(wait(client->evict(ns, "p", {.dry_run = true}, soon())));
    EXPECT_TRUE(wait(client->get(resources::pods, ns, "p", soon())));
    EXPECT_TRUE(wait(client->evict(ns, "p", {}, soon())));
    EXPECT_TRUE(eventually([&] {
        const auto pod = wait(client->get(resources::pods, ns, "p", soon()));
        return !pod && pod.error().code == ErrorCode::not_found;
    }));
    EXPECT_EQ(wait(client->evict(ns, "p", {}, soon())).error().code, ErrorCode::not_found);
}

TEST_F(RealCluster, AContinueTokenExpiresAndTheListBeginsAgain) {
    for (int i = 0; i < 3; ++i) config_map("m" + std::to_string(i), "v");
    Request first{.path = resources::config_maps.path(ns), .query = {{"limit", "1"}}};
    const auto page = wait(client->call(first, soon())).value();
    Request second = first;
    second.query.emplace_back("continue", std::string(json::string_at(page, "metadata", "continue")));
    int n = 0;
    ASSERT_TRUE(eventually(
        [&] {
            (void)wait(client->patch(resources::config_maps, ns, "m0", PatchType::merge,
                                     json::Object{{"data", json::Object{{"n", std::to_string(++n)}}}}, {}, soon()));
            const auto next = wait(client->call(second, soon()));
            return !next && next.error().reason == "Expired";
        },
        120s));
}

TEST_F(RealCluster, AReflectorLivesThroughARestartOfTheApiServerAndSeesEveryChange) {
    const auto cache = std::make_shared<ObjectCache>(resources::config_maps);
    SeededRandom random(1);
    Reflector reflector(client, cache, {.ns = ns}, random);
    async::TaskScope scope(loop->executor());
    scope.spawn("reflector", reflector.run());
    ASSERT_TRUE(eventually([&] { return cache->synced(); }));
    config_map("before", "v");
    EXPECT_TRUE(eventually([&] { return cache->find(ns, "before") != nullptr; }));
    ASSERT_TRUE(bed->command("kill c1 apiserver"));
    const auto dead = wait(client->patch(resources::config_maps, ns, "before", PatchType::merge, J(R"({"data":{"k":"w"}})"), {}, soon(3s)));
    EXPECT_FALSE(dead);
    ASSERT_TRUE(bed->command("start c1 apiserver"));
    ASSERT_TRUE(eventually([&] { return wait(client->get(resources::config_maps, ns, "before", soon())).has_value(); }, 120s));
    config_map("after", "v");
    ASSERT_TRUE(wait(client->remove(resources::config_maps, ns, "before", {}, soon())));
    EXPECT_TRUE(eventually([&] { return cache->find(ns, "after") != nullptr && cache->find(ns, "before") == nullptr; }, 120s))
        << reflector.last_error();
    scope.cancel();
    loop->block_on(scope.join());
}

TEST_F(RealCluster, AWatchFromACompactedVersionIsAnExpiredEventInsideA200Answer) {
    const auto made = config_map("one", "v");
    int n = 0;
    // The watch cache covers old versions; a restarted server has none.
    const auto expired = [&] {
        (void)wait(client->patch(resources::config_maps, ns, "one", PatchType::merge,
                                 json::Object{{"data", json::Object{{"n", std::to_string(++n)}}}}, {}, soon()));
        Request exact{.path = resources::config_maps.path(ns),
                      .query = {{"resourceVersion", std::string(resource_version_of(made))}, {"resourceVersionMatch", "Exact"}}};
        const auto list = wait(client->call(exact, soon()));
        return !list && list.error().reason == "Expired";
    };
    ASSERT_TRUE(eventually(expired, 120s));
    ASSERT_TRUE(bed->command("kill c1 apiserver"));
    ASSERT_TRUE(bed->command("start c1 apiserver"));
    ASSERT_TRUE(eventually([&] { return wait(client->get(resources::config_maps, ns, "one", soon())).has_value(); }, 120s));
    std::optional<Error> seen;
    ASSERT_TRUE(eventually(
        [&] {
            auto stream = wait(client->watch(resources::config_maps, ns, {}, std::string(resource_version_of(made)), 10, soon()));
            if (!stream) {
                seen = stream.error();
                return seen->reason == "Expired";
            }
            WatchDecoder decoder;
            while (true) {
                const auto bytes = wait((*stream)->next(soon(5s)));
                if (!bytes || !*bytes) return false;
                const auto events = decoder.feed(**bytes);
                if (!events || events->empty()) continue;
                if (events->front().type != WatchEventType::error) return false;
                seen = error_from_status(events->front().object);
                return true;
            }
        },
        60s));
    EXPECT_EQ(seen->reason, "Expired");
}

}  // namespace
}  // namespace kn::integration
