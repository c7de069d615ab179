// Reads what lies around the target: services that it depends on, rights of its ServiceAccount, metrics.
#include <algorithm>
#include <set>

#include "evidence/model.hpp"
#include "evidence/reader.hpp"
#include "evidence/template_diff.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::decision {
namespace r = kube::resources;
using json::string_at;
using json::Value;

namespace {

constexpr std::size_t max_upstreams = 16;

bool may_be_there(const UpstreamName& name, const SeenList& services) {
    if (!services.known) return true;
    return std::ranges::any_of(services.items, [&](const kube::ObjectPtr& s) { return kube::name_of(*s) == name.service; });
}

/// The workload behind pods that a Service selects.
Task<std::optional<ObjectKey>> workload_behind(ClusterReader& reader, std::string ns, json::Object selector, SeenList pods) {
    for (const auto& pod : pods.items) {
        const auto owner = kube::controller_of(*pod);
        if (!owner) continue;
        if (owner->kind != "ReplicaSet") {
            const auto slash = owner->api_version.find('/');
            co_return ObjectKey{reader.cluster(), ns, owner->kind, slash == std::string::npos ? "" : owner->api_version.substr(0, slash),
                                owner->name};
        }
        const auto set = co_await reader.get(r::replica_sets, ns, owner->name);
        const auto above = set.seen == Seen::present ? kube::controller_of(set.object) : std::nullopt;
        if (above) co_return ObjectKey{reader.cluster(), ns, above->kind, "apps", above->name};
        co_return ObjectKey{reader.cluster(), ns, "ReplicaSet", "apps", owner->name};
    }
    for (const auto* resource : {&r::deployments, &r::stateful_sets, &r::daemon_sets}) {
        const auto list = co_await reader.list(*resource, ns);
        for (const auto& workload : list.items) {
            if (kube::map_selector_matches(selector, json::object_at(*workload, "spec", "template", "metadata", "labels"))) {
                co_return ObjectKey{reader.cluster(), ns, resource->kind, resource->group, std::string{kube::name_of(*workload)}};
            }
        }
    }
    co_return std::nullopt;
}

void judge_pods(const SeenList& pods, Instant now, SeenUpstream& up) {
    std::optional<Instant> down_since;
    bool all_down = true;
    for (const auto& item : pods.items) {
        const auto pod = pod_view(*item);
        if (pod.deleting || pod.finished) continue;
        std::optional<Instant> bad_since;
        bool crashes = false;
        for (const auto& c : pod.containers) {
            if (!is_crashing(pod, c, now)) continue;
            crashes = true;
            const auto first = first_failure(pod, c, {});
            if (first && (!bad_since || *first < *bad_since)) bad_since = first;
        }
        if (pod.ready && !crashes) {
            up.stable = true;
            all_down = false;
            continue;
        }
        if (!pod.ready && pod.ready_changed && (!bad_since || *pod.ready_changed < *bad_since)) bad_since = pod.ready_changed;
        if (bad_since && (!down_since || *bad_since > *down_since)) down_since = bad_since;
    }
    if (all_down) up.down_since = down_since;
}

}  // namespace

Task<> read_upstreams(ClusterReader& reader, ports::RegistryStore& registry, ports::IncidentStore& incidents, EvidenceSnapshot& snapshot) {
    if (snapshot.object.seen != Seen::present) co_return;
    const auto& target = snapshot.target.key;
    const auto* pod_template = template_of(snapshot.object.object);
    const auto* spec = pod_template == nullptr ? nullptr : json::at(*pod_template, "spec");
    if (spec == nullptr || json::at(*spec, "containers") == nullptr) co_return;
    auto names = declared_upstreams(kube::annotation_of(snapshot.object.object, "kubernaut.io/depends-on"));
    if (names.empty()) names = declared_upstreams(kube::annotation_of(*pod_template, "kubernaut.io/depends-on"));
    for (auto& name : upstream_names(*spec)) names.push_back(std::move(name));
    std::map<std::string, SeenList> services;
    std::set<std::pair<std::string, std::string>> done;
    snapshot.upstreams_known = true;
    for (auto& name : names) {
        if (name.ns.empty()) name.ns = target.ns;
        if (done.size() >= max_upstreams || !done.emplace(name.ns, name.service).second) continue;
        auto known = services.find(name.ns);
        if (known == services.end()) {
            auto listed = co_await reader.list(r::services, name.ns);
            known = services.emplace(name.ns, std::move(listed)).first;
            if (!known->second.known && name.why == "annotation") snapshot.upstreams_known = false;
        }
        SeenUpstream up;
        up.ns = name.ns;
        up.service = name.service;
        up.why = name.why;
        const Value* service = nullptr;
        for (const auto& item : known->second.items) {
            if (kube::name_of(*item) == name.service) service = item.get();
        }
        if (service == nullptr) {
            if (!known->second.known || may_be_there(name, known->second)) continue;
            // Not there now. It is an upstream only when somebody said so or it was there before.
            auto history = co_await registry.snapshots({reader.cluster(), name.ns, "Service", "", name.service},
                                                       snapshot.taken_at - std::chrono::hours{24}, 1, reader.limit());
            const bool deleted = history && !history->empty() && history->front().deleted_at.has_value();
            if (!deleted && name.why != "annotation") continue;
            up.seen = Seen::absent;
            up.deleted = deleted;
            if (deleted) up.down_since = history->front().deleted_at;
            snapshot.upstreams.push_back(std::move(up));
            continue;
        }
        up.seen = Seen::present;
        const auto& selector = json::object_at(*service, "spec", "selector");
        up.has_selector = !selector.empty();
        if (up.has_selector && kube::map_selector_matches(selector, json::object_at(*pod_template, "metadata", "labels")) && name.ns == target.ns)
            continue;
        if (up.has_selector) {
            const auto slices =
                co_await reader.list_live(r::endpoint_slices, name.ns, {.label_selector = "kubernetes.io/service-name=" + name.service});
            if (slices.known) {
                int ready = 0;
                for (const auto& slice : slices.items) {
                    for (const Value& endpoint : json::array_at(*slice, "endpoints"))
                        ready += json::bool_at(endpoint, "conditions", "ready").value_or(true);
                }
                up.ready_endpoints = ready;
            }
            std::string query;
            for (const auto& member : selector) {
                if (member.value().is_string())
                    query += (query.empty() ? "" : ",") + std::string{member.key()} + "=" + member.value().get_string().c_str();
            }
            const auto pods = co_await reader.list_live(r::pods, name.ns, {.label_selector = query});
            if (pods.known) {
                judge_pods(pods, snapshot.taken_at, up);
                up.workload = co_await workload_behind(reader, name.ns, selector, pods);
            } else if (up.ready_endpoints) {
                up.stable = *up.ready_endpoints > 0;
            }
            if (up.workload && *up.workload == target) continue;
            if (up.workload) {
                auto open = co_await incidents.open_of(reader.cluster(), up.workload->str(), reader.limit());
                if (open && !open->empty()) {
                    up.incident = open->front().id;
                    up.incident_opened = open->front().opened_at;
                }
            }
        }
        snapshot.upstreams.push_back(std::move(up));
    }
}

namespace {

bool names_account(const Value& binding, std::string_view ns, std::string_view account) {
    return std::ranges::any_of(json::array_at(binding, "subjects"), [&](const Value& s) {
        const auto subject_ns = string_at(s, "namespace");
        return string_at(s, "kind") == "ServiceAccount" && string_at(s, "name") == account && (subject_ns == ns || subject_ns.empty());
    });
}

}  // namespace

Task<> read_access(ClusterReader& reader, ports::RegistryStore& registry, Duration window, EvidenceSnapshot& snapshot) {
    if (snapshot.object.seen != Seen::present) co_return;
    const auto* pod_template = template_of(snapshot.object.object);
    if (pod_template == nullptr || json::at(*pod_template, "spec", "containers") == nullptr) co_return;
    const auto& target = snapshot.target.key;
    auto account = std::string{string_at(*pod_template, "spec", "serviceAccountName")};
    if (account.empty()) account = "default";
    auto changes = co_await registry.changes(reader.cluster(), target.ns, snapshot.taken_at - window, 500, reader.limit());
    auto cluster_wide = co_await registry.changes(reader.cluster(), "", snapshot.taken_at - window, 500, reader.limit());
    if (!changes || !cluster_wide) co_return;
    snapshot.access_known = true;
    changes->insert(changes->end(), cluster_wide->begin(), cluster_wide->end());
    std::set<std::string> seen;
    for (const auto& change : *changes) {
        if (change.key.kind != "RoleBinding" && change.key.kind != "ClusterRoleBinding") continue;
        if (!seen.insert(change.key.str()).second) continue;  // only the newest of each
        const bool deleted = change.deleted_at.has_value();
        Value before = change.spec;
        if (!deleted) {
            if (names_account(change.spec, target.ns, account)) continue;  // it has the account now
            auto history = co_await registry.snapshots(change.key, snapshot.taken_at - std::chrono::hours{24 * 30}, 2, reader.limit());
            if (!history || history->size() < 2 || !names_account((*history)[1].spec, target.ns, account)) continue;
            before = (*history)[1].spec;
        }
        if (!names_account(before, target.ns, account)) continue;
        SeenAccess access;
        access.kind = change.key.kind;
        access.ns = change.key.ns;
        access.name = change.key.name;
        access.changed_at = change.deleted_at.value_or(change.taken_at);
        access.deleted = deleted;
        access.snapshot_hash = change.hash;
        json::Object metadata{{"name", change.key.name}};
        if (!change.key.ns.empty()) metadata["namespace"] = change.key.ns;
        json::Object binding{{"apiVersion", "rbac.authorization.k8s.io/v1"}, {"kind", change.key.kind}, {"metadata", std::move(metadata)}};
        for (const auto* key : {"roleRef", "subjects"}) {
            if (const auto* value = json::at(before, key)) binding[key] = *value;
        }
        access.before = std::move(binding);
        const bool cluster_role = string_at(before, "roleRef", "kind") == "ClusterRole";
        const auto role = co_await reader.get(cluster_role ? r::cluster_roles : r::roles, cluster_role ? "" : target.ns,
                                              std::string{string_at(before, "roleRef", "name")});
        access.role_exists = role.seen == Seen::present;
        for (const Value& rule : json::array_at(role.object, "rules")) {
            const auto first = [&](std::string_view key) {
                const auto& list = json::array_at(rule, key);
                return list.empty() || !list[0].is_string() ? std::string{} : std::string{json::view(list[0].get_string())};
            };
            const auto any = [&](std::string_view key) {
                return std::ranges::any_of(json::array_at(rule, key), [](const Value& v) { return v.is_string() && v.get_string() == "*"; });
            };
            if (any("verbs") || any("resources")) access.wildcard = true;
            if (!access.verb.empty() || first("resources").empty() || any("verbs") || any("resources")) continue;
            access.verb = first("verbs");
            access.resource = first("resources");
            kube::Resource resource{.group = first("apiGroups"), .version = "v1", .plural = access.resource, .kind = {}, .namespaced = true};
            auto allowed =
                co_await reader.client().can_user("system:serviceaccount:" + target.ns + ":" + account,
                                                  {"system:serviceaccounts", "system:serviceaccounts:" + target.ns, "system:authenticated"},
                                                  access.verb, resource, target.ns, reader.limit());
            if (allowed) access.allowed_now = *allowed;
        }
        snapshot.access.push_back(std::move(access));
    }
}

namespace {

std::string label_text(const ports::Series& series, std::string_view name) {
    for (const auto& [label, value] : series.labels) {
        if (label == name) return value;
    }
    return {};
}

Task<> query(ClusterReader& reader, ports::MetricsSource& metrics, EvidenceSnapshot& snapshot, std::string name, std::string promql, bool by_claim,
             Duration back, Duration step) {
    auto series = co_await metrics.range(reader.cluster(), std::move(promql), snapshot.taken_at - back, snapshot.taken_at, step, reader.limit());
    if (!series) co_return;
    snapshot.metrics_known = true;
    std::set<std::string> pods;
    for (const auto& pod : snapshot.pods.items) pods.emplace(kube::name_of(*pod));
    for (auto& each : *series) {
        SeenSeries out;
        out.name = name;
        if (by_claim) {
            out.subject = label_text(each, "persistentvolumeclaim");
        } else {
            const auto pod = label_text(each, "pod"), container = label_text(each, "container");
            if (!pods.contains(pod) || container.empty() || container == "POD") continue;
            out.subject = pod + "/" + container;
        }
        out.samples = std::move(each.samples);
        snapshot.series.push_back(std::move(out));
    }
}

}  // namespace

Task<> read_metrics(ClusterReader& reader, ports::MetricsSource& metrics, EvidenceSnapshot& snapshot) {
    const auto& target = snapshot.target.key;
    const std::string ns = "{namespace=\"" + target.ns + "\"}";
    if (target.kind == "Deployment" || target.kind == "StatefulSet" || target.kind == "DaemonSet") {
        co_await query(reader, metrics, snapshot, "memory_working_set", "container_memory_working_set_bytes" + ns, false, 1h, 15s);
        co_await query(reader, metrics, snapshot, "cpu_throttled_ratio",
                       "rate(container_cpu_cfs_throttled_periods_total" + ns + "[5m]) / rate(container_cpu_cfs_periods_total" + ns + "[5m])", false,
                       15min, 30s);
    }
    if (target.kind == "PersistentVolumeClaim") {
        const std::string claim = "{namespace=\"" + target.ns + "\",persistentvolumeclaim=\"" + target.name + "\"}";
        co_await query(reader, metrics, snapshot, "volume_available", "kubelet_volume_stats_available_bytes" + claim, true, 6h, 2min);
        co_await query(reader, metrics, snapshot, "volume_capacity", "kubelet_volume_stats_capacity_bytes" + claim, true, 10min, 1min);
        co_await query(reader, metrics, snapshot, "volume_inodes", "kubelet_volume_stats_inodes" + claim, true, 10min, 1min);
        co_await query(reader, metrics, snapshot, "volume_inodes_free", "kubelet_volume_stats_inodes_free" + claim, true, 10min, 1min);
    }
    std::ranges::sort(snapshot.series,
                      [](const SeenSeries& a, const SeenSeries& b) { return std::tie(a.name, a.subject) < std::tie(b.name, b.subject); });
}

}  // namespace kn::decision
