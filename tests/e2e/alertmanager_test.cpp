// The real Prometheus and the real Alertmanager before the real hub: a rule fires on scraped metrics of a simulated cluster, Alertmanager posts it
// with a bearer token, the hub fixes the fault, the rule's end is posted as well, and the incident is resolved.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "kubernaut/base/log.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/testing/process.hpp"
#include "kubernaut/testing/temp_dir.hpp"
#include "sim/front.hpp"

namespace kn::e2e {
namespace {

constexpr const char *sender_token = "alertmanager-token", *reader_token = "reader-token";

std::string program(const char* name) {
    for (const char* folder : {"/usr/bin/", "/usr/local/bin/"}) {
        if (std::filesystem::exists(std::string(folder) + name)) return std::string(folder) + name;
    }
    return {};
}

std::string hub_configuration(int port, int prometheus, const std::string& folder) {
    return "http: {listen: \"127.0.0.1:" + std::to_string(port) + "\"}\nlog: {level: info, format: text}\nstore: {url: \"sqlite://" + folder +
           "/hub.db\"}\n" + "auth: {tokens: [{name: reader, token: " + reader_token + "}], bindings: [{subject: reader, role: viewer}]}\n" +
           "intake: {watch: false, sources: [{name: alertmanager, auth: bearer, token: " + sender_token + ", clusters: [sim1]}]}\n" +
           "decision: {correlate: 500ms, ages: {good_revision: 3s}, waits: {look_every: 1s, evidence_gone: 2s}}\nactions: {waits: {rollout_quiet: "
           "1s}}\n" +
           "prometheus: {url: \"http://127.0.0.1:" + std::to_string(prometheus) + "\"}\n" +
           "clusters: [{id: sim1, kind: simulated, environment: dev, mode: auto, kubeconfig: \"" + folder + "/kubeconfig\"}]\n";
}

std::string prometheus_configuration(int api_port, int alertmanager) {
    return "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, external_labels: {cluster: sim1}}\n"
           "rule_files: [rules.yml]\n"
           "alerting: {alertmanagers: [{static_configs: [{targets: [\"127.0.0.1:" +
           std::to_string(alertmanager) +
           "\"]}]}]}\n"
           "scrape_configs:\n  - {job_name: cluster, scheme: https, tls_config: {insecure_skip_verify: true}, honor_labels: true, static_configs: "
           "[{targets: [\"127.0.0.1:" +
           std::to_string(api_port) + "\"]}]}\n";
}

/// kubernetes-mixin looks at 5 minutes; the simulated kubelet's back-off is sixty times shorter.
constexpr const char* rules = R"(groups:
  - name: kubernetes-apps
    rules:
      - alert: KubePodCrashLooping
        expr: sum by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total[10s])) > 0.5
        labels: {severity: warning}
        annotations: {summary: "{{ $labels.pod }} is crash looping"}
)";

std::string alertmanager_configuration(int hub) {
    return "route: {receiver: kubernaut, group_by: [alertname, namespace], group_wait: 1s, group_interval: 2s, repeat_interval: 1m}\n"
           "receivers:\n  - name: kubernaut\n    webhook_configs:\n      - {url: \"http://127.0.0.1:" +
           std::to_string(hub) + "/api/v1/alerts\", send_resolved: true, http_config: {authorization: {type: Bearer, credentials: " + sender_token +
           "}}}\n";
}

struct Bed {
    testing::TempDir folder;
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::real();
    SeededRandom random{11};
    std::unique_ptr<sim::SimCluster> cluster;
    std::unique_ptr<app::SimFront> front;
    std::vector<testing::Process> programs;
    int hub_port = testing::free_port(), prometheus_port = testing::free_port(), alertmanager_port = testing::free_port();
    std::shared_ptr<kube::Transport> hub;

    Result<> start_cluster() {
        sim::ClusterSpec spec{.name = "sim1"};
        spec.kubelet.hurry = 60;
        cluster = std::make_unique<sim::SimCluster>(*loop, random, spec);
        cluster->api().add_token("hub-token", {.user = "kubernaut", .groups = {"system:masters"}});
        KN_CHECK(loop->block_on(cluster->start()));
        KN_TRY(const auto tls, app::self_signed());
        front = std::make_unique<app::SimFront>(*loop, cluster->api(), "127.0.0.1:0", tls,
                                                app::SimTap{.metrics = [this] { return cluster->metrics()->text(loop->clock().now()); }});
        KN_CHECK(front->start());
        testing::write_file(path("kubeconfig"),
                            app::kubeconfig_of({{"sim1", "https://127.0.0.1:" + std::to_string(front->port()), "hub-token"}}, tls.cert_pem));
        return {};
    }
    [[nodiscard]] std::string path(const std::string& name) const { return folder.path() + "/" + name; }
    Result<> launch(std::vector<std::string> words, const std::string& name) {
        KN_TRY(auto process, testing::Process::start(std::move(words), {.output = path(name + ".log"), .folder = folder.path()}));
        programs.push_back(std::move(process));
        return {};
    }
    Result<json::Value> get(const std::string& target, kube::Transport& from) {
        kube::Request request{.method = kube::Method::get, .path = target.substr(0, target.find('?'))};
        if (const auto query = target.find('?'); query != std::string::npos)
            request.query = {{target.substr(query + 1, target.find('=') - query - 1), target.substr(target.find('=') + 1)}};
        request.headers = {{"Authorization", std::string("Bearer ") + reader_token}};
        KN_TRY(const auto answer, loop->block_on(from.send(std::move(request), loop->clock().deadline_in(5s))));
        if (answer.status != 200) return fail(ErrorCode::internal, target + ": " + std::to_string(answer.status) + " " + answer.body);
        return json::parse(answer.body);
    }
    std::shared_ptr<kube::Transport> transport_to(int port) {
        kube::ConnectionConfig config;
        config.server = "http://127.0.0.1:" + std::to_string(port);
        return kube::make_http_transport(config, {}, *loop);
    }
    /// Asks every half second while the world goes on.
    bool until(Duration limit, const std::function<bool()>& done) {
        const Deadline end = loop->clock().deadline_in(limit);
        while (!done()) {
            if (end.passed(loop->clock().steady())) return false;
            loop->run_for(500ms);
        }
        return true;
    }
    [[nodiscard]] std::string logs() const {
        std::string all;
        for (const char* name : {"hub", "prometheus", "alertmanager"})
            all += std::string("--- ") + name + "\n" + testing::read_file(path(std::string(name) + ".log"));
        return all;
    }
    ~Bed() {
        programs.clear();
        if (front) loop->block_on(front->stop());
        if (cluster) {
            cluster->stop();
            loop->block_on(cluster->join());
        }
    }
};

TEST(RealAlertmanager, ARuleThatFiresIsFixedAndItsEndResolvesTheIncident) {
    const std::string prometheus = program("prometheus"), alertmanager = program("prometheus-alertmanager");
    if (prometheus.empty() || alertmanager.empty()) GTEST_SKIP() << "no prometheus or prometheus-alertmanager is installed";
    log::configure(log::Level::error, log::Format::text);
    Bed bed;
    ASSERT_TRUE(bed.start_cluster());
    auto scenario = sim::Scenario::parse(sim::find_scenario("S01")->text, 3);
    ASSERT_TRUE(scenario) << scenario.error().describe();
    const auto deployed = bed.loop->block_on(scenario->deploy(bed.cluster->stage(), bed.loop->clock().deadline_in(2min)));
    ASSERT_TRUE(deployed) << deployed.error().describe();

    testing::write_file(bed.path("kubernaut.yaml"), hub_configuration(bed.hub_port, bed.prometheus_port, bed.folder.path()));
    testing::write_file(bed.path("prometheus.yml"), prometheus_configuration(bed.front->port(), bed.alertmanager_port));
    testing::write_file(bed.path("rules.yml"), rules);
    testing::write_file(bed.path("alertmanager.yml"), alertmanager_configuration(bed.hub_port));
    const auto address = [](int port) { return "127.0.0.1:" + std::to_string(port); };
    ASSERT_TRUE(bed.launch({testing::kubernaut_binary(KN_BINARY), "serve", "-c", bed.path("kubernaut.yaml")}, "hub"));
    ASSERT_TRUE(bed.launch({prometheus, "--config.file=" + bed.path("prometheus.yml"), "--storage.tsdb.path=" + bed.path("prometheus"),
                            "--web.listen-address=" + address(bed.prometheus_port)},
                           "prometheus"));
    ASSERT_TRUE(bed.launch({alertmanager, "--config.file=" + bed.path("alertmanager.yml"), "--storage.path=" + bed.path("alertmanager"),
                            "--web.listen-address=" + address(bed.alertmanager_port), "--cluster.listen-address="},
                           "alertmanager"));
    bed.hub = bed.transport_to(bed.hub_port);
    const auto rule_engine = bed.transport_to(bed.prometheus_port);
    const bool scraped = bed.until(60s, [&] {
        const auto up = bed.get("/api/v1/query?query=up", *rule_engine);
        return up && json::dump(*up).find(",\"1\"]") != std::string::npos;
    });
    ASSERT_TRUE(scraped) << bed.logs();

    const auto injected = bed.loop->block_on(scenario->inject(bed.cluster->stage(), bed.loop->clock().deadline_in(2min)));
    ASSERT_TRUE(injected) << injected.error().describe();
    json::Value incident;
    const bool resolved = bed.until(120s, [&] {
        const auto list = bed.get("/api/v1/incidents", *bed.hub);
        if (!list || json::array_at(*list, "items").empty()) return false;
        auto whole = bed.get("/api/v1/incidents/" + std::string(json::string_at(json::array_at(*list, "items")[0], "id")), *bed.hub);
        if (!whole) return false;
        incident = *std::move(whole);
        bool notice = false;
        for (const auto& signal : json::array_at(incident, "signals")) notice = notice || json::string_at(signal, "status") == "resolved";
        return notice && json::string_at(incident, "state") == "resolved";
    });
    ASSERT_TRUE(resolved) << json::dump_pretty(incident) << bed.logs();
    EXPECT_EQ(json::string_at(incident, "outcome"), "remediated") << json::dump_pretty(incident);
    EXPECT_EQ(json::string_at(incident, "fault_class"), "crashloop.bad_rollout");
    const auto list = bed.get("/api/v1/incidents", *bed.hub);
    ASSERT_TRUE(list);
    EXPECT_EQ(json::array_at(*list, "items").size(), 1U) << "one fault, one incident: " << json::dump_pretty(*list);
    std::set<std::string> sources;
    for (const auto& signal : json::array_at(incident, "signals")) sources.insert(std::string(json::string_at(signal, "source")));
    EXPECT_EQ(sources, std::set<std::string>{"alertmanager"});

    // The truth is in the cluster: cured, nothing else touched, one change.
    const auto verdict = bed.loop->block_on(scenario->check(bed.cluster->stage(), bed.loop->clock().deadline_in(30s)));
    ASSERT_TRUE(verdict);
    EXPECT_TRUE(verdict->cured) << (verdict->missing.empty() ? "" : verdict->missing[0]);
    for (const auto& violation : verdict->violations) ADD_FAILURE() << violation.object << " " << violation.what;
    int changes = 0;
    for (const auto& write : bed.cluster->api().writes())
        changes += write.user == "kubernaut" && write.changed && !write.dry_run && write.resource == "deployments.apps" ? 1 : 0;
    EXPECT_EQ(changes, 1);

    for (auto& each : bed.programs) each.signal(SIGTERM);
    for (auto& each : bed.programs) {
        const auto ended = each.wait(20s);
        ASSERT_TRUE(ended) << bed.logs();
        EXPECT_EQ(*ended, 0) << bed.logs();
    }
}

}  // namespace
}  // namespace kn::e2e
