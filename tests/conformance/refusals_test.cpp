// Every way in which a server says no, and what the client makes of it (facts 8, 9, 10, 26, 29).
#include "conformance.hpp"

namespace kn::conformance {
namespace {

using enum ErrorCode;

TEST_P(Conformance, AnObjectThatIsNotThereIsNotFound) {
    const auto answer = get(core("pods/nope"));
    EXPECT_EQ(answer.code, 404);
    EXPECT_EQ(answer.reason(), "NotFound");
    EXPECT_EQ(json::string_at(answer.body, "details", "kind"), "pods");
    EXPECT_EQ(json::string_at(answer.body, "details", "name"), "nope");
    EXPECT_EQ(answer.error().code, not_found);
}

TEST_P(Conformance, AnUnknownTokenIs401WithoutAChallenge) {
    const auto answer = get(core("pods"), {.who = Who::bad_token});
    EXPECT_EQ(answer.code, 401);
    EXPECT_EQ(answer.reason(), "Unauthorized");
    EXPECT_EQ(answer.raw.header("www-authenticate"), "");
    EXPECT_EQ(answer.error().code, unauthenticated);
}

TEST_P(Conformance, NobodyIsForbiddenAndNotUnauthenticated) {
    const auto answer = get(core("pods"), {.who = Who::anonymous});
    EXPECT_EQ(answer.code, 403);
    EXPECT_EQ(answer.reason(), "Forbidden");
    EXPECT_EQ(answer.error().code, permission_denied);
}

TEST_P(Conformance, WithoutRightsReadingAndWritingAreForbidden) {
    EXPECT_EQ(get(core("pods"), {.who = Who::alice}).code, 403);
    EXPECT_EQ(get(core("secrets/s"), {.who = Who::alice}).code, 403) << "even of what does not exist";
    EXPECT_EQ(get("/api/v1/nodes", {.who = Who::alice}).code, 403);
    EXPECT_EQ(post(apps("deployments"), deployment("d"), {.who = Who::alice}).code, 403);
    EXPECT_EQ(get(core("pods?watch=1"), {.who = Who::alice}).code, 403);
}

TEST_P(Conformance, AViewerReadsAndDoesNotWriteNorSeeSecrets) {
    EXPECT_TRUE(eventually([&] { return get(core("pods"), {.who = Who::viewer}).code == 200; }));
    EXPECT_EQ(get(core("secrets"), {.who = Who::viewer}).code, 403);
    EXPECT_EQ(post(core("configmaps"), config_map("c"), {.who = Who::viewer}).code, 403);
}

TEST_P(Conformance, ToActAsAnotherNeedsTheRightToDoSo) {
    const auto denied = get(core("pods"), {.who = Who::alice, .headers = {{"Impersonate-User", "bob"}}});
    EXPECT_EQ(denied.code, 403);
    EXPECT_EQ(denied.error().code, permission_denied);
    const auto as_bob = get(core("pods"), {.headers = {{"Impersonate-User", "bob"}}});
    EXPECT_EQ(as_bob.code, 403) << "with bob's rights, who has none";
    EXPECT_TRUE(eventually([&] { return get(core("pods"), {.headers = {{"Impersonate-User", "viewer"}}}).code == 200; }));
    const auto me =
        post("/apis/authentication.k8s.io/v1/selfsubjectreviews", R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})",
             {.headers = {{"Impersonate-User", "carol"}, {"Impersonate-Group", "dev"}}});
    EXPECT_EQ(json::string_at(me.body, "status", "userInfo", "username"), "carol") << me.raw.body;
    EXPECT_EQ(json::string_at(me.body, "status", "userInfo", "groups", 0), "dev");
}

TEST_P(Conformance, CreatingTwiceAlreadyExists) {
    make_config_map("c");
    const auto again = post(core("configmaps"), config_map("c"));
    EXPECT_EQ(again.code, 409);
    EXPECT_EQ(again.reason(), "AlreadyExists");
    EXPECT_EQ(again.error(kube::Method::post).code, already_exists);
    EXPECT_EQ(again.error(kube::Method::post).applied, Applied::no);
}

TEST_P(Conformance, AStalePutIsAConflict) {
    const auto made = make_config_map("c");
    ASSERT_EQ(merge(core("configmaps/c"), R"({"data":{"a":"2"}})").code, 200);
    const auto stale = put(core("configmaps/c"), json::dump(made.body));
    EXPECT_EQ(stale.code, 409);
    EXPECT_EQ(stale.reason(), "Conflict");
    EXPECT_EQ(stale.error(kube::Method::put).code, aborted);
}

TEST_P(Conformance, AStaleVersionInAPatchIsAConflict) {
    const auto made = make_config_map("c");
    ASSERT_EQ(merge(core("configmaps/c"), R"({"data":{"a":"2"}})").code, 200);
    const auto stale = merge(core("configmaps/c"), R"({"metadata":{"resourceVersion":")" + std::string(made.version()) + R"("},"data":{"a":"3"}})");
    EXPECT_EQ(stale.code, 409);
    EXPECT_EQ(stale.error(kube::Method::patch).code, aborted);
    EXPECT_EQ(json::string_at(get(core("configmaps/c")).body, "data", "a"), "2");
}

TEST_P(Conformance, AnotherUidInAPatchIsRefused) {
    make_config_map("c");
    const auto other = merge(core("configmaps/c"), R"({"metadata":{"uid":"00000000-0000-0000-0000-000000000000"},"data":{"a":"3"}})");
    EXPECT_EQ(other.code, 422) << "in a PUT it would be a conflict: " << other.raw.body;
    EXPECT_EQ(other.field(), "metadata.uid");
    EXPECT_EQ(
        merge(core("configmaps/c"), R"({"metadata":{"uid":"00000000-0000-0000-0000-000000000000","resourceVersion":"1"},"data":{"a":"3"}})").code,
        409)
        << "with a stale version it is a conflict";
    auto put_body = get(core("configmaps/c")).body;
    json::make_at(put_body, "metadata", "uid") = "00000000-0000-0000-0000-000000000000";
    EXPECT_EQ(put(core("configmaps/c"), json::dump(put_body)).code, 409);
    EXPECT_EQ(json::string_at(get(core("configmaps/c")).body, "data", "a"), "1");
}

TEST_P(Conformance, DeletingWithAnotherUidOrVersionIsAConflict) {
    const auto made = make_config_map("c");
    const auto uid =
        del(core("configmaps/c"), R"({"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}})");
    EXPECT_EQ(uid.code, 409);
    EXPECT_EQ(uid.reason(), "Conflict");
    const auto version = del(core("configmaps/c"), R"({"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"resourceVersion":"1"}})");
    EXPECT_EQ(version.code, 409);
    EXPECT_EQ(get(core("configmaps/c")).code, 200);
    EXPECT_EQ(wait(client->remove(kube::resources::config_maps, ns, "c", {.uid = "other"}, soon())).error().code, aborted);
    EXPECT_TRUE(wait(client->remove(kube::resources::config_maps, ns, "c",
                                    {.uid = std::string(made.uid()), .resource_version = std::string(made.version())}, soon())));
}

TEST_P(Conformance, AnInvalidObjectNamesItsFields) {
    const auto answer =
        post(apps("deployments"),
             R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":-1,"selector":{"matchLabels":{"app":"x"}},
        "template":{"metadata":{"labels":{"app":"y"}},"spec":{"containers":[{"name":"c","image":"c"}]}}}})");
    EXPECT_EQ(answer.code, 422);
    EXPECT_EQ(answer.reason(), "Invalid");
    std::vector<std::string> fields;
    for (const auto& cause : json::array_at(answer.body, "details", "causes")) fields.emplace_back(json::string_at(cause, "field"));
    EXPECT_TRUE(has(fields, "spec.replicas")) << answer.raw.body;
    EXPECT_TRUE(has(fields, "spec.template.metadata.labels")) << answer.raw.body;
    EXPECT_EQ(answer.error(kube::Method::post).code, invalid_argument);
    EXPECT_FALSE(answer.error(kube::Method::post).field.empty());
}

TEST_P(Conformance, AnImmutableFieldIsInvalid) {
    make_deployment("d");
    const auto answer = merge(apps("deployments/d"), R"({"spec":{"selector":{"matchLabels":{"app":"other"}}}})");
    EXPECT_EQ(answer.code, 422);
    EXPECT_EQ(answer.error(kube::Method::patch).code, invalid_argument);
    make_pod("p");
    const auto node = merge(core("pods/p"), R"({"spec":{"terminationGracePeriodSeconds":5}})");
    EXPECT_EQ(node.code, 422) << node.raw.body;
    EXPECT_EQ(merge(core("pods/p"), R"({"metadata":{"labels":{"more":"yes"}}})").code, 200);
    EXPECT_EQ(strategic(core("pods/p"), R"({"spec":{"containers":[{"name":"c","image":"r.example/c:2"}]}})").code, 200) << "an image may change";
}

TEST_P(Conformance, AServiceKeepsItsClusterAddress) {
    const auto made = post(core("services"),
                           R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"selector":{"app":"x"},"ports":[{"port":80}]}})");
    ASSERT_EQ(made.code, 201) << made.raw.body;
    EXPECT_EQ(merge(core("services/s"), R"({"spec":{"clusterIP":"10.96.99.99"}})").code, 422);
}

TEST_P(Conformance, SomeKindsArePutOnlyWithAVersion) {
    const std::string body =
        R"({"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"b"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"x"}}}})";
    ASSERT_EQ(post("/apis/policy/v1/namespaces/" + ns + "/poddisruptionbudgets", body).code, 201);
    const auto answer = put("/apis/policy/v1/namespaces/" + ns + "/poddisruptionbudgets/b", body);
    EXPECT_EQ(answer.code, 422);
    EXPECT_EQ(answer.field(), "metadata.resourceVersion");
    make_config_map("c");
    EXPECT_EQ(put(core("configmaps/c"), config_map("c", R"({"b":"2"})")).code, 200) << "others without one";
}

TEST_P(Conformance, ABodyThatIsNotWhatItsPathSaysIsABadRequest) {
    EXPECT_EQ(post(core("configmaps"), "{not json").code, 400);
    make_config_map("c");
    EXPECT_EQ(put(core("configmaps/c"), config_map("other")).code, 400) << "another name";
    EXPECT_EQ(post(core("configmaps"), config_map("d", "{}", R"("namespace":"other")")).code, 400) << "another namespace";
    EXPECT_EQ(post(core("configmaps"), R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}})").code, 400) << "another kind";
}

TEST_P(Conformance, MediaTypesAreNegotiated) {
    make_config_map("c");
    const auto patched = patch("application/json", core("configmaps/c"), R"({"data":{"a":"2"}})");
    EXPECT_EQ(patched.code, 415);
    EXPECT_EQ(patched.error(kube::Method::patch).code, unimplemented);
    const auto html = get(core("configmaps"), {.accept = "text/html"});
    EXPECT_EQ(html.code, 406);
    EXPECT_EQ(html.error().code, unimplemented);
    const auto collection = put(core("pods"), pod("p"));
    EXPECT_EQ(collection.code, 405);
    EXPECT_EQ(collection.reason(), "MethodNotAllowed");
}

TEST_P(Conformance, BodiesHaveALimitAndConfigMapsASmallerOne) {
    const auto huge = post(core("configmaps"), config_map("c", R"({"a":")" + std::string(3'300'000, 'x') + "\"}"));
    EXPECT_EQ(huge.code, 413);
    EXPECT_EQ(huge.reason(), "RequestEntityTooLarge");
    EXPECT_EQ(huge.error(kube::Method::post).code, invalid_argument);
    const auto large = post(core("configmaps"), config_map("c", R"({"a":")" + std::string(1'100'000, 'x') + "\"}"));
    EXPECT_EQ(large.code, 422);
}

TEST_P(Conformance, CreatingInANamespaceThatDoesNotExistIsNotFound) {
    const auto answer = post("/api/v1/namespaces/none/configmaps", config_map("c"));
    EXPECT_EQ(answer.code, 404);
    EXPECT_EQ(json::string_at(answer.body, "details", "kind"), "namespaces");
}

TEST_P(Conformance, SelectorsThatCannotBeReadAreABadRequest) {
    EXPECT_EQ(get(core("pods?labelSelector=a%20b%20c")).code, 400);
    EXPECT_EQ(get(core("pods?fieldSelector=spec.foo%3D1")).code, 400);
    EXPECT_EQ(get(core("pods?labelSelector=a%20in%20(b,c),!d")).code, 200);
}

TEST_P(Conformance, AQuotaThatIsUsedUpForbids) {
    ASSERT_EQ(
        post(core("resourcequotas"), R"({"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"count/secrets":"0"}}})")
            .code,
        201);
    Answer answer;
    EXPECT_TRUE(eventually([&] {
        answer = post(core("secrets"), R"({"apiVersion":"v1","kind":"Secret","metadata":{"generateName":"s-"},"stringData":{"k":"v"}})");
        return answer.code == 403;
    }));
    EXPECT_EQ(answer.reason(), "Forbidden");
    EXPECT_EQ(answer.error(kube::Method::post).code, permission_denied);
}

TEST_P(Conformance, PodSecurityForbidsPodsAndWarnsOfWorkloads) {
    ASSERT_EQ(merge("/api/v1/namespaces/" + ns,
                    R"({"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted","pod-security.kubernetes.io/warn":"restricted"}}})")
                  .code,
              200);
    Answer refused;
    EXPECT_TRUE(eventually([&] {
        refused = post(core("pods") + "?dryRun=All", pod("p"));
        return refused.code == 403 && refused.raw.body.contains("PodSecurity");
    })) << refused.raw.body;
    EXPECT_EQ(refused.reason(), "Forbidden");
    const auto warned = post(apps("deployments?dryRun=All"), deployment("d"));
    EXPECT_EQ(warned.code, 201);
    ASSERT_FALSE(warned.raw.warnings().empty());
    EXPECT_TRUE(warned.raw.warnings()[0].contains("would violate PodSecurity")) << warned.raw.warnings()[0];
}

TEST_P(Conformance, ANamespaceThatIsGoingTakesNothingNew) {
    make_config_map("held", "{}", R"("finalizers":["test.example/hold"])");
    ASSERT_EQ(del("/api/v1/namespaces/" + ns).code, 200);
    Answer refused;
    EXPECT_TRUE(eventually([&] { return refused = post(core("configmaps"), config_map("late")), refused.code == 403; }));
    EXPECT_EQ(refused.cause(), "NamespaceTerminating");
    const auto error = refused.error(kube::Method::post);
    EXPECT_EQ(error.code, failed_precondition);
    EXPECT_EQ(error.reason, "NamespaceTerminating");
    EXPECT_EQ(json::string_at(get("/api/v1/namespaces/" + ns).body, "status", "phase"), "Terminating");
    EXPECT_TRUE(eventually([&] { return merge(core("configmaps/held"), R"({"metadata":{"finalizers":null}})").code == 200; }));
    EXPECT_TRUE(eventually([&] { return get("/api/v1/namespaces/" + ns).code == 404; }));
}

TEST_P(Conformance, TheDefaultNamespaceIsProtected) {
    EXPECT_EQ(del("/api/v1/namespaces/default").code, 403);
    EXPECT_EQ(del("/api/v1/namespaces/kube-system").code, 403);
}

TEST_P(Conformance, ARequestThatRunsOutOfItsOwnTimeoutIs504) {
    // The server's own deadline: a Status, but sent as text/plain and without a kind.
    Answer answer;
    EXPECT_TRUE(eventually([&] { return answer = get("/api/v1/pods?timeout=1ns"), answer.code != 200; }));
    EXPECT_EQ(answer.code, 504) << answer.raw.body;
    EXPECT_TRUE(answer.raw.content_type.starts_with("text/plain")) << answer.raw.content_type;
    EXPECT_EQ(answer.error().code, deadline_exceeded);
    EXPECT_EQ(answer.error().reason, "Timeout");
}

TEST_P(Conformance, AnAdmissionPolicyThatDeniesIsInvalidWithoutAField) {
    if (server->simulated()) GTEST_SKIP() << "the simulator has no admission policies (CEL)";
    const std::string name = "deny-" + ns;
    ASSERT_EQ(
        post(
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            R"({"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":")" + name +
                R"("},"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["configmaps"]}],
                   "namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":")" +
                ns + R"x("}}},"validations":[{"expression":"!object.metadata.name.startsWith('deny')","message":"no"}]}})x")
            .code,
        201);
    ASSERT_EQ(post("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
                   R"({"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":")" + name +
                       R"("},"spec":{"policyName":")" + name + R"(","validationActions":["Deny"]}})")
                  .code,
              201);
    Answer denied;
    EXPECT_TRUE(eventually([&] { return denied = post(core("configmaps?dryRun=All"), config_map("deny-me")), denied.code != 201; }));
    EXPECT_EQ(denied.code, 422);
    EXPECT_EQ(denied.reason(), "Invalid");
    EXPECT_EQ(denied.error(kube::Method::post).code, invalid_argument);
    EXPECT_EQ(post(core("configmaps"), config_map("fine")).code, 201);
    (void)del("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/" + name);
    (void)del("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/" + name);
}

TEST_P(Conformance, ADeadWebhookIsAnInternalErrorAndTheEffectIsInDoubt) {
    if (server->simulated()) GTEST_SKIP() << "the simulator calls no webhooks";
    const std::string name = "dead-" + ns;
    ASSERT_EQ(
        post(
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
            R"({"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":")" + name +
                R"("},"webhooks":[{"name":"dead.test.example","clientConfig":{"url":"https://127.0.0.1:1/"},"rules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["configmaps"]}],
                   "namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":")" +
                ns + R"("}},"failurePolicy":"Fail","sideEffects":"None","admissionReviewVersions":["v1"],"timeoutSeconds":2}]})")
            .code,
        201);
    Answer broken;
    EXPECT_TRUE(eventually([&] { return broken = post(core("configmaps?dryRun=All"), config_map("c")), broken.code != 201; }));
    EXPECT_EQ(broken.code, 500);
    EXPECT_EQ(broken.reason(), "InternalError");
    EXPECT_EQ(broken.error(kube::Method::post).applied, Applied::maybe);
    (void)del("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/" + name);
}

}  // namespace
}  // namespace kn::conformance
