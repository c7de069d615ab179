// The four patch types, ownership of fields, custom resources.
#include "api_fixture.hpp"

namespace kn::sim {
namespace {

using json::string_at;

class ApiPatch : public ApiFixture {
protected:
    std::string web = std::string(deployments) + "/web";
    std::string conf = std::string(config_maps) + "/ssa";
    static std::string config(std::string_view data) { return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\n" + std::string(data); }
    void make_definition() {
        const auto made =
            post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                 R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.test.example"},
            "spec":{"group":"test.example","scope":"Namespaced","names":{"plural":"widgets","kind":"Widget","shortNames":["wd"]},
            "versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{},"scale":{"specReplicasPath":".spec.n","statusReplicasPath":".status.n"}},
              "additionalPrinterColumns":[{"name":"N","type":"integer","jsonPath":".spec.n"}],
              "schema":{"openAPIV3Schema":{"type":"object","properties":{
                 "spec":{"type":"object","required":["n"],"properties":{"n":{"type":"integer","minimum":1},"mode":{"type":"string","enum":["a","b"],"default":"a"}}},
                 "status":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}]}})");
        ASSERT_EQ(made.code, 201) << made.raw.body;
    }
    const std::string widgets = "/apis/test.example/v1/namespaces/demo/widgets";
};

TEST_F(ApiPatch, AStrategicMergeKnowsTheKeysOfLists) {
    post(deployments, deployment("web"));
    const auto patched = strategic(web, R"({"spec":{"template":{"spec":{"containers":[{"name":"side","image":"r.example/side:1"}]}}}})");
    ASSERT_EQ(patched.code, 200) << patched.raw.body;
    EXPECT_EQ(json::array_at(patched.body, "spec", "template", "spec", "containers").size(), 2U);
    const auto dropped = strategic(web, R"({"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}})");
    EXPECT_EQ(json::array_at(dropped.body, "spec", "template", "spec", "containers").size(), 1U);
}

TEST_F(ApiPatch, AMergePatchReplacesLists) {
    post(deployments, deployment("web"));
    const auto bad = merge(web, R"({"spec":{"template":{"spec":{"containers":[{"name":"x"}]}}}})");
    EXPECT_EQ(bad.code, 422);
    EXPECT_EQ(bad.field(), "spec.template.spec.containers[0].image");
}

TEST_F(ApiPatch, AJsonPatchTestsAndRefuses) {
    post(deployments, deployment("web"));
    const auto json_patch = [this](std::string body) { return call(kube::Method::patch, web, std::move(body), "application/json-patch+json"); };
    EXPECT_EQ(json::int_at(json_patch(R"([{"op":"test","path":"/spec/replicas","value":1},{"op":"replace","path":"/spec/replicas","value":4}])").body,
                           "spec", "replicas"),
              4);
    const auto failing = json_patch(R"([{"op":"test","path":"/spec/replicas","value":99}])");
    EXPECT_EQ(failing.code, 422);
    EXPECT_EQ(failing.reason(), "Invalid");
    EXPECT_EQ(json_patch(R"([{"op":"remove","path":"/spec/nope"}])").code, 422);
    EXPECT_EQ(json_patch(R"({"op":"test"})").code, 400);
}

TEST_F(ApiPatch, OtherContentTypesAre415) {
    post(config_maps, config_map("conf"));
    const auto refused = call(kube::Method::patch, std::string(config_maps) + "/conf", R"({"data":{"a":"9"}})", "application/json");
    EXPECT_EQ(refused.code, 415);
    EXPECT_EQ(refused.reason(), "UnsupportedMediaType");
}

TEST_F(ApiPatch, ApplyCreatesOwnsAndRepeatsWithoutAChange) {
    const auto made = apply(conf + "?fieldManager=one", config("data: {a: \"1\"}"));
    EXPECT_EQ(made.code, 201);
    EXPECT_EQ(string_at(made.body, "metadata", "managedFields", 0, "operation"), "Apply");
    EXPECT_EQ(json::dump(*json::at(made.body, "metadata", "managedFields", 0, "fieldsV1")), R"({"f:data":{"f:a":{}}})");
    const auto again = apply(conf + "?fieldManager=one", config("data: {a: \"1\"}"));
    EXPECT_EQ(again.code, 200);
    EXPECT_EQ(version_of(again), version_of(made));
}

TEST_F(ApiPatch, ApplyConflictsNameTheOtherManagerAndTheField) {
    apply(conf + "?fieldManager=one", config("data: {a: \"1\"}"));
    const auto refused = apply(conf + "?fieldManager=two", config("data: {a: \"2\"}"));
    EXPECT_EQ(refused.code, 409);
    EXPECT_EQ(refused.reason(), "Conflict");
    EXPECT_EQ(refused.cause(), "FieldManagerConflict");
    EXPECT_EQ(refused.field(), ".data.a");
    EXPECT_EQ(refused.message(), "Apply failed with 1 conflict: conflict with \"one\": .data.a");
    const auto forced = apply(conf + "?fieldManager=two&force=true", config("data: {a: \"2\"}"));
    EXPECT_EQ(forced.code, 200);
    ASSERT_EQ(json::array_at(forced.body, "metadata", "managedFields").size(), 1U);
    EXPECT_EQ(string_at(forced.body, "metadata", "managedFields", 0, "manager"), "two");
    // The same value by a third one is shared; who drops it last does not take it away from the other.
    EXPECT_EQ(json::array_at(apply(conf + "?fieldManager=three", config("data: {a: \"2\"}")).body, "metadata", "managedFields").size(), 2U);
    const auto dropped = apply(conf + "?fieldManager=two", config(""));
    EXPECT_EQ(string_at(dropped.body, "data", "a"), "2");
    EXPECT_EQ(json::array_at(dropped.body, "metadata", "managedFields").size(), 1U);
    EXPECT_EQ(json::at(apply(conf + "?fieldManager=three", config("")).body, "data", "a"), nullptr);
}

TEST_F(ApiPatch, ApplyConflictsWithOrdinaryUpdatesToo) {
    call(kube::Method::post, std::string(deployments) + "?fieldManager=kubectl", deployment("web", R"("replicas":3,)"));
    const std::string body = R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":7}})";
    const auto refused = apply(web + "?fieldManager=gitops", body);
    EXPECT_EQ(refused.code, 409);
    EXPECT_EQ(refused.field(), ".spec.replicas");
    EXPECT_EQ(string_at(refused.body, "details", "causes", 0, "message"), "conflict with \"kubectl\" using apps/v1");
    EXPECT_EQ(json::int_at(apply(web + "?fieldManager=gitops&force=true", body).body, "spec", "replicas"), 7);
}

TEST_F(ApiPatch, ApplyMergesContainersByNameAndTakesBackItsOwn) {
    post(deployments, deployment("web"));
    const auto with = [&](std::string_view containers) {
        return apply(web + "?fieldManager=sidecar",
                     R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"template":{"spec":{"containers":)" +
                         std::string(containers) + "}}}}");
    };
    const auto added = with(R"([{"name":"side","image":"r.example/side:1","env":[{"name":"A","value":"1"}]}])");
    ASSERT_EQ(added.code, 200) << added.raw.body;
    EXPECT_EQ(json::array_at(added.body, "spec", "template", "spec", "containers").size(), 2U);
    const auto changed = with(R"([{"name":"side","image":"r.example/side:2"}])");
    EXPECT_EQ(string_at(changed.body, "spec", "template", "spec", "containers", 1, "image"), "r.example/side:2");
    EXPECT_TRUE(json::array_at(changed.body, "spec", "template", "spec", "containers", 1, "env").empty());
    EXPECT_EQ(json::array_at(with("[]").body, "spec", "template", "spec", "containers").size(), 1U);
}

TEST_F(ApiPatch, ApplyRefusesWhatItCannotMean) {
    EXPECT_EQ(apply(conf, config("data: {a: \"3\"}")).code, 422);
    EXPECT_EQ(
        apply(conf + "?fieldManager=x", R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"ssa","managedFields":[{"manager":"x"}]}})").code,
        400);
    const auto unknown = apply(conf + "?fieldManager=x", config("dataa: {a: \"1\"}"));
    EXPECT_EQ(unknown.code, 500);
    EXPECT_TRUE(unknown.reason().empty());
    EXPECT_EQ(apply(conf + "?fieldManager=x&dryRun=All", config("data: {a: \"1\"}")).code, 201);
    EXPECT_EQ(get(conf).code, 404);
}

TEST_F(ApiPatch, TheLastWriterOfAFieldCanBeReadFromManagedFields) {
    call(kube::Method::post, std::string(deployments) + "?fieldManager=gitops", deployment("web", R"("replicas":3,)"));
    call(kube::Method::patch, web + "?fieldManager=kubernaut", R"({"spec":{"replicas":5}})", "application/merge-patch+json");
    call(kube::Method::patch, web + "/status?fieldManager=controller", R"({"status":{"replicas":5}})", "application/merge-patch+json");
    const auto now = get(web);
    const auto& managed = json::array_at(now.body, "metadata", "managedFields");
    const auto owner = [&](std::string_view section, std::string_view field) {
        std::string out;
        for (const auto& entry : managed) {
            if (json::at(entry, "fieldsV1", section, field) != nullptr)
                out += std::string(string_at(entry, "manager")) + "/" + std::string(string_at(entry, "subresource")) + " ";
        }
        return out;
    };
    EXPECT_EQ(owner("f:spec", "f:replicas"), "kubernaut/ ");
    EXPECT_EQ(owner("f:spec", "f:strategy"), "gitops/ ");
    EXPECT_EQ(owner("f:status", "f:replicas"), "controller/status ");
}

TEST_F(ApiPatch, CustomResourcesAreServedAsSoonAsTheyAreDefined) {
    EXPECT_EQ(get(widgets).code, 404);
    make_definition();
    const auto made = post(widgets, R"({"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"n":3}})");
    ASSERT_EQ(made.code, 201) << made.raw.body;
    EXPECT_EQ(json::int_at(made.body, "metadata", "generation"), 1);
    EXPECT_EQ(string_at(made.body, "spec", "mode"), "a") << "the schema's default";
    const auto bad = post(widgets, R"({"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"w2"},"spec":{"n":0,"mode":"c"}})");
    EXPECT_EQ(bad.code, 422);
    EXPECT_EQ(strategic(widgets + "/w", R"({"spec":{"n":4}})").code, 415);
    const auto pruned = merge(widgets + "/w", R"({"spec":{"junk":1}})");
    EXPECT_EQ(pruned.code, 200);
    EXPECT_EQ(pruned.raw.warnings().size(), 1U);
    EXPECT_EQ(json::at(pruned.body, "spec", "junk"), nullptr);
    EXPECT_EQ(version_of(pruned), version_of(made));
    EXPECT_EQ(json::int_at(merge(widgets + "/w/status", R"({"status":{"n":2}})").body, "metadata", "generation"), 1);
    const auto scaled = merge(widgets + "/w/scale", R"({"spec":{"replicas":5}})");
    EXPECT_EQ(json::int_at(scaled.body, "spec", "replicas"), 5);
    EXPECT_EQ(json::int_at(scaled.body, "status", "replicas"), 2);
    const auto yaml =
        call(kube::Method::post, widgets, "apiVersion: test.example/v1\nkind: Widget\nmetadata: {name: w3}\nspec: {\"n\": 7}\n", "application/yaml");
    EXPECT_EQ(yaml.code, 201);
    EXPECT_EQ(put(widgets + "/w", R"({"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"n":3}})").code, 422)
        << "no version";
    EXPECT_EQ(del("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.test.example").code, 200);
    EXPECT_EQ(get(widgets).code, 404);
}

}  // namespace
}  // namespace kn::sim
