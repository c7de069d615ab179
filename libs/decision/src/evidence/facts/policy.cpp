// Families hpa, pdb, statefulset, daemonset, job, litter, service and throttling.
#include <algorithm>
#include <set>

#include "evidence/facts/sink.hpp"
#include "evidence/sched.hpp"

namespace kn::decision {
namespace {

using json::string_at;
using json::Value;

FactSink object_sink(const FactInput& in) {
    const auto& o = in.snapshot.object;
    return {in.facts, o.source, o.at, std::string{kube::resource_version_of(o.object)}};
}

/// Current over target for each metric of an autoscaler, by position; the largest ratio.
std::optional<double> metric_ratio(const Value& hpa) {
    std::optional<double> largest;
    for (const Value& metric : json::array_at(hpa, "spec", "metrics")) {
        const auto type = string_at(metric, "type");
        static const std::map<std::string_view, std::string_view> fields{
            {"Resource", "resource"}, {"ContainerResource", "containerResource"}, {"Pods", "pods"}, {"Object", "object"}, {"External", "external"}};
        const auto field = fields.find(type);
        if (field == fields.end()) continue;
        const auto name = [&](const Value& m) {
            const auto plain = string_at(m, field->second, "name");
            return plain.empty() ? string_at(m, field->second, "metric", "name") : plain;
        };
        for (const Value& current : json::array_at(hpa, "status", "currentMetrics")) {
            if (string_at(current, "type") != type || name(current) != name(metric)) continue;
            for (const auto* key : {"averageUtilization", "averageValue", "value"}) {
                const auto want = kube::quantity_at(json::at(metric, field->second, "target", key));
                const auto have = kube::quantity_at(json::at(current, field->second, "current", key));
                if (want && have && *want > 0) largest = std::max(largest.value_or(0), *have / *want);
            }
        }
    }
    return largest;
}

void hpa_facts(const FactInput& in, const Value& hpa) {
    auto sink = object_sink(in);
    const auto max = json::int_at(hpa, "spec", "maxReplicas");
    const auto current = json::int_at(hpa, "status", "currentReplicas");
    const auto desired = json::int_at(hpa, "status", "desiredReplicas");
    const auto min = json::int_at(hpa, "spec", "minReplicas").value_or(1);
    sink.truth("hpa.at_max", max && current ? std::optional(*current >= *max) : std::nullopt);
    if (max) sink.value("hpa.max", *max);
    const auto limited = kube::condition_of(hpa, "ScalingLimited");
    sink.truth("hpa.too_many_replicas", limited ? std::optional(limited->status == "True" && limited->reason == "TooManyReplicas") : std::nullopt);
    if (limited && limited->last_transition) {
        sink.truth("hpa.limited_long", limited->status == "True" && in.now() - *limited->last_transition >= in.ages().hpa_maxed);
    }
    const auto ratio = metric_ratio(hpa);
    sink.truth("hpa.over_target", ratio ? std::optional(*ratio > 1.0) : std::nullopt);
    if (ratio) sink.value("hpa.metric_ratio", *ratio);
    const auto active = kube::condition_of(hpa, "ScalingActive");
    const auto able = kube::condition_of(hpa, "AbleToScale");
    sink.truth("hpa.metric_failing", active ? std::optional(active->status == "False" && active->reason != "ScalingDisabled") : std::nullopt);
    sink.truth("hpa.scaling_disabled", active && active->reason == "ScalingDisabled");
    sink.truth("hpa.scale_failing", able ? std::optional(able->status == "False") : std::nullopt);
    sink.truth("hpa.min_is_max", max && min == *max);
    sink.truth("hpa.behind", desired && current ? std::optional(*desired != *current) : std::nullopt);
    const auto cap = kube::annotation_of(hpa, "kubernaut.io/max-replicas");
    const auto limit = cap.empty() ? 0 : std::strtoll(std::string{cap}.c_str(), nullptr, 10);
    sink.truth("hpa.at_owner_cap", limit > 0 && max && *max >= limit);
    if (limit > 0) sink.value("hpa.owner_cap", static_cast<std::int64_t>(limit));
}

void pdb_facts(const FactInput& in, const Value& pdb) {
    auto sink = object_sink(in);
    const auto allowed = json::int_at(pdb, "status", "disruptionsAllowed");
    const auto healthy = json::int_at(pdb, "status", "currentHealthy"), wanted = json::int_at(pdb, "status", "desiredHealthy");
    const auto expected = json::int_at(pdb, "status", "expectedPods");
    sink.truth("pdb.no_disruption_allowed", allowed ? std::optional(*allowed == 0) : std::nullopt);
    sink.truth("pdb.pods_healthy", healthy && wanted && expected ? std::optional(*healthy >= *wanted && *healthy >= *expected) : std::nullopt);
    // A budget that can never allow one: every pod is needed although all are healthy.
    sink.truth("pdb.never_allows", expected && wanted ? std::optional(*expected > 0 && *expected <= *wanted) : std::nullopt);
    // A drain waits when a cordoned node still has pods of the budget.
    std::string node;
    for (const auto& pod : in.model.pods) {
        for (const auto& item : in.snapshot.nodes.items) {
            if (kube::name_of(*item) == pod.node && json::bool_at(*item, "spec", "unschedulable").value_or(false) &&
                (node.empty() || pod.node < node)) {
                node = pod.node;
            }
        }
    }
    sink.truth("pdb.drain_waits", in.snapshot.nodes.known && in.snapshot.pods.known ? std::optional(!node.empty()) : std::nullopt);
    sink.text("pdb.node", node);
    const auto* min = json::at(pdb, "spec", "minAvailable");
    const auto* max = json::at(pdb, "spec", "maxUnavailable");
    if (min != nullptr) sink.value("pdb.min_available", *min);
    if (max != nullptr) sink.value("pdb.max_unavailable", *max);
    if (expected) sink.value("pdb.expected_pods", *expected);
}

int ordinal_of(std::string_view name) {
    const auto dash = name.rfind('-');
    if (dash == std::string_view::npos) return -1;
    return static_cast<int>(std::strtol(std::string{name.substr(dash + 1)}.c_str(), nullptr, 10));
}

void stateful_set_facts(const FactInput& in, const Value& set) {
    auto sink = object_sink(in);
    const auto current = string_at(set, "status", "currentRevision"), update = string_at(set, "status", "updateRevision");
    sink.truth("statefulset.updating", current.empty() || update.empty() ? std::nullopt : std::optional(current != update));
    const PodView* broken = nullptr;
    for (const auto& pod : in.model.pods) {
        if (!pod.ready && (broken == nullptr || ordinal_of(pod.name) < ordinal_of(broken->name))) broken = &pod;
    }
    sink.truth("statefulset.broken_ordinal", in.snapshot.pods.known ? std::optional(broken != nullptr) : std::nullopt);
    if (broken == nullptr) return;
    sink.text("statefulset.broken_pod", broken->name);
    const auto since = broken->ready_changed ? broken->ready_changed : broken->created;
    sink.truth("statefulset.stuck_long", since ? std::optional(in.now() - *since >= in.ages().stuck) : std::nullopt);
    sink.truth("statefulset.broken_is_newest",
               broken->revision < 0 || in.model.newest < 0 ? std::nullopt : std::optional(broken->revision == in.model.newest));
}

void daemon_set_facts(const FactInput& in, const Value& set) {
    auto sink = object_sink(in);
    const auto misscheduled = json::int_at(set, "status", "numberMisscheduled");
    sink.truth("daemonset.misscheduled_count_positive", misscheduled ? std::optional(*misscheduled > 0) : std::nullopt);
    const auto desired = json::int_at(set, "status", "desiredNumberScheduled");
    const auto updated = json::int_at(set, "status", "updatedNumberScheduled").value_or(0),
               available = json::int_at(set, "status", "numberAvailable").value_or(0);
    sink.truth("daemonset.rollout_behind", desired ? std::optional(updated < *desired || available < *desired) : std::nullopt);
    const auto* spec = in.model.pod_spec();
    if (spec == nullptr || !in.snapshot.nodes.known || !in.snapshot.pods.known) return;
    std::set<std::string> where;
    bool long_enough = true, missing_on_dead = true, missing = false;
    std::vector<std::string> wrong;
    for (const auto& pod : in.model.pods) {
        where.insert(pod.node);
        for (const auto& item : in.snapshot.nodes.items) {
            if (kube::name_of(*item) != pod.node || daemon_pod_may_run(*spec, *item)) continue;
            wrong.push_back(pod.name);
            long_enough = long_enough && pod.created && in.now() - *pod.created >= 1min;
        }
        if (!pod.ready) {
            missing = true;
            for (const auto& item : in.snapshot.nodes.items) {
                if (kube::name_of(*item) != pod.node) continue;
                const auto ready = kube::condition_of(*item, "Ready");
                missing_on_dead = missing_on_dead && ready && ready->status != "True";
            }
        }
    }
    std::ranges::sort(wrong);
    FactSink sched(in.facts, "sched", in.snapshot.nodes.at);
    sched.truth("daemonset.pods_on_wrong_nodes", !wrong.empty());
    if (!wrong.empty()) sched.list("daemonset.wrong_pods", wrong);
    sched.truth("daemonset.missing_on_dead_nodes", missing && missing_on_dead);
    const auto ns = kube::namespace_of(set);
    sink.truth("daemonset.is_system", ns == "kube-system" || string_at(*spec, "priorityClassName").starts_with("system-"));
    std::optional<Instant> behind_since;
    for (const auto& pod : in.model.pods) {
        if (!pod.ready && pod.ready_changed && (!behind_since || *pod.ready_changed < *behind_since)) behind_since = pod.ready_changed;
    }
    sink.truth("daemonset.behind_long", behind_since ? std::optional(in.now() - *behind_since >= in.ages().stuck) : std::optional(false));
}

void job_facts(const FactInput& in, const Value& job) {
    auto sink = object_sink(in);
    const auto failed = kube::condition_of(job, "Failed");
    const auto complete = kube::condition_of(job, "Complete");
    sink.truth("job.failed", failed ? std::optional(failed->status == "True") : std::optional(false));
    sink.truth("job.complete", complete && complete->status == "True");
    if (failed) sink.text("job.reason", failed->reason);
    sink.truth("job.may_rerun", kube::annotation_of(job, "kubernaut.io/rerun") == "true" || kube::annotation_of(job, "kubernaut.io/rerun") == "yes");
    const auto started = kube::time_at(job, "status", "startTime");
    sink.truth("job.overdue", started && !complete && !(failed && failed->status == "True") && in.now() - *started > 12h);
    // Did its pods die of something that passes: node, image, eviction?
    bool transient = false;
    for (const auto& pod : in.model.pods) {
        transient = transient || pod.reason == "Evicted" || pod.reason == "NodeLost" || pod.reason == "Shutdown" || pod.reason == "NodeShutdown" ||
                    pod.reason == "Preempting";
        const auto disrupted = kube::condition_of(*pod.object, "DisruptionTarget");
        transient = transient || (disrupted && disrupted->status == "True");
        for (const auto& c : pod.containers) transient = transient || is_image_waiting(c);
    }
    FactSink(in.facts, in.snapshot.pods.source, in.snapshot.pods.at)
        .truth("job.transient_cause", in.snapshot.pods.known ? std::optional(transient) : std::nullopt);
}

}  // namespace

void policy_facts(const FactInput& in) {
    if (in.snapshot.object.seen != Seen::present) return;
    if (in.model.kind == "HorizontalPodAutoscaler") hpa_facts(in, in.snapshot.object.object);
    if (in.model.kind == "PodDisruptionBudget") pdb_facts(in, in.snapshot.object.object);
    FactSink sink(in.facts, in.snapshot.hpas.source, in.snapshot.hpas.at);
    if (!in.snapshot.hpas.known) return;
    std::string autoscaler;
    for (const auto& hpa : in.snapshot.hpas.items) {
        if (string_at(*hpa, "spec", "scaleTargetRef", "kind") == in.model.kind &&
            string_at(*hpa, "spec", "scaleTargetRef", "name") == in.snapshot.target.key.name) {
            autoscaler = kube::name_of(*hpa);
        }
    }
    sink.truth("target.has_hpa", !autoscaler.empty());
    sink.text("target.hpa", autoscaler);
}

void workload_facts(const FactInput& in) {
    if (in.snapshot.object.seen == Seen::present) {
        const auto& object = in.snapshot.object.object;
        if (in.model.kind == "StatefulSet") stateful_set_facts(in, object);
        if (in.model.kind == "DaemonSet") daemon_set_facts(in, object);
        if (in.model.kind == "Job") job_facts(in, object);
    }
    if (!in.snapshot.pods.known) return;
    FactSink sink(in.facts, in.snapshot.pods.source, in.snapshot.pods.at);
    std::int64_t litter = 0;
    for (const auto& pod : in.model.pods) {
        const auto owner = kube::controller_of(*pod.object);
        const auto since = pod.ready_changed ? pod.ready_changed : pod.created;
        if (pod.phase == "Failed" && !(owner && owner->kind == "Job") && since && in.now() - *since >= in.ages().litter) ++litter;
    }
    sink.value("litter.count", litter);
    sink.truth("litter.some", litter > 0);
    // Throttling alone is no fault: a symptom must stand beside it.
    FactSink metric(in.facts, "metric:container_cpu_cfs_throttled_periods_total", in.now());
    std::optional<bool> throttled;
    std::string container;
    for (const auto& series : in.snapshot.series) {
        if (series.name != "cpu_throttled_ratio" || series.samples.empty()) continue;
        double sum = 0;
        for (const auto& sample : series.samples) sum += sample.value;
        const bool high = sum / static_cast<double>(series.samples.size()) > 0.25;
        throttled = throttled.value_or(false) || high;
        if (high) container = series.subject.substr(series.subject.find('/') + 1);
    }
    metric.truth("cpu.throttled", throttled);
    metric.text("cpu.container", container);
    metric.truth("cpu.symptom", throttled ? std::optional(!in.facts.yes("pod.all_ready")) : std::nullopt);
}

void service_facts(const FactInput& in) {
    if (in.model.kind != "Service" || in.snapshot.object.seen != Seen::present) return;
    const auto& service = in.snapshot.object.object;
    auto sink = object_sink(in);
    const auto& selector = json::object_at(service, "spec", "selector");
    sink.truth("service.has_selector", !selector.empty());
    if (selector.empty()) return;
    FactSink endpoints(in.facts, in.snapshot.endpoint_slices.source, in.snapshot.endpoint_slices.at);
    if (in.snapshot.endpoint_slices.known) {
        std::int64_t ready = 0;
        for (const auto& slice : in.snapshot.endpoint_slices.items) {
            if (kube::label_of(*slice, "kubernetes.io/service-name") != in.snapshot.target.key.name) continue;
            for (const Value& endpoint : json::array_at(*slice, "endpoints")) ready += json::bool_at(endpoint, "conditions", "ready").value_or(true);
        }
        endpoints.truth("service.no_ready_endpoints", ready == 0);
    } else {
        endpoints.truth("service.no_ready_endpoints", std::nullopt);
    }
    FactSink pods(in.facts, in.snapshot.ns_pods.source, in.snapshot.ns_pods.at);
    if (in.snapshot.ns_pods.known) {
        const bool any = std::ranges::any_of(in.snapshot.ns_pods.items, [&](const kube::ObjectPtr& pod) {
            return kube::map_selector_matches(selector, json::object_at(*pod, "metadata", "labels"));
        });
        pods.truth("service.selects_no_pod", !any);
    }
    // The selector that it had before, if that still fits pods; else the only workload whose name is the Service's.
    const json::Object* before = nullptr;
    for (const auto& old : in.snapshot.history) {
        const auto& past = json::object_at(old.spec, "selector");
        if (past.empty() || past == selector) continue;
        const bool fits = std::ranges::any_of(in.snapshot.ns_pods.items, [&](const kube::ObjectPtr& pod) {
            return kube::map_selector_matches(past, json::object_at(*pod, "metadata", "labels"));
        });
        if (fits) {
            before = &past;
            break;
        }
    }
    FactSink change(in.facts, "change", in.now());
    change.truth("service.selector_changed", before != nullptr);
    if (before != nullptr) change.value("service.good_selector", *before);
    if (before == nullptr && in.snapshot.ns_workloads.known) {
        const json::Object* labels = nullptr;
        int fitting = 0;
        for (const auto& workload : in.snapshot.ns_workloads.items) {
            if (kube::name_of(*workload) != kube::name_of(service)) continue;
            ++fitting;
            labels = &json::object_at(*workload, "spec", "selector", "matchLabels");
        }
        change.truth("service.one_fitting_workload", fitting == 1 && labels != nullptr && !labels->empty());
        if (fitting == 1 && labels != nullptr && !labels->empty()) change.value("service.good_selector", *labels);
    } else {
        change.truth("service.one_fitting_workload", false);
    }
    bool scaled_to_zero = false;
    for (const auto& workload : in.snapshot.ns_workloads.items) {
        if (kube::map_selector_matches(selector, json::object_at(*workload, "spec", "template", "metadata", "labels")) &&
            json::int_at(*workload, "spec", "replicas") == 0) {
            scaled_to_zero = true;
        }
    }
    sink.truth("service.scaled_to_zero", scaled_to_zero);
}

}  // namespace kn::decision
