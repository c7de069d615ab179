// RBAC, reviews, impersonation, quota, limits, Pod Security, eviction, scale, binding, logs, discovery, forms of answers.
#include "api_fixture.hpp"

namespace kn::sim {
namespace {

using json::int_at;
using json::string_at;

class ApiRights : public ApiFixture {
protected:
    void grant(std::string_view verbs, std::string_view resources, std::string_view group = "") {
        post("/apis/rbac.authorization.k8s.io/v1/namespaces/demo/roles", R"({"metadata":{"name":"r"},"rules":[{"apiGroups":[")" + std::string(group) +
                                                                             R"("],"resources":)" + std::string(resources) + R"(,"verbs":)" +
                                                                             std::string(verbs) + "}]}");
        post("/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings",
             R"({"metadata":{"name":"b"},"subjects":[{"kind":"User","name":"alice"}],"roleRef":{"kind":"Role","name":"r"}})");
    }
    void running_pod(std::string_view name, bool ready = true) {
        post(pods, pod(name, "node-1"));
        merge(std::string(pods) + "/" + std::string(name) + "/status",
              R"({"status":{"phase":"Running","conditions":[{"type":"Ready","status":")" + std::string(ready ? "True" : "False") + R"("}]}})");
    }
    void budget(std::string_view name, int allowed, int healthy = 3, int desired = 3) {
        post("/apis/policy/v1/namespaces/demo/poddisruptionbudgets",
             R"({"metadata":{"name":")" + std::string(name) + R"("},"spec":{"minAvailable":3,"selector":{"matchLabels":{"app":"web"}}}})");
        merge("/apis/policy/v1/namespaces/demo/poddisruptionbudgets/" + std::string(name) + "/status",
              R"({"status":{"observedGeneration":1,"disruptionsAllowed":)" + std::to_string(allowed) + R"(,"currentHealthy":)" +
                  std::to_string(healthy) + R"(,"desiredHealthy":)" + std::to_string(desired) + "}}");
    }
    Answer evict(std::string_view name) {
        return post(std::string(pods) + "/" + std::string(name) + "/eviction",
                    R"({"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":")" + std::string(name) + R"(","namespace":"demo"}})");
    }
};

TEST_F(ApiRights, NobodyMayWithoutABinding) {
    const auto list = as(alice, kube::Method::get, pods);
    EXPECT_EQ(list.code, 403);
    EXPECT_EQ(list.message(), "pods is forbidden: User \"alice\" cannot list resource \"pods\" in API group \"\" in the namespace \"demo\"");
    EXPECT_EQ(as(alice, kube::Method::get, "/api/v1/nodes").message(),
              "nodes is forbidden: User \"alice\" cannot list resource \"nodes\" in API group \"\" at the cluster scope");
    EXPECT_EQ(as(alice, kube::Method::post, deployments, deployment("x")).message(),
              "deployments.apps is forbidden: User \"alice\" cannot create resource \"deployments\" in API group \"apps\" in the namespace \"demo\"");
    EXPECT_EQ(as({.user = "system:anonymous"}, kube::Method::get, pods).code, 403);
    EXPECT_EQ(as(alice, kube::Method::get, "/version").code, 200);
}

TEST_F(ApiRights, ARoleGivesWhatItSaysAndNoMore) {
    post(pods, pod("p"));
    grant(R"(["get","list"])", R"(["pods"])");
    EXPECT_EQ(as(alice, kube::Method::get, pods).code, 200);
    EXPECT_EQ(as(alice, kube::Method::get, std::string(pods) + "/p").code, 200);
    EXPECT_EQ(as(alice, kube::Method::del, std::string(pods) + "/p").code, 403);
    EXPECT_EQ(as(alice, kube::Method::get, std::string(pods) + "/p/log").code, 403) << "subresources are named on their own";
    EXPECT_EQ(as(alice, kube::Method::get, "/api/v1/namespaces/default/pods").code, 403);
    del("/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings/b");
    EXPECT_EQ(as(alice, kube::Method::get, pods).code, 403) << "taken back at once";
}

TEST_F(ApiRights, ServiceAccountsAndGroupsAreSubjects) {
    post(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings",
        R"({"metadata":{"name":"sa"},"subjects":[{"kind":"ServiceAccount","name":"robot","namespace":"demo"},{"kind":"Group","name":"dev"}],"roleRef":{"kind":"ClusterRole","name":"view"}})");
    EXPECT_EQ(as({.user = "system:serviceaccount:demo:robot"}, kube::Method::get, pods).code, 200);
    EXPECT_EQ(as(alice, kube::Method::get, pods).code, 200);
    EXPECT_EQ(as(alice, kube::Method::get, "/api/v1/namespaces/demo/secrets").code, 403) << "view does not show secrets";
}

TEST_F(ApiRights, QuestionsAboutAccessAreAnswered) {
    grant(R"(["delete"])", R"(["pods"])");
    const std::string self = R"({"spec":{"resourceAttributes":{"namespace":"demo","verb":"delete","resource":"pods"}}})";
    const auto mine = as(alice, kube::Method::post, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", self);
    EXPECT_EQ(mine.code, 201);
    EXPECT_EQ(json::bool_at(mine.body, "status", "allowed"), true);
    const auto other = post("/apis/authorization.k8s.io/v1/subjectaccessreviews",
                            R"({"spec":{"user":"bob","resourceAttributes":{"namespace":"demo","verb":"delete","resource":"pods"}}})");
    EXPECT_EQ(json::bool_at(other.body, "status", "allowed"), false);
    const auto who = as(alice, kube::Method::post, "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}");
    EXPECT_EQ(string_at(who.body, "status", "userInfo", "username"), "alice");
    EXPECT_EQ(json::array_at(who.body, "status", "userInfo", "groups").size(), 2U);
}

TEST_F(ApiRights, TokensOfServiceAccountsAreKnownAgain) {
    const auto made = post("/api/v1/namespaces/demo/serviceaccounts/default/token", R"({"spec":{"expirationSeconds":600}})");
    ASSERT_EQ(made.code, 201) << made.raw.body;
    const std::string token(string_at(made.body, "status", "token"));
    const auto who = server.authenticate(token);
    ASSERT_TRUE(who);
    EXPECT_EQ(who->user, "system:serviceaccount:demo:default");
    EXPECT_FALSE(server.authenticate("wrong"));
    EXPECT_EQ(json::bool_at(post("/apis/authentication.k8s.io/v1/tokenreviews", R"({"spec":{"token":")" + token + R"("}})").body, "status",
                            "authenticated"),
              true);
    EXPECT_EQ(ApiServer::unauthorized().status, 401);
}

TEST_F(ApiRights, ImpersonationNeedsItsOwnRight) {
    auto request = make_request(kube::Method::get, pods);
    request.headers.emplace_back("Impersonate-User", "bob");
    EXPECT_EQ(server.handle(request, alice).status, 403);
    const auto answer = server.handle(request, admin);
    EXPECT_EQ(answer.status, 403);
    EXPECT_NE(answer.body.find("User \\\"bob\\\" cannot list"), std::string::npos);
}

TEST_F(ApiRights, QuotaCountsWhatIsThere) {
    post("/api/v1/namespaces/demo/resourcequotas",
         R"({"metadata":{"name":"q"},"spec":{"hard":{"count/secrets":"0","pods":"1","requests.memory":"1Gi"}}})");
    const auto secret = post("/api/v1/namespaces/demo/secrets", R"({"metadata":{"name":"s"}})");
    EXPECT_EQ(secret.code, 403);
    EXPECT_EQ(secret.message(),
              "secrets \"s\" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=0, limited: count/secrets=0");
    const auto silent = post(pods, pod("p"));
    EXPECT_EQ(silent.code, 403);
    EXPECT_NE(silent.message().find("must specify requests.memory for: c"), std::string_view::npos);
    const auto with_memory = [this](std::string_view name, std::string_view memory) {
        return post(pods, R"({"metadata":{"name":")" + std::string(name) +
                              R"("},"spec":{"containers":[{"name":"c","image":"x","resources":{"requests":{"memory":")" + std::string(memory) +
                              R"("}}}]}})");
    };
    EXPECT_EQ(with_memory("big", "2Gi").code, 403);
    EXPECT_EQ(with_memory("fits", "512Mi").code, 201);
    EXPECT_EQ(with_memory("second", "1Mi").code, 403);
    merge(std::string(pods) + "/fits/status", R"({"status":{"phase":"Succeeded"}})");
    EXPECT_EQ(with_memory("second", "1Mi").code, 201) << "finished pods do not count";
}

TEST_F(ApiRights, LimitRangesFillInAndBound) {
    post(
        "/api/v1/namespaces/demo/limitranges",
        R"({"metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","default":{"memory":"256Mi"},"defaultRequest":{"memory":"128Mi"},"max":{"memory":"1Gi"}}]}})");
    const auto made = post(pods, pod("p"));
    EXPECT_EQ(string_at(made.body, "spec", "containers", 0, "resources", "limits", "memory"), "256Mi");
    EXPECT_EQ(string_at(made.body, "spec", "containers", 0, "resources", "requests", "memory"), "128Mi");
    const auto big =
        post(pods, R"({"metadata":{"name":"big"},"spec":{"containers":[{"name":"c","image":"x","resources":{"limits":{"memory":"2Gi"}}}]}})");
    EXPECT_EQ(big.code, 403);
    EXPECT_NE(big.message().find("maximum memory usage per Container is 1Gi, but limit is 2Gi"), std::string_view::npos);
}

TEST_F(ApiRights, PodSecurityRefusesPodsAndWarnsAboutWorkloads) {
    post("/api/v1/namespaces", R"({"metadata":{"name":"strict","labels":{"pod-security.kubernetes.io/enforce":"restricted"}}})");
    const auto refused = post("/api/v1/namespaces/strict/pods", R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"x"}]}})");
    EXPECT_EQ(refused.code, 403);
    EXPECT_TRUE(refused.message().starts_with(
        "pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set"));
    const auto warned = post("/apis/apps/v1/namespaces/strict/deployments", deployment("p"));
    EXPECT_EQ(warned.code, 201);
    ASSERT_EQ(warned.raw.warnings().size(), 1U);
    EXPECT_TRUE(warned.raw.warnings()[0].starts_with("would violate PodSecurity \"restricted:latest\""));
}

TEST_F(ApiRights, EvictionRespectsTheBudget) {
    running_pod("p1");
    running_pod("p2");
    budget("web", 0);
    const auto blocked = evict("p1");
    EXPECT_EQ(blocked.code, 429);
    EXPECT_EQ(blocked.reason(), "TooManyRequests");
    EXPECT_EQ(blocked.cause(), "DisruptionBudget");
    EXPECT_EQ(blocked.raw.header("retry-after"), "");
    merge("/apis/policy/v1/namespaces/demo/poddisruptionbudgets/web/status", R"({"status":{"disruptionsAllowed":1}})");
    const auto done = evict("p1");
    EXPECT_EQ(done.code, 201);
    EXPECT_EQ(string_at(done.body, "status"), "Success");
    EXPECT_TRUE(kube::is_deleting(*server.peek(kube::resources::pods, "demo", "p1")));
    EXPECT_EQ(int_at(*server.peek(kube::resources::pod_disruption_budgets, "demo", "web"), "status", "disruptionsAllowed"), 0);
    EXPECT_EQ(evict("p2").code, 429) << "the budget was used up";
    EXPECT_EQ(evict("nope").code, 404);
    budget("second", 5);
    const auto two = evict("p2");
    EXPECT_EQ(two.code, 500);
    EXPECT_TRUE(two.reason().empty());
}

TEST_F(ApiRights, UnhealthyPodsMayGoWhenTheBudgetIsHealthyOrSaysSo) {
    running_pod("sick", false);
    budget("web", 0, 3, 3);
    EXPECT_EQ(evict("sick").code, 201);
    running_pod("sick2", false);
    merge("/apis/policy/v1/namespaces/demo/poddisruptionbudgets/web/status", R"({"status":{"currentHealthy":1}})");
    EXPECT_EQ(evict("sick2").code, 429);
    post(pods, pod("waiting"));
    EXPECT_EQ(evict("waiting").code, 201) << "a pending pod is no disruption";
}

TEST_F(ApiRights, ScaleIsAnObjectOfItsOwn) {
    post(deployments, deployment("web", R"("replicas":3,)"));
    const auto path = std::string(deployments) + "/web/scale";
    const auto scale = get(path);
    EXPECT_EQ(string_at(scale.body, "kind"), "Scale");
    EXPECT_EQ(int_at(scale.body, "spec", "replicas"), 3);
    EXPECT_EQ(string_at(scale.body, "status", "selector"), "app=web");
    const auto changed = merge(path, R"({"spec":{"replicas":4}})");
    EXPECT_EQ(int_at(changed.body, "spec", "replicas"), 4);
    EXPECT_EQ(put(path, R"({"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"web","resourceVersion":")" + version_of(scale) +
                            R"("},"spec":{"replicas":5}})")
                  .code,
              409);
    const auto wrong = merge(path, R"({"spec":{"replicas":-1}})");
    EXPECT_EQ(wrong.code, 422);
    EXPECT_EQ(string_at(wrong.body, "details", "kind"), "Scale");
    post(
        "/apis/apps/v1/namespaces/demo/daemonsets",
        R"({"metadata":{"name":"agent"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}})");
    EXPECT_EQ(get("/apis/apps/v1/namespaces/demo/daemonsets/agent/scale").code, 404);
}

TEST_F(ApiRights, BindingGivesAPodItsNodeOnce) {
    post("/api/v1/nodes", R"({"metadata":{"name":"node-1","labels":{"topology.kubernetes.io/zone":"zone-a"}}})");
    post(pods, pod("p"));
    const std::string body = R"({"metadata":{"name":"p"},"target":{"kind":"Node","name":"node-1"}})";
    EXPECT_EQ(post(std::string(pods) + "/p/binding", body).code, 201);
    const auto bound = get(std::string(pods) + "/p");
    EXPECT_EQ(string_at(bound.body, "spec", "nodeName"), "node-1");
    EXPECT_EQ(string_at(bound.body, "status", "conditions", 0, "type"), "PodScheduled");
    EXPECT_EQ(string_at(bound.body, "metadata", "labels", "topology.kubernetes.io/zone"), "zone-a");
    EXPECT_EQ(post(std::string(pods) + "/p/binding", body).code, 409);
    EXPECT_EQ(merge(std::string(pods) + "/p", R"({"spec":{"nodeName":"node-2"}})").code, 422);
}

TEST_F(ApiRights, ResizeChangesResourcesAndNothingElse) {
    post(
        pods,
        R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"x","resources":{"requests":{"memory":"64Mi"},"limits":{"memory":"128Mi"}}}]}})");
    const auto path = std::string(pods) + "/p";
    const std::string larger = R"({"spec":{"containers":[{"name":"c","resources":{"limits":{"memory":"256Mi"}}}]}})";
    EXPECT_EQ(strategic(path, larger).code, 422);
    const auto resized = strategic(path + "/resize", larger);
    ASSERT_EQ(resized.code, 200) << resized.raw.body;
    EXPECT_EQ(string_at(resized.body, "spec", "containers", 0, "resources", "limits", "memory"), "256Mi");
    EXPECT_EQ(int_at(resized.body, "metadata", "generation"), 2);
    EXPECT_EQ(strategic(path + "/resize", R"({"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"y"}]}})").body, resized.body)
        << "dropped without a word";
    EXPECT_EQ(strategic(path + "/resize",
                        R"({"spec":{"containers":[{"name":"c","resources":{"requests":{"memory":"256Mi","cpu":"1"},"limits":{"cpu":"1"}}}]}})")
                  .field(),
              "spec")
        << "the class of service may not change";
}

TEST_F(ApiRights, LogsComeFromTheKubelet) {
    server.set_log_source(
        [](const ApiServer::LogQuery& query) -> Result<std::string> { return query.container + (query.previous ? " previous\n" : " now\n"); });
    post(pods, R"({"metadata":{"name":"two"},"spec":{"nodeName":"n","containers":[{"name":"app","image":"x"},{"name":"side","image":"x"}]}})");
    const auto two = std::string(pods) + "/two/log";
    EXPECT_EQ(get(two).message(), "a container name must be specified for pod two, choose one of: [app side]");
    EXPECT_EQ(get(two + "?container=zzz").code, 400);
    EXPECT_EQ(get(two + "?container=app").raw.body, "app now\n");
    EXPECT_EQ(get(two + "?container=app&previous=true").raw.body, "app previous\n");
    EXPECT_EQ(get(two + "?container=app&tailLines=-1").code, 422);
    EXPECT_EQ(get(std::string(pods) + "/zzz/log").code, 404);
    post(pods, pod("unscheduled"));
    EXPECT_EQ(get(std::string(pods) + "/unscheduled/log").code, 204);
    merge(std::string(pods) + "/two/status",
          R"({"status":{"containerStatuses":[{"name":"app","state":{"waiting":{"reason":"ImagePullBackOff"}}}]}})");
    EXPECT_EQ(get(two + "?container=app").message(), "container \"app\" in pod \"two_demo\" is waiting to start: ImagePullBackOff");
    EXPECT_EQ(get(two + "?container=app&previous=true").code, 400);
}

TEST_F(ApiRights, DiscoveryNamesWhatIsServedInBothForms) {
    const auto core = get("/api/v1");
    EXPECT_EQ(string_at(core.body, "kind"), "APIResourceList");
    bool eviction = false;
    for (const auto& resource : json::array_at(core.body, "resources")) eviction = eviction || string_at(resource, "name") == "pods/eviction";
    EXPECT_TRUE(eviction);
    EXPECT_EQ(string_at(get("/apis").body, "kind"), "APIGroupList");
    const auto aggregated =
        call(kube::Method::get, "/apis", {}, {}, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
    EXPECT_EQ(string_at(aggregated.body, "kind"), "APIGroupDiscoveryList");
    EXPECT_EQ(string_at(aggregated.body, "apiVersion"), "apidiscovery.k8s.io/v2");
    const std::string etag(aggregated.raw.header("etag"));
    ASSERT_FALSE(etag.empty());
    auto again = make_request(kube::Method::get, "/apis", {}, {}, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    again.headers.emplace_back("If-None-Match", etag);
    EXPECT_EQ(server.handle(again, admin).status, 304);
    EXPECT_EQ(string_at(get("/version").body, "minor"), "36");
    EXPECT_EQ(get("/readyz").raw.body, "ok");
}

TEST_F(ApiRights, ClientsLearnThatTheServerValidatesFields) {
    const auto index = get("/openapi/v3");
    const auto url = std::string(string_at(index.body, "paths", "apis/apps/v1", "serverRelativeURL"));
    const auto document = get(url);
    EXPECT_EQ(document.code, 200);
    const auto* patch = json::at(document.body, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "patch");
    ASSERT_NE(patch, nullptr);
    EXPECT_EQ(string_at(*patch, "x-kubernetes-group-version-kind", "kind"), "Deployment");
    EXPECT_EQ(string_at(*patch, "parameters", 2, "name"), "fieldValidation");
    EXPECT_EQ(get("/openapi/v3/apis/nope.example/v1").code, 404);
}

TEST_F(ApiRights, PathsThatAreNotThereAreNotFoundInTheirTwoWays) {
    EXPECT_EQ(get("/apis/nope.example/v1/things").raw.body, "404 page not found\n");
    EXPECT_EQ(get("/api/v1/namespaces/demo/widgets").reason(), "NotFound");
    EXPECT_EQ(put(pods, "{}").code, 405);
    EXPECT_EQ(server.handle(make_request(kube::Method::get, pods), admin, "OPTIONS").status, 405);
    EXPECT_TRUE(server.handle(make_request(kube::Method::get, pods), admin, "HEAD").body.empty());
    EXPECT_EQ(call(kube::Method::get, config_maps, {}, {}, "text/html").code, 406);
}

TEST_F(ApiRights, TablesAndMetadataAreFormsOfTheSameObjects) {
    post(deployments, deployment("web", R"("replicas":3,)"));
    merge(std::string(deployments) + "/web/status", R"({"status":{"readyReplicas":2,"updatedReplicas":3,"availableReplicas":2}})");
    const std::string table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const auto list = call(kube::Method::get, deployments, {}, {}, table);
    EXPECT_EQ(string_at(list.body, "kind"), "Table");
    EXPECT_EQ(string_at(list.body, "rows", 0, "cells", 1), "2/3");
    EXPECT_EQ(string_at(list.body, "rows", 0, "object", "kind"), "PartialObjectMetadata");
    EXPECT_EQ(json::at(call(kube::Method::get, std::string(deployments) + "?includeObject=None", {}, {}, table).body, "rows", 0, "object")->is_null(),
              true);
    const auto one =
        call(kube::Method::get, std::string(deployments) + "/web", {}, {}, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io");
    EXPECT_EQ(string_at(one.body, "kind"), "PartialObjectMetadata");
    EXPECT_EQ(json::at(one.body, "spec"), nullptr);
    EXPECT_EQ(call(kube::Method::get, std::string(deployments) + "/web", {}, {}, "application/yaml").raw.content_type, "application/yaml");
}

}  // namespace
}  // namespace kn::sim
