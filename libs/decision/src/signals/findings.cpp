#include "signals/findings.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "evidence/model.hpp"
#include "evidence/reader.hpp"
#include "evidence/template_diff.hpp"
#include "has.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::decision {
namespace {

namespace r = kube::resources;
using json::Value;

constexpr int piled_up = 5;  // failed pods of one namespace that are worth a word

struct Scan {
    ports::ClusterGateway& gateway;
    const ClusterId& cluster;
    const DecisionOptions& options;
    Instant now;
    std::vector<Finding> out;

    std::vector<kube::ObjectPtr> all(const kube::Resource& resource) const {
        const auto cache = gateway.cache(cluster, resource);
        return cache != nullptr && cache->synced() ? cache->list() : std::vector<kube::ObjectPtr>{};
    }
    ObjectKey key(const kube::Resource& resource, const Value& object) const {
        return {cluster, std::string{kube::namespace_of(object)}, resource.kind, resource.group, std::string{kube::name_of(object)}};
    }
    void add(std::string name, ObjectKey object, std::string container = {}, Duration must_last = 0ms, Severity severity = Severity::warning,
             SignalSource source = SignalSource::watch) {
        out.push_back({std::move(name), std::move(object), std::move(container), severity, source, must_last});
    }

    void pods() {
        std::map<std::string, int> failed;
        for (const auto& item : all(r::pods)) {
            const auto pod = pod_view(*item);
            if (pod.deleting) {
                if (pod.deleted_at && now - *pod.deleted_at > options.ages.terminating) add("PodStuckTerminating", key(r::pods, *item));
                continue;
            }
            if (pod.phase == "Failed") {
                const auto owner = kube::controller_of(*item);
                const auto since = pod.ready_changed ? pod.ready_changed : pod.created;
                if (!(owner && owner->kind == "Job") && since && now - *since >= options.ages.litter) ++failed[pod.ns];
            }
            if (pod.finished) continue;
            if (pod.unschedulable && pod.created && now - *pod.created > 30s) add("PodUnschedulable", key(r::pods, *item));
            for (const auto& c : pod.containers) {
                const bool oom = c.last && c.last->reason == "OOMKilled" && c.last->finished && now - *c.last->finished < 5min && !c.ready;
                if (is_image_waiting(c))
                    add("ImagePullFailing", key(r::pods, *item), c.name, 30s);
                else if (c.waiting == "CreateContainerConfigError")
                    add("KubeContainerWaiting", key(r::pods, *item), c.name, 30s);
                else if (oom && c.restarts >= 1)
                    add("ContainerOOMKilled", key(r::pods, *item), c.name);
                else if (is_crashing(pod, c, now))
                    add("KubePodCrashLooping", key(r::pods, *item), c.name, c.restarts >= 3 ? 0s : 30s);
            }
        }
        for (const auto& [ns, count] : failed) {
            if (count >= piled_up) add("FailedPodsPiledUp", {cluster, "", "Namespace", "", ns}, {}, 0ms, Severity::info);
        }
    }
    void workloads() {
        for (const auto& item : all(r::deployments)) {
            const auto progressing = kube::condition_of(*item, "Progressing");
            if (progressing && progressing->status == "False" && progressing->reason == "ProgressDeadlineExceeded")
                add("KubeDeploymentRolloutStuck", key(r::deployments, *item));
            const auto failure = kube::condition_of(*item, "ReplicaFailure");
            if (failure && failure->status == "True" && failure->reason == "FailedCreate")
                add("QuotaBlocksCreate", key(r::deployments, *item), {}, 20s);
        }
        for (const auto& item : all(r::daemon_sets)) {
            if (json::int_at(*item, "status", "numberMisscheduled").value_or(0) > 0) {
                add("KubeDaemonSetMisScheduled", key(r::daemon_sets, *item), {}, options.ages.misscheduled);
            }
        }
        for (const auto& item : all(r::jobs)) {
            const auto failed = kube::condition_of(*item, "Failed");
            if (failed && failed->status == "True" && failed->last_transition && now - *failed->last_transition < 1h)
                add("KubeJobFailed", key(r::jobs, *item));
        }
        for (const auto& item : all(r::horizontal_pod_autoscalers)) {
            const auto limited = kube::condition_of(*item, "ScalingLimited");
            const auto current = json::int_at(*item, "status", "currentReplicas"), max = json::int_at(*item, "spec", "maxReplicas");
            if (limited && limited->status == "True" && limited->reason == "TooManyReplicas" && current && max && *current >= *max) {
                add("KubeHpaMaxedOut", key(r::horizontal_pod_autoscalers, *item), {}, options.ages.hpa_maxed);
            }
        }
    }
    void nodes() {
        for (const auto& item : all(r::nodes)) {
            const auto ready = kube::condition_of(*item, "Ready");
            if (ready && ready->status != "True") {
                add("KubeNodeNotReady", key(r::nodes, *item), {}, 0ms, Severity::critical);
                continue;
            }
            for (const auto* type : {"MemoryPressure", "DiskPressure", "PIDPressure"}) {
                const auto condition = kube::condition_of(*item, type);
                if (condition && condition->status == "True") add("KubeNodePressure", key(r::nodes, *item), type);
            }
        }
    }
    void claims() {
        const auto pods = all(r::pods);
        for (const auto& item : all(r::persistent_volume_claims)) {
            const auto created = kube::creation_time(*item);
            const auto phase = json::string_at(*item, "status", "phase");
            if (phase == "Bound" || !created || now - *created <= options.ages.pvc_pending) continue;
            // Of a workload whose pods wait for it: then that has the trouble.
            const Value* waiting = nullptr;
            for (const auto& pod : pods) {
                const auto* spec = json::at(*pod, "spec");
                if (spec == nullptr || kube::namespace_of(*pod) != kube::namespace_of(*item) || kube::is_deleting(*pod)) continue;
                if (has(claims_of(*spec), kube::name_of(*item)) && (waiting == nullptr || kube::name_of(*pod) < kube::name_of(*waiting)))
                    waiting = pod.get();
            }
            add("PvcPending", waiting != nullptr ? key(r::pods, *waiting) : key(r::persistent_volume_claims, *item));
        }
    }
    void services() {
        std::map<std::string, std::vector<kube::ObjectPtr>, std::less<>> pods_of;
        for (auto& pod : all(r::pods)) pods_of[std::string{kube::namespace_of(*pod)}].push_back(pod);
        for (const auto& item : all(r::services)) {
            const auto& selector = json::object_at(*item, "spec", "selector");
            if (selector.empty()) continue;
            const auto ns = kube::namespace_of(*item);
            const auto matches = [&](const json::Object& labels) { return kube::map_selector_matches(selector, labels); };
            const auto pods = pods_of.find(ns);
            if (pods != pods_of.end() &&
                std::ranges::any_of(pods->second, [&](const kube::ObjectPtr& p) { return matches(json::object_at(*p, "metadata", "labels")); }))
                continue;
            // Only where a workload of that name runs with other labels: a Service that waits for its workload is no trouble.
            bool named = false, waits = false;
            for (const auto* resource : {&r::deployments, &r::stateful_sets}) {
                for (const auto& workload : all(*resource)) {
                    if (kube::namespace_of(*workload) != ns) continue;
                    waits = waits || matches(json::object_at(*workload, "spec", "template", "metadata", "labels"));
                    named = named || kube::name_of(*workload) == kube::name_of(*item);
                }
            }
            if (named && !waits) add("ServiceWithoutEndpoints", key(r::services, *item), {}, options.ages.no_endpoints);
        }
    }
    void events() {
        // What the objects themselves do not show.
        static constexpr std::array reasons{"FailedMount",        "FailedAttachVolume", "FailedCreate", "SystemOOM",
                                            "ProvisioningFailed", "VolumeResizeFailed", "MissSchedule", "TooManyMissedTimes"};
        std::set<std::pair<std::string, ObjectKey>> seen;
        for (const auto& item : all(r::events)) {
            auto event = event_of(*item);
            if (!event.warning || now - event.last > 2min ||
                std::ranges::none_of(reasons, [&](const char* reason) { return event.reason == reason; }))
                continue;
            if (event.reason == "ProvisioningFailed" || event.name.empty()) continue;  // the pending claim speaks for itself
            const auto* resource = kube::find_resource(event.kind);
            if (resource == nullptr) continue;
            ObjectKey object{cluster, event.ns, resource->kind, resource->group, event.name};
            if (!resource->namespaced) object.ns.clear();
            if (seen.emplace(event.reason, object).second) {
                add(event.reason == "FailedCreate" ? "QuotaBlocksCreate" : event.reason, std::move(object), {}, 30s, Severity::warning,
                    SignalSource::event);
            }
        }
    }
};

}  // namespace

std::vector<Finding> find_trouble(ports::ClusterGateway& gateway, const ClusterId& cluster, const DecisionOptions& options, Instant now) {
    Scan scan{gateway, cluster, options, now, {}};
    if (options.watch) {
        scan.pods();
        scan.workloads();
        scan.nodes();
        scan.claims();
        scan.services();
    }
    if (options.events) scan.events();
    std::ranges::sort(scan.out);
    return std::move(scan.out);
}

}  // namespace kn::decision
