// The simulated kubelets as the nodes of a real control plane: the scenario files of the in-memory cluster, unchanged.
#include <gtest/gtest.h>

#include <memory>

#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "testbed.hpp"

namespace kn::integration {
namespace {

class RealStage : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        const auto binary = Testbed::find_binary();
        if (!binary) GTEST_SKIP() << "no real control plane: bin/kubernaut-testbed is not built (make testbed)";
        // A control plane for every test: what one leaves behind (machines that are off, taints) must not decide the next.
        auto up = Testbed::up(*binary, {"--clusters", "1"});
        ASSERT_TRUE(up) << up.error().describe();
        bed = std::make_unique<Testbed>(*std::move(up));
        loop = async::EventLoop::real();
        const auto config = kube::load_kubeconfig(bed->clusters()[0].kubeconfig, "");
        ASSERT_TRUE(config) << config.error().describe();
        sim::ClusterSpec spec{.name = "rc" + std::to_string(++counter), .nodes = 3};
        spec.kubelet.hurry = 60;
        cluster = std::make_unique<sim::BorrowedCluster>(*loop, random, kube::make_http_transport(*config, {}, *loop), spec);
        const auto started = loop->block_on(cluster->start());
        ASSERT_TRUE(started) << started.error().describe();
    }
    void TearDown() override {
        if (cluster == nullptr) return;
        cluster->stop();
        loop->block_on(cluster->join());
    }
    [[nodiscard]] Deadline soon(Duration d = 120s) const { return loop->clock().deadline_in(d); }

    std::unique_ptr<Testbed> bed;
    static inline int counter = 0;
    std::unique_ptr<async::EventLoop> loop;
    SystemRandom random;
    std::unique_ptr<sim::BorrowedCluster> cluster;
};

TEST_P(RealStage, DeploysBreaksAndRings) {
    const auto* file = sim::find_scenario(GetParam());
    ASSERT_NE(file, nullptr);
    auto scenario = sim::Scenario::parse(file->text, static_cast<std::uint64_t>(counter));
    ASSERT_TRUE(scenario) << scenario.error().describe();
    const auto stage = cluster->stage();
    const auto deployed = loop->block_on(scenario->deploy(stage, soon()));
    ASSERT_TRUE(deployed) << deployed.error().describe();
    const auto injected = loop->block_on(scenario->inject(stage, soon()));
    ASSERT_TRUE(injected) << injected.error().describe();
    const auto feed = scenario->alerts(stage);
    std::vector<std::string> rang;
    for (int i = 0; i < 120 && rang.empty(); ++i) {
        loop->run_for(500ms);
        const auto changes = loop->block_on(feed->evaluate(soon()));
        ASSERT_TRUE(changes) << changes.error().describe();
        for (const auto& alert : *changes) rang.push_back(alert.name);
    }
    EXPECT_FALSE(rang.empty()) << "no alert within a minute";
    const auto verdict = loop->block_on(scenario->check(stage, soon()));
    ASSERT_TRUE(verdict) << verdict.error().describe();
    EXPECT_FALSE(verdict->cured);
    for (const auto& violation : verdict->violations) ADD_FAILURE() << violation.object << ": " << violation.what;
    const auto cleaned = loop->block_on(scenario->clean_up(stage, soon()));
    EXPECT_TRUE(cleaned) << cleaned.error().describe();
}

INSTANTIATE_TEST_SUITE_P(Scenarios, RealStage,
                         testing::Values("bad-command", "bad-tag", "limit-too-low", "config-change", "pull-secret-gone", "stray-taint", "no-room",
                                         "sts-bad-class", "quota", "binding-gone", "secret-missing"),
                         [](const auto& info) {
                             std::string name = info.param;
                             for (auto& c : name) c = c == '-' ? '_' : c;
                             return name;
                         });

}  // namespace
}  // namespace kn::integration
