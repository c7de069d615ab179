// Families sched, node, claim/volume and quota: what the cluster gives the target.
#include <algorithm>
#include <cmath>
#include <set>

#include "evidence/facts/sink.hpp"
#include "evidence/sched.hpp"
#include "evidence/template_diff.hpp"
#include "has.hpp"

namespace kn::decision {
namespace {

using json::string_at;
using json::Value;

double seconds(Duration d) { return static_cast<double>(d.count()) / 1000.0; }

std::optional<bool> condition_is(const Value& object, std::string_view type, std::string_view status) {
    const auto condition = kube::condition_of(object, type);
    return condition ? std::optional(condition->status == status) : std::nullopt;
}

bool event_about(const FactInput& in, std::string_view reason, std::string_view kind, std::string_view name) {
    return std::ranges::any_of(in.snapshot.events, [&](const SeenEvent& e) {
        return e.reason == reason && e.kind == kind && (name.empty() || e.name == name) && in.now() - e.last <= 15min;
    });
}

std::optional<double> last_value(const FactInput& in, std::string_view name, std::string_view subject) {
    for (const auto& series : in.snapshot.series) {
        if (series.name == name && series.subject == subject && !series.samples.empty() &&
            in.now() - series.samples.back().at <= in.options.metric_age) {
            return series.samples.back().value;
        }
    }
    return std::nullopt;
}

/// Hours until a falling series reaches zero, by Theil-Sen slope; nullopt when it does not fall significantly or is too short.
std::optional<double> hours_to_zero(const FactInput& in, std::string_view name, std::string_view subject) {
    for (const auto& series : in.snapshot.series) {
        if (series.name != name || series.subject != subject) continue;
        const auto& samples = series.samples;
        const std::size_t n = samples.size();
        if (n < 12) return std::nullopt;
        const std::size_t step = std::max<std::size_t>(1, n / 120);
        std::vector<double> slopes;
        double s = 0;
        std::size_t used = 0;
        for (std::size_t i = 0; i < n; i += step) {
            ++used;
            for (std::size_t j = i + step; j < n; j += step) {
                const double dt = seconds(samples[j].at - samples[i].at);
                const double dv = samples[j].value - samples[i].value;
                if (dt > 0) slopes.push_back(dv / dt);
                s += (dv > 0) - (dv < 0);
            }
        }
        const double count = static_cast<double>(used);
        const double z = (s + 1) / std::sqrt(count * (count - 1) * (2 * count + 5) / 18);
        if (slopes.empty() || z > -2.33) return std::nullopt;
        std::ranges::nth_element(slopes, slopes.begin() + static_cast<std::ptrdiff_t>(slopes.size() / 2));
        const double slope = slopes[slopes.size() / 2];
        if (slope >= 0) return std::nullopt;
        return samples.back().value / -slope / 3600;
    }
    return std::nullopt;
}

void claim_facts(const FactInput& in, const Value& claim, FactSink& sink) {
    const auto name = kube::name_of(claim);
    const auto phase = string_at(claim, "status", "phase");
    sink.text("claim.name", name);
    sink.truth("claim.pending", phase == "Pending" || phase.empty());
    sink.truth("claim.lost", phase == "Lost");
    sink.truth("claim.ever_bound", !string_at(claim, "spec", "volumeName").empty());
    if (const auto created = kube::creation_time(claim)) {
        sink.truth("claim.pending_long", (phase == "Pending" || phase.empty()) && in.now() - *created > in.ages().pvc_pending);
    }
    std::vector<std::string> defaults;
    const Value* of_claim = nullptr;
    const auto* wanted = json::at(claim, "spec", "storageClassName");
    const std::string_view class_name = wanted != nullptr && wanted->is_string() ? json::view(wanted->get_string()) : std::string_view{};
    for (const auto& item : in.snapshot.storage_classes.items) {
        if (kube::annotation_of(*item, "storageclass.kubernetes.io/is-default-class") == "true" ||
            kube::annotation_of(*item, "storageclass.beta.kubernetes.io/is-default-class") == "true") {
            defaults.emplace_back(kube::name_of(*item));
        }
        if (!class_name.empty() && kube::name_of(*item) == class_name) of_claim = item.get();
    }
    std::ranges::sort(defaults);
    if (!in.snapshot.storage_classes.known) {
        sink.truth("claim.class_missing", std::nullopt);
    } else {
        // An empty name that is written down asks for a volume without a class; only a missing one asks for the default.
        const bool missing = !class_name.empty() ? of_claim == nullptr : (wanted == nullptr || wanted->is_null()) && defaults.empty();
        sink.truth("claim.class_missing", missing);
        sink.value("claim.default_classes", static_cast<std::int64_t>(defaults.size()));
        if (defaults.size() == 1) sink.text("claim.default_class", defaults.front());
        sink.truth("claim.one_default_class", defaults.size() == 1);
        if (of_claim != nullptr) {
            sink.truth("claim.expandable", json::bool_at(*of_claim, "allowVolumeExpansion").value_or(false));
            sink.truth("claim.waits_for_consumer", string_at(*of_claim, "volumeBindingMode") == "WaitForFirstConsumer");
        }
    }
    sink.text("claim.class", class_name);
    const auto expanded = in.snapshot.done_24h.find("expand-volume");
    FactSink(in.facts, "history", in.now()).value("history.expansions_24h", expanded == in.snapshot.done_24h.end() ? 0 : expanded->second);
    sink.truth("claim.provisioning_failed",
               in.snapshot.events_known ? std::optional(event_about(in, "ProvisioningFailed", "PersistentVolumeClaim", name)) : std::nullopt);
    sink.truth("claim.resizing",
               condition_is(claim, "Resizing", "True").value_or(false) || condition_is(claim, "FileSystemResizePending", "True").value_or(false));
    const auto asked = kube::quantity_at(json::at(claim, "spec", "resources", "requests", "storage"));
    if (asked) sink.value("claim.size_bytes", *asked);
    // A mounted claim, its use from metrics.
    FactSink metric(in.facts, "metric:kubelet_volume_stats", in.now());
    const auto subject = std::string{name};
    const auto available = last_value(in, "volume_available", subject), capacity = last_value(in, "volume_capacity", subject);
    if (available && capacity && *capacity > 0) {
        const double used = 1 - *available / *capacity;
        metric.value("volume.used_ratio", used);
        metric.truth("volume.nearly_full", used > 0.85);
        const auto hours = hours_to_zero(in, "volume_available", subject);
        if (hours) metric.value("volume.full_in_h", *hours);
        metric.truth("volume.full_soon", hours && *hours <= 96);
    } else {
        metric.truth("volume.nearly_full", std::nullopt);
        metric.truth("volume.full_soon", std::nullopt);
    }
    const auto inodes = last_value(in, "volume_inodes", subject), inodes_free = last_value(in, "volume_inodes_free", subject);
    metric.truth("volume.inodes_short", inodes && inodes_free && *inodes > 0 ? std::optional(*inodes_free / *inodes < 0.15) : std::nullopt);
}

}  // namespace

void sched_facts(const FactInput& in) {
    FactSink pods(in.facts, in.snapshot.pods.source, in.snapshot.pods.at);
    const PodView* pending = nullptr;
    for (const auto& pod : in.model.pods) {
        if (!pod.node.empty() || pod.finished) continue;
        const bool says_so = pod.unschedulable || event_about(in, "FailedScheduling", "Pod", pod.name);
        if (says_so && (pending == nullptr || pod.name < pending->name)) pending = &pod;
    }
    pods.truth("pod.unschedulable", in.snapshot.pods.known ? std::optional(pending != nullptr) : std::nullopt);
    if (pending == nullptr) return;
    pods.text("pod.unschedulable_name", pending->name);
    const auto result = check_feasibility(*pending->object, in.snapshot);
    FactSink sink(in.facts, "sched", std::min(in.snapshot.nodes.at, in.snapshot.all_pods.at));
    if (!result.known) {
        for (const auto* name : {"sched.fits_now", "sched.only_resources", "sched.only_taint", "sched.only_affinity", "sched.only_volume"})
            sink.truth(name, std::nullopt);
        return;
    }
    const auto only = [&](Blocker b) { return result.only.contains(b); };
    const bool taint = only(Blocker::taint), resources = only(Blocker::resources);
    sink.truth("sched.fits_now", result.fits_now > 0);
    sink.truth("sched.only_taint", taint && result.fits_now == 0);
    // A stray taint on a node with room explains more than full nodes do: without it the pod would run.
    sink.truth("sched.only_resources", resources && !taint && result.fits_now == 0);
    sink.truth("sched.only_affinity", only(Blocker::affinity) && !resources && !taint && result.fits_now == 0);
    sink.truth("sched.only_volume", only(Blocker::volume) && !only(Blocker::affinity) && !resources && !taint && result.fits_now == 0);
    sink.truth("sched.only_cordon", only(Blocker::cordon) && !resources && !taint && result.fits_now == 0);
    sink.truth("sched.only_not_ready", only(Blocker::not_ready) && !resources && !taint && result.fits_now == 0);
    sink.truth("sched.fits_empty_node", result.fits_empty_node);
    sink.text("sched.short_resource", result.short_resource);
    if (!result.stray_taints.empty()) {
        const auto& first = *result.stray_taints.begin();
        sink.text("sched.taint_node", first.node);
        sink.text("sched.taint_key", first.key);
        sink.text("sched.taint_effect", first.effect);
        std::set<std::string> keys;
        for (const auto& t : result.stray_taints) keys.insert(t.key);
        sink.truth("sched.one_taint", keys.size() == 1);
    }
    FactSink events(in.facts, "event", in.now());
    events.truth("sched.autoscaler_acts", event_about(in, "TriggeredScaleUp", "Pod", {}));
}

void node_facts(const FactInput& in) {
    if (in.model.kind != "Node") return;
    const auto& node = in.snapshot.object;
    FactSink sink(in.facts, node.source, node.at, std::string{kube::resource_version_of(node.object)});
    if (node.seen != Seen::present) return;
    const auto name = kube::name_of(node.object);
    const auto ready = kube::condition_of(node.object, "Ready");
    sink.truth("node.not_ready", ready ? std::optional(ready->status != "True") : std::nullopt);
    if (ready && ready->last_transition) {
        sink.truth("node.not_ready_long", ready->status != "True" && in.now() - *ready->last_transition >= in.ages().node_not_ready);
        sink.value("node.not_ready_s", ready->status == "True" ? 0.0 : seconds(in.now() - *ready->last_transition));
    }
    sink.truth("node.cordoned", json::bool_at(node.object, "spec", "unschedulable").value_or(false));
    const auto condition = [&](std::string_view fact, std::string_view type) {
        const auto found = kube::condition_of(node.object, type);
        sink.truth(fact,
                   found && found->status != "Unknown" ? std::optional(found->status == "True") : (found ? std::nullopt : std::optional(false)));
    };
    condition("node.memory_pressure", "MemoryPressure");
    condition("node.disk_pressure", "DiskPressure");
    condition("node.pid_pressure", "PIDPressure");
    bool oom = false;
    std::int64_t fell = 0;
    for (const auto& event : in.snapshot.events) {
        if (event.reason == "NodeNotReady" && event.kind == "Node" && in.now() - event.last <= 15min) fell += event.count;
    }
    FactSink(in.facts, "event", in.now()).truth("node.flaps", in.snapshot.events_known ? std::optional(fell > 2) : std::nullopt);
    for (const auto& event : in.snapshot.events) oom = oom || (event.reason == "SystemOOM" && event.kind == "Node" && in.now() - event.last <= 10min);
    FactSink(in.facts, "event", in.now()).truth("node.system_oom", in.snapshot.events_known ? std::optional(oom) : std::nullopt);

    FactSink lease(in.facts, in.snapshot.leases.source, in.snapshot.leases.at);
    std::optional<bool> stale, peers;
    for (const auto& item : in.snapshot.leases.items) {
        const auto renewed = kube::time_at(*item, "spec", "renewTime");
        if (!renewed) continue;
        const bool old = in.now() - *renewed > in.ages().lease_stale;
        if (kube::name_of(*item) == name)
            stale = old;
        else
            peers = peers.value_or(false) || !old;
    }
    // No Lease at all: the node never renewed, or the kubelet does not use them.
    lease.truth("node.lease_stale", in.snapshot.leases.known ? stale : std::nullopt);
    lease.truth("node.peers_renew", in.snapshot.leases.known ? peers : std::nullopt);
    FactSink nodes(in.facts, in.snapshot.nodes.source, in.snapshot.nodes.at);
    if (in.snapshot.nodes.known) {
        double not_ready = 0, total = 0, draining = 0;
        for (const auto& item : in.snapshot.nodes.items) {
            total += 1;
            const auto c = kube::condition_of(*item, "Ready");
            if (!c || c->status != "True") not_ready += 1;
            if (kube::name_of(*item) != name && json::bool_at(*item, "spec", "unschedulable").value_or(false) &&
                !kube::annotation_of(*item, "kubernaut.io/cordoned-by").empty()) {
                draining += 1;
            }
        }
        nodes.value("node.not_ready_ratio", total > 0 ? not_ready / total : 0);
        // One node of one or two is always more than 30 %: what counts is that most others answer.
        nodes.truth("node.many_not_ready", total > 0 && not_ready / total > 0.30 && not_ready > 1);
        nodes.truth("node.only_one", total <= 1);
        nodes.truth("node.other_drain", draining > 0);
    } else {
        nodes.truth("node.many_not_ready", std::nullopt);
    }
    if (in.snapshot.pods.known) {
        const auto* allocatable = json::at(node.object, "status", "allocatable", "pods");
        const auto limit = kube::quantity_at(allocatable != nullptr ? allocatable : json::at(node.object, "status", "capacity", "pods"));
        std::int64_t running = 0, emptydir = 0, failed = 0, evictable = 0;
        for (const auto& pod : in.model.pods) {
            if (pod.phase == "Failed") ++failed;
            if (pod.finished) continue;
            ++running;
            const auto owner = kube::controller_of(*pod.object);
            const bool bound_to_node = (owner && (owner->kind == "DaemonSet" || owner->kind == "Node")) ||
                                       !kube::annotation_of(*pod.object, "kubernetes.io/config.mirror").empty();
            if (!bound_to_node) ++evictable;
            for (const Value& volume : json::array_at(*pod.object, "spec", "volumes")) {
                if (json::at(volume, "emptyDir") != nullptr && string_at(volume, "emptyDir", "medium") != "Memory") {
                    ++emptydir;
                    break;
                }
            }
        }
        FactSink pods(in.facts, in.snapshot.pods.source, in.snapshot.pods.at);
        pods.value("node.pods", running);
        pods.value("node.failed_pods", failed);
        pods.value("node.emptydir_pods", emptydir);
        pods.truth("node.has_evictable", evictable > 0);
        pods.truth("node.full_of_pods", limit ? std::optional(*limit > 1 && static_cast<double>(running) > 0.95 * *limit) : std::nullopt);
    }
}

void storage_facts(const FactInput& in) {
    FactSink sink(in.facts, in.snapshot.claims.source, in.snapshot.claims.at);
    if (in.model.kind == "PersistentVolumeClaim") {
        if (in.snapshot.object.seen != Seen::present) return;
        FactSink own(in.facts, in.snapshot.object.source, in.snapshot.object.at, std::string{kube::resource_version_of(in.snapshot.object.object)});
        claim_facts(in, in.snapshot.object.object, own);
        return;
    }
    if (!in.snapshot.claims.known) {
        sink.truth("claim.pending", std::nullopt);
        return;
    }
    // Of a workload: the first claim of its pods that is not bound, by name.
    const Value* chosen = nullptr;
    for (const auto& claim : in.snapshot.claims.items) {
        const auto phase = string_at(*claim, "status", "phase");
        if (phase == "Bound") continue;
        const bool used = std::ranges::any_of(in.model.pods, [&](const PodView& pod) {
            const auto* spec = json::at(*pod.object, "spec");
            return spec != nullptr && !pod.finished && has(claims_of(*spec), kube::name_of(*claim));
        });
        if (used && (chosen == nullptr || kube::name_of(*claim) < kube::name_of(*chosen))) chosen = claim.get();
    }
    if (chosen == nullptr) {
        sink.truth("claim.pending", false);
        sink.truth("claim.lost", false);
        sink.truth("claim.class_missing", false);
        return;
    }
    claim_facts(in, *chosen, sink);
}

void quota_facts(const FactInput& in) {
    FactSink sink(in.facts, in.snapshot.quotas.source, in.snapshot.quotas.at);
    const bool is_quota = in.model.kind == "ResourceQuota";
    // Are creations refused?
    std::optional<bool> failing;
    if (in.snapshot.object.seen == Seen::present && !is_quota) {
        const auto condition = kube::condition_of(in.snapshot.object.object, "ReplicaFailure");
        failing = condition && condition->status == "True";
    }
    for (const auto& item : in.snapshot.revisions.items) {
        if (const auto condition = kube::condition_of(*item, "ReplicaFailure");
            condition && condition->status == "True" && condition->reason == "FailedCreate") {
            failing = true;
        }
    }
    for (const auto& event : in.snapshot.events) {
        if (event.reason == "FailedCreate" && in.now() - event.last <= 5min) failing = true;
    }
    FactSink(in.facts, in.snapshot.object.source, in.snapshot.object.at).truth("create.failing", failing);
    if (!in.snapshot.quotas.known) {
        sink.truth("quota.exceeded", std::nullopt);
        return;
    }
    // What one more pod needs, in the words of quotas.
    std::map<std::string, double> need;
    if (const auto* spec = in.model.pod_spec(); spec != nullptr && !is_quota) {
        for (const auto& [name, amount] : requests_of(*spec)) {
            need["requests." + name] = amount;
            if (name == "cpu" || name == "memory") need[name] = amount;
        }
        for (const Value& c : json::array_at(*spec, "containers")) {
            for (const auto& member : json::object_at(c, "resources", "limits")) {
                need["limits." + std::string{member.key()}] += kube::quantity_at(&member.value()).value_or(0);
            }
        }
        need["pods"] = 1;
        need["count/pods"] = 1;
    }
    bool exceeded = false, full = false;
    std::string quota, resource;
    double used_value = 0, hard_value = 0, need_value = 0;
    std::vector<kube::ObjectPtr> quotas = in.snapshot.quotas.items;
    std::ranges::sort(quotas, {}, [](const kube::ObjectPtr& q) { return std::string{kube::name_of(*q)}; });
    for (const auto& item : quotas) {
        if (is_quota && kube::name_of(*item) != in.snapshot.target.key.name) continue;
        const auto& hard =
            json::at(*item, "status", "hard") != nullptr ? json::object_at(*item, "status", "hard") : json::object_at(*item, "spec", "hard");
        std::set<std::string> names;
        for (const auto& member : hard) names.emplace(member.key());
        for (const auto& name : names) {
            const auto limit = kube::quantity_at(hard.if_contains(name)).value_or(0);
            const auto used = kube::quantity_at(json::at(*item, "status", "used", name)).value_or(0);
            const auto wanted = need.find(name);
            const bool over = wanted != need.end() && wanted->second > 0 && used + wanted->second > limit * (1 + 1e-9);
            const bool at_limit = limit > 0 && used >= 0.999 * limit;
            if ((over && !exceeded) || (at_limit && !exceeded && !full)) {
                quota = kube::name_of(*item);
                resource = name;
                used_value = used;
                hard_value = limit;
                need_value = wanted == need.end() ? 0 : wanted->second;
            }
            exceeded = exceeded || over;
            full = full || at_limit;
        }
    }
    sink.truth("quota.exceeded", exceeded);
    sink.truth("quota.full", full);
    if (exceeded || full) {
        sink.text("quota.name", quota);
        sink.text("quota.resource", resource);
        sink.value("quota.used", used_value);
        sink.value("quota.hard", hard_value);
        sink.value("quota.need", need_value);
    }
}

}  // namespace kn::decision
