#include <gtest/gtest.h>

#include <algorithm>

#include "contract.hpp"
#include "core/fields.hpp"
#include "core/redact.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/sim/api/api_server.hpp"

namespace kn::actions::testing {
namespace {

using ports::ActionContext;

json::Value json_of(std::string_view text) { return json::parse(text).value(); }

const ActionCase& case_of(const std::string& action) { return *std::ranges::find(action_cases(), action, &ActionCase::action); }

async::Task<> allow_disruptions(std::shared_ptr<kube::Client> human) {
    (void)co_await human->patch(kube::resources::pod_disruption_budgets, "shop", "cart", kube::PatchType::merge,
                                json_of(R"({"status":{"observedGeneration":1,"disruptionsAllowed":3,"currentHealthy":3,"desiredHealthy":1}})"),
                                {.write = {.field_manager = "controller"}, .subresource = "status"}, Deadline::never());
}

class ActionBehaviour : public ::testing::Test {
protected:
    SeededRandom random{11};
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(Instant{Duration{1'764'000'000'000}});
    sim::ApiServer api{*loop, random};
    World world{*loop, api.transport({.user = "system:admin", .groups = {"system:masters"}}), short_times()};

    ActionContext set_up(const ActionCase& each) {
        world.put(each.objects);
        if (each.after_setup) each.after_setup(world);
        return world.context(each);
    }
    Result<ports::Prepared> prepare(const std::string& action, ActionContext& context) {
        auto prepared = world.run(world.action(action).prepare(context));
        if (prepared) context.pre_image = prepared->pre_image;
        return prepared;
    }
    std::string refusal(const std::string& action, ActionContext& context) {
        const auto prepared = prepare(action, context);
        return prepared ? "none" : prepared.error().reason;
    }
};

// ---- rollback ----

TEST_F(ActionBehaviour, RollbackTakesTheNewestEarlierRevisionThatWorked) {
    auto context = set_up(case_of("rollback_deployment"));
    // Revision 2 becomes a failed attempt in between; 3 is what runs now.
    world.patch("Deployment.apps/shop/cart", R"({"spec":{"template":{"metadata":{"annotations":{"try":"3"}}}}})");
    ASSERT_TRUE(prepare("rollback_deployment", context));
    EXPECT_EQ(json::int_at(context.pre_image, "extra", "to_revision"), 1);
    EXPECT_EQ(json::string_at(context.pre_image, "fields", 0, "after", "spec", "containers", 0, "image"), "app:1");
    EXPECT_EQ(json::at(context.pre_image, "fields", 0, "after", "metadata", "labels", "pod-template-hash"), nullptr);
}

TEST_F(ActionBehaviour, RollbackRefusesWithoutAGoodRevision) {
    auto context = set_up(case_of("rollback_deployment"));
    for (const auto* name : {"a", "b", "c"}) {
        world.patch(std::string("Pod/shop/cart-v1-") + name, R"({"status":{"conditions":[{"type":"Ready","status":"False"}]}})", "status");
    }
    EXPECT_EQ(refusal("rollback_deployment", context), "no_good_revision");
    context.params["to_revision"] = 2;
    EXPECT_EQ(refusal("rollback_deployment", context), "same_template");
    context.params["to_revision"] = 9;
    EXPECT_EQ(refusal("rollback_deployment", context), "no_such_revision");
    context.params["to_revision"] = 1;
    EXPECT_TRUE(prepare("rollback_deployment", context)) << "a named revision is the caller's word";
}

TEST_F(ActionBehaviour, RollbackHeedsThePauseAndTheTeamsNo) {
    auto context = set_up(case_of("rollback_deployment"));
    world.patch("Deployment.apps/shop/cart", R"({"metadata":{"annotations":{"kubernaut.io/no-rollback":"true"}}})");
    EXPECT_EQ(refusal("rollback_deployment", context), "no_rollback");
    world.patch("Deployment.apps/shop/cart", R"({"metadata":{"annotations":{"kubernaut.io/no-rollback":null}},"spec":{"paused":true}})");
    EXPECT_EQ(refusal("rollback_deployment", context), "rollout_paused");
}

TEST_F(ActionBehaviour, RollbackIsVerifiedOnlyWhenTheRolloutHasBeenQuietForAWhile) {
    auto context = set_up(case_of("rollback_deployment"));
    ASSERT_TRUE(prepare("rollback_deployment", context));
    auto& action = world.action("rollback_deployment");
    ASSERT_TRUE(world.run(action.execute(context)));
    EXPECT_EQ(world.run(action.verify(context)), false) << "the controller has not seen it";
    const auto generation = std::to_string(kube::generation_of(world.get("Deployment.apps/shop/cart")));
    world.patch("Deployment.apps/shop/cart",
                R"({"status":{"replicas":3,"updatedReplicas":3,"readyReplicas":3,"availableReplicas":3,"observedGeneration":)" + generation + "}}",
                "status");
    EXPECT_EQ(world.run(action.verify(context)), false) << "complete, but not for long";
    loop->run_for(40s);
    world.patch("Pod/shop/cart-v1-a",
                R"({"status":{"containerStatuses":[{"name":"app","image":"x","imageID":"y","restartCount":1,"ready":true,"state":{}}]}})", "status");
    EXPECT_EQ(world.run(action.verify(context)), false) << "a restart begins the wait anew";
    loop->run_for(40s);
    EXPECT_EQ(world.run(action.verify(context)), false);
    loop->run_for(21s);
    EXPECT_EQ(world.run(action.verify(context)), true);
    world.patch("Deployment.apps/shop/cart", R"({"spec":{"template":{"metadata":{"annotations":{"x":"y"}}}}})");
    EXPECT_EQ(world.run(action.verify(context)).error().reason, "target_changed");
}

// ---- GitOps, owners ----

TEST_F(ActionBehaviour, RefusesWhenTheOwnerIsTheGitopsTools) {
    auto context = set_up(case_of("rollback_deployment"));
    world.patch("Deployment.apps/shop/cart", R"({"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"a:b"}}})");
    context.target.key = key_from("ReplicaSet.apps/shop/cart-v1");
    context.target.uid = kube::uid_of(world.get("ReplicaSet.apps/shop/cart-v1"));
    context.params = json_of(R"({"key":"kubernaut.io/note"})").get_object();
    EXPECT_EQ(refusal("annotate_target", context), "gitops_owned");
}

// ---- secrets ----

TEST_F(ActionBehaviour, CopiedSecretValuesShowNowhere) {
    const auto& each = case_of("copy_secret");
    auto context = set_up(each);
    const auto prepared = prepare("copy_secret", context);
    ASSERT_TRUE(prepared);
    const auto outcome = world.run(world.action("copy_secret").execute(context));
    ASSERT_TRUE(outcome) << outcome.error().describe();
    std::string seen = json::dump(prepared->pre_image) + prepared->summary + json::dump(outcome->output) + json::dump(outcome->post_image);
    for (const auto& call : outcome->calls) seen += call;
    for (const auto* value : {"eyJhdXRocyI6", "dTpw", "u:p"}) EXPECT_FALSE(seen.contains(value)) << value;
    EXPECT_TRUE(seen.contains(".dockerconfigjson"));
    EXPECT_EQ(world.run(world.action("copy_secret").verify(context)), true);
}

TEST_F(ActionBehaviour, CopySecretTakesOnlyWhatTheListAllows) {
    auto context = set_up(case_of("copy_secret"));
    context.params["source"] = "vault/other";
    EXPECT_EQ(refusal("copy_secret", context), "source_not_allowed");
    context.params = json_of(R"({"name":"pull","registry":"other.example.com"})").get_object();
    EXPECT_EQ(refusal("copy_secret", context), "registry_missing");
    context.params = json_of(R"({"name":"something"})").get_object();
    EXPECT_EQ(refusal("copy_secret", context), "source_not_allowed");
}

TEST_F(ActionBehaviour, AnOverwrittenSecretIsNotUndoneAndAChangedSourceIsNotCopied) {
    const auto& each = case_of("copy_secret");
    world.put(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: pull, namespace: shop}\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: eyJhdXRocyI6e319}\n");
    auto context = set_up(each);
    ASSERT_TRUE(prepare("copy_secret", context));
    ASSERT_TRUE(world.run(world.action("copy_secret").execute(context)));
    EXPECT_EQ(world.run(world.action("copy_secret").compensate(context)).error().reason, "irreversible");
    world.patch("Secret/vault/pull-source", R"({"data":{".dockerconfigjson":"eyJhdXRocyI6e319"}})");
    EXPECT_EQ(world.run(world.action("copy_secret").execute(context)).error().reason, "source_changed");
}

// ---- config ----

TEST_F(ActionBehaviour, TheHashOfASnapshotIsTakenOverDataAndBinaryData) {
    auto context = set_up(case_of("restore_configmap"));
    const auto data = json_of(R"({"mode":"good"})").get_object(), binary = json_of(R"({"logo":"AAEC"})").get_object();
    context.params["hash"] = content_hash(data);
    EXPECT_TRUE(prepare("restore_configmap", context));
    context.params["hash"] = content_hash(data, binary);
    EXPECT_FALSE(prepare("restore_configmap", context));
    world.patch("ConfigMap/shop/conf", R"({"binaryData":{"logo":"AAEC"}})");
    EXPECT_TRUE(prepare("restore_configmap", context)) << "the binary part is as it was";
}

// ---- limits ----

TEST_F(ActionBehaviour, RaisesTheRequestTooWhenItEqualsTheLimitAndStopsAtTheCaps) {
    auto context = set_up(case_of("raise_memory_limit"));
    const auto prepared = prepare("raise_memory_limit", context);
    ASSERT_TRUE(prepared) << prepared.error().describe();
    EXPECT_EQ(json::array_at(context.pre_image, "fields").size(), 2U);
    EXPECT_EQ(json::string_at(context.pre_image, "fields", 0, "after"), "768Mi");
    world.put("apiVersion: v1\nkind: LimitRange\nmetadata: {name: lr, namespace: shop}\nspec: {limits: [{type: Container, max: {memory: 600Mi}}]}\n");
    ASSERT_TRUE(prepare("raise_memory_limit", context));
    EXPECT_EQ(json::string_at(context.pre_image, "fields", 0, "after"), "600Mi");
    world.patch("Deployment.apps/shop/cart", R"({"metadata":{"annotations":{"kubernaut.io/max-memory":"520Mi"}}})");
    EXPECT_EQ(refusal("raise_memory_limit", context), "cap");
}

TEST_F(ActionBehaviour, RefusesARaiseThatTheQuotaForbids) {
    auto context = set_up(case_of("raise_memory_limit"));
    world.put(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: shop}\nspec: {hard: {limits.memory: 2Gi}}\nstatus: {hard: {limits.memory: 2Gi}, used: {limits.memory: 2Gi}}\n");
    EXPECT_EQ(refusal("raise_memory_limit", context), "quota");
}

// ---- scaling ----

TEST_F(ActionBehaviour, ScalingLeavesAWorkloadUnderAnAutoscalerAlone) {
    auto context = set_up(case_of("scale_workload"));
    EXPECT_TRUE(prepare("scale_workload", context));
    world.put(R"(apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: cart, namespace: shop}
spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}}
)");
    EXPECT_EQ(refusal("scale_workload", context), "hpa_owned");
}

// ---- pods and nodes ----

TEST_F(ActionBehaviour, RestartPodNeverTakesAPodBelowTheFloor) {
    auto context = set_up(case_of("restart_pod"));
    context.params["pods"] = json_of(R"(["cart-v1-a"])");
    EXPECT_TRUE(prepare("restart_pod", context)) << "3 ready, 2 must stay";
    world.patch("Pod/shop/cart-v1-b", R"({"status":{"conditions":[{"type":"Ready","status":"False"}]}})", "status");
    EXPECT_EQ(refusal("restart_pod", context), "floor");
    context.params["pods"] = json_of(R"(["cart-v2-a"])");
    EXPECT_TRUE(prepare("restart_pod", context)) << "a pod that does not serve costs nothing";
}

TEST_F(ActionBehaviour, DrainWaitsForTheBudgetAndGoesOnWhenItAllows) {
    world.put(R"(apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: cart, namespace: shop}
spec: {minAvailable: 3, selector: {matchLabels: {app: cart}}}
)");
    auto context = set_up(case_of("drain_node"));
    world.patch("PodDisruptionBudget.policy/shop/cart",
                R"({"status":{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":3,"desiredHealthy":3,"expectedPods":3}})", "status");
    const auto prepared = prepare("drain_node", context);
    ASSERT_TRUE(prepared) << prepared.error().describe();
    loop->clock().call_at(loop->clock().steady() + 90s,
                          [this] { boost::asio::co_spawn(loop->executor(), allow_disruptions(world.human), [](std::exception_ptr) {}); });
    const auto start = loop->clock().now();
    const auto outcome = world.run(world.action("drain_node").execute(context));
    ASSERT_TRUE(outcome) << outcome.error().describe();
    EXPECT_GE(loop->clock().now() - start, 90s);
    EXPECT_EQ(world.run(world.action("drain_node").applied_already(context)), ports::AppliedCheck::applied);
}

TEST_F(ActionBehaviour, DrainGivesUpAtItsDeadlineAndSaysWhatIsLeft) {
    world.put(R"(apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: cart, namespace: shop}
spec: {minAvailable: 3, selector: {matchLabels: {app: cart}}}
)");
    auto context = set_up(case_of("drain_node"));
    context.params["deadline"] = "2m";
    ASSERT_TRUE(prepare("drain_node", context));
    const auto outcome = world.run(world.action("drain_node").execute(context));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().reason, "DisruptionBudget");
    EXPECT_TRUE(outcome.error().message.contains("shop/cart-v1-a")) << outcome.error().message;
}

TEST_F(ActionBehaviour, DrainRefusesWhatItMustNotDo) {
    auto context = set_up(case_of("drain_node"));
    world.patch("Node/n1", R"({"spec":{"unschedulable":null}})");
    EXPECT_EQ(refusal("drain_node", context), "not_cordoned");
    world.patch("Node/n1", R"({"spec":{"unschedulable":true}})");
    world.patch("Node/n2", R"({"spec":{"unschedulable":true}})");
    world.patch("Node/n3", R"({"spec":{"unschedulable":true}})");
    EXPECT_EQ(refusal("drain_node", context), "no_room");
}

TEST_F(ActionBehaviour, DrainLeavesMirrorDaemonAndFinishedPodsAndRefusesDataOrOrphans) {
    auto context = set_up(case_of("drain_node"));
    world.put(R"(apiVersion: v1
kind: Pod
metadata: {name: static, namespace: shop, annotations: {kubernetes.io/config.mirror: x}}
spec: {nodeName: n1, containers: [{name: a, image: "a:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: shop}
spec: {nodeName: n1, containers: [{name: a, image: "a:1"}]}
status: {phase: Succeeded}
)");
    ASSERT_TRUE(prepare("drain_node", context));
    EXPECT_EQ(json::array_at(context.pre_image, "pods").size(), 2U) << json::dump(context.pre_image);
    world.put(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: alone, namespace: shop}\nspec: {nodeName: n1, containers: [{name: a, image: \"a:1\"}], volumes: [{name: scratch, emptyDir: {}}]}\n");
    EXPECT_EQ(refusal("drain_node", context), "emptydir_data");
    context.params["delete_emptydir_data"] = true;
    EXPECT_EQ(refusal("drain_node", context), "no_controller");
}

TEST_F(ActionBehaviour, AnUndoneDrainOpensTheNodeThatWeClosed) {
    auto context = set_up(case_of("drain_node"));
    ASSERT_TRUE(prepare("drain_node", context));
    ASSERT_TRUE(world.run(world.action("drain_node").execute(context)));
    ASSERT_TRUE(world.run(world.action("drain_node").compensate(context)));
    EXPECT_EQ(json::at(world.get("Node/n1"), "spec", "unschedulable"), nullptr);
    world.patch("Node/n1", R"({"spec":{"unschedulable":true}})");
    ASSERT_TRUE(world.run(world.action("drain_node").compensate(context)));
    EXPECT_EQ(json::bool_at(world.get("Node/n1"), "spec", "unschedulable"), true) << "somebody else closed it";
}

TEST_F(ActionBehaviour, EvictionTellsOverloadFromABudget) {
    auto context = set_up(case_of("evict_pod"));
    ASSERT_TRUE(prepare("evict_pod", context));
    api.network().set("busy", {.match = {.users = {}, .not_users = {}, .verbs = {"create"}, .resources = {"pods/eviction"}},
                               .throttle_rate = 1,
                               .retry_after = Duration{5000},
                               .at_most = 3});
    const auto start = loop->clock().now();
    const auto outcome = world.run(world.action("evict_pod").execute(context));
    ASSERT_TRUE(outcome) << outcome.error().describe();
    EXPECT_GE(loop->clock().now() - start, 15s) << "Retry-After is honoured";
}

TEST_F(ActionBehaviour, CordonKeepsHalfOfTheNodesAndTheLastOne) {
    auto context = set_up(case_of("cordon_node"));
    for (const auto* node : {"Node/n2", "Node/n3"}) world.patch(node, R"({"status":{"conditions":[{"type":"Ready","status":"False"}]}})", "status");
    EXPECT_EQ(refusal("cordon_node", context), "min_ready_nodes");
    for (const auto* node : {"Node/n2", "Node/n3"}) {
        world.patch(node, R"({"status":{"conditions":[{"type":"Ready","status":"True"}]}})", "status");
        world.patch(node, R"({"spec":{"unschedulable":true}})");
    }
    EXPECT_EQ(refusal("cordon_node", context), "last_node");
}

TEST_F(ActionBehaviour, UncordonOpensOnlyWhatWeClosed) {
    auto context = set_up(case_of("uncordon_node"));
    world.patch("Node/n1", R"({"metadata":{"annotations":{"kubernaut.io/cordoned-by":null}}})");
    EXPECT_EQ(refusal("uncordon_node", context), "not_ours");
}

TEST_F(ActionBehaviour, SystemTaintsAndPoolRulesStay) {
    auto context = set_up(case_of("remove_taint"));
    context.params["key"] = "node.kubernetes.io/not-ready";
    EXPECT_EQ(refusal("remove_taint", context), "system_taint");
    context.params["key"] = "team";
    world.patch("Node/n1", R"({"metadata":{"labels":{"team":"a"}}})");
    EXPECT_EQ(refusal("remove_taint", context), "pool_rule");
}

TEST_F(ActionBehaviour, RemovingOneTaintKeepsTheOthers) {
    auto context = set_up(case_of("remove_taint"));
    ASSERT_TRUE(prepare("remove_taint", context));
    ASSERT_TRUE(world.run(world.action("remove_taint").execute(context)));
    const auto node = world.get("Node/n1");
    ASSERT_EQ(json::array_at(node, "spec", "taints").size(), 1U);
    EXPECT_EQ(json::string_at(node, "spec", "taints", 0, "key"), "other");
}

// ---- budgets ----

TEST_F(ActionBehaviour, ARelaxedBudgetKeepsAtLeastOnePodAndIsRestoredExactly) {
    auto context = set_up(case_of("patch_pdb"));
    context.params = json_of(R"({"max_unavailable": "100%"})").get_object();
    EXPECT_EQ(refusal("patch_pdb", context), "last_pod");
    context.params = json_of(R"({"max_unavailable": "1"})").get_object();
    ASSERT_TRUE(prepare("patch_pdb", context));
    ASSERT_TRUE(world.run(world.action("patch_pdb").execute(context)));
    const auto relaxed = world.get("PodDisruptionBudget.policy/shop/cart");
    EXPECT_EQ(json::at(relaxed, "spec", "minAvailable"), nullptr);
    EXPECT_EQ(json::int_at(relaxed, "spec", "maxUnavailable"), 1);
    ASSERT_TRUE(world.run(world.action("patch_pdb").compensate(context)));
    const auto restored = world.get("PodDisruptionBudget.policy/shop/cart");
    EXPECT_EQ(json::int_at(restored, "spec", "minAvailable"), 3);
    EXPECT_EQ(json::at(restored, "spec", "maxUnavailable"), nullptr);
}

// ---- role bindings ----

TEST_F(ActionBehaviour, ARestoredBindingGivesTheAccessBackAndNoMore) {
    auto context = set_up(case_of("restore_role_binding"));
    ASSERT_TRUE(prepare("restore_role_binding", context));
    EXPECT_EQ(json::string_at(context.pre_image, "probe", "user"), "system:serviceaccount:shop:cart");
    ASSERT_TRUE(world.run(world.action("restore_role_binding").execute(context)));
    EXPECT_EQ(world.run(world.action("restore_role_binding").verify(context)), true);
    const auto secrets = world.run(world.human->can_user("system:serviceaccount:shop:cart", {"system:authenticated"}, "get", kube::resources::secrets,
                                                         "shop", Deadline::never()));
    EXPECT_EQ(secrets, false);
}

TEST_F(ActionBehaviour, WildcardRolesAndCrowdsAreNeverBound) {
    auto context = set_up(case_of("restore_role_binding"));
    world.patch("Role.rbac.authorization.k8s.io/shop/reader", R"({"rules":[{"apiGroups":[""],"resources":["*"],"verbs":["get"]}]})");
    EXPECT_EQ(refusal("restore_role_binding", context), "wildcard_role");
    context.params["binding"].get_object()["subjects"] = json_of(R"([{"kind":"Group","name":"system:authenticated"}])");
    EXPECT_EQ(refusal("restore_role_binding", context), "too_wide");
}

// ---- claims ----

TEST_F(ActionBehaviour, AClaimWithDataIsNeverMadeAnew) {
    auto context = set_up(case_of("recreate_pvc"));
    ASSERT_TRUE(prepare("recreate_pvc", context));
    world.patch("PersistentVolumeClaim/shop/data", R"({"spec":{"volumeName":"pv-9"}})");
    const auto refused = world.run(world.action("recreate_pvc").execute(context));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "target_changed");
    EXPECT_TRUE(world.exists("PersistentVolumeClaim/shop/data"));
}

TEST_F(ActionBehaviour, AClaimIsHeldUntilItsSuccessorIsReadyAndNoFinalizerOfOursIsLeft) {
    auto context = set_up(case_of("recreate_pvc"));
    ASSERT_TRUE(prepare("recreate_pvc", context));
    const auto done = world.run(world.action("recreate_pvc").execute(context));
    ASSERT_TRUE(done) << done.error().describe();
    std::vector<std::string> verbs;
    for (const auto& call : done->calls) verbs.push_back(call.substr(0, call.find(' ')));
    EXPECT_EQ(verbs, (std::vector<std::string>{"PATCH", "DELETE", "PATCH", "POST"}));
    EXPECT_THAT(json::dump(world.get("PersistentVolumeClaim/shop/data")), ::testing::Not(::testing::HasSubstr("kubernaut.io/recreate")));
}

TEST_F(ActionBehaviour, LaterStepsGoOnWithTheClaimThatTheRunItselfMadeAnew) {
    auto context = set_up(case_of("recreate_pvc"));
    ASSERT_TRUE(prepare("recreate_pvc", context));
    ASSERT_TRUE(world.run(world.action("recreate_pvc").execute(context)));
    ASSERT_NE(kube::uid_of(world.get("PersistentVolumeClaim/shop/data")), context.target.uid);
    context.params = json_of(R"({"key":"kubernaut.io/note"})").get_object();
    EXPECT_TRUE(prepare("annotate_target", context));
    context.execution = ExecutionId("exe_other");
    EXPECT_EQ(refusal("annotate_target", context), "target_changed");
}

TEST_F(ActionBehaviour, TwoDefaultClassesAreAmbiguous) {
    auto context = set_up(case_of("recreate_pvc"));
    world.put(
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: second, annotations: {storageclass.kubernetes.io/is-default-class: \"true\"}}\nprovisioner: example.com/disk\n");
    EXPECT_EQ(refusal("recreate_pvc", context), "ambiguous");
    context.params["storage_class"] = "second";
    EXPECT_TRUE(prepare("recreate_pvc", context));
}

// ---- reports ----

TEST_F(ActionBehaviour, DiagnosticsCarryLogsAndNoCredentials) {
    api.set_log_source([](const sim::ApiServer::LogQuery& query) -> Result<std::string> {
        return std::string(query.previous ? "panic: no config\n" : "starting\npassword=hunter2 user=bob\nAuthorization: Bearer abc.def\n");
    });
    auto context = set_up(case_of("rollback_deployment"));
    context.params = {};
    ASSERT_TRUE(prepare("collect_diagnostics", context));
    const auto outcome = world.run(world.action("collect_diagnostics").execute(context));
    ASSERT_TRUE(outcome) << outcome.error().describe();
    const auto text = json::dump(outcome->output);
    EXPECT_TRUE(text.contains("panic: no config")) << text.substr(0, 2000);
    EXPECT_TRUE(text.contains("user=bob"));
    EXPECT_FALSE(text.contains("hunter2"));
    EXPECT_FALSE(text.contains("abc.def"));
    EXPECT_FALSE(text.contains("managedFields"));
    EXPECT_LT(text.size(), 256U * 1024U);
    EXPECT_TRUE(world.tap->writes.empty());
}

TEST_F(ActionBehaviour, ANotificationHasOneKeyHoweverOftenItIsSent) {
    auto context = set_up(case_of("rollback_deployment"));
    context.params = json_of(R"({"title": "look", "severity": "warning"})").get_object();
    ASSERT_TRUE(prepare("notify", context));
    ASSERT_TRUE(world.run(world.action("notify").execute(context)));
    ASSERT_TRUE(world.run(world.action("notify").execute(context)));
    ASSERT_EQ(world.notifier.sent.size(), 2U);
    EXPECT_EQ(world.notifier.sent[0].key, world.notifier.sent[1].key);
    EXPECT_EQ(world.notifier.sent[0].severity, Severity::warning);
    context.dry_run = true;
    ASSERT_TRUE(world.run(world.action("notify").execute(context)));
    EXPECT_EQ(world.notifier.sent.size(), 2U);
}

// ---- pure parts ----

TEST(Redaction, HidesValuesAfterTellingNames) {
    EXPECT_EQ(redact_text("db_password: \"s3cr3t\", host=x"), "db_password: \"[redacted]\", host=x\n");
    EXPECT_EQ(redact_text("GET /?token=abc&x=1"), "GET /?token=[redacted]&x=1\n");
    EXPECT_EQ(redact_text("id eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def end"), "id [redacted] end\n");
    EXPECT_EQ(redact_text("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb"), "a\n[redacted]\nb\n");
    EXPECT_EQ(redact_text("nothing here"), "nothing here\n");
}

TEST(Params, FillInDefaultsAndRefuseTheRest) {
    const auto& specs = std::ranges::find(action_specs(), "evict_pod", &ports::ActionSpec::name)->params;
    const auto filled = validate_params(specs, {});
    ASSERT_TRUE(filled);
    EXPECT_EQ(filled->at("deadline"), "10m");
    EXPECT_EQ(validate_params(specs, json_of(R"({"deadline":"31m"})").get_object()).error().field, "params.deadline");
    EXPECT_EQ(validate_params(specs, json_of(R"({"x":1})").get_object(), "steps[2].with").error().field, "steps[2].with.x");
    const auto& raise = std::ranges::find(action_specs(), "raise_memory_limit", &ports::ActionSpec::name)->params;
    EXPECT_FALSE(validate_params(raise, json_of(R"({"factor": 1e999})").get_object()));
}

TEST(Fields, CompareQuantitiesByValueAndIgnoreNulls) {
    const json::Value object = json_of(R"({"a":[{"name":"x","m":"1024Mi","t":null}]})");
    std::vector<FieldChange> changes{{.path = {"a", "[name=x]", "m"}, .after = json::Value("1Gi"), .before = json::Value("512Mi"), .quantity = true}};
    EXPECT_EQ(state_of(object, changes), FieldState::after);
    EXPECT_TRUE(with_before(object, changes).empty());
    const json::Value plain = json_of(R"({"name":"x","m":"1024Mi"})");
    EXPECT_TRUE(same_value(field_at(object, {"a", "[name=x]"}), &plain, false));
    EXPECT_EQ(path_text({"a", "[name=x]", "m"}), "a[name=x].m");
}

}  // namespace
}  // namespace kn::actions::testing
