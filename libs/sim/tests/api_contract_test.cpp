#include "kubernaut/testing/api_contract.hpp"
#include "api_fixture.hpp"

namespace kn::sim {
namespace {

class ApiContract : public ApiFixture {};

TEST_F(ApiContract, TheSimulatedServerIsOneThatTheProductCanMeet) {
    const auto client = std::make_shared<kube::Client>(server.transport(admin), loop->clock());
    loop->block_on(testing::api_contract(client, "contract", 10s));
}

}  // namespace
}  // namespace kn::sim
