#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hub.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/sim/scenario/scenario.hpp"
#include "kubernaut/store/open_store.hpp"
#include "kubernaut/testing/recording_notifier.hpp"

namespace kn::component {

struct Answer {
    int status = 0;
    json::Value body;
    std::string text;
    [[nodiscard]] std::string error(std::string_view part = "message") const { return std::string(json::string_at(body, "error", part)); }
    [[nodiscard]] std::size_t items() const { return json::array_at(body, "items").size(); }
};

/// A whole hub in virtual time over two simulated clusters (eu1, us1) and SQLite in memory, spoken to through its HTTP handler.
/// People: ada (admin), vera (viewer in eu1/shop), olaf (operator in eu1/shop), vic (viewer in us1), abe (approver in eu1 up to medium), nobody (no
/// role).
class ApiBed {
public:
    explicit ApiBed(Mode mode = Mode::approve) {
        loop = async::EventLoop::simulated(parse_rfc3339("2026-03-01T09:00:00Z").value());
        stores = open_store("sqlite::memory:", {}, *loop).value();
        app::HubOptions options;
        options.version = "test";
        for (const char* name : {"ada", "vera", "olaf", "vic", "abe", "nobody"}) options.auth.add_token(name, name + std::string("-token"));
        options.auth.add_binding({.subject = "ada", .role = "admin"});
        options.auth.add_binding({.subject = "vera", .role = "viewer", .clusters = {"eu1"}, .namespaces = {"shop"}});
        options.auth.add_binding({.subject = "olaf", .role = "operator", .clusters = {"eu1"}, .namespaces = {"shop"}});
        options.auth.add_binding({.subject = "vic", .role = "viewer", .clusters = {"us1"}});
        options.auth.add_binding({.subject = "abe", .role = "approver", .clusters = {"eu1"}, .approve_up_to = Risk::medium});
        options.intake.sources = {{.name = "am", .token = "am-token"}, {.name = "am-us", .token = "am-us-token", .clusters = {"us1"}}};
        options.watch_signals = false;
        hub = app::Hub::create(*loop, random, stores->ports(), notifier, nullptr, metrics, std::move(options)).value();
        for (const char* name : {"eu1", "us1"}) {
            auto& cluster = clusters.emplace_back(std::make_unique<sim::SimCluster>(*loop, random, sim::ClusterSpec{.name = name, .nodes = 2}));
            loop->block_on(cluster->start()).value();
            for (const char* ns : {"shop", "other"}) add_workload(*cluster, ns);
            ClusterRecord record{.id = ClusterId(name), .kind = "simulated", .environment = Environment::staging, .mode = mode};
            const auto transport = cluster->transport("kubernaut", {"system:masters"});
            hub->add_cluster({.record = std::move(record), .transport = transport, .probe_transport = transport}).value();
        }
        loop->block_on(hub->start()).value();
        loop->run_for(15s);
    }
    ~ApiBed() {
        loop->block_on(hub->stop());
        for (auto& cluster : clusters) {
            cluster->stop();
            loop->block_on(cluster->join());
        }
    }

    static net::HttpRequest request(std::string method, const std::string& target, const std::string& token, std::string body = {}) {
        net::HttpRequest out{.method = std::move(method), .path = target.substr(0, target.find('?')), .body = std::move(body), .peer = "192.0.2.7"};
        for (auto at = target.find('?'); at != std::string::npos;) {
            const auto end = target.find('&', at + 1);
            const std::string pair = target.substr(at + 1, end == std::string::npos ? end : end - at - 1);
            const auto equals = pair.find('=');
            out.query.emplace_back(pair.substr(0, equals), equals == std::string::npos ? "" : kube::percent_decode(pair.substr(equals + 1)));
            at = end;
        }
        if (!token.empty()) out.headers.emplace_back("authorization", "Bearer " + token + "-token");
        out.headers.emplace_back("content-type", "application/json");
        return out;
    }
    Answer call(std::string method, const std::string& target, const std::string& token, std::string body = {}) {
        auto response = loop->block_on(hub->handle(request(std::move(method), target, token, std::move(body))));
        Answer answer{.status = response.status, .body = {}, .text = response.body};
        if (auto parsed = json::parse(response.body)) answer.body = *std::move(parsed);
        return answer;
    }
    Answer get(const std::string& target, const std::string& token = "ada") { return call("GET", target, token); }
    Answer post(const std::string& target, const json::Value& body, const std::string& token = "ada") {
        return call("POST", target, token, json::dump(body));
    }

    static json::Value alert(const std::string& cluster, const std::string& ns, const std::string& name,
                             const std::string& started = "2026-03-01T09:00:00Z") {
        return json::Object{{"status", "firing"},
                            {"startsAt", started},
                            {"annotations", json::Object{}},
                            {"labels", json::Object{{"alertname", "KubeDeploymentReplicasMismatch"},
                                                    {"cluster", cluster},
                                                    {"namespace", ns},
                                                    {"deployment", name},
                                                    {"severity", "warning"}}}};
    }
    static json::Value batch(json::Array alerts) {
        return json::Object{{"version", "4"}, {"status", "firing"}, {"receiver", "kubernaut"}, {"groupKey", "{}"}, {"alerts", std::move(alerts)}};
    }
    /// One incident for each of these "cluster/namespace/deployment".
    void raise(const std::vector<std::string>& places) {
        json::Array alerts;
        for (const auto& place : places) {
            const auto first = place.find('/'), second = place.rfind('/');
            alerts.push_back(alert(place.substr(0, first), place.substr(first + 1, second - first - 1), place.substr(second + 1)));
        }
        const auto answer = post("/api/v1/alerts", batch(std::move(alerts)), "am");
        if (answer.status != 200) throw std::runtime_error(answer.text);
        loop->run_for(20s);
    }

    std::unique_ptr<async::EventLoop> loop;
    SeededRandom random{7};
    metrics::Registry metrics;
    testing::RecordingNotifier notifier;
    std::unique_ptr<sql::SqlStores> stores;
    std::unique_ptr<app::Hub> hub;
    std::vector<std::unique_ptr<sim::SimCluster>> clusters;

private:
    void add_workload(sim::SimCluster& cluster, const std::string& ns) {
        const auto client = cluster.client();
        const Deadline soon = loop->clock().deadline_in(30s);
        const auto create = [&](const kube::Resource& resource, json::Value object) {
            loop->block_on(client->create(resource, resource.namespaced ? ns : "", std::move(object), {}, soon)).value();
        };
        create(kube::resources::namespaces, json::Object{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", json::Object{{"name", ns}}}});
        create(kube::resources::deployments,
               json::Object{
                   {"apiVersion", "apps/v1"},
                   {"kind", "Deployment"},
                   {"metadata", json::Object{{"name", "cart"}, {"namespace", ns}}},
                   {"spec",
                    json::Object{
                        {"replicas", 2},
                        {"selector", json::Object{{"matchLabels", json::Object{{"app", "cart"}}}}},
                        {"template",
                         json::Object{{"metadata", json::Object{{"labels", json::Object{{"app", "cart"}}}}},
                                      {"spec", json::Object{{"containers", json::Array{json::Object{{"name", "app"},
                                                                                                    {"image", "registry.example/cart:1.0"}}}}}}}}}}});
    }
};

}  // namespace kn::component
