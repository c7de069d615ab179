// Certificates that end and are replaced, and clusters of two versions over one etcd, on real control planes.
#include <gtest/gtest.h>

#include "kubernaut/kube/client.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "testbed.hpp"

namespace kn::integration {
namespace {

using namespace kube;

TEST(Certificates, AnIdentityThatEndsIsReplacedByItsSuccessorOnDisk) {
    const auto binary = Testbed::find_binary();
    if (!binary) GTEST_SKIP() << "no real control plane: bin/kubernaut-testbed is not built (make testbed)";
    auto bed = Testbed::up(*binary, {"--clusters", "1"});
    ASSERT_TRUE(bed) << bed.error().describe();
    ASSERT_TRUE(bed->command("issue c1 short short-lived system:masters 6s"));
    const auto loop = async::EventLoop::real();
    auto config = load_kubeconfig(bed->clusters()[0].kubeconfig, "").value();
    config.client_cert_pem = config.client_key_pem = "";
    config.client_cert_file = bed->clusters()[0].pki + "/short.crt";
    config.client_key_file = bed->clusters()[0].pki + "/short.key";
    Client client(make_http_transport(config, {}, *loop), loop->clock());
    const auto list = [&] { return loop->block_on(client.list(resources::namespaces, "", {}, loop->clock().deadline_in(60s))); };
    const auto first = list();
    if (!first)
        ASSERT_EQ(first.error().code, ErrorCode::unauthenticated)
            << "only if this machine was slower than the certificate's life: " << first.error().describe();
    const auto end = loop->clock().steady() + 120s;
    auto late = list();
    while (late && loop->clock().steady() < end) {
        loop->run_for(250ms);
        late = list();
    }
    ASSERT_FALSE(late) << "the server looks at the end of a certificate with every request";
    EXPECT_TRUE(late.error().code == ErrorCode::unauthenticated || late.error().code == ErrorCode::unavailable) << late.error().describe();
    ASSERT_TRUE(bed->command("issue c1 short short-lived system:masters 1h"));
    auto again = list();
    while (!again && loop->clock().steady() < end) {
        loop->run_for(250ms);
        again = list();
    }
    EXPECT_TRUE(again) << again.error().describe();
}

TEST(MixedVersions, ClustersOfTwoVersionsShareOneEtcdAndKnowNothingOfEachOther) {
    const auto binary = Testbed::find_binary();
    if (!binary || !Testbed::find_binary("v1.33")) GTEST_SKIP() << "no real control planes of both versions: make testbed";
    auto bed = Testbed::up(*binary, {"--clusters", "2", "--versions", "1.33,1.36"});
    ASSERT_TRUE(bed) << bed.error().describe();
    ASSERT_EQ(bed->clusters().size(), 2U);
    const auto loop = async::EventLoop::real();
    std::map<std::string, std::string> minors, uids;
    for (const auto& cluster : bed->clusters()) {
        Client client(make_http_transport(load_kubeconfig(cluster.kubeconfig, cluster.name).value(), {}, *loop), loop->clock());
        const auto version = loop->block_on(client.call({.path = "/version"}, loop->clock().deadline_in(60s)));
        ASSERT_TRUE(version) << version.error().describe();
        minors[cluster.name] = json::string_at(*version, "minor");
        uids[cluster.name] = loop->block_on(client.cluster_uid(loop->clock().deadline_in(60s))).value_or("");
    }
    EXPECT_EQ(minors["c1"], "33");
    EXPECT_EQ(minors["c2"], "36");
    EXPECT_NE(uids["c1"], uids["c2"]);
}

}  // namespace
}  // namespace kn::integration
