#include "plan/params.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/kube/object.hpp"

namespace kn::decision {
namespace {

/// What the evidence offers, by the names under which workflows may ask for it.
json::Object offers(const WorkflowDefinition& workflow, std::string_view fault_class, const FactSet& facts, const ObjectRef& target) {
    json::Object out;
    const auto put = [&](std::string_view name, std::string_view fact) {
        const auto& value = facts.value(fact);
        if (!value.is_null()) out[name] = value;
    };
    const auto put_text = [&](std::string_view name, std::string text) { out[name] = std::move(text); };
    const std::string_view id = workflow.id;
    if (id.starts_with("rollback-") && id != "rollback-helm-release") {
        // Revisions are named by number, as text: "previous" is a value of the same parameter.
        if (const auto number = json::to_int(&facts.value("rollout.good_number"))) put_text("to_revision", std::to_string(*number));
        put("pod", "statefulset.broken_pod");
    }
    if (id == "rollback-helm-release") put("revision", "helm.good_release"), put("release", "helm.release");
    if (id == "restore-config") {
        const bool missing = fault_class == "configmap.missing";
        put("name", missing ? "ref.missing_config" : "config.name");
        put("config_map", missing ? "ref.missing_config" : "config.name");
        if (const auto* data = json::at(facts.value(missing ? "ref.missing_config_data" : "config.good_data"), "data")) out["data"] = *data;
    }
    if (id == "raise-memory") put("container", "oom.container");
    if (id == "raise-cpu") put("container", "cpu.container");
    if (id == "relax-probe") put("container", "probe.container"), put("probe", "probe.kind");
    if (id == "clear-taint") {
        put("node", "sched.taint_node");
        put("key", "sched.taint_key");
        put("effect", "sched.taint_effect");
        const auto node = facts.text("sched.taint_node");
        if (!node.empty()) put_text("object", "Node/" + std::string{node});
        put("pod", "pod.unschedulable_name");
    }
    if (id == "refresh-pull-secret") {
        put("name", "image.pull_secret"), put("secret", "image.pull_secret");
        put("source", "target.secret_source"), put("registry", "image.host");
    }
    if (id == "restore-secret") put("name", "ref.missing_secret"), put("secret", "ref.missing_secret"), put("source", "target.secret_source");
    if (id == "fix-unbound-pvc") {
        put("claim", "claim.name"), put("pvc", "claim.name");
        put("storage_class", "claim.default_class"), put("storageClassName", "claim.default_class");
        const auto claim = facts.text("claim.name");
        if (!claim.empty()) put_text("object", "PersistentVolumeClaim/" + std::string{claim});
    }
    if (id == "expand-volume") {
        if (const auto size = json::to_double(&facts.value("claim.size_bytes"))) {
            constexpr double gib = 1024.0 * 1024 * 1024;
            // Half as much again, in whole GiB where it is large enough for that to stay below the double.
            double larger = std::ceil(*size * 1.5 / gib) * gib;
            if (larger > 2 * *size) larger = *size * 1.5;
            put_text("size", kube::format_bytes(larger));
        }
    }
    if (id == "raise-hpa-max") {
        const auto max = json::to_int(&facts.value("hpa.max"));
        if (max) {
            const double ratio = std::clamp(json::to_double(&facts.value("hpa.metric_ratio")).value_or(1.5), 1.2, 2.0);
            std::int64_t wanted = std::max<std::int64_t>(*max + 1, static_cast<std::int64_t>(std::ceil(static_cast<double>(*max) * ratio)));
            wanted = std::min(wanted, *max * 2);
            if (const auto cap = json::to_int(&facts.value("hpa.owner_cap"))) wanted = std::min(wanted, *cap);
            out["max"] = wanted;
        }
    }
    if (id == "relax-pdb-for-drain") {
        put("node", "pdb.node");
        const auto expected = json::to_int(&facts.value("pdb.expected_pods")).value_or(0);
        // One at a time is enough for a drain; something has to stay.
        if (expected > 1)
            put_text("min_available", std::to_string(expected - 1));
        else
            put_text("max_unavailable", "1");
    }
    if (id == "move-off-node") put("node", "crash.node"), put("pods", "crash.pods");
    if (id == "reschedule-daemonset") put("pods", "daemonset.wrong_pods");
    if (id == "drain-node" || id == "relieve-node" || id == "cordon-and-notify") put_text("node", target.key.name);
    if (id == "raise-quota") put("resource", "quota.resource"), put("quota", "quota.name");
    if (id == "restore-rbac") put("binding", "access.binding");
    if (id == "fix-service-selector") put("selector", "service.good_selector");
    return out;
}

std::string reason_of(const WorkflowDefinition& workflow, const FactSet& facts) {
    const auto text = [&](std::string_view name) { return std::string{facts.text(name)}; };
    const std::string& id = workflow.id;
    if (id.starts_with("rollback-") && facts.yes("rollout.good_number")) {
        return "revision " + std::to_string(json::to_int(&facts.value("rollout.good_number")).value_or(0)) + " is the newest earlier one that worked";
    }
    if (id == "restore-config" && facts.yes("config.restorable"))
        return "ConfigMap " + text("config.name") + " changed at " + text("config.changed_at") + "; the content before is kept";
    if (id == "clear-taint") return "taint " + text("sched.taint_key") + " on node " + text("sched.taint_node") + " is all that stands in the way";
    if (id == "fix-unbound-pvc")
        return "claim " + text("claim.name") + " asks for class '" + text("claim.class") + "'; the default class is " + text("claim.default_class");
    if (id == "refresh-pull-secret") return "Secret " + text("image.pull_secret") + " is " + text("image.pull_secret_is");
    if (id == "link-and-wait") return "it waits for " + text("dep.service");
    if (id == "restore-rbac") return text("access.kind") + " " + text("access.name") + " was deleted";
    return {};
}

}  // namespace

FilledParams fill_params(const WorkflowDefinition& workflow, std::string_view fault_class, const FactSet& facts, const ObjectRef& target) {
    FilledParams out;
    const auto offered = offers(workflow, fault_class, facts, target);
    std::vector<const ParamSpec*> specs;
    for (const auto& spec : workflow.params) specs.push_back(&spec);
    std::ranges::sort(specs, {}, [](const ParamSpec* s) { return std::string_view{s->name}; });
    for (const auto* spec : specs) {
        if (const auto* value = offered.if_contains(spec->name)) {
            out.params[spec->name] = *value;
        } else if (!spec->fallback.is_null()) {
            out.params[spec->name] = spec->fallback;
        } else if (!spec->optional) {
            out.missing.push_back(spec->name);
        }
    }
    if (auto reason = reason_of(workflow, facts); !reason.empty()) out.reasons.push_back(std::move(reason));
    return out;
}

}  // namespace kn::decision
