// The whole hub on a real control plane: the scenario files of the simulator, unchanged, from alert to cure. Ages of the rules are shortened twenty times.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "demo/world.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "testbed.hpp"

namespace kn::integration {
namespace {

/// KN_SCENARIOS="S13,S10" tries others.
std::vector<std::string> chosen(std::vector<std::string> usual) {
    const char* named = std::getenv("KN_SCENARIOS");
    if (named == nullptr) return usual;
    std::vector<std::string> out;
    std::stringstream list(named);
    for (std::string each; std::getline(list, each, ',');) out.push_back(each);
    return out;
}

TEST(RealControlPlane, FaultsAreCuredAndNothingElseIsTouched) {
    const auto binary = Testbed::find_binary();
    if (!binary) GTEST_SKIP() << "no real control plane: bin/kubernaut-testbed is not built (make testbed)";
    auto bed = Testbed::up(*binary, {"--clusters", "1"});
    ASSERT_TRUE(bed) << bed.error().describe();
    log::configure(log::Level::error, log::Format::text);
    const auto loop = async::EventLoop::real();
    SystemRandom random;
    const auto config = kube::load_kubeconfig(bed->clusters()[0].kubeconfig, "");
    ASSERT_TRUE(config) << config.error().describe();
    constexpr double hurry = 20;
    sim::ClusterSpec spec{.name = "real", .nodes = 3};
    spec.kubelet.hurry = hurry;
    sim::BorrowedCluster cluster(*loop, random, kube::make_http_transport(*config, {}, *loop), spec);
    const auto started = loop->block_on(cluster.start());
    ASSERT_TRUE(started) << started.error().describe();

    app::DemoOptions options{.seed = 5,
                             .hurry = hurry,
                             .story = std::getenv("KN_STORY") != nullptr,
                             .only = chosen({"S01", "S04", "S24", "S30", "X01", "X02", "X07", "X08", "X03", "X05", "S08", "S09", "S10", "S13", "S19",
                                             "S35", "X09", "X10", "X15"}),
                             .approver_delay = 1s};
    options.outside = {
        {.name = "real", .environment = Environment::staging, .stage = cluster.stage(), .transport = kube::make_http_transport(*config, {}, *loop)}};
    auto world = app::DemoWorld::create(*loop, options);
    ASSERT_TRUE(world) << world.error().describe();
    const auto running = loop->block_on((*world)->start());
    ASSERT_TRUE(running) << running.error().describe();
    const auto reports = loop->block_on((*world)->run());
    ASSERT_TRUE(reports) << reports.error().describe();
    EXPECT_EQ(reports->size(), options.only.size());
    for (const auto& report : *reports) {
        std::string story =
            report.id + " " + report.title + ": taken for " + report.classified + ", done " + report.workflow + ", outcome " + report.outcome;
        for (const auto& harm : report.harm) story += "\n  touched: " + harm;
        for (const auto& missing : report.missing) story += "\n  missing: " + missing;
        EXPECT_TRUE(report.right()) << story;
    }
    loop->block_on((*world)->stop());
    cluster.stop();
    loop->block_on(cluster.join());
}

}  // namespace
}  // namespace kn::integration
