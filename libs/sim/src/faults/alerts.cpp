// The alerting rules, each a function of the cluster's state: kubernetes-mixin's where the name begins with Kube, ours otherwise.
#include "kubernaut/sim/faults/alerts.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "common/text.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"

namespace kn::sim {
namespace {

namespace r = kube::resources;
using json::Value;
using LabelSet = std::map<std::string, std::string>;
using Raise = std::function<void(LabelSet)>;

/// What one look at the cluster found.
struct World {
    std::map<std::string, std::vector<Value>, std::less<>> objects;  // by "Kind.group"
    const Metrics* metrics = nullptr;
    Instant now{};
    const std::vector<Value>& of(const kube::Resource& resource) const {
        static const std::vector<Value> none;
        const auto found = objects.find(resource.kind_group());
        return found == objects.end() ? none : found->second;
    }
};

std::string text(std::string_view view) { return std::string(view); }
LabelSet labels_of(const Value& object, std::string_view name_label) {
    LabelSet out{{text(name_label), text(kube::name_of(object))}};
    if (const auto ns = kube::namespace_of(object); !ns.empty()) out["namespace"] = ns;
    return out;
}
std::int64_t status(const Value& object, std::string_view field) { return json::int_at(object, "status", field).value_or(0); }
std::int64_t spec(const Value& object, std::string_view field, std::int64_t otherwise) {
    return json::int_at(object, "spec", field).value_or(otherwise);
}
bool condition_is(const Value& object, std::string_view type, std::string_view wanted) {
    const auto condition = kube::condition_of(object, type);
    return condition && condition->status == wanted;
}

void each_container(const World& world, const std::function<void(const Value& pod, const Value& status, LabelSet labels)>& visit) {
    for (const auto& pod : world.of(r::pods)) {
        for (const auto* container : kube::container_statuses(pod)) {
            LabelSet labels = labels_of(pod, "pod");
            labels["container"] = json::string_at(*container, "name");
            labels["uid"] = kube::uid_of(pod);
            visit(pod, *container, std::move(labels));
        }
    }
}

void crash_looping(const World& world, const Raise& raise) {
    each_container(world, [&](const Value&, const Value& container, LabelSet labels) {
        if (json::string_at(container, "state", "waiting", "reason") != "CrashLoopBackOff") return;
        labels["reason"] = "CrashLoopBackOff";
        raise(std::move(labels));
    });
}

void pod_not_ready(const World& world, const Raise& raise) {
    for (const auto& pod : world.of(r::pods)) {
        const auto phase = json::string_at(pod, "status", "phase");
        const auto owner = kube::controller_of(pod);
        if (owner && owner->kind == "Job") continue;
        if (phase == "Pending" || phase == "Unknown" || phase == "Failed") raise(labels_of(pod, "pod"));
    }
}

void deployment_mismatch(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::deployments)) {
        if (spec(each, "replicas", 1) > status(each, "availableReplicas")) raise(labels_of(each, "deployment"));
    }
}

void rollout_stuck(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::deployments)) {
        if (condition_is(each, "Progressing", "False")) raise(labels_of(each, "deployment"));
    }
}

void stateful_set_mismatch(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::stateful_sets)) {
        if (status(each, "readyReplicas") != spec(each, "replicas", 1)) raise(labels_of(each, "statefulset"));
    }
}

void stateful_set_not_rolled_out(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::stateful_sets)) {
        if (json::string_at(each, "status", "currentRevision") != json::string_at(each, "status", "updateRevision") &&
            status(each, "updatedReplicas") != spec(each, "replicas", 1))
            raise(labels_of(each, "statefulset"));
    }
}

void daemon_set_stuck(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::daemon_sets)) {
        const auto desired = status(each, "desiredNumberScheduled");
        if (status(each, "updatedNumberScheduled") != desired || status(each, "numberAvailable") != desired) raise(labels_of(each, "daemonset"));
    }
}

void daemon_set_not_scheduled(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::daemon_sets)) {
        if (status(each, "desiredNumberScheduled") > status(each, "currentNumberScheduled")) raise(labels_of(each, "daemonset"));
    }
}

void daemon_set_misscheduled(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::daemon_sets)) {
        if (status(each, "numberMisscheduled") > 0) raise(labels_of(each, "daemonset"));
    }
}

void container_waiting(const World& world, const Raise& raise) {
    each_container(world, [&](const Value&, const Value& container, LabelSet labels) {
        const auto reason = json::string_at(container, "state", "waiting", "reason");
        if (reason.empty() || reason == "CrashLoopBackOff") return;
        labels["reason"] = reason;
        raise(std::move(labels));
    });
}

void image_pull_failing(const World& world, const Raise& raise) {
    each_container(world, [&](const Value&, const Value& container, LabelSet labels) {
        const auto reason = json::string_at(container, "state", "waiting", "reason");
        if (reason == "ErrImagePull" || reason == "ImagePullBackOff" || reason == "InvalidImageName") raise(std::move(labels));
    });
}

void oom_killed(const World& world, const Raise& raise) {
    each_container(world, [&](const Value&, const Value& container, LabelSet labels) {
        for (const std::string_view state : {"state", "lastState"}) {
            if (json::string_at(container, state, "terminated", "reason") != "OOMKilled") continue;
            const auto at = kube::time_at(container, state, "terminated", "finishedAt");
            if (at && world.now - *at <= 10min) return raise(std::move(labels));
        }
    });
}

void unschedulable(const World& world, const Raise& raise) {
    for (const auto& pod : world.of(r::pods)) {
        const auto scheduled = kube::condition_of(pod, "PodScheduled");
        if (scheduled && scheduled->status == "False" && scheduled->reason == "Unschedulable" && !kube::is_deleting(pod))
            raise(labels_of(pod, "pod"));
    }
}

void node_not_ready(const World& world, const Raise& raise) {
    for (const auto& node : world.of(r::nodes)) {
        if (!condition_is(node, "Ready", "True") && !json::bool_at(node, "spec", "unschedulable").value_or(false)) raise(labels_of(node, "node"));
    }
}

void node_unreachable(const World& world, const Raise& raise) {
    for (const auto& node : world.of(r::nodes)) {
        for (const auto& taint : json::array_at(node, "spec", "taints")) {
            if (json::string_at(taint, "key") == "node.kubernetes.io/unreachable" && json::string_at(taint, "effect") == "NoSchedule")
                raise(labels_of(node, "node"));
        }
    }
}

void node_pressure(const World& world, const Raise& raise) {
    for (const auto& node : world.of(r::nodes)) {
        for (const std::string_view type : {"MemoryPressure", "DiskPressure", "PIDPressure"}) {
            if (!condition_is(node, type, "True")) continue;
            auto labels = labels_of(node, "node");
            labels["condition"] = type;
            raise(std::move(labels));
        }
    }
}

void hpa_maxed_out(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::horizontal_pod_autoscalers)) {
        const auto high = spec(each, "maxReplicas", 0);
        if (status(each, "currentReplicas") == high && spec(each, "minReplicas", 1) != high) raise(labels_of(each, "horizontalpodautoscaler"));
    }
}

void hpa_mismatch(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::horizontal_pod_autoscalers)) {
        const auto want = status(each, "desiredReplicas"), have = status(each, "currentReplicas");
        if (want != have && have < spec(each, "maxReplicas", 0) && have > spec(each, "minReplicas", 1))
            raise(labels_of(each, "horizontalpodautoscaler"));
    }
}

void job_failed(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::jobs)) {
        if (condition_is(each, "Failed", "True")) raise(labels_of(each, "job_name"));
    }
}

void pdb_not_healthy(const World& world, const Raise& raise) {
    for (const auto& each : world.of(r::pod_disruption_budgets)) {
        if (status(each, "desiredHealthy") > status(each, "currentHealthy")) raise(labels_of(each, "poddisruptionbudget"));
    }
}

/// A drain waits: one of the budget's pods is on a cordoned node and may not be evicted, though all are healthy.
void pdb_blocks(const World& world, const Raise& raise) {
    for (const auto& budget : world.of(r::pod_disruption_budgets)) {
        if (status(budget, "disruptionsAllowed") > 0 || status(budget, "expectedPods") == 0 ||
            status(budget, "currentHealthy") < status(budget, "desiredHealthy"))
            continue;
        for (const auto& pod : world.of(r::pods)) {
            if (kube::namespace_of(pod) != kube::namespace_of(budget) ||
                !kube::label_selector_matches(json::at(budget, "spec", "selector"), json::object_at(pod, "metadata", "labels")))
                continue;
            const auto on = json::string_at(pod, "spec", "nodeName");
            const bool waits = std::ranges::any_of(world.of(r::nodes), [&](const Value& node) {
                return kube::name_of(node) == on && json::bool_at(node, "spec", "unschedulable").value_or(false);
            });
            if (!waits) continue;
            auto labels = labels_of(budget, "poddisruptionbudget");
            labels["node"] = on;
            raise(std::move(labels));
            break;
        }
    }
}

void quota_blocks(const World& world, const Raise& raise) {
    for (const auto* kind : {&r::deployments}) {
        for (const auto& each : world.of(*kind)) {
            const auto failure = kube::condition_of(each, "ReplicaFailure");
            const bool quota =
                std::ranges::any_of(world.of(r::resource_quotas), [&](const Value& q) { return kube::namespace_of(q) == kube::namespace_of(each); });
            if (failure && failure->status == "True" && failure->reason == "FailedCreate" && quota) raise(labels_of(each, "deployment"));
        }
    }
}

void quota_used(const World& world, const Raise& raise, double from, double below) {
    for (const auto& quota : world.of(r::resource_quotas)) {
        for (const auto& [key, hard] : json::object_at(quota, "status", "hard")) {
            const double limit = kube::quantity_at(&hard).value_or(0),
                         used = kube::quantity_at(json::at(quota, "status", "used", std::string_view(key.data(), key.size()))).value_or(0);
            if (limit <= 0 || used / limit < from || used / limit >= below) continue;
            auto labels = labels_of(quota, "resourcequota");
            labels["resource"] = std::string(key);
            raise(std::move(labels));
        }
    }
}
void quota_almost_full(const World& world, const Raise& raise) { quota_used(world, raise, 0.9, 1.0); }
void quota_fully_used(const World& world, const Raise& raise) { quota_used(world, raise, 1.0, 1.000001); }
void quota_exceeded(const World& world, const Raise& raise) { quota_used(world, raise, 1.000001, 1e9); }

void access_denied(const World& world, const Raise& raise) {
    const auto series = world.metrics->query("workload_access_denied", {}, world.now, world.now, 1s);
    if (!series) return;
    for (const auto& each : *series) {
        if (each.samples.back().value < 1) continue;
        raise(LabelSet(each.labels.begin(), each.labels.end()));
    }
}

/// Bytes a second by the last stretch of samples, when they rise steadily; 0 otherwise.
double growth(const World& world, std::string_view name, const Labels& match, Duration window) {
    const auto series = world.metrics->query(name, match, world.now - window, world.now, window / 20);
    if (!series || series->empty() || series->front().samples.size() < 10) return 0;
    const auto& samples = series->front().samples;
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, rises = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const double x = std::chrono::duration<double>(samples[i].at - samples.front().at).count(), y = samples[i].value;
        n += 1, sx += x, sy += y, sxx += x * x, sxy += x * y;
        rises += i > 0 && y > samples[i - 1].value ? 1 : 0;
    }
    const double spread = n * sxx - sx * sx;
    return spread <= 0 || rises < 0.8 * (n - 1) ? 0 : (n * sxy - sx * sy) / spread;
}

void memory_exhaustion(const World& world, const Raise& raise) {
    const auto usage = world.metrics->query("container_memory_working_set_bytes", {}, world.now, world.now, 1s);
    if (!usage) return;
    for (const auto& each : *usage) {
        const double limit = world.metrics->value("container_spec_memory_limit_bytes", each.labels, world.now).value_or(0),
                     used = each.samples.back().value;
        if (limit <= 0 || used < limit * 0.3) continue;
        const double rate = growth(world, "container_memory_working_set_bytes", each.labels, 10min);
        if (rate <= limit * 1e-5 || (limit - used) / rate > 3600) continue;
        LabelSet labels(each.labels.begin(), each.labels.end());
        labels.erase("node");
        raise(std::move(labels));
    }
}

void volume_rule(const World& world, const Raise& raise, const std::function<bool(double free_ratio, double seconds_left)>& bad) {
    const auto used = world.metrics->query("kubelet_volume_stats_used_bytes", {}, world.now, world.now, 1s);
    if (!used) return;
    for (const auto& each : *used) {
        const double capacity = world.metrics->value("kubelet_volume_stats_capacity_bytes", each.labels, world.now).value_or(0);
        if (capacity <= 0) continue;
        const double free = capacity - each.samples.back().value;
        const double rate = growth(world, "kubelet_volume_stats_used_bytes", each.labels, 10min);
        if (bad(free / capacity, rate > 0 ? free / rate : 1e18)) raise(LabelSet(each.labels.begin(), each.labels.end()));
    }
}
void volume_filling(const World& world, const Raise& raise) {
    volume_rule(world, raise, [](double free, double left) { return free < 0.03 || (free < 0.15 && left < 4 * 86400.0); });
}
void volume_runway(const World& world, const Raise& raise) {
    volume_rule(world, raise, [](double, double left) { return left < 96 * 3600.0; });
}

void no_endpoints(const World& world, const Raise& raise) {
    for (const auto& service : world.of(r::services)) {
        if (json::object_at(service, "spec", "selector").empty()) continue;
        bool any = false;
        for (const auto& slice : world.of(r::endpoint_slices)) {
            if (kube::namespace_of(slice) != kube::namespace_of(service) ||
                kube::label_of(slice, "kubernetes.io/service-name") != kube::name_of(service))
                continue;
            for (const auto& endpoint : json::array_at(slice, "endpoints"))
                any = any || json::bool_at(endpoint, "conditions", "ready").value_or(true);
        }
        if (!any) raise(labels_of(service, "service"));
    }
}

void failed_pods(const World& world, const Raise& raise) {
    std::map<std::string, int> count;
    for (const auto& pod : world.of(r::pods)) {
        const auto owner = kube::controller_of(pod);
        if (json::string_at(pod, "status", "phase") == "Failed" && !(owner && owner->kind == "Job")) ++count[text(kube::namespace_of(pod))];
    }
    for (const auto& [ns, n] : count) {
        if (n >= 5) raise({{"namespace", ns}});
    }
}

struct Rule {
    std::string_view name, severity;
    Duration hold;    // `for`
    Duration sticky;  // keeps true this long after the last time it was (max_over_time)
    void (*evaluate)(const World&, const Raise&);
    std::vector<const kube::Resource*> reads;
};

const std::vector<Rule>& rules() {
    static const std::vector<Rule> all{
        {"KubePodCrashLooping", "warning", 15min, 5min, crash_looping, {&r::pods}},
        {"KubePodNotReady", "warning", 15min, 0s, pod_not_ready, {&r::pods}},
        {"KubeDeploymentReplicasMismatch", "warning", 15min, 0s, deployment_mismatch, {&r::deployments}},
        {"KubeDeploymentRolloutStuck", "warning", 15min, 0s, rollout_stuck, {&r::deployments}},
        {"KubeStatefulSetReplicasMismatch", "warning", 15min, 0s, stateful_set_mismatch, {&r::stateful_sets}},
        {"KubeStatefulSetUpdateNotRolledOut", "warning", 15min, 0s, stateful_set_not_rolled_out, {&r::stateful_sets}},
        {"KubeDaemonSetRolloutStuck", "warning", 15min, 0s, daemon_set_stuck, {&r::daemon_sets}},
        {"KubeDaemonSetNotScheduled", "warning", 10min, 0s, daemon_set_not_scheduled, {&r::daemon_sets}},
        {"KubeDaemonSetMisScheduled", "warning", 15min, 0s, daemon_set_misscheduled, {&r::daemon_sets}},
        {"KubeContainerWaiting", "warning", 1h, 0s, container_waiting, {&r::pods}},
        {"ImagePullFailing", "warning", 5min, 0s, image_pull_failing, {&r::pods}},
        {"ContainerOOMKilled", "warning", 0s, 0s, oom_killed, {&r::pods}},
        {"PodUnschedulable", "warning", 5min, 0s, unschedulable, {&r::pods}},
        {"KubeNodeNotReady", "warning", 15min, 0s, node_not_ready, {&r::nodes}},
        {"KubeNodeUnreachable", "warning", 15min, 0s, node_unreachable, {&r::nodes}},
        {"KubeNodePressure", "info", 10min, 0s, node_pressure, {&r::nodes}},
        {"KubeHpaMaxedOut", "warning", 15min, 0s, hpa_maxed_out, {&r::horizontal_pod_autoscalers}},
        {"KubeHpaReplicasMismatch", "warning", 15min, 0s, hpa_mismatch, {&r::horizontal_pod_autoscalers}},
        {"KubeJobFailed", "warning", 15min, 0s, job_failed, {&r::jobs}},
        {"KubePdbNotEnoughHealthyPods", "warning", 15min, 0s, pdb_not_healthy, {&r::pod_disruption_budgets}},
        {"PdbBlocksEviction", "warning", 10min, 0s, pdb_blocks, {&r::pod_disruption_budgets, &r::pods, &r::nodes}},
        {"QuotaBlocksCreate", "warning", 5min, 0s, quota_blocks, {&r::deployments, &r::resource_quotas}},
        {"KubeQuotaAlmostFull", "info", 15min, 0s, quota_almost_full, {&r::resource_quotas}},
        {"KubeQuotaFullyUsed", "info", 15min, 0s, quota_fully_used, {&r::resource_quotas}},
        {"KubeQuotaExceeded", "warning", 15min, 0s, quota_exceeded, {&r::resource_quotas}},
        {"RbacDenied", "warning", 5min, 0s, access_denied, {}},
        {"MemoryExhaustionPredicted", "warning", 2min, 0s, memory_exhaustion, {}},
        {"KubePersistentVolumeFillingUp", "warning", 1min, 0s, volume_filling, {}},
        {"VolumeRunwayShort", "warning", 5min, 0s, volume_runway, {}},
        {"ServiceWithoutEndpoints", "warning", 5min, 0s, no_endpoints, {&r::services, &r::endpoint_slices}},
        {"FailedPodsPiledUp", "info", 10min, 0s, failed_pods, {&r::pods}},
    };
    return all;
}

}  // namespace

json::Value Alert::to_json() const {
    json::Object label_object, annotation_object;
    std::string identity;
    for (const auto& [key, value] : labels) {
        label_object[key] = value;
        identity += key + "\xff" + value + "\xff";
    }
    for (const auto& [key, value] : annotations) annotation_object[key] = value;
    return json::Object{{"status", ends_at ? "resolved" : "firing"},
                        {"labels", std::move(label_object)},
                        {"annotations", std::move(annotation_object)},
                        {"startsAt", format_rfc3339(starts_at)},
                        {"endsAt", ends_at ? format_rfc3339(*ends_at) : "0001-01-01T00:00:00Z"},
                        {"generatorURL", "http://prometheus.example/graph"},
                        {"fingerprint", to_hex(sha256(identity)).substr(0, 16)}};
}

struct AlertFeed::State {
    struct Active {
        Alert alert;
        Instant since{}, last{};
        bool firing = false;
    };
    std::shared_ptr<kube::Client> client;
    std::shared_ptr<const Metrics> metrics;
    std::string cluster;
    std::optional<Duration> hold;
    std::set<std::string> names, namespaces;
    std::map<std::string, Active> active;  // by alert name and labels
};

AlertFeed::AlertFeed(std::shared_ptr<kube::Client> client, std::shared_ptr<const Metrics> metrics, std::string cluster, std::optional<Duration> hold)
    : state_(std::make_unique<State>()) {
    state_->client = std::move(client);
    state_->metrics = std::move(metrics);
    state_->cluster = std::move(cluster);
    state_->hold = hold;
}
AlertFeed::~AlertFeed() = default;

void AlertFeed::limit(std::set<std::string> names, std::set<std::string> namespaces) {
    state_->names = std::move(names);
    state_->namespaces = std::move(namespaces);
}

async::Task<Result<std::vector<Alert>>> AlertFeed::evaluate(Deadline deadline) {
    State& s = *state_;
    World world;
    world.metrics = s.metrics.get();
    std::vector<const Rule*> chosen;
    for (const auto& rule : rules()) {
        if (s.names.empty() || s.names.contains(std::string(rule.name))) chosen.push_back(&rule);
    }
    for (const auto* rule : chosen) {
        for (const auto* resource : rule->reads) {
            if (world.objects.contains(resource->kind_group())) continue;
            KN_CO_TRY(auto list, co_await s.client->list(*resource, {}, {}, deadline));
            world.objects[resource->kind_group()] = std::move(list.items);
        }
    }
    world.now = s.client->clock().now();
    for (const auto* rule : chosen) {
        if (s.metrics == nullptr && rule->reads.empty()) continue;
        rule->evaluate(world, [&](LabelSet labels) {
            const auto ns = labels.find("namespace");
            if (!s.namespaces.empty() && ns != labels.end() && !s.namespaces.contains(ns->second)) return;
            labels["alertname"] = rule->name;
            labels["severity"] = rule->severity;
            labels["cluster"] = s.cluster;
            std::string key;
            for (const auto& [name, value] : labels) key += name + "=" + value + "\n";
            auto& active = s.active[key];
            if (active.since == Instant{}) {
                active.since = world.now;
                active.alert.name = rule->name;
                active.alert.labels = std::move(labels);
                active.alert.annotations["summary"] = std::string(rule->name) + " in the simulated cluster " + s.cluster;
            }
            active.last = world.now;
        });
    }
    std::vector<Alert> changes;
    for (auto it = s.active.begin(); it != s.active.end();) {
        auto& active = it->second;
        const auto rule = std::ranges::find(rules(), active.alert.name, [](const Rule& each) { return std::string(each.name); });
        if (world.now - active.last > rule->sticky) {
            if (active.firing) {
                active.alert.ends_at = world.now;
                changes.push_back(active.alert);
            }
            it = s.active.erase(it);
            continue;
        }
        const Duration hold = s.hold ? std::min(*s.hold, rule->hold) : rule->hold;
        if (!active.firing && world.now - active.since >= hold) {
            active.firing = true;
            active.alert.starts_at = world.now;
            changes.push_back(active.alert);
        }
        ++it;
    }
    co_return changes;
}

std::vector<Alert> AlertFeed::firing() const {
    std::vector<Alert> out;
    for (const auto& [key, active] : state_->active) {
        if (active.firing) out.push_back(active.alert);
    }
    return out;
}

json::Value webhook_body(const std::vector<Alert>& alerts, std::string_view receiver) {
    json::Array list;
    bool firing = false;
    std::map<std::string, std::string> common;
    for (const auto& alert : alerts) {
        firing = firing || !alert.ends_at;
        if (list.empty()) common = alert.labels;
        std::erase_if(common, [&](const auto& label) {
            const auto found = alert.labels.find(label.first);
            return found == alert.labels.end() || found->second != label.second;
        });
        list.push_back(alert.to_json());
    }
    json::Object common_labels, group_labels;
    for (const auto& [key, value] : common) common_labels[key] = value;
    if (const auto name = common.find("alertname"); name != common.end()) group_labels["alertname"] = name->second;
    const std::string group = "{}:" + json::dump(group_labels);
    return json::Object{{"version", "4"},
                        {"groupKey", group},
                        {"truncatedAlerts", 0},
                        {"status", firing ? "firing" : "resolved"},
                        {"receiver", receiver},
                        {"groupLabels", std::move(group_labels)},
                        {"commonLabels", std::move(common_labels)},
                        {"commonAnnotations", json::Object{}},
                        {"externalURL", "http://alertmanager.example"},
                        {"alerts", std::move(list)}};
}

std::vector<std::string> known_alerts() {
    std::vector<std::string> out;
    for (const auto& rule : rules()) out.emplace_back(rule.name);
    return out;
}

}  // namespace kn::sim
