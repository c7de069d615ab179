// The four kinds of patches and server-side apply (facts 10-14).
#include "conformance.hpp"

namespace kn::conformance {
namespace {

using enum ErrorCode;

std::vector<std::string> containers(const Answer& answer) {
    std::vector<std::string> out;
    for (const auto& container : json::array_at(answer.body, "spec", "template", "spec", "containers")) {
        out.push_back(std::string(json::string_at(container, "name")) + "=" + std::string(json::string_at(container, "image")));
    }
    return out;
}
std::string in_pod_spec(std::string_view text) { return R"({"spec":{"template":{"spec":{)" + std::string(text) + "}}}}"; }

TEST_P(Conformance, AStrategicPatchMergesContainersAndTheirEnvironmentByName) {
    make_deployment("d");
    const auto answer = strategic(
        apps("deployments/d"),
        in_pod_spec(
            R"("containers":[{"name":"side","image":"r.example/side:2"},{"name":"app","env":[{"name":"B","value":"3"},{"name":"C","value":"4"}]}])"));
    ASSERT_EQ(answer.code, 200) << answer.raw.body;
    const auto names = containers(answer);
    EXPECT_TRUE(has(names, "app=r.example/web:1"));
    EXPECT_TRUE(has(names, "side=r.example/side:2"));
    for (const auto& container : json::array_at(answer.body, "spec", "template", "spec", "containers")) {
        if (json::string_at(container, "name") == "app") EXPECT_EQ(json::array_at(container, "env").size(), 3U);
    }
}

TEST_P(Conformance, AStrategicPatchDeletesReplacesAndOrders) {
    make_deployment("d");
    EXPECT_EQ(containers(strategic(
                  apps("deployments/d"),
                  in_pod_spec(
                      R"("$setElementOrder/containers":[{"name":"side"},{"name":"app"}],"containers":[{"name":"app","image":"r.example/web:2"}])"))),
              (std::vector<std::string>{"side=r.example/side:1", "app=r.example/web:2"}));
    EXPECT_EQ(containers(strategic(apps("deployments/d"), in_pod_spec(R"("containers":[{"name":"side","$patch":"delete"}])"))),
              (std::vector<std::string>{"app=r.example/web:2"}));
    EXPECT_EQ(
        containers(strategic(apps("deployments/d"), in_pod_spec(R"("containers":[{"$patch":"replace"},{"name":"new","image":"r.example/new:1"}])"))),
        (std::vector<std::string>{"new=r.example/new:1"}));
}

TEST_P(Conformance, SomeListsAreReplacedWholeEvenByAStrategicPatch) {
    make_deployment("d");
    const auto answer = strategic(apps("deployments/d"), in_pod_spec(R"("tolerations":[{"key":"other","operator":"Exists"}])"));
    EXPECT_EQ(json::array_at(answer.body, "spec", "template", "spec", "tolerations").size(), 1U);
    EXPECT_EQ(json::string_at(answer.body, "spec", "template", "spec", "tolerations", 0, "key"), "other");
}

TEST_P(Conformance, PortsMergeByTheirNumber) {
    make_deployment("d");
    const auto answer = strategic(apps("deployments/d"),
                                  in_pod_spec(R"("containers":[{"name":"app","ports":[{"containerPort":80,"name":"http"},{"containerPort":81}]}])"));
    EXPECT_EQ(answer.code, 200) << answer.raw.body;
    for (const auto& container : json::array_at(answer.body, "spec", "template", "spec", "containers")) {
        if (json::string_at(container, "name") == "app") EXPECT_EQ(json::array_at(container, "ports").size(), 2U);
    }
}

TEST_P(Conformance, AMergePatchReplacesListsWholeAndRemovesByNull) {
    make_deployment("d");
    const auto broken = merge(apps("deployments/d"), in_pod_spec(R"("containers":[{"name":"side","env":[]}])"));
    EXPECT_EQ(broken.code, 422) << "the one container that is left has no image";
    EXPECT_EQ(containers(merge(apps("deployments/d"), in_pod_spec(R"("containers":[{"name":"only","image":"r.example/only:1"}])"))),
              (std::vector<std::string>{"only=r.example/only:1"}));
    const auto cleared = merge(apps("deployments/d"), R"({"metadata":{"labels":null}})");
    EXPECT_EQ(json::at(cleared.body, "metadata", "labels"), nullptr);
}

TEST_P(Conformance, AJsonPatchTestsAddsAndRemoves) {
    make_config_map("c", R"({"a":"1","b":"2"})");
    const auto answer = json_patch(
        core("configmaps/c"),
        R"([{"op":"test","path":"/data/a","value":"1"},{"op":"add","path":"/data/c","value":"3"},{"op":"remove","path":"/data/b"},{"op":"replace","path":"/data/a","value":"9"}])");
    ASSERT_EQ(answer.code, 200) << answer.raw.body;
    EXPECT_EQ(json::canonical(*json::at(answer.body, "data")), R"({"a":"9","c":"3"})");
}

TEST_P(Conformance, AJsonPatchThatFailsDoesNotSayWhy) {
    make_config_map("c");
    const auto test = json_patch(core("configmaps/c"), R"([{"op":"test","path":"/data/a","value":"other"}])");
    EXPECT_EQ(test.code, 422);
    const auto missing = json_patch(core("configmaps/c"), R"([{"op":"remove","path":"/data/nope"}])");
    EXPECT_EQ(missing.code, 422);
    EXPECT_EQ(test.reason(), missing.reason()) << "the two cannot be told apart";
    EXPECT_EQ(test.error(kube::Method::patch).code, invalid_argument);
    EXPECT_EQ(json_patch(core("configmaps/c"), R"({"op":"test"})").code, 400) << "not an array";
}

TEST_P(Conformance, APatchThatChangesNothingKeepsTheVersion) {
    const auto made = make_config_map("c");
    const auto same = merge(core("configmaps/c"), R"({"data":{"a":"1"}})");
    EXPECT_EQ(same.code, 200);
    EXPECT_EQ(same.version(), made.version());
    EXPECT_EQ(strategic(core("configmaps/c"), R"({"data":{"a":"1"}})").version(), made.version());
    EXPECT_EQ(json_patch(core("configmaps/c"), R"([{"op":"replace","path":"/data/a","value":"1"}])").version(), made.version());
}

TEST_P(Conformance, ACustomResourceTakesNoStrategicPatch) {
    make_widgets();
    const auto target = "/apis/test.example/v1/namespaces/" + ns + "/widgets";
    ASSERT_EQ(post(target, R"({"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"n":2}})").code, 201);
    const auto answer = strategic(target + "/w", R"({"spec":{"n":3}})");
    EXPECT_EQ(answer.code, 415);
    EXPECT_EQ(answer.error(kube::Method::patch).code, unimplemented);
    EXPECT_EQ(merge(target + "/w", R"({"spec":{"n":3}})").code, 200);
}

TEST_P(Conformance, ACustomResourceIsValidatedPrunedAndScaled) {
    make_widgets();
    const auto target = "/apis/test.example/v1/namespaces/" + ns + "/widgets";
    const auto missing = post(target, R"({"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"w"},"spec":{}})");
    EXPECT_EQ(missing.code, 422);
    EXPECT_EQ(missing.field(), "spec.n");
    EXPECT_EQ(post(target, R"({"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"n":99}})").code, 422)
        << "over the maximum";
    ASSERT_EQ(post(target, R"({"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"n":2}})").code, 201);
    const auto pruned = merge(target + "/w", R"({"spec":{"unknown":1}})");
    EXPECT_EQ(pruned.code, 200);
    EXPECT_EQ(json::at(pruned.body, "spec", "unknown"), nullptr);
    EXPECT_EQ(json::int_at(get(target + "/w/scale").body, "spec", "replicas"), 2);
    EXPECT_EQ(json::int_at(merge(target + "/w/scale", R"({"spec":{"replicas":5}})").body, "spec", "replicas"), 5);
    EXPECT_EQ(json::int_at(get(target + "/w").body, "spec", "n"), 5);
}

TEST_P(Conformance, YamlBodiesAreReadByTheRulesOfYaml11) {
    if (server->simulated()) GTEST_SKIP() << "the simulator takes a bare key n as text; values it reads as YAML 1.1";
    make_widgets();
    const auto target = "/apis/test.example/v1/namespaces/" + ns + "/widgets";
    const auto quoted =
        post(target, "apiVersion: test.example/v1\nkind: Widget\nmetadata: {name: w}\nspec: {\"n\": 7}\n", {.content_type = "application/yaml"});
    EXPECT_EQ(quoted.code, 201) << quoted.raw.body;
    const auto bare =
        post(target, "apiVersion: test.example/v1\nkind: Widget\nmetadata: {name: v}\nspec: {n: 7}\n", {.content_type = "application/yaml"});
    EXPECT_EQ(bare.code, 422) << "the bare key n is the boolean false";
}

TEST_P(Conformance, ApplyCreatesAndApplyingAgainChangesNothing) {
    const auto target = core("configmaps/ssa?fieldManager=one");
    const auto body = config_map("ssa");
    const auto made = apply(target, body);
    EXPECT_EQ(made.code, 201) << made.raw.body;
    const auto again = apply(target, body);
    EXPECT_EQ(again.code, 200);
    EXPECT_EQ(again.version(), made.version());
    EXPECT_EQ(json::string_at(made.body, "metadata", "managedFields", 0, "manager"), "one");
    EXPECT_EQ(json::string_at(made.body, "metadata", "managedFields", 0, "operation"), "Apply");
}

TEST_P(Conformance, ApplyingAnothersFieldIsAConflictThatNamesTheField) {
    ASSERT_EQ(apply(core("configmaps/ssa?fieldManager=one"), config_map("ssa")).code, 201);
    const auto conflict = apply(core("configmaps/ssa?fieldManager=two"), config_map("ssa", R"({"a":"2"})"));
    EXPECT_EQ(conflict.code, 409);
    EXPECT_EQ(conflict.cause(), "FieldManagerConflict");
    EXPECT_EQ(conflict.field(), ".data.a");
    EXPECT_EQ(conflict.error(kube::Method::patch).reason, "FieldManagerConflict");
    EXPECT_EQ(conflict.error(kube::Method::patch).code, failed_precondition);
    const auto forced = apply(core("configmaps/ssa?fieldManager=two&force=true"), config_map("ssa", R"({"a":"2"})"));
    EXPECT_EQ(forced.code, 200);
    EXPECT_EQ(json::string_at(forced.body, "data", "a"), "2");
}

TEST_P(Conformance, AnUpdateOwnsItsFieldsAgainstApplyToo) {
    make_deployment("d");
    ASSERT_EQ(merge(apps("deployments/d?fieldManager=autoscaler"), R"({"spec":{"replicas":0}})").code, 200);
    const auto conflict = apply(apps("deployments/d?fieldManager=gitops"),
                                R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":3}})");
    EXPECT_EQ(conflict.code, 409) << conflict.raw.body;
    EXPECT_EQ(conflict.field(), ".spec.replicas");
}

TEST_P(Conformance, EqualValuesAreSharedAndWhatNobodyAppliesAnyMoreGoes) {
    ASSERT_EQ(apply(core("configmaps/ssa?fieldManager=one"), config_map("ssa", R"({"a":"1","b":"2"})")).code, 201);
    EXPECT_EQ(apply(core("configmaps/ssa?fieldManager=two"), config_map("ssa", R"({"a":"1"})")).code, 200) << "the same value is no conflict";
    const auto dropped = apply(core("configmaps/ssa?fieldManager=one"), config_map("ssa", "{}"));
    EXPECT_EQ(dropped.code, 200) << dropped.raw.body;
    EXPECT_EQ(json::canonical(*json::at(dropped.body, "data")), R"({"a":"1"})") << "b had one owner, a still has one";
}

TEST_P(Conformance, ApplyNeedsAManagerAndNoManagedFields) {
    const auto nobody = apply(core("configmaps/ssa"), config_map("ssa"));
    EXPECT_EQ(nobody.code, 422) << nobody.raw.body;
    EXPECT_EQ(nobody.field(), "fieldManager");
    EXPECT_EQ(apply(core("configmaps/ssa?fieldManager=x"),
                    config_map("ssa", "{}", R"("managedFields":[{"manager":"x","operation":"Apply","apiVersion":"v1"}])"))
                  .code,
              400);
}

TEST_P(Conformance, ADryRunOfApplyCreatesNothing) {
    EXPECT_EQ(apply(core("configmaps/ssa?fieldManager=one&dryRun=All"), config_map("ssa")).code, 201);
    EXPECT_EQ(get(core("configmaps/ssa")).code, 404);
}

TEST_P(Conformance, ApplyOfAFieldThatDoesNotExistFailsWithoutAReason) {
    const auto answer = apply(core("configmaps/ssa?fieldManager=one&fieldValidation=Strict"),
                              "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndataa: {a: \"1\"}\n");
    EXPECT_EQ(answer.code, 500) << answer.raw.body;
    EXPECT_EQ(answer.reason(), "");
    EXPECT_EQ(answer.error(kube::Method::patch).applied, Applied::maybe) << "by its code alone nothing is certain";
}

TEST_P(Conformance, ApplyTakesYaml) {
    const auto answer =
        apply(core("configmaps/ssa?fieldManager=one"), "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ssa\ndata:\n  a: 'yes'\n");
    EXPECT_EQ(answer.code, 201) << answer.raw.body;
    EXPECT_EQ(json::string_at(answer.body, "data", "a"), "yes");
}

}  // namespace
}  // namespace kn::conformance
