#include <map>

#include "bench/figures.hpp"
#include "hub.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"

namespace kn::app {
namespace {

constexpr double hurry = 20;  // the kubelets' waits, not ours

class Silence final : public ports::Notifier {
public:
    async::Task<Result<>> send(ports::Notification, Deadline) override { co_return Result<>{}; }
};

json::Value deployment(const std::string& name) {
    const json::Value labels = json::Object{{"app", name}};
    return json::Object{
        {"apiVersion", "apps/v1"},
        {"kind", "Deployment"},
        {"metadata", json::Object{{"name", name}, {"namespace", "default"}}},
        {"spec",
         json::Object{
             {"replicas", 1},
             {"selector", json::Object{{"matchLabels", labels}}},
             {"template",
              json::Object{{"metadata", json::Object{{"labels", labels}}},
                           {"spec", json::Object{{"containers", json::Array{json::Object{{"name", "app"}, {"image", "registry.local/app:1"}}}}}}}}}}};
}

json::Value bad_command() {
    return json::Object{
        {"spec", json::Object{
                     {"template",
                      json::Object{{"spec", json::Object{{"containers", json::Array{json::Object{
                                                                            {"name", "app"}, {"command", json::Array{"sh", "-c", "exit 1"}}}}}}}}}}}};
}

std::string alert_for(const std::string& name, Instant at) {
    return R"({"version":"4","alerts":[{"status":"firing","labels":{"alertname":"KubePodCrashLooping","cluster":"bench","namespace":"default","deployment":")" +
           name + R"(","severity":"warning"},"startsAt":")" + format_rfc3339(at) + R"("}]})";
}

/// No wait of ours that is there for the world's sake, and room for everything at once: what is left is our own time.
HubOptions options_without_waits() {
    HubOptions o;
    o.watch_signals = false;
    o.decision.correlate = 0ms;
    o.decision.storm_per_minute = 10'000;
    o.decision.ages.good_revision = o.actions.good_revision = 1s;
    o.actions.rollout_quiet = 1s;
    o.fleet.lane.qps = o.fleet.lane.burst = 1e6;
    o.guard.ns = o.guard.cluster = o.guard.fleet = {1000, 10'000};
    o.guard.slots_cluster = o.guard.slots_fleet = 1000;
    o.guard.storm_incidents_per_minute = 10'000;
    return o;
}

}  // namespace

Result<> bench_remediation(const BenchOptions& o, ports::Stores stores, async::EventLoop& loop, RandomSource& random, std::vector<Figure>& figures) {
    metrics::Registry metrics;
    Silence notifier;
    sim::ClusterSpec spec{.name = "bench", .nodes = 3};
    spec.kubelet.hurry = hurry;
    sim::SimCluster cluster(loop, random, spec);
    KN_CHECK(loop.block_on(cluster.start()));
    KN_TRY(auto hub, Hub::create(loop, random, stores, notifier, nullptr, metrics, options_without_waits()));
    KN_CHECK(hub->add_cluster({.record = {.id = ClusterId("bench"), .environment = Environment::staging, .mode = Mode::automatic},
                               .transport = cluster.transport("kubernaut")}));
    KN_CHECK(loop.block_on(hub->start()));
    const auto client = cluster.client();
    std::vector<std::string> names;
    for (int i = 0; i < o.targets; ++i) {
        names.push_back("shop-" + std::to_string(i));
        KN_CHECK(loop.block_on(client->create(kube::resources::deployments, "default", deployment(names.back()), {}, loop.clock().deadline_in(10s))));
    }
    loop.run_for(10s);  // available for longer than a good revision needs
    for (const auto& name : names) {
        KN_CHECK(loop.block_on(client->patch(kube::resources::deployments, "default", name, kube::PatchType::strategic, bad_command(), {},
                                             loop.clock().deadline_in(10s))));
    }
    loop.run_for(10s);  // into the crash loop

    std::map<std::string, Instant> sent;
    for (const auto& name : names) {
        sent[name] = loop.clock().now();
        const auto answer = loop.block_on(hub->intake().handle(
            {.kind = "alerts", .method = "POST", .content_type = "application/json", .body = alert_for(name, loop.clock().now()), .loopback = true}));
        if (answer.status != 200) return fail(ErrorCode::internal, "an alert was answered " + std::to_string(answer.status) + ": " + answer.body);
        loop.run_for(100ms);
    }
    std::vector<double> decided, written;
    const auto gather = [&]() -> Result<> {
        decided.clear(), written.clear();
        KN_TRY(const auto executions, loop.block_on(stores.executions.list({.cluster = "bench", .workflow = "rollback-deployment"}, {.limit = 500},
                                                                           loop.clock().deadline_in(10s))));
        for (const Execution& execution : executions.items) {
            const std::string& name = execution.plan.target.key.name;
            if (!sent.contains(name)) continue;
            decided.push_back(static_cast<double>((execution.created_at - sent[name]).count()));
            for (const auto& write : cluster.api().writes()) {
                if (write.user != "kubernaut" || write.dry_run || !write.changed || write.resource != "deployments.apps" || write.name != name)
                    continue;
                written.push_back(static_cast<double>((write.time - execution.created_at).count()));
                break;
            }
        }
        return {};
    };
    for (int i = 0; i < 60 && written.size() < names.size(); ++i) {
        loop.run_for(500ms);
        KN_CHECK(gather());
    }
    if (written.size() < names.size()) {
        std::string why;
        KN_TRY(const auto incidents,
               loop.block_on(stores.incidents.list({.cluster = "bench", .ns = "default"}, {.limit = 1}, loop.clock().deadline_in(10s))));
        if (!incidents.items.empty()) {
            for (const auto& entry : incidents.items.front().story) why += "\n  " + entry.kind + " " + entry.text;
        }
        return fail(ErrorCode::internal, std::to_string(names.size() - written.size()) + " of " + std::to_string(names.size()) +
                                             " faults were not acted on; one of them:" + why);
    }
    // What is still verified must not be finished by whoever uses the store next.
    for (int i = 0; i < 60; ++i) {
        using enum ExecutionState;
        KN_TRY(const auto open, loop.block_on(stores.executions.list({.cluster = "bench", .states = {queued, running, verifying, compensating}},
                                                                     {.limit = 1}, loop.clock().deadline_in(10s))));
        if (open.items.empty()) break;
        loop.run_for(500ms);
    }
    figures.push_back({"alert accepted to plan started p50", "ms", percentile(decided, 0.5)});
    figures.push_back({"alert accepted to plan started p99", "ms", percentile(decided, 0.99)});
    figures.push_back({"plan started to change at the API server p50", "ms", percentile(written, 0.5)});
    figures.push_back({"plan started to change at the API server p99", "ms", percentile(written, 0.99)});
    loop.block_on(hub->stop());
    cluster.stop();
    loop.block_on(cluster.join());
    return {};
}

}  // namespace kn::app
