#include <boost/asio/signal_set.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "commands.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/sim/scenario/scenario.hpp"
#include "sim/front.hpp"

namespace kn::app {
namespace {

struct Options {
    int clusters = 1, nodes = 3;
    std::uint64_t seed = 1;
    std::string kubeconfig = "sim.kubeconfig", host = "127.0.0.1";
    std::vector<std::string> scenarios;
    double hurry = 1;
    bool list = false;
};

struct Running {
    std::unique_ptr<sim::SimCluster> cluster;
    std::unique_ptr<SimFront> front;
};

async::Task<Result<>> inject(sim::SimCluster& cluster, sim::Scenario& scenario, async::Clock& clock) {
    KN_CO_CHECK(co_await scenario.deploy(cluster.stage(), clock.deadline_in(10min)));
    const auto pause = std::max(Duration{1000}, std::chrono::duration_cast<Duration>(Duration{30'000} / cluster.spec().kubelet.hurry));
    std::cout << scenario.id() << ": deployed; breaking " << scenario.target() << " in " << format_duration(pause) << "\n" << std::flush;
    co_await async::sleep_for(clock, pause);
    KN_CO_CHECK(co_await scenario.inject(cluster.stage(), clock.deadline_in(10min)));
    std::cout << scenario.id() << ": broken: " << scenario.title() << "\n" << std::flush;
    co_return Result<>{};
}

async::Task<> inject_in_scope(sim::SimCluster& cluster, sim::Scenario& scenario, async::Clock& clock) {
    if (auto done = co_await inject(cluster, scenario, clock); !done)
        std::cout << scenario.id() << ": " << done.error().describe() << "\n" << std::flush;
}

async::Task<> end(std::vector<Running>& all, async::EventLoop& loop) {
    for (auto& each : all) co_await each.front->stop();
    for (auto& each : all) {
        each.cluster->stop();
        co_await each.cluster->join();
    }
    loop.stop();
}

int run(const Options& options) {
    if (options.list) {
        for (const auto& builtin : sim::builtin_scenarios()) {
            const auto scenario = sim::Scenario::parse(builtin.text, options.seed);
            if (scenario) std::cout << scenario->id() << "  " << scenario->name() << ": " << scenario->title() << "\n";
        }
        return 0;
    }
    log::configure(log::Level::warning, log::Format::text);
    const auto loop = async::EventLoop::real();
    SeededRandom random(options.seed);
    auto tls = self_signed();
    if (!tls) {
        std::cerr << "error: " << tls.error().message << "\n";
        return 1;
    }
    std::vector<Running> all;
    std::vector<SimContext> contexts;
    for (int i = 0; i < options.clusters; ++i) {
        sim::ClusterSpec spec;
        spec.name = "sim" + std::to_string(i + 1);
        spec.nodes = options.nodes;
        spec.kubelet.hurry = options.hurry;
        Running running;
        running.cluster = std::make_unique<sim::SimCluster>(*loop, random, spec);
        const std::string token = make_id("sim_", loop->clock().now(), random);
        running.cluster->api().add_token(token, {.user = "admin", .groups = {"system:masters"}});
        running.front = std::make_unique<SimFront>(
            *loop, running.cluster->api(), options.host + ":0", *tls,
            SimTap{.metrics = [&clock = loop->clock(), metrics = running.cluster->metrics()] { return metrics->text(clock.now()); }});
        if (auto started = loop->block_on(running.cluster->start()); !started) {
            std::cerr << "error: " << started.error().describe() << "\n";
            return 1;
        }
        if (auto started = running.front->start(); !started) {
            std::cerr << "error: " << started.error().describe() << "\n";
            return 1;
        }
        contexts.push_back({spec.name, "https://" + options.host + ":" + std::to_string(running.front->port()), token});
        all.push_back(std::move(running));
    }
    std::ofstream file(options.kubeconfig);
    std::filesystem::permissions(options.kubeconfig, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    file << kubeconfig_of(contexts, tls->cert_pem);
    file.close();
    if (!file) {
        std::cerr << "error: cannot write " << options.kubeconfig << "\n";
        return 1;
    }
    std::cout << options.clusters << " simulated cluster(s) with " << options.nodes << " nodes each. Look at them with:\n  kubectl --kubeconfig "
              << options.kubeconfig << " --context sim1 get nodes\nCtrl-C ends them.\n"
              << std::flush;
    std::vector<sim::Scenario> scenarios;
    async::TaskScope scope(loop->executor());
    for (const auto& name : options.scenarios) {
        const auto* builtin = sim::find_scenario(name);
        if (builtin == nullptr) {
            std::cerr << "error: there is no scenario " << name << " (kubernaut sim --list)\n";
            return 2;
        }
        auto scenario = sim::Scenario::parse(builtin->text, options.seed);
        if (!scenario) {
            std::cerr << "error: " << scenario.error().describe() << "\n";
            return 1;
        }
        scenarios.push_back(*std::move(scenario));
    }
    for (std::size_t i = 0; i < scenarios.size(); ++i)
        scope.spawn("scenario", inject_in_scope(*all[i % all.size()].cluster, scenarios[i], loop->clock()));
    boost::asio::signal_set signals(loop->context(), SIGINT, SIGTERM);
    async::TaskScope ending(loop->executor());
    signals.async_wait([&](boost::system::error_code ec, int) {
        if (ec) return;
        scope.cancel();
        ending.spawn("end", end(all, *loop));
    });
    loop->run();
    return 0;
}

}  // namespace

void add_sim(CLI::App& app, int& exit_code) {
    auto options = std::make_shared<Options>();
    auto* command = app.add_subcommand("sim", "Simulated clusters that kubectl and every other client can talk to");
    command->add_option("--clusters", options->clusters, "how many")->check(CLI::Range(1, 200))->capture_default_str();
    command->add_option("--nodes", options->nodes, "nodes in each")->check(CLI::Range(1, 1000))->capture_default_str();
    command->add_option("--kubeconfig", options->kubeconfig, "written here")->capture_default_str();
    command->add_option("--scenario", options->scenarios, "play these faults, such as S01")->delimiter(',');
    command->add_option("--seed", options->seed, "of everything random")->capture_default_str();
    command->add_option("--hurry", options->hurry, "divide the kubelets' waits by this")->capture_default_str();
    command->add_flag("--list", options->list, "list the scenarios");
    command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace kn::app
