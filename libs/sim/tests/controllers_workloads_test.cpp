#include "sim_bed.hpp"

namespace kn::sim {
namespace {

TEST(DeploymentController, RollsOutKeepsRevisionsAndRollsBackToTheOldReplicaSet) {
    SimBed bed;
    bed.apply(web("3"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    const auto first = bed.get("Deployment", "shop", "web");
    EXPECT_EQ(kube::annotation_of(first, "deployment.kubernetes.io/revision"), "1");
    EXPECT_EQ(kube::condition_of(first, "Progressing")->reason, "NewReplicaSetAvailable");
    EXPECT_EQ(kube::condition_of(first, "Available")->status, "True");
    const std::string old_set(kube::name_of(bed.list("ReplicaSet", "shop").front()));

    ASSERT_TRUE(bed.patch("Deployment", "shop", "web", "spec: {template: {spec: {containers: [{name: app, image: 'registry.example/web:2'}]}}}"));
    bed.pass(1s);
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    EXPECT_EQ(kube::annotation_of(bed.get("Deployment", "shop", "web"), "deployment.kubernetes.io/revision"), "2");
    EXPECT_EQ(bed.list("ReplicaSet", "shop").size(), 2U);

    ASSERT_TRUE(bed.patch("Deployment", "shop", "web", "spec: {template: {spec: {containers: [{name: app, image: 'registry.example/web:1'}]}}}"));
    bed.pass(1s);
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    const auto sets = bed.list("ReplicaSet", "shop");
    EXPECT_EQ(sets.size(), 2U);
    for (const auto& set : sets) {
        if (kube::name_of(set) != old_set) continue;
        EXPECT_EQ(json::int_at(set, "spec", "replicas"), 3);
        EXPECT_EQ(kube::annotation_of(set, "deployment.kubernetes.io/revision"), "3");
    }
}

TEST(DeploymentController, NeverFallsBelowItsMinimumDuringARolloutThatFails) {
    SimBed bed;
    bed.apply(web("4", "image: registry.example/web:1\n        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 5}"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    ASSERT_TRUE(bed.patch("Deployment", "shop", "web",
                          "spec: {progressDeadlineSeconds: 120, template: {spec: {containers: [{name: app, command: ['false']}]}}}"));
    for (int i = 0; i < 60; ++i) {
        bed.pass(2s);
        ASSERT_GE(json::int_at(bed.get("Deployment", "shop", "web"), "status", "availableReplicas").value_or(0), 3);
    }
    ASSERT_TRUE(bed.until(
        [&] { return kube::condition_of(bed.get("Deployment", "shop", "web"), "Progressing")->reason == "ProgressDeadlineExceeded"; }, 10min));
    EXPECT_EQ(kube::condition_of(bed.get("Deployment", "shop", "web"), "Progressing")->status, "False");
}

TEST(DeploymentController, ScalesWithoutANewRevision) {
    SimBed bed;
    bed.apply(web("2"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    ASSERT_TRUE(bed.patch("Deployment", "shop", "web", "spec: {replicas: 5}", kube::PatchType::merge, "scale"));
    bed.pass(1s);
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    ASSERT_TRUE(bed.patch("Deployment", "shop", "web", "spec: {replicas: 1}", kube::PatchType::merge));
    bed.pass(1s);
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    EXPECT_EQ(bed.list("ReplicaSet", "shop").size(), 1U);
    EXPECT_EQ(bed.list("Pod", "shop").size(), 1U);
}

TEST(ReplicaSetController, SaysWhenAQuotaRefusesPodsAndRecoversWhenItIsRaised) {
    SimBed bed;
    bed.apply(web("1", "image: registry.example/web:1\n        resources: {requests: {memory: 100Mi}, limits: {memory: 100Mi}}") +
              "---\napiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: shop}\nspec: {hard: {requests.memory: 250Mi}}");
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    ASSERT_TRUE(bed.patch("Deployment", "shop", "web", "spec: {replicas: 4}", kube::PatchType::merge));
    ASSERT_TRUE(bed.until([&] { return kube::condition_of(bed.get("Deployment", "shop", "web"), "ReplicaFailure").has_value(); }, 1min));
    EXPECT_EQ(kube::condition_of(bed.get("Deployment", "shop", "web"), "ReplicaFailure")->reason, "FailedCreate");
    EXPECT_EQ(json::string_at(bed.get("ResourceQuota", "shop", "q"), "status", "used", "requests.memory"), "200Mi");
    bed.pass(1s);
    EXPECT_TRUE(bed.event_reasons("shop", "web-").contains("FailedCreate"));
    ASSERT_TRUE(bed.patch("ResourceQuota", "shop", "q", "spec: {hard: {requests.memory: 1Gi}}", kube::PatchType::merge));
    EXPECT_TRUE(bed.ready("Deployment", "shop", "web", 5min));
    EXPECT_FALSE(kube::condition_of(bed.get("Deployment", "shop", "web"), "ReplicaFailure"));
}

constexpr std::string_view store = R"(
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: shop}
spec:
  serviceName: store
  replicas: 3
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec:
      containers: [{name: app, image: 'registry.example/store:1', readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 2}, volumeMounts: [{name: data, mountPath: /d}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
)";

TEST(StatefulSetController, CreatesInOrderWithClaimsAndUpdatesFromTheTop) {
    SimBed bed;
    bed.apply(store);
    ASSERT_TRUE(bed.ready("StatefulSet", "shop", "store"));
    std::vector<Instant> made;
    for (const auto* name : {"store-0", "store-1", "store-2"}) made.push_back(*kube::creation_time(bed.get("Pod", "shop", name)));
    EXPECT_TRUE(std::ranges::is_sorted(made));
    EXPECT_EQ(json::string_at(bed.get("PersistentVolumeClaim", "shop", "data-store-2"), "status", "phase"), "Bound");
    const auto before = bed.get("StatefulSet", "shop", "store");
    EXPECT_EQ(json::string_at(before, "status", "currentRevision"), json::string_at(before, "status", "updateRevision"));

    ASSERT_TRUE(bed.patch("StatefulSet", "shop", "store", "spec: {template: {spec: {containers: [{name: app, command: ['false']}]}}}"));
    bed.pass(3min);
    const auto broken = bed.get("StatefulSet", "shop", "store");
    EXPECT_NE(json::string_at(broken, "status", "currentRevision"), json::string_at(broken, "status", "updateRevision"));
    EXPECT_EQ(json::int_at(broken, "status", "readyReplicas"), 2);
    // Back to the old template: the broken pod holds everything up until somebody deletes it, as in life.
    ASSERT_TRUE(bed.patch("StatefulSet", "shop", "store", "spec: {template: {spec: {containers: [{name: app, command: null}]}}}"));
    bed.pass(3min);
    EXPECT_EQ(json::int_at(bed.get("StatefulSet", "shop", "store"), "status", "readyReplicas"), 2);
    bed.remove("Pod", "shop", "store-2");
    EXPECT_TRUE(bed.ready("StatefulSet", "shop", "store"));
    EXPECT_EQ(bed.list("ControllerRevision", "shop").size(), 2U);
}

TEST(VolumeBinder, LeavesAClaimPendingWhoseClassDoesNotExistAndBindsAGoodOne) {
    SimBed bed;
    bed.apply(R"(
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: bad, namespace: default}
spec: {accessModes: [ReadWriteOnce], storageClassName: nope, resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: good, namespace: default}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
)");
    bed.pass(1min);
    EXPECT_EQ(json::string_at(bed.get("PersistentVolumeClaim", "default", "bad"), "status", "phase"), "Pending");
    EXPECT_TRUE(bed.event_reasons("default", "bad").contains("ProvisioningFailed"));
    EXPECT_EQ(json::string_at(bed.get("PersistentVolumeClaim", "default", "good"), "status", "phase"), "Bound");
    ASSERT_TRUE(bed.patch("PersistentVolumeClaim", "default", "good", "spec: {resources: {requests: {storage: 3Gi}}}", kube::PatchType::merge));
    bed.pass(30s);
    EXPECT_EQ(json::string_at(bed.get("PersistentVolumeClaim", "default", "good"), "status", "capacity", "storage"), "3Gi");
    EXPECT_DOUBLE_EQ(bed.cluster.metrics()->volume_capacity("default", "good", bed.loop->clock().now()), 3.0 * (1U << 30U));
    bed.remove("PersistentVolumeClaim", "default", "good");
    bed.pass(10s);
    EXPECT_TRUE(bed.list("PersistentVolume", "").empty());
}

TEST(DaemonSetController, PutsOnePodOnEveryFittingNode) {
    SimBed bed;
    bed.apply(R"(
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: default}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: app, image: 'registry.example/agent:1'}]}
)");
    const auto status = [&](std::string_view field) { return json::int_at(bed.get("DaemonSet", "default", "agent"), "status", field).value_or(-1); };
    ASSERT_TRUE(bed.until([&] { return status("numberReady") == 3; }, 1min));
    ASSERT_TRUE(bed.await(bed.cluster.kubelet().add_node({.name = "extra"})));
    ASSERT_TRUE(bed.until([&] { return status("numberReady") == 4; }, 1min));
    ASSERT_TRUE(
        bed.patch("DaemonSet", "default", "agent", "spec: {template: {spec: {containers: [{name: app, image: 'registry.example/agent:2'}]}}}"));
    ASSERT_TRUE(bed.until([&] { return status("updatedNumberScheduled") == 4 && status("numberAvailable") == 4; }, 3min));
    ASSERT_TRUE(bed.patch("Node", "", "extra", "spec: {taints: [{key: a, value: b, effect: NoSchedule}]}", kube::PatchType::merge));
    ASSERT_TRUE(bed.until([&] { return status("numberMisscheduled") == 1 && status("desiredNumberScheduled") == 3; }, 1min));
}

TEST(JobController, FailsAfterItsBackoffLimitAndCompletesOtherwise) {
    SimBed bed;
    bed.apply(R"(
apiVersion: batch/v1
kind: Job
metadata: {name: bad, namespace: default}
spec: {backoffLimit: 2, template: {spec: {restartPolicy: Never, containers: [{name: app, image: 'registry.example/job:1', command: ['false']}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: good, namespace: default}
spec: {completions: 3, parallelism: 2, template: {spec: {restartPolicy: Never, containers: [{name: app, image: 'registry.example/job:1', command: [sleep, '5']}]}}}
)");
    ASSERT_TRUE(bed.until([&] { return kube::condition_of(bed.get("Job", "default", "bad"), "Failed").has_value(); }, 10min));
    EXPECT_EQ(kube::condition_of(bed.get("Job", "default", "bad"), "Failed")->reason, "BackoffLimitExceeded");
    ASSERT_TRUE(bed.until([&] { return kube::condition_of(bed.get("Job", "default", "good"), "Complete").has_value(); }, 5min));
    EXPECT_EQ(json::int_at(bed.get("Job", "default", "good"), "status", "succeeded"), 3);
}

TEST(CronJobController, StartsAJobEveryFiveMinutesAndKeepsAShortHistory) {
    SimBed bed;
    bed.apply(R"(
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick, namespace: default}
spec:
  schedule: "*/5 * * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: 'registry.example/job:1', command: ['true']}]}}}}
)");
    bed.pass(31min);
    EXPECT_EQ(bed.list("Job", "default").size(), 3U);
    EXPECT_FALSE(json::string_at(bed.get("CronJob", "default", "tick"), "status", "lastSuccessfulTime").empty());
}

TEST(GarbageCollector, RemovesWhatADeletedDeploymentOwned) {
    SimBed bed;
    bed.apply(web("2"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    bed.remove("Deployment", "shop", "web");
    EXPECT_TRUE(bed.until([&] { return bed.list("ReplicaSet", "shop").empty() && bed.list("Pod", "shop").empty(); }, 1min));
}

TEST(DisruptionController, BlocksAnEvictionThatWouldBreakTheBudget) {
    SimBed bed;
    bed.apply(
        web("2") +
        "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web, namespace: shop}\nspec: {minAvailable: 2, selector: {matchLabels: {app: web}}}");
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    bed.pass(1s);
    const auto budget = bed.get("PodDisruptionBudget", "shop", "web");
    EXPECT_EQ(json::int_at(budget, "status", "disruptionsAllowed"), 0);
    EXPECT_EQ(json::int_at(budget, "status", "expectedPods"), 2);
    EXPECT_EQ(kube::condition_of(budget, "DisruptionAllowed")->reason, "InsufficientPods");
    const std::string pod(kube::name_of(bed.list("Pod", "shop").front()));
    const auto blocked = bed.await(bed.cluster.client()->evict("shop", pod, {}, bed.soon()));
    ASSERT_FALSE(blocked);
    EXPECT_EQ(blocked.error().reason, "DisruptionBudget");
    ASSERT_TRUE(bed.patch("PodDisruptionBudget", "shop", "web", "spec: {minAvailable: 1}", kube::PatchType::merge));
    bed.pass(1s);
    EXPECT_TRUE(bed.await(bed.cluster.client()->evict("shop", pod, {}, bed.soon())));
    EXPECT_TRUE(bed.ready("Deployment", "shop", "web"));
}

TEST(HpaController, FollowsTheLoadUntilItsMaximum) {
    SimBed bed;
    bed.apply(web("2", "image: registry.example/web:1\n        resources: {requests: {cpu: 100m}}") + R"(
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
)");
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    bed.cluster.metrics()->set_load("shop/Deployment/web", bed.loop->clock().now(), 0.6);
    ASSERT_TRUE(bed.until([&] { return json::int_at(bed.get("Deployment", "shop", "web"), "spec", "replicas") == 4; }, 3min));
    bed.pass(1min);
    const auto limited = kube::condition_of(bed.get("HorizontalPodAutoscaler", "shop", "web"), "ScalingLimited");
    ASSERT_TRUE(limited);
    EXPECT_EQ(limited->reason, "TooManyReplicas");
    ASSERT_TRUE(bed.patch("HorizontalPodAutoscaler", "shop", "web", "spec: {maxReplicas: 20}", kube::PatchType::merge));
    ASSERT_TRUE(
        bed.until([&] { return kube::condition_of(bed.get("HorizontalPodAutoscaler", "shop", "web"), "ScalingLimited")->status == "False"; }, 3min));
    EXPECT_TRUE(bed.until([&] { return json::int_at(bed.get("Deployment", "shop", "web"), "spec", "replicas") == 12; }, 3min));
}

}  // namespace
}  // namespace kn::sim
