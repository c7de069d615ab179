#include <gtest/gtest.h>

#include <random>

#include "generate.hpp"
#include "kubernaut/domain/incident.hpp"
#include "kubernaut/domain/keys.hpp"

namespace kn {
namespace {

TEST(ObjectKeys, ReadAsPeopleWriteThem) {
    const ObjectKey key{ClusterId("eu1"), "shop", "Deployment", "apps", "cart"};
    EXPECT_EQ(key.str(), "eu1/shop/Deployment.apps/cart");
    EXPECT_EQ(ObjectKey::parse("eu1/_/Node/n1").value(), (ObjectKey{ClusterId("eu1"), "", "Node", "", "n1"}));
    EXPECT_EQ(ObjectKey::parse("eu1/a/Ingress.networking.k8s.io/web").value().group, "networking.k8s.io");
}

TEST(ObjectKeys, OfHostileNamesStillComeBackAsTheyWere) {
    testing::Generator generate(testing::seed("OfHostileNamesStillComeBackAsTheyWere"));
    for (int i = 0; i < 2000; ++i) {
        ObjectKey key{ClusterId(generate.hostile(1)), generate.hostile(0), generate.hostile(1), generate.hostile(0), generate.hostile(0)};
        const auto back = ObjectKey::parse(key.str());
        ASSERT_TRUE(back) << key.str() << ": " << back.error().describe();
        EXPECT_EQ(*back, key) << key.str();
    }
}

TEST(ObjectKeys, RefuseWhatIsNoKey) {
    for (const char* bad : {"", "eu1", "eu1/shop/Deployment", "/a/B/c", "a//B/c", "a/b//c", "a/b/C/d/e", "a/b/C/%zz", "a/b/C/%4", "a/b/.apps/d"}) {
        EXPECT_FALSE(ObjectKey::parse(bad)) << bad;
    }
}

TEST(ClusterIds, AreDnsLabels) {
    for (const char* good : {"a", "eu1", "prod-eu-1", "0"}) EXPECT_TRUE(parse_cluster_id(good)) << good;
    for (const std::string& bad : {std::string(), std::string("-a"), std::string("a-"), std::string("A"), std::string("_fleet"), std::string("a.b"),
                                   std::string("a/b"), std::string(64, 'a')}) {
        EXPECT_FALSE(parse_cluster_id(bad)) << bad;
    }
}

TEST(Identities, DependOnEveryPart) {
    const ObjectKey cart{ClusterId("eu1"), "shop", "Deployment", "apps", "cart"};
    ObjectKey other = cart;
    other.cluster = ClusterId("eu2");
    EXPECT_NE(make_incident_key(cart, "oom.leak"), make_incident_key(other, "oom.leak"));
    EXPECT_NE(make_incident_key(cart, "oom.leak"), make_incident_key(cart, "oom.limit_too_low"));
    EXPECT_EQ(make_correlation_key(cart, fault_family("oom.leak")), make_correlation_key(cart, fault_family("oom.limit_too_low")));
    const auto at = from_millis(1'700'000'000'123);
    EXPECT_EQ(make_signal_key(ClusterId("a"), "x", "f", at, "firing").size(), 64U);
    EXPECT_NE(make_signal_key(ClusterId("a"), "bx", "f", at, "firing"), make_signal_key(ClusterId("ab"), "x", "f", at, "firing"));
    EXPECT_NE(make_signal_key(ClusterId("a"), "x", "f", at, "firing"), make_signal_key(ClusterId("a"), "x", "f", at + 1ms, "firing"));
}

TEST(Story, KeepsTheNewestTwoHundredLines) {
    Incident incident;
    for (int i = 0; i < 500; ++i) tell(incident, from_millis(i), "seen", std::to_string(i));
    ASSERT_EQ(incident.story.size(), 200U);
    EXPECT_EQ(incident.story.front().text, "300");
    EXPECT_EQ(incident.story.back().text, "499");
}

}  // namespace
}  // namespace kn
