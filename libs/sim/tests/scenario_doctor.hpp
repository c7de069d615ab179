#pragma once

#include "sim_bed.hpp"

namespace kn::sim {

/// The right thing done by hand, as a person with kubectl would: shows that every scenario can be cured and that its check sees it.
class Doctor {
public:
    Doctor(SimBed& bed, const Scenario& scenario)
        : bed_(bed), ns_(scenario.namespaces().front()), workflow_(scenario.expect().workflows.empty() ? "" : scenario.expect().workflows.front()) {
        const auto& target = scenario.target();
        kind_ = target.substr(0, target.find('/'));
        name_ = target.substr(target.rfind('/') + 1);
        for (const auto& map : bed.list("ConfigMap", ns_)) config_[std::string(kube::name_of(map))] = map;
        for (const auto& secret : bed.list("Secret", ns_)) secrets_[std::string(kube::name_of(secret))] = secret;
        for (const auto& binding : bed.list("RoleBinding", ns_)) bindings_[std::string(kube::name_of(binding))] = binding;
        for (const auto* kind : {"Deployment", "StatefulSet", "DaemonSet"}) {
            for (const auto& workload : bed.list(kind, ns_))
                templates_[{kind, std::string(kube::name_of(workload))}] = *json::at(workload, "spec", "template");
        }
        for (const auto& service : bed.list("Service", ns_))
            selectors_[std::string(kube::name_of(service))] = json::object_at(service, "spec", "selector");
    }

    /// False when it knows no cure for this workflow.
    bool cure() {
        if (workflow_ == "rollback-deployment") return rollback();
        if (workflow_ == "rollback-daemonset") return restore_templates();
        if (workflow_ == "rollback-statefulset") return restore_templates() && restart_crashing();
        if (workflow_ == "fix-service-selector") return replace("Service", name_, "/spec/selector", json::Value(selectors_.at(name_)));
        if (workflow_ == "restore-config") return restore(config_, kube::resources::config_maps) && restore_templates() && restart_crashing();
        if (workflow_ == "refresh-pull-secret") return restore(secrets_, kube::resources::secrets) && restart_crashing();
        if (workflow_ == "restore-rbac") return restore(bindings_, kube::resources::role_bindings);
        if (workflow_ == "raise-memory") return memory("512Mi");
        if (workflow_ == "graceful-restart") return patch("Deployment", "spec: {template: {metadata: {annotations: {restarted-at: now}}}}");
        if (workflow_ == "clear-taint") return bool(bed_.patch("Node", "", name_, "spec: {taints: null}", kube::PatchType::merge));
        if (workflow_ == "raise-hpa-max") return patch("HorizontalPodAutoscaler", "spec: {maxReplicas: 10}");
        if (workflow_ == "expand-volume") return patch("PersistentVolumeClaim", "spec: {resources: {requests: {storage: 20Gi}}}");
        if (workflow_ == "fix-unbound-pvc") return remake_claims();
        if (workflow_ == "drain-node") return drain(name_, true);
        if (workflow_ == "relax-pdb-for-drain") return relax_and_drain();
        if (workflow_ == "delete-failed-pods") return remove_failed();
        return false;
    }

private:
    bool patch(std::string_view kind, std::string_view yaml) {
        const auto done = bed_.patch(kind, ns_, name_, yaml, kube::PatchType::merge);
        if (!done) ADD_FAILURE() << done.error().describe();
        return bool(done);
    }
    bool memory(std::string_view limit) {
        const std::string text(limit);
        return bool(bed_.patch(
            kind_.substr(0, kind_.find('.')), ns_, name_,
            "spec: {template: {spec: {containers: [{name: app, resources: {limits: {memory: " + text + "}, requests: {memory: " + text + "}}}]}}}"));
    }
    bool replace(std::string_view kind, const std::string& name, const char* path, json::Value value) {
        const json::Value change = json::Array{json::Object{{"op", "replace"}, {"path", path}, {"value", std::move(value)}}};
        const auto* resource = kube::find_resource(kind == "Service" ? std::string(kind) : std::string(kind) + ".apps");
        return resource != nullptr &&
               bool(bed_.await(bed_.cluster.client()->patch(*resource, ns_, name, kube::PatchType::json, change, {}, bed_.soon())));
    }
    bool restore_templates() {
        for (const auto& [key, before] : templates_) {
            const auto now = bed_.get(key.first, ns_, key.second);
            const auto* current = json::at(now, "spec", "template");
            if (current == nullptr || json::object_at(*current, "spec") == json::object_at(before, "spec")) continue;
            if (!replace(key.first, key.second, "/spec/template", before)) return false;
        }
        return true;
    }
    bool rollback() {
        const auto deployment = bed_.get("Deployment", ns_, name_);
        const auto revision = std::stoi(std::string(kube::annotation_of(deployment, "deployment.kubernetes.io/revision")));
        for (const auto& set : bed_.list("ReplicaSet", ns_)) {
            const auto owner = kube::controller_of(set);
            if (!owner || owner->name != name_ || kube::annotation_of(set, "deployment.kubernetes.io/revision") != std::to_string(revision - 1))
                continue;
            json::Value old = *json::at(set, "spec", "template");
            json::make_at(old, "metadata", "labels").get_object().erase("pod-template-hash");
            const json::Value change = json::Array{json::Object{{"op", "replace"}, {"path", "/spec/template"}, {"value", std::move(old)}}};
            return bool(
                bed_.await(bed_.cluster.client()->patch(kube::resources::deployments, ns_, name_, kube::PatchType::json, change, {}, bed_.soon())));
        }
        return false;
    }
    bool restore(const std::map<std::string, json::Value>& saved, const kube::Resource& resource) {
        for (const auto& [name, object] : saved) {
            const auto now = bed_.get(resource.kind_group(), ns_, name);
            if (now.is_null()) {
                json::Value fresh = object;
                for (const auto* field : {"uid", "resourceVersion", "creationTimestamp", "managedFields"})
                    json::make_at(fresh, "metadata").get_object().erase(field);
                if (!bed_.await(bed_.cluster.client()->create(resource, ns_, fresh, {}, bed_.soon()))) return false;
            } else if (json::object_at(now, "data") != json::object_at(object, "data")) {
                if (!bed_.await(bed_.cluster.client()->patch(resource, ns_, name, kube::PatchType::merge,
                                                             json::Object{{"data", json::object_at(object, "data")}}, {}, bed_.soon())))
                    return false;
            }
        }
        return true;
    }
    bool restart_crashing() {
        for (const auto& pod : bed_.list("Pod", ns_)) {
            if (!json::string_at(pod, "status", "containerStatuses", 0, "state", "waiting", "reason").empty())
                bed_.remove("Pod", ns_, std::string(kube::name_of(pod)));
        }
        return true;
    }
    bool remake_claims() {
        for (int round = 0; round < 4; ++round) {
            for (const auto& claim : bed_.list("PersistentVolumeClaim", ns_)) {
                if (json::string_at(claim, "status", "phase") == "Bound") continue;
                const std::string claim_name(kube::name_of(claim));
                bed_.remove("PersistentVolumeClaim", ns_, claim_name);
                json::Object spec = json::object_at(claim, "spec");
                spec["storageClassName"] = "standard";
                (void)bed_.await(bed_.cluster.client()->create(
                    kube::resources::persistent_volume_claims, ns_,
                    json::Object{{"apiVersion", "v1"},
                                 {"kind", "PersistentVolumeClaim"},
                                 {"metadata", json::Object{{"name", claim_name}, {"labels", json::object_at(claim, "metadata", "labels")}}},
                                 {"spec", spec}},
                    {}, bed_.soon()));
            }
            bed_.pass(1min);
        }
        return true;
    }
    bool drain(const std::string& node, bool by_force) {
        if (!bed_.patch("Node", "", node, "spec: {unschedulable: true}", kube::PatchType::merge)) return false;
        for (const auto& pod : bed_.list("Pod", "")) {
            if (json::string_at(pod, "spec", "nodeName") != node) continue;
            const std::string ns(kube::namespace_of(pod)), name(kube::name_of(pod));
            if (by_force)
                bed_.remove("Pod", ns, name);
            else if (!bed_.until([&] { return bed_.await(bed_.cluster.client()->evict(ns, name, {}, bed_.soon())).has_value(); }, 2min))
                return false;
        }
        return true;
    }
    bool relax_and_drain() {
        const auto before = json::int_at(bed_.get("PodDisruptionBudget", ns_, name_), "spec", "minAvailable").value_or(2);
        if (!patch("PodDisruptionBudget", "spec: {minAvailable: 1}")) return false;
        bed_.pass(2s);
        std::string node;
        for (const auto& each : bed_.list("Node", "")) {
            if (json::bool_at(each, "spec", "unschedulable").value_or(false)) node = kube::name_of(each);
        }
        return drain(node, false) && patch("PodDisruptionBudget", "spec: {minAvailable: " + std::to_string(before) + "}");
    }
    bool remove_failed() {
        for (const auto& pod : bed_.list("Pod", ns_)) {
            if (json::string_at(pod, "status", "phase") == "Failed") bed_.remove("Pod", ns_, std::string(kube::name_of(pod)));
        }
        return true;
    }

    SimBed& bed_;
    std::string ns_, kind_, name_, workflow_;
    std::map<std::string, json::Value> config_, secrets_, bindings_;
    std::map<std::pair<std::string, std::string>, json::Value> templates_;  ///< (kind, name) → as it was
    std::map<std::string, json::Object> selectors_;
};

}  // namespace kn::sim
