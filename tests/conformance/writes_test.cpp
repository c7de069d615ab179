// Dry runs, field validation, warnings, deletion (facts 7, 15, 16, 17).
#include "conformance.hpp"

namespace kn::conformance {
namespace {

using enum ErrorCode;

TEST_P(Conformance, ADryRunAnswersLikeTheRealThingAndStoresNothing) {
    const auto made = post(core("configmaps?dryRun=All"), config_map("dry"));
    EXPECT_EQ(made.code, 201);
    EXPECT_FALSE(made.uid().empty()) << "made up";
    EXPECT_EQ(get(core("configmaps/dry")).code, 404);
    make_config_map("c");
    EXPECT_EQ(json::string_at(merge(core("configmaps/c?dryRun=All"), R"({"data":{"a":"2"}})").body, "data", "a"), "2");
    EXPECT_EQ(del(core("configmaps/c?dryRun=All")).code, 200);
    EXPECT_EQ(json::string_at(get(core("configmaps/c")).body, "data", "a"), "1");
}

TEST_P(Conformance, ADryRunFindsWhatIsInvalid) {
    make_deployment("d");
    EXPECT_EQ(merge(apps("deployments/d?dryRun=All"), R"({"spec":{"replicas":-1}})").code, 422);
    EXPECT_EQ(post(core("configmaps?dryRun=Some"), config_map("x")).code, 422) << "All is the only value";
}

TEST_P(Conformance, StrictValidationRefusesUnknownAndDoubleFields) {
    const std::string body = R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"st","nope":1},"data":{"a":"1","a":"2"}})";
    const auto strict = post(core("configmaps?fieldValidation=Strict"), body);
    EXPECT_EQ(strict.code, 400);
    EXPECT_EQ(strict.reason(), "BadRequest");
    const auto warned = post(core("configmaps?fieldValidation=Warn&dryRun=All"), body);
    EXPECT_EQ(warned.code, 201);
    EXPECT_EQ(warned.raw.warnings(), (std::vector<std::string>{R"(unknown field "metadata.nope")", R"(duplicate field "data.a")"}));
    const auto by_default = post(core("configmaps?dryRun=All"), body);
    EXPECT_EQ(by_default.raw.warnings().size(), 2U) << "Warn is the default";
    EXPECT_TRUE(post(core("configmaps?fieldValidation=Ignore&dryRun=All"), body).raw.warnings().empty());
}

TEST_P(Conformance, APatchIsValidatedAsWell) {
    make_config_map("c");
    const auto strict = merge(core("configmaps/c?fieldValidation=Strict"), R"({"dato":{"k":"v"}})");
    EXPECT_EQ(strict.code, 422) << "not 400, as for a whole object";
    EXPECT_EQ(strict.field(), "patch");
    const auto warned = merge(core("configmaps/c"), R"({"dato":{"k":"v"}})");
    EXPECT_EQ(warned.code, 200);
    ASSERT_EQ(warned.raw.warnings().size(), 1U);
    EXPECT_EQ(
        wait(client->patch(kube::resources::config_maps, ns, "c", kube::PatchType::merge, json::parse(R"({"dato":{"k":"v"}})").value(), {}, soon()))
            .error()
            .code,
        invalid_argument)
        << "our client always asks for Strict";
}

TEST_P(Conformance, WarningsReachTheClientsListener) {
    std::vector<std::string> heard;
    kube::Client listening(server->transport(Who::admin), loop().clock());
    listening.on_warning([&](std::string_view warning) { heard.emplace_back(warning); });
    const auto made = wait(listening.create(kube::resources::config_maps, ns, json::parse(config_map("c", "{}", R"("nope":1)")).value(),
                                            {.field_validation = "Warn"}, soon()));
    ASSERT_TRUE(made) << made.error().describe();
    EXPECT_EQ(heard, (std::vector<std::string>{R"(unknown field "metadata.nope")"}));
}

TEST_P(Conformance, AnApiThatIsDeprecatedWarns) {
    const auto answer = get("/api/v1/componentstatuses");
    EXPECT_EQ(answer.code, 200);
    ASSERT_FALSE(answer.raw.warnings().empty());
    EXPECT_TRUE(answer.raw.warnings()[0].contains("deprecated"));
}

TEST_P(Conformance, ANameCanBeMadeByTheServer) {
    const auto made = post(core("configmaps"), R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"gen-"}})");
    EXPECT_EQ(made.code, 201);
    EXPECT_TRUE(made.name().starts_with("gen-"));
    EXPECT_EQ(made.name().size(), 9U);
}

TEST_P(Conformance, AnObjectCanBeSentInYaml) {
    const auto made =
        post(core("configmaps"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {a: 'on'}\n", {.content_type = "application/yaml"});
    EXPECT_EQ(made.code, 201) << made.raw.body;
    EXPECT_EQ(json::string_at(made.body, "data", "a"), "on");
}

TEST_P(Conformance, GenerationCountsChangesOfTheSpecOnly) {
    const auto made = make_deployment("d");
    EXPECT_EQ(kube::generation_of(made.body), 1);
    EXPECT_EQ(kube::generation_of(merge(apps("deployments/d"), R"({"metadata":{"labels":{"b":"2"}}})").body), 1);
    EXPECT_EQ(kube::generation_of(merge(apps("deployments/d"), R"({"spec":{"paused":true}})").body), 2);
}

TEST_P(Conformance, DeletingAnswersAStatusWithTheUidOrTheObject) {
    const auto made = make_config_map("c");
    const auto status = del(core("configmaps/c"));
    EXPECT_EQ(status.code, 200);
    EXPECT_EQ(status.kind(), "Status");
    EXPECT_EQ(json::string_at(status.body, "details", "uid"), made.uid());
    EXPECT_EQ(del(core("configmaps/c")).code, 404);
    make_config_map("held", "{}", R"("finalizers":["test.example/hold"])");
    const auto held = del(core("configmaps/held"));
    EXPECT_EQ(held.code, 200);
    EXPECT_EQ(held.kind(), "ConfigMap");
    EXPECT_FALSE(json::string_at(held.body, "metadata", "deletionTimestamp").empty());
    EXPECT_EQ(merge(core("configmaps/held"), R"({"metadata":{"finalizers":null}})").code, 200);
    EXPECT_EQ(get(core("configmaps/held")).code, 404);
}

TEST_P(Conformance, APodInGraceIsAnsweredAsAnObjectTwice) {
    make_pod("p", R"("nodeName":"ghost")");
    const auto first = del(core("pods/p"));
    EXPECT_EQ(first.code, 200);
    EXPECT_EQ(first.kind(), "Pod");
    EXPECT_EQ(json::int_at(first.body, "metadata", "deletionGracePeriodSeconds"), 30);
    EXPECT_EQ(del(core("pods/p")).code, 200) << "again";
    EXPECT_EQ(del(core("pods/p?gracePeriodSeconds=0")).code, 200);
    EXPECT_TRUE(eventually([&] { return get(core("pods/p")).code == 404; }));
}

TEST_P(Conformance, APodWithoutANodeGoesAtOnce) {
    make_pod("p", R"("schedulingGates":[{"name":"test.example/hold"}])");
    EXPECT_EQ(del(core("pods/p")).code, 200);
    EXPECT_EQ(get(core("pods/p")).code, 404);
}

TEST_P(Conformance, OwnersAreDeletedInTheForegroundTheBackgroundOrLeaveOrphans) {
    const auto owner = make_config_map("owner");
    const auto reference = R"("ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":")" + std::string(owner.uid()) +
                           R"(","blockOwnerDeletion":true}])";
    make_config_map("child", "{}", reference);
    const auto foreground = del(core("configmaps/owner"), R"({"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Foreground"})");
    EXPECT_EQ(foreground.code, 200);
    EXPECT_EQ(foreground.kind(), "ConfigMap") << "it waits for its children";
    EXPECT_EQ(json::string_at(foreground.body, "metadata", "finalizers", 0), "foregroundDeletion");
    EXPECT_TRUE(eventually([&] { return get(core("configmaps/owner")).code == 404 && get(core("configmaps/child")).code == 404; }));

    const auto parent = make_config_map("owner");
    make_config_map("orphan", "{}",
                    R"("ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":")" + std::string(parent.uid()) + R"("}])");
    EXPECT_EQ(del(core("configmaps/owner"), R"({"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"})").code, 200);
    EXPECT_TRUE(eventually([&] { return get(core("configmaps/owner")).code == 404; }));
    const auto orphan = get(core("configmaps/orphan"));
    EXPECT_EQ(orphan.code, 200);
    EXPECT_EQ(json::at(orphan.body, "metadata", "ownerReferences"), nullptr) << orphan.raw.body;
}

TEST_P(Conformance, ACollectionIsDeletedBySelectorAndAnswersWithAList) {
    for (int i = 0; i < 3; ++i) make_config_map("col" + std::to_string(i), "{}", R"("labels":{"col":"1"})");
    make_config_map("other");
    const auto answer = del(core("configmaps?labelSelector=col%3D1"));
    EXPECT_EQ(answer.code, 200);
    EXPECT_EQ(answer.kind(), "ConfigMapList");
    EXPECT_EQ(get(core("configmaps/other")).code, 200);
    EXPECT_EQ(json::array_at(get(core("configmaps?labelSelector=col%3D1")).body, "items").size(), 0U);
}

TEST_P(Conformance, StatusIsWrittenByItsOwnPathAndIgnoredOnTheMainOne) {
    make_deployment("d");
    const auto main = merge(apps("deployments/d"), R"({"status":{"replicas":77}})");
    EXPECT_EQ(main.code, 200);
    EXPECT_TRUE(main.raw.warnings().empty()) << "without a word";
    EXPECT_NE(json::int_at(main.body, "status", "replicas"), 77);
    EXPECT_EQ(get(apps("deployments/d/status")).kind(), "Deployment");
    make_pod("p");
    const auto status = merge(core("pods/p/status"), R"({"metadata":{"labels":{"more":"yes"}},"status":{"message":"hello"}})");
    EXPECT_EQ(json::string_at(status.body, "status", "message"), "hello");
    EXPECT_EQ(kube::label_of(status.body, "more"), "yes") << "the status of a pod takes labels too";
}

}  // namespace
}  // namespace kn::conformance
