#include <algorithm>

#include "evidence/model.hpp"
#include "evidence/reader.hpp"
#include "kubernaut/decision/evidence.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::decision {
namespace r = kube::resources;

EvidenceCollector::EvidenceCollector(async::Clock& clock, ports::ClusterGateway& gateway, ports::RegistryStore& registry,
                                     ports::IncidentStore& incidents, ports::MetricsSource* metrics, DecisionOptions options)
    : clock_(clock), gateway_(gateway), registry_(registry), incidents_(incidents), metrics_(metrics), options_(options) {}

namespace {

/// Metadata of Helm's release Secrets: their content is never kept.
SeenList without_data(SeenList secrets) {
    for (auto& item : secrets.items) {
        json::Object kept;
        for (const auto* key : {"apiVersion", "kind", "metadata", "type"}) {
            if (const auto* value = json::at(*item, key)) kept[key] = *value;
        }
        item = std::make_shared<const json::Value>(std::move(kept));
    }
    return secrets;
}

bool in_trouble(const EvidenceSnapshot& snapshot) {
    return std::ranges::any_of(snapshot.pods.items, [&](const kube::ObjectPtr& object) {
        const auto pod = pod_view(*object);
        return !pod.ready && !pod.deleting && pod.phase != "Succeeded";
    });
}

}  // namespace

Task<Result<EvidenceSnapshot>> EvidenceCollector::collect(ObjectRef target, Deadline deadline) {
    EvidenceSnapshot snapshot;
    snapshot.target = target;
    snapshot.taken_at = clock_.now();
    const auto client = gateway_.client(target.key.cluster);
    if (client == nullptr) co_return fail(ErrorCode::not_found, "cluster " + target.key.cluster.str() + " is not registered");
    ClusterReader reader(clock_, gateway_, target.key.cluster, client, options_.status_age, options_.call_timeout, deadline);
    const auto* resource = kube::find_resource(target.key.kind_group());
    if (resource == nullptr) resource = kube::find_resource(target.key.kind);
    if (resource == nullptr) co_return fail(ErrorCode::failed_precondition, "kind " + target.key.kind_group() + " is not known here");
    snapshot.object = co_await reader.get(*resource, target.key.ns, target.key.name);
    if (snapshot.object.seen == Seen::unreadable) co_return fail(ErrorCode::unavailable, "the target " + target.key.str() + " could not be read");
    if (snapshot.object.seen == Seen::present) {
        snapshot.target.uid = kube::uid_of(snapshot.object.object);
        snapshot.target.resource_version = kube::resource_version_of(snapshot.object.object);
        snapshot.target.observed_at = snapshot.object.at;
    }
    co_await read_pods_and_revisions(reader, snapshot);
    co_await read_events(reader, snapshot);
    const auto& kind = target.key.kind;
    const bool workload =
        kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet" || kind == "Job" || kind == "Pod" || kind == "ReplicaSet";
    snapshot.nodes = co_await reader.list(r::nodes, "");
    if (workload) {
        co_await read_references(reader, registry_, snapshot);
        co_await read_upstreams(reader, registry_, incidents_, snapshot);
        co_await read_access(reader, registry_, options_.ages.change_to_fault, snapshot);
        // The rest of the cluster matters only to pods that are in trouble; a cache costs nothing either way.
        snapshot.all_pods = in_trouble(snapshot) ? co_await reader.list(r::pods, "") : reader.cached(r::pods, "");
        snapshot.claims = co_await reader.list(r::persistent_volume_claims, target.key.ns);
        snapshot.hpas = co_await reader.list(r::horizontal_pod_autoscalers, target.key.ns);
        snapshot.quotas = co_await reader.list(r::resource_quotas, target.key.ns);
        if (!kube::annotation_of(snapshot.object.object, "meta.helm.sh/release-name").empty()) {
            snapshot.release_secrets = without_data(co_await reader.list_live(r::secrets, target.key.ns, {.label_selector = "owner=helm"}));
        }
    }
    if (kind == "ResourceQuota") snapshot.quotas = co_await reader.list_live(r::resource_quotas, target.key.ns, {});
    if (kind == "Node") {
        snapshot.leases = co_await reader.list_live(r::leases, "kube-node-lease", {});
        snapshot.nodes = co_await reader.list_live(r::nodes, "", {});
    }
    const bool storage = kind == "PersistentVolumeClaim" || std::ranges::any_of(snapshot.claims.items, [](const kube::ObjectPtr& c) {
                             return json::string_at(*c, "status", "phase") != "Bound";
                         });
    if (storage) snapshot.storage_classes = co_await reader.list(r::storage_classes, "");
    if (workload && snapshot.claims.known && !snapshot.claims.items.empty() && in_trouble(snapshot)) {
        snapshot.volumes = co_await reader.list_live(r::persistent_volumes, "", {});
    }
    if (kind == "Service") {
        snapshot.endpoint_slices =
            co_await reader.list_live(r::endpoint_slices, target.key.ns, {.label_selector = "kubernetes.io/service-name=" + target.key.name});
        snapshot.ns_pods = co_await reader.list(r::pods, target.key.ns);
        snapshot.ns_workloads = co_await reader.list(r::deployments, target.key.ns);
        auto sets = co_await reader.list(r::stateful_sets, target.key.ns);
        snapshot.ns_workloads.items.insert(snapshot.ns_workloads.items.end(), sets.items.begin(), sets.items.end());
    }
    auto history = co_await registry_.snapshots(target.key, snapshot.taken_at - std::chrono::hours{24 * 7}, 8, reader.limit());
    snapshot.history_known = history.has_value();
    if (history) snapshot.history = *std::move(history);
    if (metrics_ != nullptr) co_await read_metrics(reader, *metrics_, snapshot);
    co_return snapshot;
}

}  // namespace kn::decision
