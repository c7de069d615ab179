// Scale, eviction, logs, tokens, access reviews, exec (facts 5, 6, 8, 17, 20, 21).
#include "conformance.hpp"

namespace kn::conformance {
namespace {

using enum ErrorCode;
namespace res = kube::resources;

TEST_P(Conformance, ScaleIsReadAndWrittenWithItsOwnObject) {
    make_deployment("d");
    json::Value wanted;
    // The controller writes the status of a new Deployment meanwhile.
    ASSERT_TRUE(eventually([&] {
        const auto scale = get(apps("deployments/d/scale"));
        EXPECT_EQ(scale.kind(), "Scale");
        EXPECT_EQ(json::string_at(scale.body, "status", "selector"), "app=web");
        wanted = scale.body;
        json::make_at(wanted, "spec", "replicas") = 2;
        return put(apps("deployments/d/scale"), json::dump(wanted)).code == 200;
    }));
    EXPECT_EQ(json::int_at(get(apps("deployments/d")).body, "spec", "replicas"), 2);
    const auto stale = put(apps("deployments/d/scale"), json::dump(wanted));
    EXPECT_EQ(stale.code, 409);
    EXPECT_EQ(stale.error(kube::Method::put).code, aborted);
    EXPECT_EQ(json::int_at(merge(apps("deployments/d/scale"), R"({"spec":{"replicas":0}})").body, "spec", "replicas").value_or(0), 0)
        << "a zero may be left out";
    EXPECT_EQ(merge(apps("deployments/d/scale"), R"({"spec":{"replicas":-1}})").code, 422);
}

TEST_P(Conformance, ADaemonSetHasNoScale) {
    ASSERT_EQ(
        post(apps("daemonsets"), R"({"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"app":"a"}},
        "template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"c","image":"c"}]}}}})")
            .code,
        201);
    EXPECT_EQ(get(apps("daemonsets/a/scale")).code, 404);
}

class Evictions : public Conformance {
protected:
    void budget(const std::string& name, int minimum) {
        const auto made = post("/apis/policy/v1/namespaces/" + ns + "/poddisruptionbudgets",
                               R"({"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":")" + name +
                                   R"("},"spec":{"minAvailable":)" + std::to_string(minimum) + R"(,"selector":{"matchLabels":{"app":"x"}}}})");
        ASSERT_EQ(made.code, 201) << made.raw.body;
        ASSERT_TRUE(eventually([&] {
            const auto read = get("/apis/policy/v1/namespaces/" + ns + "/poddisruptionbudgets/" + name);
            return json::int_at(read.body, "status", "currentHealthy") == 1;
        }));
    }
    Answer evict(const std::string& pod, const std::string& more = {}) {
        return post(core("pods/") + pod + "/eviction",
                    R"({"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":")" + pod + "\"}" + more + "}");
    }
};

TEST_P(Evictions, ABudgetBlocksWithA429ThatIsNoOverload) {
    make_pod("p", R"("nodeName":"ghost")");
    set_running("p");
    budget("b", 1);
    const auto blocked = evict("p");
    EXPECT_EQ(blocked.code, 429) << blocked.raw.body;
    EXPECT_EQ(blocked.cause(), "DisruptionBudget");
    EXPECT_EQ(blocked.raw.header("retry-after"), "") << "nobody knows when";
    const auto error = blocked.error(kube::Method::post);
    EXPECT_EQ(error.code, resource_exhausted);
    EXPECT_EQ(error.reason, "DisruptionBudget");
    EXPECT_EQ(error.applied, Applied::no);
    EXPECT_EQ(json::at(get(core("pods/p")).body, "metadata", "deletionTimestamp"), nullptr);
}

TEST_P(Evictions, TwoBudgetsForOnePodAreA500) {
    make_pod("p", R"("nodeName":"ghost")");
    set_running("p");
    budget("one", 0);
    budget("two", 0);
    const auto answer = evict("p");
    EXPECT_EQ(answer.code, 500) << answer.raw.body;
    EXPECT_EQ(answer.reason(), "");
}

TEST_P(Evictions, AnEvictionThatGoesThroughIs201AndDeletesThePod) {
    make_pod("p", R"("nodeName":"ghost")");
    set_running("p");
    EXPECT_EQ(evict("p", R"(,"deleteOptions":{"dryRun":["All"]})").code, 201);
    EXPECT_EQ(json::at(get(core("pods/p")).body, "metadata", "deletionTimestamp"), nullptr) << "only a dry run";
    const auto done = evict("p");
    EXPECT_EQ(done.code, 201);
    EXPECT_EQ(done.kind(), "Status");
    EXPECT_NE(json::at(get(core("pods/p")).body, "metadata", "deletionTimestamp"), nullptr);
    EXPECT_EQ(evict("nope").code, 404);
    EXPECT_EQ(post(core("pods/p/eviction"), R"({"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"other"}})").code, 400);
}

TEST_P(Evictions, APodThatIsNotReadyIsNoLossToItsBudget) {
    make_pod("p", R"("nodeName":"ghost")");
    set_running("p", false);
    make_pod("q", R"("nodeName":"ghost")");
    set_running("q");
    budget("b", 1);
    EXPECT_EQ(evict("p").code, 201);
}

TEST_P(Conformance, LogsOfAPodWithoutANodeAreEmptyWith204) {
    make_pod("p", R"("schedulingGates":[{"name":"test.example/hold"}])");
    const auto answer = get(core("pods/p/log"), {.accept = "*/*"});
    EXPECT_EQ(answer.code, 204);
    EXPECT_EQ(answer.raw.body, "");
    EXPECT_EQ(wait(client->logs(ns, "p", {}, soon())).value(), "");
}

TEST_P(Conformance, LogsOfTheWrongContainerAreABadRequestThatListsThem) {
    const auto made = post(
        core("pods"),
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"two"},"spec":{"automountServiceAccountToken":false,"nodeName":"ghost","containers":[{"name":"one","image":"a"},{"name":"other","image":"b"}]}})");
    if (made.code == 403) {
        ASSERT_TRUE(eventually([&] {
            return post(
                       core("pods"),
                       R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"two"},"spec":{"nodeName":"ghost","containers":[{"name":"one","image":"a"},{"name":"other","image":"b"}]}})")
                       .code == 201;
        }));
    }
    EXPECT_EQ(get(core("pods/two/log"), {.accept = "*/*"}).code, 400) << "which of the two?";
    EXPECT_EQ(get(core("pods/two/log?container=zzz"), {.accept = "*/*"}).code, 400);
    EXPECT_EQ(get(core("pods/two/log?container=one&tailLines=-1"), {.accept = "*/*"}).code, 422);
    EXPECT_EQ(get(core("pods/nope/log"), {.accept = "*/*"}).code, 404);
    EXPECT_EQ(get(core("pods/two/log?container=one"), {.accept = "*/*", .who = Who::alice}).code, 403);
}

TEST_P(Conformance, ATokenOfAServiceAccountCanBeAskedForAndUsed) {
    ASSERT_EQ(post(core("serviceaccounts"), R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"robot"}})").code, 201);
    const auto token = wait(client->request_token(ns, "robot", {}, 600, soon()));
    ASSERT_TRUE(token) << token.error().describe();
    EXPECT_FALSE(token->token.empty());
    EXPECT_GT(token->expires, loop().clock().now() + 5min);
    kube::Client robot(server->with_token(token->token), loop().clock());
    const auto me = wait(robot.call({.method = kube::Method::post,
                                     .path = "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                                     .content_type = "application/json",
                                     .body = R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})"},
                                    soon()));
    ASSERT_TRUE(me) << me.error().describe();
    EXPECT_EQ(json::string_at(*me, "status", "userInfo", "username"), "system:serviceaccount:" + ns + ":robot");
    EXPECT_EQ(wait(client->request_token(ns, "nobody", {}, 600, soon())).error().code, not_found);
    EXPECT_EQ(wait(robot.list(res::pods, ns, {}, soon())).error().code, permission_denied);
}

TEST_P(Conformance, RightsCanBeAskedFor) {
    EXPECT_TRUE(wait(client->can_i("delete", res::pods, "", ns, "", soon())).value());
    kube::Client alice(server->transport(Who::alice), loop().clock());
    EXPECT_FALSE(wait(alice.can_i("list", res::pods, "", ns, "", soon())).value());
    EXPECT_FALSE(wait(client->can_user("alice", {}, "list", res::pods, ns, soon())).value());
    kube::Client viewer(server->transport(Who::viewer), loop().clock());
    EXPECT_TRUE(eventually([&] { return wait(viewer.can_i("list", res::pods, "", ns, "", soon())).value_or(false); }));
    EXPECT_FALSE(wait(viewer.can_i("create", res::pods, "eviction", ns, "", soon())).value());
    EXPECT_FALSE(wait(viewer.can_i("get", res::secrets, "", ns, "s", soon())).value());
}

TEST_P(Conformance, RulesAndIdentityCanBeAskedFor) {
    const auto rules = post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
                            R"({"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectRulesReview","spec":{"namespace":")" + ns + "\"}}");
    EXPECT_EQ(rules.code, 201) << rules.raw.body;
    EXPECT_FALSE(json::array_at(rules.body, "status", "resourceRules").empty());
    const auto me = post("/apis/authentication.k8s.io/v1/selfsubjectreviews",
                         R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})", {.who = Who::alice});
    EXPECT_EQ(me.code, 201);
    EXPECT_EQ(json::string_at(me.body, "status", "userInfo", "username"), "alice");
}

TEST_P(Conformance, ExecWithoutAnUpgradeIsABadRequestAndWithoutRightsForbidden) {
    make_pod("p", server->simulated() ? R"("nodeName":"ghost")" : R"("nodeName":"stream-node")");
    EXPECT_EQ(get(core("pods/p/exec?command=ls&container=c&stdout=true"), {.who = Who::alice}).code, 403);
    EXPECT_EQ(get(core("pods/nope/exec?command=ls&container=c&stdout=true")).code, 404);
    const auto plain = get(core("pods/p/exec?command=ls&container=c&stdout=true"));
    EXPECT_EQ(plain.code, 400) << plain.raw.body;
}

TEST_P(Conformance, EphemeralContainersAreAddedByTheirOwnPath) {
    make_pod("p", R"("nodeName":"ghost")");
    const auto added = strategic(core("pods/p/ephemeralcontainers"),
                                 R"({"spec":{"ephemeralContainers":[{"name":"debug","image":"r.example/debug:1","command":["sh"]}]}})");
    EXPECT_EQ(added.code, 200) << added.raw.body;
    EXPECT_EQ(json::string_at(added.body, "spec", "ephemeralContainers", 0, "name"), "debug");
}

TEST_P(Conformance, ABindingPutsAPodOnANode) {
    make_pod("p", R"("schedulerName":"nobody")");
    const auto bound =
        post(core("pods/p/binding"), R"({"apiVersion":"v1","kind":"Binding","metadata":{"name":"p"},"target":{"kind":"Node","name":"ghost"}})");
    EXPECT_EQ(bound.code, 201) << bound.raw.body;
    EXPECT_EQ(json::string_at(get(core("pods/p")).body, "spec", "nodeName"), "ghost");
    EXPECT_EQ(
        post(core("pods/p/binding"), R"({"apiVersion":"v1","kind":"Binding","metadata":{"name":"p"},"target":{"kind":"Node","name":"ghost"}})").code,
        409)
        << "once";
}

TEST_P(Conformance, TheClusterHasAnIdentityThatDoesNotChange) {
    const auto uid = wait(client->cluster_uid(soon()));
    ASSERT_TRUE(uid);
    EXPECT_FALSE(uid->empty());
    EXPECT_EQ(wait(client->cluster_uid(soon())).value(), *uid);
}

INSTANTIATE_TEST_SUITE_P(Backends, Evictions, testing::Values("simulator", "v1_36", "v1_33"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace

INSTANTIATE_TEST_SUITE_P(Backends, Conformance, testing::Values("simulator", "v1_36", "v1_33"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace kn::conformance
