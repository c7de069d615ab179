#include <gtest/gtest.h>

#include "contract.hpp"
#include "kubernaut/json/yaml.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"

namespace kn::actions::testing {
namespace {

using ports::ActionContext;

/// A whole simulated cluster with controllers and kubelets in virtual time: do the actions cure, and does verify() notice?
class ActionStory : public ::testing::Test {
protected:
    ActionStory() {
        const auto started = loop->block_on(cluster.start());
        if (!started) throw std::runtime_error(started.error().describe());
        apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
    }
    ~ActionStory() override {
        cluster.stop();
        loop->block_on(cluster.join());
    }

    void apply(std::string_view yaml) {
        const auto documents = json::parse_yaml_stream(yaml);
        if (!documents) throw std::runtime_error(documents.error().describe());
        for (const auto& document : *documents) {
            const auto made = run(client->create(*kube::resource_of(document.value), std::string(kube::namespace_of(document.value)), document.value,
                                                 {}, Deadline::never()));
            if (!made) throw std::runtime_error(made.error().describe());
        }
    }
    template <class T> T run(async::Task<T> task) { return loop->block_on(std::move(task)); }
    json::Value get(const std::string& object) {
        const auto key = key_from(object);
        auto found = run(client->get(*kube::find_resource(key.kind_group()), key.ns, key.name, Deadline::never()));
        return found ? *std::move(found) : json::Value(nullptr);
    }
    void patch(const std::string& object, std::string_view text) {
        const auto key = key_from(object);
        const auto done = run(client->patch(*kube::find_resource(key.kind_group()), key.ns, key.name, kube::PatchType::strategic,
                                            json::parse(text).value(), {}, Deadline::never()));
        if (!done) throw std::runtime_error(done.error().describe());
    }
    bool until(const std::function<bool()>& done, Duration limit) {
        const auto end = loop->clock().steady() + limit;
        while (!done()) {
            if (loop->clock().steady() >= end) return false;
            loop->run_for(1s);
        }
        return true;
    }
    bool serves(const std::string& object, std::int64_t replicas, Duration limit = 3min) {
        return until(
            [&] {
                const auto live = get(object);
                return json::int_at(live, "status", "readyReplicas").value_or(0) == replicas &&
                       json::int_at(live, "status", "updatedReplicas").value_or(0) == replicas &&
                       json::int_at(live, "status", "observedGeneration") == kube::generation_of(live);
            },
            limit);
    }

    /// prepare, dry run, execute, verify until true: what the engine does with a step.
    std::string carry_out(const std::string& name, const std::string& target, std::string_view params, Duration limit = 15min) {
        ActionContext context;
        context.client = client;
        context.clock = &loop->clock();
        context.target.key = key_from(target);
        context.target.uid = kube::uid_of(get(target));
        context.params = json::parse(params).value().get_object();
        context.id = ActionId("act_01J000000000000000000000" + std::to_string(10 + ++steps));
        context.execution = ExecutionId("exe_01J0000000000000000000STRY");
        context.deadline = loop->clock().deadline_in(limit);
        auto& action = *registry->find(name);
        const auto prepared = run(action.prepare(context));
        if (!prepared) return "prepare: " + prepared.error().describe() + " " + prepared.error().reason;
        context.pre_image = prepared->pre_image;
        context.dry_run = true;
        if (const auto rehearsed = run(action.execute(context)); !rehearsed) return "dry run: " + rehearsed.error().describe();
        context.dry_run = false;
        if (const auto done = run(action.execute(context)); !done) return "execute: " + done.error().describe();
        const auto end = loop->clock().steady() + limit;
        while (loop->clock().steady() < end) {
            const auto there = run(action.verify(context));
            if (!there && !is_retryable(there.error().code)) return "verify: " + there.error().describe();
            if (there && *there) return "verified";
            loop->run_for(2s);
        }
        return "not verified in time";
    }

    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(Instant{Duration{1'764'000'000'000}});
    SeededRandom random{5};
    sim::SimCluster cluster{*loop, random, {.name = "lab"}};
    std::shared_ptr<kube::Client> client = cluster.client();
    kn::testing::RecordingNotifier notifier;
    std::unique_ptr<ports::ActionRegistry> registry = make_action_registry({.notifier = notifier});
    int steps = 0;
};

std::string workload(std::string_view kind, std::string_view extra = "", std::string_view volumes = "") {
    return "apiVersion: apps/v1\nkind: " + std::string(kind) +
           "\nmetadata: {name: web, namespace: shop}\nspec:\n  replicas: 3\n  selector: {matchLabels: {app: web}}\n" + std::string(extra) +
           "  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n      - {name: app, image: \"registry.example.com/web:1\", resources: {limits: {memory: 256Mi}, requests: {memory: 256Mi, cpu: 100m}}" +
           std::string(volumes) + "}\n";
}
constexpr std::string_view break_it = R"({"spec":{"template":{"spec":{"containers":[{"name":"app","command":["sh","-c","exit 1"]}]}}}})";
const std::string web = "Deployment.apps/shop/web";

TEST_F(ActionStory, ABadRolloutIsRolledBackToExactlyTheOldTemplate) {
    apply(workload("Deployment"));
    ASSERT_TRUE(serves(web, 3));
    const auto before = json::canonical(*json::at(get(web), "spec", "template"));
    // Without a readiness probe the broken pods count as Ready for a moment, so the rollout goes through and nothing of the old one is left:
    // that it worked is told by how long it stood.
    loop->run_for(6min);
    patch(web, break_it);
    loop->run_for(2min);
    EXPECT_EQ(carry_out("rollback_deployment", web, "{}"), "verified");
    EXPECT_EQ(json::canonical(*json::at(get(web), "spec", "template")), before);
    EXPECT_TRUE(serves(web, 3));
}

TEST_F(ActionStory, ABrokenStatefulSetNeedsTheRollbackAndItsBrokenPodRestarted) {
    apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}\n---\n" +
        workload("StatefulSet", "  serviceName: web\n"));
    ASSERT_TRUE(serves("StatefulSet.apps/shop/web", 3));
    loop->run_for(6min);
    patch("StatefulSet.apps/shop/web", break_it);
    loop->run_for(2min);
    EXPECT_EQ(carry_out("rollback_statefulset", "StatefulSet.apps/shop/web", "{}"), "verified");
    EXPECT_EQ(carry_out("restart_pod", "StatefulSet.apps/shop/web", R"({"select":"lowest_broken"})"), "verified");
    EXPECT_TRUE(serves("StatefulSet.apps/shop/web", 3));
}

TEST_F(ActionStory, ARestartReplacesEveryPodStepByStep) {
    apply(workload("Deployment"));
    ASSERT_TRUE(serves(web, 3));
    EXPECT_EQ(carry_out("restart_workload", web, "{}"), "verified");
    EXPECT_FALSE(kube::annotation_of(*json::at(get(web), "spec", "template"), "kubernaut.io/restarted-at").empty());
}

TEST_F(ActionStory, PodsAreRestartedOneAtATimeAndNeverBelowTheFloor) {
    apply(workload("Deployment"));
    ASSERT_TRUE(serves(web, 3));
    std::int64_t least = 3;
    bool watching = true;
    const std::function<void()> look = [&] {
        std::int64_t ready = 0;
        for (const auto* pod : cluster.api().peek_all(kube::resources::pods, "shop")) {
            const auto condition = kube::condition_of(*pod, "Ready");
            if (condition && condition->status == "True" && !kube::is_deleting(*pod)) ++ready;
        }
        least = std::min(least, ready);
        if (watching) loop->clock().call_at(loop->clock().steady() + 200ms, look);
    };
    look();
    EXPECT_EQ(carry_out("restart_pod", web, R"({"select":"all"})"), "verified");
    watching = false;
    EXPECT_GE(least, 2);
    loop->run_for(1s);
}

TEST_F(ActionStory, ANodeIsDrainedWithinTheBudgetAndOpenedAgain) {
    apply(
        workload("Deployment") +
        "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web, namespace: shop}\nspec: {minAvailable: 2, selector: {matchLabels: {app: web}}}\n");
    ASSERT_TRUE(serves(web, 3));
    std::string node;
    for (const auto* pod : cluster.api().peek_all(kube::resources::pods, "shop")) node = json::string_at(*pod, "spec", "nodeName");
    EXPECT_EQ(carry_out("cordon_node", "Node/" + node, "{}"), "verified");
    EXPECT_EQ(carry_out("drain_node", "Node/" + node, "{}"), "verified");
    for (const auto* pod : cluster.api().peek_all(kube::resources::pods, "shop")) EXPECT_NE(json::string_at(*pod, "spec", "nodeName"), node);
    EXPECT_EQ(carry_out("uncordon_node", "Node/" + node, "{}"), "verified");
    EXPECT_TRUE(serves(web, 3));
}

TEST_F(ActionStory, LimitsAndReplicasGrow) {
    apply(workload("Deployment"));
    ASSERT_TRUE(serves(web, 3));
    EXPECT_EQ(carry_out("raise_memory_limit", web, "{}", 20min), "verified");
    EXPECT_EQ(json::string_at(get(web), "spec", "template", "spec", "containers", 0, "resources", "limits", "memory"), "384Mi");
    EXPECT_EQ(carry_out("scale_workload", web, R"({"replicas":5})"), "verified");
    EXPECT_EQ(json::int_at(get(web), "status", "readyReplicas"), 5);
    EXPECT_EQ(carry_out("scale_workload", web, R"({"replicas":2})"), "verified");
}

TEST_F(ActionStory, AClaimOfAMissingClassIsMadeAnewThoughTheControllerWatches) {
    apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}\n---\n" +
        workload(
            "StatefulSet",
            "  serviceName: web\n  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {accessModes: [ReadWriteOnce], storageClassName: gone, resources: {requests: {storage: 1Gi}}}\n",
            ", volumeMounts: [{name: data, mountPath: /data}]"));
    loop->run_for(1min);
    const std::string set = "StatefulSet.apps/shop/web";
    for (int ordinal = 0; ordinal < 3; ++ordinal) {
        ASSERT_EQ(carry_out("recreate_pvc", set, "{}"), "verified") << ordinal;
        ASSERT_EQ(carry_out("restart_pod", set, R"({"select":"unready"})"), "verified") << ordinal;
        EXPECT_TRUE(until([&] { return json::int_at(get(set), "status", "readyReplicas").value_or(0) > ordinal; }, 2min));
        loop->run_for(20s);
    }
    EXPECT_TRUE(serves(set, 3));
}

}  // namespace
}  // namespace kn::actions::testing
