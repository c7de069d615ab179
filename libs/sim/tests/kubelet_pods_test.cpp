#include "sim_bed.hpp"

namespace kn::sim {
namespace {

json::Value first_pod(SimBed& bed) {
    const auto pods = bed.list("Pod", "shop");
    return pods.empty() ? json::Value(nullptr) : pods.front();
}

std::string_view waiting(const json::Value& pod) { return json::string_at(pod, "status", "containerStatuses", 0, "state", "waiting", "reason"); }

TEST(Kubelet, RegistersNodesAndRenewsTheirLeases) {
    SimBed bed;
    bed.pass(1min);
    const auto nodes = bed.list("Node", "");
    ASSERT_EQ(nodes.size(), 3U);
    for (const auto& node : nodes) {
        EXPECT_EQ(kube::condition_of(node, "Ready")->status, "True");
        EXPECT_TRUE(json::array_at(node, "spec", "taints").empty()) << json::dump(node);
        const auto lease = bed.get("Lease", "kube-node-lease", std::string(kube::name_of(node)));
        const auto renewed = kube::time_at(lease, "spec", "renewTime");
        ASSERT_TRUE(renewed);
        EXPECT_LE(bed.loop->clock().now() - *renewed, 10s);
    }
}

TEST(Kubelet, RunsAPodAndWritesTheEventsOfItsStart) {
    SimBed bed;
    bed.apply(web("1"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    const auto pod = first_pod(bed);
    EXPECT_EQ(json::string_at(pod, "status", "phase"), "Running");
    EXPECT_EQ(json::int_at(pod, "status", "containerStatuses", 0, "restartCount"), 0);
    EXPECT_FALSE(json::string_at(pod, "status", "podIP").empty());
    bed.pass(2s);
    const auto reasons = bed.event_reasons("shop", "web-");
    for (const auto* reason : {"Scheduled", "Pulling", "Pulled", "Created", "Started"}) EXPECT_TRUE(reasons.contains(reason)) << reason;
    EXPECT_NE(bed.cluster.kubelet().logs("shop", kube::name_of(pod), "app", false, 10)->find("started"), std::string::npos);
}

TEST(Kubelet, BacksOffFromACrashLoopUpToFiveMinutes) {
    SimBed bed;
    bed.apply(web("1", "image: registry.example/web:1\n        command: [sh, -c, 'sleep 1; exit 3']"));
    std::vector<std::int64_t> restarts;
    for (int i = 0; i < 12; ++i) {
        bed.pass(1min);
        restarts.push_back(json::int_at(first_pod(bed), "status", "containerStatuses", 0, "restartCount").value_or(0));
    }
    const auto pod = first_pod(bed);
    EXPECT_EQ(waiting(pod), "CrashLoopBackOff");
    EXPECT_EQ(json::int_at(pod, "status", "containerStatuses", 0, "lastState", "terminated", "exitCode"), 3);
    EXPECT_EQ(json::string_at(pod, "status", "containerStatuses", 0, "lastState", "terminated", "reason"), "Error");
    // At once, then 10, 20, 40, 80, 160 and 300 s apart.
    EXPECT_GE(restarts[1], 4);
    EXPECT_LE(restarts[11], 9);
    EXPECT_GE(restarts[11], 7);
    EXPECT_TRUE(bed.event_reasons("shop", "web-").contains("BackOff"));
}

TEST(Kubelet, KillsAContainerThatOutgrowsItsLimit) {
    SimBed bed;
    ASSERT_TRUE(bed.cluster.book()->load_yaml("behaviours: [{match: {image: '*/web:*'}, run: {memory: {base: 20Mi, growth: 4Mi}}}]"));
    bed.apply(web("1", "image: registry.example/web:1\n        resources: {limits: {memory: 64Mi}}"));
    ASSERT_TRUE(bed.until(
        [&] { return json::string_at(first_pod(bed), "status", "containerStatuses", 0, "lastState", "terminated", "reason") == "OOMKilled"; }, 1min));
    EXPECT_EQ(json::int_at(first_pod(bed), "status", "containerStatuses", 0, "lastState", "terminated", "exitCode"), 137);
    bed.pass(5s);
    EXPECT_TRUE(bed.event_reasons("default", "eu1-node").contains("OOMKilling"));
}

TEST(Kubelet, AlternatesBetweenErrImagePullAndBackOff) {
    SimBed bed;
    ASSERT_TRUE(bed.cluster.book()->load_yaml("registries: {registry.example: {closed: true}}"));
    bed.apply(web("1"));
    std::set<std::string> seen;
    bed.until(
        [&] {
            seen.emplace(waiting(first_pod(bed)));
            return false;
        },
        1min);
    EXPECT_TRUE(seen.contains("ErrImagePull"));
    EXPECT_TRUE(seen.contains("ImagePullBackOff"));
    bed.cluster.book()->add_image("registry.example/web:1");
    EXPECT_TRUE(bed.ready("Deployment", "shop", "web", 6min));
}

TEST(Kubelet, WaitsForMissingConfigurationAndGoesOnWhenItComes) {
    SimBed bed;
    bed.apply(web("1", "image: registry.example/web:1\n        envFrom: [{configMapRef: {name: settings}}]"));
    ASSERT_TRUE(bed.until([&] { return waiting(first_pod(bed)) == "CreateContainerConfigError"; }, 30s));
    bed.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\ndata: {A: b}");
    EXPECT_TRUE(bed.ready("Deployment", "shop", "web", 20s));
}

TEST(Kubelet, BringsAChangedConfigMapToMountedPodsWithinNinetySeconds) {
    SimBed bed;
    ASSERT_TRUE(bed.cluster.book()->load_yaml(
        "behaviours: [{match: {image: '*/web:*', config: {object: ConfigMap/settings, contains: broken}}, run: {exit: {code: 9, after: 1s}}}]"));
    bed.apply(
        web("1",
            "image: registry.example/web:1\n        volumeMounts: [{name: c, mountPath: /c}]\n      volumes: [{name: c, configMap: {name: settings}}]") +
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\ndata: {a.txt: fine}");
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    ASSERT_TRUE(bed.patch("ConfigMap", "shop", "settings", "data: {a.txt: broken}", kube::PatchType::merge));
    bed.pass(58s);
    EXPECT_EQ(json::int_at(first_pod(bed), "status", "containerStatuses", 0, "restartCount"), 0);
    bed.pass(40s);
    EXPECT_EQ(json::int_at(first_pod(bed), "status", "containerStatuses", 0, "lastState", "terminated", "exitCode"), 9);
}

TEST(Kubelet, CrashesADependantWhenItsServiceHasNoReadyEndpoint) {
    SimBed bed;
    bed.apply(web("1", "image: registry.example/web:1\n        env: [{name: DB, value: db}]") + R"(
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: registry.example/db:1}]}
)");
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web", 5min));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "db", 5min));
    bed.pass(1min);
    const auto before = json::int_at(bed.list("Pod", "shop", "app=web").front(), "status", "containerStatuses", 0, "restartCount").value_or(0);
    ASSERT_TRUE(bed.patch("Deployment", "shop", "db", "spec: {replicas: 0}", kube::PatchType::merge));
    ASSERT_TRUE(bed.until(
        [&] {
            return json::int_at(bed.list("Pod", "shop", "app=web").front(), "status", "containerStatuses", 0, "restartCount").value_or(0) > before;
        },
        2min));
    ASSERT_TRUE(bed.patch("Deployment", "shop", "db", "spec: {replicas: 1}", kube::PatchType::merge));
    EXPECT_TRUE(bed.ready("Deployment", "shop", "web", 6min));
}

TEST(Kubelet, KillsByLivenessWhatStartsTooSlowly) {
    SimBed bed;
    ASSERT_TRUE(bed.cluster.book()->load_yaml("behaviours: [{match: {image: '*/web:*'}, run: {startup: 2m}}]"));
    bed.apply(
        web("1", "image: registry.example/web:1\n        livenessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 10, failureThreshold: 3}"));
    ASSERT_TRUE(bed.until([&] { return json::int_at(first_pod(bed), "status", "containerStatuses", 0, "restartCount").value_or(0) > 0; }, 1min));
    const auto pod = first_pod(bed);
    const auto end = *json::at(pod, "status", "containerStatuses", 0, "lastState", "terminated");
    EXPECT_EQ(json::int_at(end, "exitCode"), 137);
    EXPECT_EQ(json::string_at(end, "reason"), "Error");
    EXPECT_EQ(*kube::time_at(end, "finishedAt") - *kube::time_at(end, "startedAt"), 30s);
    bed.pass(1s);
    const auto reasons = bed.event_reasons("shop", "web-");
    EXPECT_TRUE(reasons.contains("Unhealthy"));
    EXPECT_TRUE(reasons.contains("Killing"));
}

TEST(Kubelet, EndsAPodGracefullyAndRemovesIt) {
    SimBed bed;
    bed.apply(web("1"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    const std::string name(kube::name_of(first_pod(bed)));
    bed.remove("Pod", "shop", name);
    EXPECT_TRUE(bed.until([&] { return bed.get("Pod", "shop", name).is_null(); }, 10s));
    EXPECT_TRUE(bed.ready("Deployment", "shop", "web"));
}

TEST(Kubelet, ComesBackWithFreshContainersAfterAPowerCut) {
    SimBed bed;
    bed.apply(web("1"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    const std::string node(json::string_at(first_pod(bed), "spec", "nodeName"));
    bed.cluster.kubelet().stop_node(node);
    bed.pass(2min);
    EXPECT_EQ(kube::condition_of(bed.get("Node", "", node), "Ready")->status, "Unknown");
    EXPECT_EQ(kube::condition_of(first_pod(bed), "Ready")->status, "False");
    bed.cluster.kubelet().start_node(node);
    EXPECT_TRUE(bed.ready("Deployment", "shop", "web", 1min));
    EXPECT_EQ(json::int_at(first_pod(bed), "status", "containerStatuses", 0, "restartCount"), 1);
    EXPECT_EQ(kube::condition_of(bed.get("Node", "", node), "Ready")->status, "True");
    EXPECT_TRUE(json::array_at(bed.get("Node", "", node), "spec", "taints").empty());
}

}  // namespace
}  // namespace kn::sim
