#include "kubernaut/http_api/auth.hpp"

#include <gtest/gtest.h>

namespace kn::http_api {
namespace {

AuthTable table() {
    AuthTable auth;
    auth.add_token("ann", "ann-token");
    auth.add_token("bob", "bob-token");
    auth.add_certificate("cert-eve", "eve");
    auth.add_binding({.subject = "ann", .role = "operator", .clusters = {"eu*"}, .namespaces = {"shop"}});
    auth.add_binding({.subject = "eve", .role = "approver", .approve_up_to = Risk::medium});
    return auth;
}

TEST(Auth, UnknownCredentialsAreNobody) {
    EXPECT_FALSE(table().authenticate("", "", true)) << "loopback alone is nobody unless it was allowed";
    EXPECT_FALSE(table().authenticate("wrong", "", true));
    EXPECT_FALSE(table().authenticate("", "cert-unknown", false));
    EXPECT_EQ(table().authenticate("ann-token", "", false)->name(), "ann");
    EXPECT_EQ(table().authenticate("", "cert-eve", false)->name(), "eve");
}

TEST(Auth, NoBindingMeansNoRight) {
    const auto bob = *table().authenticate("bob-token", "", false);
    for (const auto& [role, permissions] : role_permissions()) {
        for (const auto& permission : permissions) EXPECT_FALSE(bob.may(permission, "eu1", "shop")) << permission;
    }
}

TEST(Auth, RolesEndAtTheirClustersAndNamespaces) {
    const auto ann = *table().authenticate("ann-token", "", false);
    EXPECT_TRUE(ann.may("execution.cancel", "eu1", "shop"));
    EXPECT_FALSE(ann.may("execution.cancel", "us1", "shop"));
    EXPECT_FALSE(ann.may("execution.cancel", "eu1", "other"));
    EXPECT_FALSE(ann.may("execution.cancel", "eu1", "")) << "cluster scope needs all namespaces";
    EXPECT_FALSE(ann.may("approval.grant", "eu1", "shop"));
    EXPECT_EQ(ann.may_run("eu1", "shop", Environment::prod), Risk::medium);
    EXPECT_FALSE(ann.may_run("eu1", "other", Environment::prod));
}

TEST(Auth, ApproversHaveARiskLimit) {
    const auto eve = *table().authenticate("", "cert-eve", false);
    EXPECT_EQ(eve.may_approve("eu1", "shop"), Risk::medium);
    EXPECT_FALSE(table().authenticate("ann-token", "", false)->may_approve("eu1", "shop"));
}

TEST(Auth, LoopbackIsAdminOnlyWhereItWasAllowed) {
    AuthTable demo;
    demo.allow_loopback("you");
    EXPECT_TRUE(demo.authenticate("", "", true)->may("pause.fleet", "", ""));
    EXPECT_FALSE(demo.authenticate("", "", false));
}

}  // namespace
}  // namespace kn::http_api
