#include "sim_bed.hpp"

namespace kn::sim {
namespace {

std::string scheduling_message(SimBed& bed) {
    for (const auto& pod : bed.list("Pod", "shop")) {
        const auto scheduled = kube::condition_of(pod, "PodScheduled");
        if (scheduled && scheduled->status == "False") return scheduled->reason + ": " + scheduled->message;
    }
    return {};
}

TEST(Scheduler, SaysWhyAPodFitsNowhereAndTriesAgainWhenANodeComes) {
    SimBed bed;
    bed.apply(web("1", "image: registry.example/web:1\n        resources: {requests: {cpu: '20'}}"));
    ASSERT_TRUE(bed.until([&] { return !scheduling_message(bed).empty(); }, 10s));
    EXPECT_EQ(
        scheduling_message(bed),
        "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.");
    bed.pass(1s);
    EXPECT_TRUE(bed.event_reasons("shop", "web-").contains("FailedScheduling"));
    ASSERT_TRUE(bed.await(bed.cluster.kubelet().add_node({.name = "big", .cpu = 32})));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web", 30s));
    EXPECT_EQ(json::string_at(bed.list("Pod", "shop").front(), "spec", "nodeName"), "big");
}

TEST(Scheduler, KeepsPodsOffTaintedAndCordonedNodesUntilThatEnds) {
    SimBed bed({.name = "eu1", .nodes = 1});
    ASSERT_TRUE(bed.patch("Node", "", "eu1-node-0", "spec: {taints: [{key: debug, value: 'yes', effect: NoSchedule}]}", kube::PatchType::merge));
    bed.apply(web("1"));
    ASSERT_TRUE(bed.until([&] { return scheduling_message(bed).find("untolerated taint") != std::string::npos; }, 10s));
    ASSERT_TRUE(bed.patch("Node", "", "eu1-node-0", "spec: {taints: null, unschedulable: true}", kube::PatchType::merge));
    bed.pass(10s);
    EXPECT_FALSE(scheduling_message(bed).empty());
    ASSERT_TRUE(bed.patch("Node", "", "eu1-node-0", "spec: {unschedulable: false}", kube::PatchType::merge));
    EXPECT_TRUE(bed.ready("Deployment", "shop", "web", 30s));
}

TEST(Scheduler, SpreadsReplicasOverNodes) {
    SimBed bed;
    bed.apply(web("6"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    std::map<std::string, int> count;
    for (const auto& pod : bed.list("Pod", "shop")) ++count[std::string(json::string_at(pod, "spec", "nodeName"))];
    EXPECT_EQ(count.size(), 3U);
    for (const auto& [node, pods] : count) EXPECT_EQ(pods, 2) << node;
}

TEST(NodeLifecycle, GivesASilentNodeUpAfterFiftySecondsAndItsPodsAfterFiveMinutesMore) {
    SimBed bed;
    bed.apply(web("3"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    const std::string node = "eu1-node-1";
    bed.cluster.kubelet().stop_node(node);
    bed.pass(35s);
    EXPECT_EQ(kube::condition_of(bed.get("Node", "", node), "Ready")->status, "True");
    bed.pass(30s);
    const auto lost = bed.get("Node", "", node);
    EXPECT_EQ(kube::condition_of(lost, "Ready")->status, "Unknown");
    EXPECT_EQ(kube::condition_of(lost, "Ready")->reason, "NodeStatusUnknown");
    EXPECT_EQ(json::array_at(lost, "spec", "taints").size(), 2U);
    EXPECT_EQ(json::int_at(bed.get("Deployment", "shop", "web"), "status", "availableReplicas"), 2);
    bed.pass(4min);
    EXPECT_EQ(bed.list("Pod", "shop").size(), 3U);
    bed.pass(2min);
    EXPECT_EQ(json::int_at(bed.get("Deployment", "shop", "web"), "status", "availableReplicas"), 3);
    EXPECT_EQ(bed.list("Pod", "shop").size(), 4U);  // the lost one stays, terminating, until its kubelet is back
    bed.cluster.kubelet().start_node(node);
    EXPECT_TRUE(bed.until([&] { return bed.list("Pod", "shop").size() == 3; }, 1min));
}

TEST(SimCluster, PassesAQuietHourQuickly) {
    SimBed bed;
    bed.apply(web("3"));
    ASSERT_TRUE(bed.ready("Deployment", "shop", "web"));
    const auto looks = bed.cluster.controllers().reconciled();
    bed.pass(1h);
    // Nothing happens, so nothing is looked at but node leases and status.
    EXPECT_LT(bed.cluster.controllers().reconciled() - looks, 2000U);
    EXPECT_TRUE(bed.ready("Deployment", "shop", "web", 1s));
}

}  // namespace
}  // namespace kn::sim
