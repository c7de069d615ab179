// The contract that the simulated API server passes in kn_sim_test, on a real one.
#include "kubernaut/testing/api_contract.hpp"

#include <gtest/gtest.h>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "testbed.hpp"

namespace kn::integration {
namespace {

TEST(ApiContract, ARealServerIsOneThatTheProductCanMeet) {
    const auto binary = Testbed::find_binary();
    if (!binary) GTEST_SKIP() << "no real control plane: bin/kubernaut-testbed is not built (make testbed)";
    auto up = Testbed::up(*binary, {"--clusters", "1"});
    ASSERT_TRUE(up) << up.error().describe();
    const auto loop = async::EventLoop::real();
    const auto config = kube::load_kubeconfig(up->clusters()[0].kubeconfig, "");
    ASSERT_TRUE(config) << config.error().describe();
    const auto client = std::make_shared<kube::Client>(kube::make_http_transport(*config, {}, *loop), loop->clock());
    loop->block_on(kn::testing::api_contract(client, "contract", std::chrono::seconds(60)));
}

}  // namespace
}  // namespace kn::integration
