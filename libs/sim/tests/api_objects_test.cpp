// Create, read, update, delete: versions, identity, defaults, generations, and the errors of the wire recordings.
#include "api_fixture.hpp"

namespace kn::sim {
namespace {

using json::int_at;
using json::string_at;

class ApiObjects : public ApiFixture {};

TEST_F(ApiObjects, ACreatedObjectHasIdentityVersionTimeAndOwnerOfItsFields) {
    const auto made = post(config_maps, config_map("conf"));
    ASSERT_EQ(made.code, 201) << made.raw.body;
    EXPECT_EQ(uid_of(made).size(), 36U);
    EXPECT_FALSE(version_of(made).empty());
    EXPECT_FALSE(string_at(made.body, "metadata", "creationTimestamp").empty());
    EXPECT_EQ(string_at(made.body, "metadata", "namespace"), "demo");
    EXPECT_EQ(string_at(made.body, "metadata", "managedFields", 0, "operation"), "Update");
    EXPECT_NE(json::at(made.body, "metadata", "managedFields", 0, "fieldsV1", "f:data", "f:a"), nullptr);
    EXPECT_EQ(get(std::string(config_maps) + "/conf").body, made.body);
}

TEST_F(ApiObjects, VersionsGrowOverAllKinds) {
    const auto a = std::stoull(version_of(post(config_maps, config_map("a"))));
    const auto b = std::stoull(version_of(post(deployments, deployment("b"))));
    const auto c = std::stoull(version_of(post(config_maps, config_map("c"))));
    EXPECT_LT(a, b);
    EXPECT_LT(b, c);
}

TEST_F(ApiObjects, ASecondCreateIsAlreadyExists) {
    post(config_maps, config_map("conf"));
    const auto again = post(config_maps, config_map("conf"));
    EXPECT_EQ(again.code, 409);
    EXPECT_EQ(again.reason(), "AlreadyExists");
    EXPECT_EQ(string_at(again.body, "details", "kind"), "configmaps");
    EXPECT_EQ(string_at(again.body, "details", "name"), "conf");
}

TEST_F(ApiObjects, GenerateNameAddsFiveCharacters) {
    const auto made = post(config_maps, R"({"metadata":{"generateName":"gen-"}})");
    EXPECT_EQ(made.code, 201);
    EXPECT_EQ(string_at(made.body, "metadata", "name").size(), 9U);
    EXPECT_TRUE(string_at(made.body, "metadata", "name").starts_with("gen-"));
}

TEST_F(ApiObjects, AMissingNamespaceIsNotFoundForCreateAndEmptyForList) {
    const auto made = post("/api/v1/namespaces/none/configmaps", config_map("x"));
    EXPECT_EQ(made.code, 404);
    EXPECT_EQ(string_at(made.body, "details", "kind"), "namespaces");
    const auto list = get("/api/v1/namespaces/none/pods");
    EXPECT_EQ(list.code, 200);
    EXPECT_EQ(string_at(list.body, "kind"), "PodList");
    EXPECT_TRUE(json::array_at(list.body, "items").empty());
}

TEST_F(ApiObjects, ListItemsOfBuiltInKindsCarryNoTypeAndEverythingElse) {
    post(config_maps, config_map("conf"));
    const auto list = get(config_maps);
    ASSERT_EQ(json::array_at(list.body, "items").size(), 1U);
    const auto& item = json::array_at(list.body, "items")[0];
    EXPECT_EQ(json::at(item, "kind"), nullptr);
    EXPECT_EQ(json::at(item, "apiVersion"), nullptr);
    EXPECT_EQ(string_at(item, "metadata", "name"), "conf");
    EXPECT_EQ(string_at(item, "data", "a"), "1");
}

TEST_F(ApiObjects, AnOldVersionInAPutOrAPatchIsAConflict) {
    const auto made = post(config_maps, config_map("conf"));
    merge(std::string(config_maps) + "/conf", R"({"data":{"b":"2"}})");
    const auto stale =
        put(std::string(config_maps) + "/conf", R"({"metadata":{"name":"conf","resourceVersion":")" + version_of(made) + R"("},"data":{"a":"3"}})");
    EXPECT_EQ(stale.code, 409);
    EXPECT_EQ(stale.reason(), "Conflict");
    const auto patch =
        merge(std::string(config_maps) + "/conf", R"({"metadata":{"resourceVersion":")" + version_of(made) + R"("},"data":{"a":"4"}})");
    EXPECT_EQ(patch.code, 409);
    EXPECT_EQ(patch.message(), stale.message());
}

TEST_F(ApiObjects, APutWithoutVersionIsTakenWhereTheKindAllowsIt) {
    post(config_maps, config_map("conf"));
    EXPECT_EQ(put(std::string(config_maps) + "/conf", config_map("conf", R"({"z":"1"})")).code, 200);
    const std::string budgets = "/apis/policy/v1/namespaces/demo/poddisruptionbudgets";
    const std::string budget = R"({"metadata":{"name":"web"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}})";
    post(budgets, budget);
    const auto refused = put(budgets + "/web", budget);
    EXPECT_EQ(refused.code, 422);
    EXPECT_EQ(refused.field(), "metadata.resourceVersion");
}

TEST_F(ApiObjects, APatchThatChangesNothingKeepsTheVersion) {
    const auto made = post(deployments, deployment("web", R"("replicas":2,)"));
    const auto same = merge(std::string(deployments) + "/web", R"({"spec":{"replicas":2}})");
    EXPECT_EQ(same.code, 200);
    EXPECT_EQ(version_of(same), version_of(made));
    EXPECT_FALSE(server.writes().back().changed);
}

TEST_F(ApiObjects, DefaultsAreFilledInAsAServerFillsThem) {
    const auto made = post(deployments, deployment("web"));
    ASSERT_EQ(made.code, 201) << made.raw.body;
    EXPECT_EQ(int_at(made.body, "spec", "replicas"), 1);
    EXPECT_EQ(string_at(made.body, "spec", "strategy", "rollingUpdate", "maxSurge"), "25%");
    EXPECT_EQ(int_at(made.body, "spec", "progressDeadlineSeconds"), 600);
    EXPECT_EQ(string_at(made.body, "spec", "template", "spec", "restartPolicy"), "Always");
    EXPECT_EQ(string_at(made.body, "spec", "template", "spec", "containers", 0, "imagePullPolicy"), "IfNotPresent");
    const auto p = post(pods, pod("p"));
    EXPECT_EQ(string_at(p.body, "spec", "serviceAccountName"), "default");
    EXPECT_EQ(string_at(p.body, "status", "phase"), "Pending");
    EXPECT_EQ(string_at(p.body, "status", "qosClass"), "BestEffort");
    EXPECT_EQ(json::array_at(p.body, "spec", "tolerations").size(), 2U);
    const auto secret = post("/api/v1/namespaces/demo/secrets", R"({"metadata":{"name":"s"},"stringData":{"k":"v"}})");
    EXPECT_EQ(string_at(secret.body, "data", "k"), "dg==");
    EXPECT_EQ(string_at(secret.body, "type"), "Opaque");
    const auto service = post("/api/v1/namespaces/demo/services", R"({"metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}})");
    EXPECT_TRUE(string_at(service.body, "spec", "clusterIP").starts_with("10.96."));
    EXPECT_EQ(int_at(service.body, "spec", "ports", 0, "targetPort"), 80);
}

TEST_F(ApiObjects, TheGenerationCountsChangesOfTheSpecOnly) {
    post(deployments, deployment("web"));
    const auto path = std::string(deployments) + "/web";
    EXPECT_EQ(int_at(merge(path, R"({"spec":{"replicas":3}})").body, "metadata", "generation"), 2);
    EXPECT_EQ(int_at(merge(path, R"({"metadata":{"labels":{"a":"b"}}})").body, "metadata", "generation"), 2);
    EXPECT_EQ(int_at(merge(path + "/status", R"({"status":{"replicas":3}})").body, "metadata", "generation"), 2);
    EXPECT_EQ(int_at(merge(path, R"({"metadata":{"generation":99}})").body, "metadata", "generation"), 2);
}

TEST_F(ApiObjects, StatusAndSpecAreWrittenThroughTheirOwnDoors) {
    post(deployments, deployment("web"));
    const auto path = std::string(deployments) + "/web";
    const auto ignored = merge(path, R"({"status":{"replicas":77}})");
    EXPECT_EQ(ignored.code, 200);
    EXPECT_EQ(json::at(ignored.body, "status", "replicas"), nullptr);
    const auto status = merge(path + "/status", R"({"spec":{"replicas":9},"status":{"replicas":3}})");
    EXPECT_EQ(int_at(status.body, "status", "replicas"), 3);
    EXPECT_EQ(int_at(status.body, "spec", "replicas"), 1);
    post(pods, pod("p"));
    const auto labelled = strategic(std::string(pods) + "/p/status", R"({"metadata":{"labels":{"more":"1"}},"status":{"phase":"Running"}})");
    EXPECT_EQ(string_at(labelled.body, "metadata", "labels", "more"), "1");
    EXPECT_EQ(string_at(labelled.body, "status", "phase"), "Running");
}

TEST_F(ApiObjects, SeveralThingsWrongAreSeveralCauses) {
    const auto bad = post(
        deployments,
        R"({"metadata":{"name":"Bad_Name"},"spec":{"replicas":-1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"c"}},"spec":{"containers":[{"name":"x"}]}}}})");
    EXPECT_EQ(bad.code, 422);
    EXPECT_EQ(bad.reason(), "Invalid");
    std::vector<std::string> fields;
    for (const auto& cause : json::array_at(bad.body, "details", "causes")) fields.emplace_back(string_at(cause, "field"));
    EXPECT_EQ(fields, (std::vector<std::string>{"metadata.name", "spec.replicas", "spec.template.metadata.labels",
                                                "spec.template.spec.containers[0].image"}));
}

TEST_F(ApiObjects, ImmutableFieldsAreInvalid) {
    post(deployments, deployment("web"));
    const auto selector = merge(std::string(deployments) + "/web", R"({"spec":{"selector":{"matchLabels":{"app":"other"}}}})");
    EXPECT_EQ(selector.code, 422);
    EXPECT_EQ(string_at(selector.body, "details", "causes", 1, "field"), "spec.selector");
    post(pods, pod("p"));
    EXPECT_EQ(merge(std::string(pods) + "/p", R"({"spec":{"terminationGracePeriodSeconds":5}})").cause(), "FieldValueForbidden");
    EXPECT_EQ(strategic(std::string(pods) + "/p", R"({"spec":{"containers":[{"name":"c","image":"r.example/x:2"}]}})").code, 200);
    post(config_maps, R"({"metadata":{"name":"fixed"},"immutable":true,"data":{"a":"1"}})");
    EXPECT_EQ(merge(std::string(config_maps) + "/fixed", R"({"data":{"a":"2"}})").code, 422);
    EXPECT_EQ(merge(std::string(config_maps) + "/fixed", R"({"metadata":{"labels":{"x":"y"}}})").code, 200);
    post("/api/v1/namespaces/demo/services", R"({"metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}})");
    EXPECT_EQ(merge("/api/v1/namespaces/demo/services/web", R"({"spec":{"clusterIP":"10.96.1.1"}})").field(), "spec.clusterIPs[0]");
}

TEST_F(ApiObjects, ClaimsGrowOnlyWhereTheClassAllowsIt) {
    post("/apis/storage.k8s.io/v1/storageclasses", R"({"metadata":{"name":"fast"},"provisioner":"p.example","allowVolumeExpansion":true})");
    post("/apis/storage.k8s.io/v1/storageclasses", R"({"metadata":{"name":"fixed"},"provisioner":"p.example"})");
    const std::string claims = "/api/v1/namespaces/demo/persistentvolumeclaims";
    for (const std::string name : {"fast", "fixed"}) {
        ASSERT_EQ(post(claims, R"({"metadata":{"name":")" + name + R"("},"spec":{"storageClassName":")" + name +
                                   R"(","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}})")
                      .code,
                  201);
        merge(claims + "/" + name + "/status", R"({"status":{"phase":"Bound","capacity":{"storage":"1Gi"}}})");
    }
    const std::string grow = R"({"spec":{"resources":{"requests":{"storage":"2Gi"}}}})";
    EXPECT_EQ(merge(claims + "/fast", grow).code, 200);
    const auto refused = merge(claims + "/fixed", grow);
    EXPECT_EQ(refused.code, 403);
    EXPECT_EQ(refused.reason(), "Forbidden");
    EXPECT_EQ(merge(claims + "/fast", R"({"spec":{"resources":{"requests":{"storage":"512Mi"}}}})").code, 422);
    EXPECT_EQ(merge(claims + "/fast", R"({"spec":{"accessModes":["ReadWriteMany"]}})").code, 422);
}

TEST_F(ApiObjects, BodiesThatDoNotFitTheUrlAreBadRequests) {
    post(config_maps, config_map("conf"));
    EXPECT_EQ(put(std::string(config_maps) + "/conf", config_map("other")).code, 400);
    EXPECT_EQ(post(config_maps, R"({"metadata":{"name":"x","namespace":"default"}})").code, 400);
    EXPECT_EQ(post(config_maps, R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}})").code, 400);
    EXPECT_EQ(post(config_maps, R"({"a":)").code, 400);
    EXPECT_EQ(post(config_maps, "{}").code, 422);
}

TEST_F(ApiObjects, UnknownFieldsAreToldOrRefusedAsAsked) {
    const std::string body = R"({"metadata":{"name":"st","nope":1},"dataa":{"a":"1"}})";
    const auto strict = post(std::string(config_maps) + "?fieldValidation=Strict", body);
    EXPECT_EQ(strict.code, 400);
    EXPECT_EQ(strict.reason(), "BadRequest");
    const auto warned = post(std::string(config_maps) + "?fieldValidation=Warn", body);
    EXPECT_EQ(warned.code, 201);
    EXPECT_EQ(warned.raw.warnings().size(), 2U);
    EXPECT_EQ(json::at(warned.body, "dataa"), nullptr);
    EXPECT_TRUE(post(std::string(config_maps) + "?fieldValidation=Ignore", R"({"metadata":{"name":"st2"},"dataa":{}})").raw.warnings().empty());
}

TEST_F(ApiObjects, DryRunAnswersAsTheRealThingAndStoresNothing) {
    const auto made = post(std::string(config_maps) + "?dryRun=All", config_map("dry"));
    EXPECT_EQ(made.code, 201);
    EXPECT_EQ(uid_of(made).size(), 36U);
    EXPECT_TRUE(version_of(made).empty());
    EXPECT_EQ(get(std::string(config_maps) + "/dry").code, 404);
    EXPECT_FALSE(server.writes().back().changed);
    EXPECT_TRUE(server.writes().back().dry_run);
    post(config_maps, config_map("conf"));
    EXPECT_EQ(string_at(merge(std::string(config_maps) + "/conf?dryRun=All", R"({"data":{"dry":"run"}})").body, "data", "dry"), "run");
    EXPECT_EQ(json::at(get(std::string(config_maps) + "/conf").body, "data", "dry"), nullptr);
    EXPECT_EQ(del(std::string(config_maps) + "/conf?dryRun=All").code, 200);
    EXPECT_EQ(get(std::string(config_maps) + "/conf").code, 200);
    const auto wrong = post(std::string(config_maps) + "?dryRun=Some", config_map("dry"));
    EXPECT_EQ(wrong.code, 422);
    EXPECT_EQ(wrong.field(), "dryRun");
}

/// A protobuf record: field number and bytes.
std::string record(unsigned number, std::string_view bytes) {
    return std::string(1, static_cast<char>(number << 3U | 2U)) + std::string(1, static_cast<char>(bytes.size())) + std::string(bytes);
}
std::string enveloped(std::string_view api_version, std::string_view kind, std::string_view raw) {
    return std::string("k8s\0", 4) + record(1, record(1, api_version) + record(2, kind)) + record(2, raw) + record(3, "") + record(4, "");
}

TEST_F(ApiObjects, SmallProtobufBodiesOfNewerClientsAreReadAndOthersRefusedAloud) {
    const auto send = [this](std::string_view target, std::string body) {
        return call(kube::Method::post, target, std::move(body), "application/vnd.kubernetes.protobuf");
    };
    const auto meta = [](std::string_view name) { return record(1, record(1, name) + record(2, "") + record(8, "")); };
    const auto made = send(config_maps, enveloped("v1", "ConfigMap", meta("conf") + record(2, record(1, "a") + record(2, "b"))));
    ASSERT_EQ(made.code, 201) << made.raw.body;
    EXPECT_EQ(string_at(made.body, "data", "a"), "b");
    post(pods, pod("p"));
    EXPECT_EQ(send(std::string(pods) + "/p/eviction", enveloped("policy/v1", "Eviction", meta("p"))).code, 201);
    const auto unknown = send(pods, enveloped("v1", "Pod", meta("q") + record(2, record(1, "volumes"))));
    EXPECT_EQ(unknown.code, 415);
    EXPECT_NE(unknown.message().find("field 1 of PodSpec"), std::string_view::npos);
    EXPECT_EQ(send(config_maps, enveloped("v1", "Podcast", "")).code, 415);
    EXPECT_EQ(send(config_maps, "nonsense").code, 400);
    EXPECT_EQ(send(config_maps, std::string("k8s\0", 4) + "\x0a\x7fzz").code, 400);
}

TEST_F(ApiObjects, LargeBodiesAreRefused) {
    EXPECT_EQ(post(config_maps, config_map("big", R"({"a":")" + std::string(3U << 20U, 'x') + R"("})")).code, 413);
    const auto too_long = post(config_maps, config_map("big", R"({"a":")" + std::string(1'100'000, 'x') + R"("})"));
    EXPECT_EQ(too_long.code, 422);
    EXPECT_EQ(too_long.cause(), "FieldValueTooLong");
}

TEST_F(ApiObjects, DeletingAPlainObjectAnswersAStatusWithItsUid) {
    const auto made = post(config_maps, config_map("plain"));
    const auto gone = del(std::string(config_maps) + "/plain");
    EXPECT_EQ(gone.code, 200);
    EXPECT_EQ(string_at(gone.body, "status"), "Success");
    EXPECT_EQ(string_at(gone.body, "details", "uid"), uid_of(made));
    EXPECT_EQ(del(std::string(config_maps) + "/plain").code, 404);
}

TEST_F(ApiObjects, PreconditionsProtectFromDeletingSomebodyElse) {
    const auto made = post(config_maps, config_map("conf"));
    const auto wrong = del(std::string(config_maps) + "/conf", R"({"preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}})");
    EXPECT_EQ(wrong.code, 409);
    EXPECT_EQ(wrong.reason(), "Conflict");
    EXPECT_EQ(string_at(wrong.body, "details", "kind"), "ConfigMap");
    EXPECT_EQ(del(std::string(config_maps) + "/conf", R"({"preconditions":{"resourceVersion":"1"}})").code, 409);
    EXPECT_EQ(del(std::string(config_maps) + "/conf", R"({"preconditions":{"uid":")" + uid_of(made) + R"("}})").code, 200);
}

TEST_F(ApiObjects, APodOnANodeGoesGracefullyAndTheKubeletEndsIt) {
    post(pods, pod("p", "node-1"));
    merge(std::string(pods) + "/p/status", R"({"status":{"phase":"Running"}})");
    const auto first = del(std::string(pods) + "/p");
    EXPECT_EQ(first.code, 200);
    EXPECT_EQ(string_at(first.body, "kind"), "Pod");
    EXPECT_EQ(int_at(first.body, "metadata", "deletionGracePeriodSeconds"), 30);
    EXPECT_EQ(int_at(first.body, "metadata", "generation"), 2);
    const auto again = del(std::string(pods) + "/p");
    EXPECT_EQ(version_of(again), version_of(first));
    EXPECT_EQ(int_at(del(std::string(pods) + "/p?gracePeriodSeconds=5").body, "metadata", "deletionGracePeriodSeconds"), 5);
    EXPECT_EQ(get(std::string(pods) + "/p").code, 200);
    EXPECT_EQ(del(std::string(pods) + "/p?gracePeriodSeconds=0").code, 200);
    EXPECT_EQ(get(std::string(pods) + "/p").code, 404);
}

TEST_F(ApiObjects, APodWithoutANodeGoesAtOnce) {
    post(pods, pod("p"));
    const auto gone = del(std::string(pods) + "/p");
    EXPECT_EQ(string_at(gone.body, "kind"), "Pod");
    EXPECT_EQ(get(std::string(pods) + "/p").code, 404);
}

TEST_F(ApiObjects, FinalizersHoldAnObjectUntilTheLastOneGoes) {
    post(config_maps, R"({"metadata":{"name":"fin","finalizers":["test.example/hold"]}})");
    const auto held = del(std::string(config_maps) + "/fin");
    EXPECT_EQ(string_at(held.body, "kind"), "ConfigMap");
    EXPECT_FALSE(string_at(held.body, "metadata", "deletionTimestamp").empty());
    EXPECT_EQ(merge(std::string(config_maps) + "/fin", R"({"metadata":{"finalizers":["test.example/hold","test.example/more"]}})").code, 422);
    EXPECT_EQ(merge(std::string(config_maps) + "/fin", R"({"metadata":{"finalizers":null}})").code, 200);
    EXPECT_EQ(get(std::string(config_maps) + "/fin").code, 404);
}

TEST_F(ApiObjects, PropagationIsWrittenAsAFinalizerForTheGarbageCollector) {
    post(deployments, deployment("web"));
    const auto foreground = del(std::string(deployments) + "/web", R"({"propagationPolicy":"Foreground"})");
    EXPECT_EQ(string_at(foreground.body, "metadata", "finalizers", 0), "foregroundDeletion");
    EXPECT_EQ(int_at(foreground.body, "metadata", "generation"), 2);
    post(deployments, deployment("other"));
    EXPECT_EQ(string_at(del(std::string(deployments) + "/other", R"({"propagationPolicy":"Orphan"})").body, "metadata", "finalizers", 0), "orphan");
    post(deployments, deployment("third"));
    EXPECT_EQ(string_at(del(std::string(deployments) + "/third", R"({"propagationPolicy":"Background"})").body, "status"), "Success");
}

TEST_F(ApiObjects, DeletingACollectionAnswersTheList) {
    for (const auto* name : {"a", "b"}) post(config_maps, R"({"metadata":{"name":")" + std::string(name) + R"(","labels":{"col":"1"}}})");
    post(config_maps, config_map("c"));
    const auto gone = del(std::string(config_maps) + "?labelSelector=col%3D1");
    EXPECT_EQ(string_at(gone.body, "kind"), "ConfigMapList");
    EXPECT_EQ(json::array_at(gone.body, "items").size(), 2U);
    EXPECT_EQ(json::array_at(get(config_maps).body, "items").size(), 1U);
}

TEST_F(ApiObjects, ANamespaceThatIsDeletedTakesItsContentsAlong) {
    post(config_maps, config_map("conf"));
    post(pods, pod("p", "node-1"));
    merge(std::string(pods) + "/p/status", R"({"status":{"phase":"Running"}})");
    const auto going = del("/api/v1/namespaces/demo");
    EXPECT_EQ(string_at(going.body, "status", "phase"), "Terminating");
    const auto late = post(config_maps, config_map("x"));
    EXPECT_EQ(late.code, 403);
    EXPECT_EQ(late.cause(), "NamespaceTerminating");
    loop->run_for(1s);
    EXPECT_EQ(get(std::string(config_maps) + "/conf").code, 404);
    EXPECT_EQ(get("/api/v1/namespaces/demo").code, 200) << "the pod still runs";
    del(std::string(pods) + "/p?gracePeriodSeconds=0");
    loop->run_for(1s);
    EXPECT_EQ(get("/api/v1/namespaces/demo").code, 404);
    EXPECT_EQ(del("/api/v1/namespaces/default").code, 403);
}

TEST_F(ApiObjects, EventsOfBothGroupsAreOneSetOfObjectsAndGrowOld) {
    post(
        "/api/v1/namespaces/demo/events",
        R"({"metadata":{"name":"e.1"},"involvedObject":{"kind":"Pod","name":"p","namespace":"demo"},"reason":"Killing","message":"bye","type":"Normal","count":1})");
    const auto modern = get("/apis/events.k8s.io/v1/namespaces/demo/events/e.1");
    EXPECT_EQ(string_at(modern.body, "apiVersion"), "events.k8s.io/v1");
    EXPECT_EQ(string_at(modern.body, "regarding", "name"), "p");
    EXPECT_EQ(string_at(modern.body, "note"), "bye");
    post("/apis/events.k8s.io/v1/namespaces/demo/events",
         R"({"metadata":{"name":"e.2"},"regarding":{"kind":"Pod","name":"q","namespace":"demo"},"reason":"Pulled","note":"hello","type":"Normal"})");
    EXPECT_EQ(string_at(get("/api/v1/namespaces/demo/events/e.2").body, "message"), "hello");
    EXPECT_EQ(json::array_at(get("/api/v1/namespaces/demo/events?fieldSelector=involvedObject.name%3Dq,reason%3DPulled").body, "items").size(), 1U);
    EXPECT_EQ(json::array_at(get("/apis/events.k8s.io/v1/namespaces/demo/events?fieldSelector=regarding.name%3Dp").body, "items").size(), 1U);
    loop->run_for(std::chrono::minutes(61));
    EXPECT_TRUE(json::array_at(get("/api/v1/namespaces/demo/events").body, "items").empty());
}

TEST_F(ApiObjects, EveryWriteIsRecordedWithWhoWhatAndOutcome) {
    as(admin, kube::Method::post, std::string(config_maps) + "?fieldManager=tester", config_map("conf"));
    as(admin, kube::Method::post, config_maps, config_map("conf"));
    as(alice, kube::Method::del, std::string(config_maps) + "/conf");
    ASSERT_EQ(server.writes().size(), 3U);
    const auto& first = server.writes()[0];
    EXPECT_EQ(first.user, "admin");
    EXPECT_EQ(first.manager, "tester");
    EXPECT_EQ(first.verb, "create");
    EXPECT_EQ(first.resource, "configmaps");
    EXPECT_EQ(first.ns, "demo");
    EXPECT_EQ(first.name, "conf");
    EXPECT_EQ(first.code, 201);
    EXPECT_TRUE(first.changed);
    EXPECT_EQ(server.writes()[1].code, 409);
    EXPECT_FALSE(server.writes()[1].changed);
    EXPECT_EQ(server.writes()[2].code, 403);
}

TEST_F(ApiObjects, GroundTruthIsReadPastEverything) {
    post(config_maps, config_map("conf"));
    const auto* seen = server.peek(kube::resources::config_maps, "demo", "conf");
    ASSERT_NE(seen, nullptr);
    EXPECT_EQ(string_at(*seen, "data", "a"), "1");
    EXPECT_EQ(server.peek(kube::resources::config_maps, "demo", "none"), nullptr);
    EXPECT_EQ(server.peek_all(kube::resources::namespaces).size(), 5U);
}

}  // namespace
}  // namespace kn::sim
