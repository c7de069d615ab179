#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "kubernaut/json/yaml.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"

namespace kn::sim {

/// One simulated cluster in virtual time, with shorthands for tests.
struct SimBed {
    explicit SimBed(ClusterSpec spec = {.name = "eu1"}, std::uint64_t seed = 7) : random(seed), cluster(*loop, random, std::move(spec)) {
        const auto started = loop->block_on(cluster.start());
        if (!started) ADD_FAILURE() << started.error().describe();
    }
    ~SimBed() {
        cluster.stop();
        loop->block_on(cluster.join());
    }

    Deadline soon() { return loop->clock().deadline_in(2h); }
    template <class T> T await(async::Task<T> task) { return loop->block_on(std::move(task)); }
    void pass(Duration d) { loop->run_for(d); }

    static kube::Resource resource(std::string_view kind) { return *kube::find_resource(kind); }
    json::Value get(std::string_view kind, std::string ns, std::string name) {
        auto found = await(cluster.client()->get(resource(kind), std::move(ns), std::move(name), soon()));
        return found ? *std::move(found) : json::Value(nullptr);
    }
    std::vector<json::Value> list(std::string_view kind, std::string ns, std::string labels = {}) {
        auto found = await(cluster.client()->list(resource(kind), std::move(ns), {.label_selector = std::move(labels)}, soon()));
        if (!found) ADD_FAILURE() << found.error().describe();
        return found ? std::move(found->items) : std::vector<json::Value>{};
    }
    void apply(std::string_view yaml) {
        const auto documents = json::parse_yaml_stream(yaml);
        ASSERT_TRUE(documents) << documents.error().describe();
        for (const auto& document : *documents) {
            const auto* kind = kube::resource_of(document.value);
            ASSERT_NE(kind, nullptr) << json::dump(document.value);
            const auto made = await(cluster.client()->create(*kind, std::string(kube::namespace_of(document.value)), document.value, {}, soon()));
            ASSERT_TRUE(made) << made.error().describe();
        }
    }
    Result<json::Value> patch(std::string_view kind, std::string ns, std::string name, std::string_view yaml,
                              kube::PatchType type = kube::PatchType::strategic, std::string subresource = {}) {
        auto document = json::parse_yaml(yaml);
        if (!document) return fail(document.error());
        return await(cluster.client()->patch(resource(kind), std::move(ns), std::move(name), type, document->value,
                                             {.subresource = std::move(subresource)}, soon()));
    }
    void remove(std::string_view kind, std::string ns, std::string name) {
        const auto gone = await(cluster.client()->remove(resource(kind), std::move(ns), std::move(name), {}, soon()));
        EXPECT_TRUE(gone) << gone.error().describe();
    }
    /// Looks every second of virtual time until `done`, for at most `limit`.
    bool until(const std::function<bool()>& done, Duration limit) {
        const auto end = loop->clock().steady() + limit;
        while (!done()) {
            if (loop->clock().steady() >= end) return false;
            pass(1s);
        }
        return true;
    }
    bool ready(std::string_view kind, std::string ns, std::string name, Duration limit = 2min) {
        return until(
            [&] {
                const auto object = get(kind, ns, name);
                if (!object.is_object()) return false;
                const auto wanted = json::int_at(object, "spec", "replicas").value_or(-1);
                return json::int_at(object, "status", "observedGeneration") == kube::generation_of(object) &&
                       json::int_at(object, "status", "readyReplicas").value_or(0) == wanted &&
                       json::int_at(object, "status", "updatedReplicas").value_or(0) == wanted &&
                       json::int_at(object, "status", "replicas").value_or(0) == wanted;
            },
            limit);
    }
    std::set<std::string> event_reasons(std::string ns, std::string about) {
        std::set<std::string> out;
        for (const auto& event : list("Event", std::move(ns))) {
            if (json::string_at(event, "involvedObject", "name").starts_with(about)) out.emplace(json::string_at(event, "reason"));
        }
        return out;
    }

    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(Instant{std::chrono::sys_days{std::chrono::year{2026} / 3 / 2}});
    SeededRandom random;
    SimCluster cluster;
};

inline std::string web(std::string_view replicas, std::string_view container = "image: registry.example/web:1") {
    return "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n  replicas: " +
           std::string(replicas) +
           "\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n      - name: app\n        " +
           std::string(container) + "\n";
}

}  // namespace kn::sim
