#include <algorithm>
#include <array>
#include <set>

#include "has.hpp"
#include "incident/driver_impl.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"

namespace kn::decision {

Task<Result<std::map<std::string, int>>> IncidentDriver::Impl::done_lately(Incident incident) {
    ports::ExecutionFilter filter;
    filter.cluster = incident.cluster.str();
    filter.target = incident.target.key.str();
    KN_CO_TRY(const auto page, co_await stores.executions.list(filter, {.limit = 50}, store_limit()));
    std::map<std::string, int> counts;
    for (const auto& execution : page.items) {
        if (execution.dry_run || now() - execution.created_at > 24h) continue;
        ++counts[execution.plan.workflow];
    }
    co_return counts;
}

Task<Result<Look>> IncidentDriver::Impl::look(Incident incident, Deadline deadline) {
    Look out;
    if (!incident.id.empty()) {
        KN_CO_TRY(const auto signals, co_await stores.signals.of_incident(incident.cluster, incident.id, 500, store_limit()));
        std::set<std::string> names;
        bool others = false;
        for (const auto& signal : signals) {
            names.insert(signal.name);
            others = others || signal.source != SignalSource::pattern;
            out.has_alert = out.has_alert || (signal.source != SignalSource::event && signal.source != SignalSource::watch);
        }
        out.forecast_only = !signals.empty() && !others;
        out.alerts.assign(names.begin(), names.end());
    }
    if (!incident.alert_name.empty() && !has(out.alerts, incident.alert_name)) out.alerts.push_back(incident.alert_name);
    KN_CO_TRY(out.snapshot, co_await evidence.collect(incident.target, deadline));
    if (auto done = co_await done_lately(incident)) out.snapshot.done_24h = *std::move(done);
    out.facts = facts_of(out.snapshot, options);
    out.diagnosis = classifier.diagnose(out.facts, incident.target.key.kind, out.alerts, out.snapshot.taken_at);
    co_return out;
}

Task<Result<PlanResult>> IncidentDriver::Impl::plan(Incident incident, Look look) {
    PlanInput input;
    input.diagnosis = std::move(look.diagnosis);
    input.facts = std::move(look.facts);
    input.target = look.snapshot.target;
    input.cluster = incident.cluster;
    input.environment = incident.environment;
    input.tried = incident.tried;
    input.policy = options.policy;
    input.forecast_only = look.forecast_only;
    if (advisor != nullptr && !input.diagnosis.fault_class.empty())
        input.families = advisor->advise({.cluster = incident.cluster,
                                          .environment = incident.environment,
                                          .fault_class = input.diagnosis.fault_class,
                                          .target_kind = incident.target.key.kind,
                                          .facts = FactSet(without_contents(input.diagnosis).facts).tree()});
    KN_CO_TRY(input.posteriors, co_await stores.learning.posteriors(input.diagnosis.fault_class, store_limit()));
    auto result = planner.plan(input);
    result.plan.id = PlanId{derive_id("pln_", incident.opened_at, {incident.id.str(), result.plan.hash})};
    co_return result;
}

/// The workloads whose pods a Service selects: what ails them leaves it without endpoints.
std::vector<std::string> IncidentDriver::Impl::selected_workloads(const ObjectKey& service, const json::Value& object) {
    std::vector<std::string> found;
    const json::Object& selector = json::object_at(object, "spec", "selector");
    if (selector.empty()) return found;
    for (const auto* resource : {&kube::resources::deployments, &kube::resources::stateful_sets, &kube::resources::daemon_sets}) {
        const auto cache = gateway.cache(service.cluster, *resource);
        if (cache == nullptr) continue;
        for (const auto& workload : cache->list()) {
            if (kube::namespace_of(*workload) != service.ns) continue;
            if (!kube::map_selector_matches(selector, json::object_at(*workload, "spec", "template", "metadata", "labels"))) continue;
            found.push_back(ObjectKey{service.cluster, service.ns, resource->kind, resource->group, std::string{kube::name_of(*workload)}}.str());
        }
    }
    return found;
}

/// An open incident upstream of this one that explains it: the dependency, the node under its pods, the quota that refuses them, the workload behind a Service.
Task<Result<std::optional<Incident>>> IncidentDriver::Impl::cause_of(Incident incident, Look look) {
    const auto& facts = look.facts;
    const auto& fault = look.diagnosis.fault_class;
    std::vector<std::string> targets;
    const auto in_cluster = [&](std::string ns, std::string kind, std::string name) {
        targets.push_back(ObjectKey{incident.cluster, std::move(ns), std::move(kind), "", std::move(name)}.str());
    };
    if (fault == "crashloop.dependency_down" && !facts.text("dep.workload").empty()) targets.emplace_back(facts.text("dep.workload"));
    if (facts.yes("pod.unready_on_dead_node")) {
        for (const auto& pod : look.snapshot.pods.items) {
            const auto node = json::string_at(*pod, "spec", "nodeName");
            const auto ready = kube::condition_of(*pod, "Ready");
            if (!node.empty() && (!ready || ready->status != "True")) in_cluster("", "Node", std::string{node});
        }
    }
    if (fault == "quota.exhausted" && incident.target.key.kind != "ResourceQuota")
        in_cluster(incident.target.key.ns, "ResourceQuota", std::string{facts.text("quota.name")});
    if (incident.target.key.kind == "PersistentVolumeClaim" && fault.starts_with("p")) {
        // The workload whose pods wait for this claim has the incident.
        for (const auto& pod : look.snapshot.pods.items) {
            if (const auto owner = kube::controller_of(*pod))
                targets.push_back(ObjectKey{incident.cluster, incident.target.key.ns, owner->kind, "apps", owner->name}.str());
        }
    }
    if (incident.target.key.kind == "Service")
        std::ranges::move(selected_workloads(incident.target.key, look.snapshot.object.object), std::back_inserter(targets));
    std::optional<Incident> best;
    for (const auto& target : targets) {
        KN_CO_TRY(auto open, co_await stores.incidents.open_of(incident.cluster, target, store_limit()));
        for (auto& each : open) {
            if (each.id == incident.id || each.cause == incident.id || each.state == IncidentState::duplicate) continue;
            if (!best || std::tie(each.opened_at, each.id) < std::tie(best->opened_at, best->id)) best = std::move(each);
        }
    }
    co_return best;
}

std::string changed_by_person(const EvidenceSnapshot& snapshot, Instant since) {
    static constexpr std::array machines{"kubernaut",      "kube-controller-manager", "kube-scheduler", "kubelet",
                                         "kube-apiserver", "cluster-autoscaler",      "karpenter"};
    for (const auto& entry : json::array_at(snapshot.object.object, "metadata", "managedFields")) {
        if (!json::string_at(entry, "subresource").empty()) continue;
        const auto manager = json::string_at(entry, "manager");
        const auto at = kube::time_at(entry, "time");
        if (!at || *at <= since || manager.empty()) continue;
        if (std::ranges::none_of(machines, [&](const char* m) { return manager == m; })) return std::string{manager};
    }
    return {};
}

}  // namespace kn::decision
