#include "owner_lease.hpp"

#include <gtest/gtest.h>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"

namespace kn::fleet {
namespace {

/// One simulated cluster and two installations that both believe it is theirs.
struct TwoOwners : testing::Test {
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(from_millis(1'790'000'000'000));
    SeededRandom random{1};
    sim::SimCluster cluster{*loop, random, {.name = "eu1", .nodes = 1}};
    OwnerLease ours{cluster.client(), loop->clock()}, theirs{cluster.client(), loop->clock()};

    void SetUp() override {
        ASSERT_TRUE(loop->block_on(cluster.start()));
        ours.set_owner("hub_a");
        theirs.set_owner("hub_b");
    }
    void TearDown() override {
        cluster.stop();
        loop->block_on(cluster.join());
    }
    Result<> keep(OwnerLease& lease) { return loop->block_on(lease.keep(loop->clock().deadline_in(5s))); }
    Result<> check(OwnerLease& lease) { return loop->block_on(lease.check(loop->clock().deadline_in(5s))); }
};

TEST_F(TwoOwners, TheFirstMakesNamespaceAndLeaseAndTheSecondIsRefused) {
    ASSERT_TRUE(keep(ours));
    EXPECT_EQ(ours.epoch(), 1);
    const auto refused = check(theirs);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "other_owner");
    EXPECT_TRUE(refused.error().retry_after.has_value());
    EXPECT_TRUE(check(ours));
}

TEST_F(TwoOwners, ALeaseThatIsRenewedIsNeverTakenOver) {
    ASSERT_TRUE(keep(ours));
    for (int i = 0; i < 20; ++i) {
        loop->run_for(OwnerLease::renew_every);
        ASSERT_TRUE(keep(ours));
        ASSERT_FALSE(keep(theirs));
    }
}

TEST_F(TwoOwners, ASilentHolderIsReplacedUnderANewEpochAndThenRefused) {
    ASSERT_TRUE(keep(ours));
    ASSERT_FALSE(keep(theirs));
    loop->run_for(OwnerLease::duration + 1s);
    ASSERT_TRUE(keep(theirs));
    EXPECT_EQ(theirs.epoch(), 2);
    const auto refused = check(ours);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "other_owner");
}

TEST_F(TwoOwners, TheSameInstallationGoesOnAfterARestart) {
    ASSERT_TRUE(keep(ours));
    OwnerLease again{cluster.client(), loop->clock()};
    again.set_owner("hub_a");
    EXPECT_TRUE(check(again));
    EXPECT_EQ(again.epoch(), 1);
}

TEST_F(TwoOwners, ALeaseThatSomebodyDeletedIsMadeAnew) {
    ASSERT_TRUE(keep(ours));
    ASSERT_TRUE(
        loop->block_on(cluster.client()->remove(kube::resources::leases, "kubernaut-system", "kubernaut-owner", {}, loop->clock().deadline_in(5s))));
    loop->run_for(3s);
    EXPECT_TRUE(check(ours));
}

}  // namespace
}  // namespace kn::fleet
