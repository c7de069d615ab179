#include "kubernaut/fleet/fleet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/store/open_store.hpp"
#include "kubernaut/testing/recording_notifier.hpp"

// What a fleet does about clusters that vanish, refuse, or are not those that they were.
namespace kn::component {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A way to a cluster that can be turned to another one, as a name server or a load balancer does.
class Switch final : public kube::Transport {
public:
    explicit Switch(std::shared_ptr<kube::Transport> to) : to(std::move(to)) {}
    async::Task<Result<kube::Response>> send(kube::Request request, Deadline deadline) override { return to->send(std::move(request), deadline); }
    async::Task<Result<std::unique_ptr<kube::Stream>>> open(kube::Request request, Deadline deadline) override {
        return to->open(std::move(request), deadline);
    }
    std::shared_ptr<kube::Transport> to;
};

class FleetTest : public ::testing::Test {
protected:
    static constexpr const char* hub_user = "system:serviceaccount:kubernaut:hub";

    FleetTest() {
        stores = open_store("sqlite::memory:", {}, *loop).value();
        for (const char* name : {"eu1", "us1", "ap1"}) {
            clusters.push_back(std::make_unique<sim::SimCluster>(*loop, random, sim::ClusterSpec{.name = name, .nodes = 1}));
            EXPECT_TRUE(loop->block_on(clusters.back()->start()));
            ways.push_back(std::make_shared<Switch>(clusters.back()->transport(hub_user, {"system:masters"})));
        }
    }
    ~FleetTest() override {
        for (auto& fleet : fleets) fleet->stop();
        for (auto& fleet : fleets) loop->block_on(fleet->join());
        for (auto& cluster : clusters) cluster->stop();
        for (auto& cluster : clusters) loop->block_on(cluster->join());
    }
    fleet::Fleet& make_fleet(std::vector<std::size_t> members) {
        fleets.push_back(std::make_unique<fleet::Fleet>(*loop, random, stores->ports().registry, notifier, feed, metrics, fleet::FleetOptions{}));
        for (const std::size_t i : members) {
            ClusterRecord record{.id = ClusterId{clusters[i]->spec().name}, .environment = Environment::staging, .mode = Mode::automatic};
            EXPECT_TRUE(fleets.back()->add({record, ways[i], ways[i]}));
        }
        return *fleets.back();
    }
    void start(fleet::Fleet& fleet) { ASSERT_TRUE(loop->block_on(fleet.start())); }
    std::string fence(fleet::Fleet& fleet, const char* cluster) {
        const auto allowed = loop->block_on(fleet.check_fence(ClusterId{cluster}, loop->clock().deadline_in(5s)));
        return allowed ? "" : allowed.error().reason;
    }
    [[nodiscard]] static bool has_our_lease(sim::SimCluster& cluster) {
        return std::ranges::any_of(cluster.api().writes(), [](const sim::WriteRecord& write) { return write.name == "kubernaut-owner"; });
    }

    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(parse_rfc3339("2026-03-01T09:00:00Z").value());
    SeededRandom random{7};
    std::unique_ptr<sql::SqlStores> stores;
    std::vector<std::unique_ptr<sim::SimCluster>> clusters;
    std::vector<std::shared_ptr<Switch>> ways;
    ports::LiveFeed feed;
    metrics::Registry metrics;
    testing::RecordingNotifier notifier;
    std::vector<std::unique_ptr<fleet::Fleet>> fleets;
};

TEST_F(FleetTest, AClusterThatIsAnotherThanItWasIsNeverWrittenToAndPeopleAreTold) {
    auto& first = make_fleet({0});
    start(first);
    loop->run_for(20s);
    ASSERT_EQ(fence(first, "eu1"), "");
    ASSERT_TRUE(has_our_lease(*clusters[0]));
    first.stop();
    loop->block_on(first.join());

    // The address leads to another cluster while the hub is down; what it learned before still counts.
    ways[0]->to = clusters[1]->transport(hub_user, {"system:masters"});
    auto& second = make_fleet({0});
    start(second);
    loop->run_for(60s);
    EXPECT_EQ(second.cluster(ClusterId{"eu1"})->verdict, ClusterVerdict::wrong_cluster);
    EXPECT_EQ(fence(second, "eu1"), "wrong_cluster");
    EXPECT_FALSE(has_our_lease(*clusters[1]));
    EXPECT_THAT(notifier.kinds(), ElementsAre("wrong_cluster"));
}

TEST_F(FleetTest, AnAddressThatTurnsToAnotherClusterWhileTheHubRunsIsNoticedBeforeTheNextWrite) {
    auto& fleet = make_fleet({0});
    start(fleet);
    loop->run_for(20s);
    ASSERT_EQ(fence(fleet, "eu1"), "");
    ways[0]->to = clusters[1]->transport(hub_user, {"system:masters"});
    loop->run_for(3s);
    EXPECT_EQ(fence(fleet, "eu1"), "wrong_cluster");
    loop->run_for(60s);
    EXPECT_FALSE(has_our_lease(*clusters[1]));
    EXPECT_THAT(notifier.kinds(), ElementsAre("wrong_cluster"));
}

TEST_F(FleetTest, TwoHubsThatStartAtOnceOnOneStoreAreOneInstallation) {
    auto& a = make_fleet({0});
    auto& b = make_fleet({0});
    int started = 0;
    for (auto* each : {&a, &b}) {
        boost::asio::co_spawn(
            loop->executor(),
            [](fleet::Fleet& fleet, int& count) -> async::Task<> {
                EXPECT_TRUE(co_await fleet.start());
                ++count;
            }(*each, started),
            boost::asio::detached);
    }
    ASSERT_TRUE(loop->run_until([&] { return started == 2; }, 5s));
    loop->run_for(30s);
    EXPECT_EQ(fence(a, "eu1"), "");
    EXPECT_EQ(fence(b, "eu1"), "");
}

TEST_F(FleetTest, ALostClusterIsToldOnceAndItsReturnOnce) {
    auto& fleet = make_fleet({0});
    start(fleet);
    loop->run_for(30s);
    EXPECT_THAT(notifier.kinds(), IsEmpty());
    clusters[0]->api().network().set("gone", {.match = {.users = {hub_user}}, .black_hole = true});
    loop->run_for(120s);
    EXPECT_EQ(fleet.cluster(ClusterId{"eu1"})->verdict, ClusterVerdict::lost);
    EXPECT_EQ(fence(fleet, "eu1"), "cluster_not_healthy");
    EXPECT_THAT(notifier.kinds(), ElementsAre("cluster_lost"));
    clusters[0]->api().network().clear();
    loop->run_for(120s);
    EXPECT_EQ(fence(fleet, "eu1"), "");
    EXPECT_THAT(notifier.kinds(), ElementsAre("cluster_lost", "cluster_recovered"));
    EXPECT_NE(notifier.sent[0].key, notifier.sent[1].key);
    EXPECT_EQ(notifier.sent[0].cluster, ClusterId{"eu1"});
}

TEST_F(FleetTest, RefusedCredentialsAreToldAsSuch) {
    auto& fleet = make_fleet({0});
    start(fleet);
    loop->run_for(30s);
    clusters[0]->api().network().set("refused", {.match = {.users = {hub_user}}, .error_rate = 1, .error_status = 401});
    loop->run_for(60s);
    EXPECT_EQ(fence(fleet, "eu1"), "cluster_not_healthy");
    EXPECT_THAT(notifier.kinds(), ElementsAre("cluster_refuses"));
}

TEST_F(FleetTest, WhenMostClustersVanishAtOnceTheHubDistrustsItselfAndSaysSoOnce) {
    auto& fleet = make_fleet({0, 1, 2});
    start(fleet);
    loop->run_for(120s);
    for (auto& cluster : clusters) cluster->api().network().set("cut", {.match = {.users = {hub_user}}, .refuse = true});
    loop->run_for(60s);
    EXPECT_TRUE(fleet.isolated());
    for (const char* name : {"eu1", "us1", "ap1"}) EXPECT_EQ(fence(fleet, name), "hub_isolated");
    EXPECT_THAT(notifier.kinds(), ElementsAre("hub_isolated"));
    for (auto& cluster : clusters) cluster->api().network().clear();
    loop->run_for(5min);
    EXPECT_FALSE(fleet.isolated());
    for (const char* name : {"eu1", "us1", "ap1"}) EXPECT_EQ(fence(fleet, name), "");
    EXPECT_THAT(notifier.kinds(), ElementsAre("hub_isolated", "hub_connected"));
}

}  // namespace
}  // namespace kn::component
