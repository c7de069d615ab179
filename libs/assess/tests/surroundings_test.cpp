#include "surroundings.hpp"

#include <gtest/gtest.h>

namespace kn::assess {
namespace {

const ClusterId eu1{"eu1"};

kube::ObjectPtr object(std::string_view text) {
    auto parsed = json::parse(text);
    if (!parsed) ADD_FAILURE() << parsed.error().describe() << "\n" << text;
    return std::make_shared<const json::Value>(parsed ? *parsed : json::Value(nullptr));
}

kube::ObjectPtr deployment(const std::string& name, const std::string& env = "", const std::string& extra = "") {
    return object(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"shop","name":")" + name + R"(")" + extra +
                  R"(},"spec":{"selector":{"matchLabels":{"app":")" + name + R"("}},"template":{"metadata":{"labels":{"app":")" + name +
                  R"("}},"spec":{"containers":[{"name":"c","env":[{"name":"U","value":")" + env + R"("}],"envFrom":[{"configMapRef":{"name":")" +
                  name + R"(-config"}}]}],"imagePullSecrets":[{"name":"registry"}]}}}})");
}
kube::ObjectPtr service(const std::string& name, const std::string& app) {
    return object(R"({"apiVersion":"v1","kind":"Service","metadata":{"namespace":"shop","name":")" + name + R"("},"spec":{"selector":{"app":")" +
                  app + R"("}}})");
}
kube::ObjectPtr pod(const std::string& app, const std::string& node, const std::string& claim) {
    return object(R"({"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"shop","name":")" + app + R"(-1","labels":{"app":")" + app +
                  R"("}},"spec":{"nodeName":")" + node + R"(","volumes":[{"name":"v","persistentVolumeClaim":{"claimName":")" + claim + R"("}}]}})");
}

ObjectKey key(const std::string& kind, const std::string& group, const std::string& name, const std::string& ns = "shop") {
    return {eu1, ns, kind, group, name};
}

Surroundings shop() {
    return {.workloads = {deployment("cart"), deployment("web", "http://cart.shop.svc.cluster.local:8080/x"),
                          deployment("declared", "", R"(,"annotations":{"kubernaut.io/depends-on":"other/x, shop/cart"})"),
                          deployment("cartography", "cartography:80")},
            .pods = {pod("cart", "n1", "data-cart")},
            .services = {service("cart", "cart"), service("cartography", "cartography")}};
}

TEST(Neighbours, OfAWorkloadAreWhatSelectsItDependsOnItAndHoldsItsPods) {
    EXPECT_EQ(neighbours_of(key("Deployment", "apps", "cart"), shop()),
              (std::set<std::string>{"eu1/_/Node/n1", "eu1/shop/Deployment.apps/declared", "eu1/shop/Deployment.apps/web",
                                     "eu1/shop/PersistentVolumeClaim/data-cart", "eu1/shop/Service/cart"}));
}

TEST(Neighbours, OfANodeClaimConfigMapAndSecretAreItsUsers) {
    const std::set<std::string> cart{"eu1/shop/Deployment.apps/cart"};
    EXPECT_EQ(neighbours_of(key("Node", "", "n1", ""), shop()), cart);
    EXPECT_TRUE(neighbours_of(key("Node", "", "n2", ""), shop()).empty());
    EXPECT_EQ(neighbours_of(key("PersistentVolumeClaim", "", "data-cart"), shop()), cart);
    EXPECT_EQ(neighbours_of(key("ConfigMap", "", "cart-config"), shop()), cart);
    EXPECT_EQ(neighbours_of(key("Secret", "", "registry"), shop()).size(), 4U);
    EXPECT_EQ(neighbours_of(key("ResourceQuota", "", "q"), shop()).size(), 4U) << "rules the whole namespace";
    EXPECT_TRUE(neighbours_of(key("Deployment", "apps", "cart"), {}).empty()) << "not watched: nothing is known";
}

TEST(Drift, IsAWriteOfSomebodyElseAfterOursToMoreThanStatusAndLabels) {
    const auto written = [](std::string_view manager, std::string_view time, std::string_view more = R"("fieldsV1":{"f:spec":{}})") {
        return object(R"({"metadata":{"managedFields":[{"manager":"kubernaut","time":"2026-01-01T00:05:00Z","fieldsV1":{"f:spec":{}}},{"manager":")" +
                      std::string(manager) + R"(","time":")" + std::string(time) + R"(",)" + std::string(more) + "}]}}");
    };
    const Instant action = *parse_rfc3339("2026-01-01T00:04:00Z");
    EXPECT_EQ(drift_of(*written("kubectl-edit", "2026-01-01T00:04:30Z"), action).seen, Truth::yes);
    EXPECT_EQ(drift_of(*written("kubectl-edit", "2026-01-01T00:04:30Z"), action).manager, "kubectl-edit");
    EXPECT_EQ(drift_of(*written("kubectl-edit", "2026-01-01T00:03:30Z"), action).seen, Truth::no);
    EXPECT_EQ(drift_of(*written("kube-controller-manager", "2026-01-01T00:09:00Z"), action).seen, Truth::no);
    EXPECT_EQ(drift_of(*written("argocd", "2026-01-01T00:09:00Z", R"("subresource":"status","fieldsV1":{"f:status":{}})"), action).seen, Truth::no);
    EXPECT_EQ(drift_of(*written("labeller", "2026-01-01T00:09:00Z", R"("fieldsV1":{"f:metadata":{}})"), action).seen, Truth::no);
    EXPECT_EQ(drift_of(*object(R"({"metadata":{}})"), action).seen, Truth::unknown);
}

TEST(Availability, IsKnownForWorkloadsOnly) {
    EXPECT_EQ(availability_of(*object(R"({"kind":"Deployment","spec":{"replicas":4},"status":{"availableReplicas":3}})")), 0.75);
    EXPECT_EQ(availability_of(*object(R"({"kind":"StatefulSet","spec":{"replicas":2},"status":{"readyReplicas":1}})")), 0.5);
    EXPECT_EQ(availability_of(*object(R"({"kind":"DaemonSet","status":{"desiredNumberScheduled":2}})")), 0.0);
    EXPECT_FALSE(availability_of(*object(R"({"kind":"Deployment","spec":{"replicas":0}})")));
    EXPECT_FALSE(availability_of(*object(R"({"kind":"Node"})")));
}

}  // namespace
}  // namespace kn::assess
