#include "core/specs.hpp"

#include <algorithm>
#include <cstdlib>

#include "kubernaut/actions/registry.hpp"

namespace kn::actions {
namespace {

using ports::ActionSpec;
using Permission = ActionSpec::Permission;

ParamSpec text(std::string name, json::Value fallback = nullptr, std::vector<std::string> one_of = {}) {
    return {.name = std::move(name), .type = "string", .min = {}, .max = 253, .one_of = std::move(one_of), .fallback = std::move(fallback)};
}
ParamSpec ranged(std::string name, std::string type, double min, double max, json::Value fallback = nullptr) {
    return {.name = std::move(name), .type = std::move(type), .min = min, .max = max, .one_of = {}, .fallback = std::move(fallback)};
}
ParamSpec plain(std::string name, std::string type, json::Value fallback = nullptr) {
    return {.name = std::move(name), .type = std::move(type), .min = {}, .max = {}, .one_of = {}, .fallback = std::move(fallback)};
}
ParamSpec optional(ParamSpec spec) {
    spec.optional = true;
    return spec;
}
/// Acts on another object than the incident's target: "Kind.group/name" in its namespace, or "Kind.group/ns/name" if the target is cluster-scoped.
ParamSpec object_param() { return optional(text("object")); }

constexpr auto minutes(int n) { return std::chrono::duration_cast<Duration>(std::chrono::minutes{n}); }

const std::vector<std::string> workloads{"Deployment", "StatefulSet", "DaemonSet"};
/// Targets from which a node can be told: itself or the node of a pod; others need `object`.
const std::vector<std::string> pod_owners{"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "PersistentVolumeClaim"};

std::vector<Permission> patch_workloads(std::vector<Permission> more = {}) {
    std::vector<Permission> all{{"patch", "deployments.apps", ""}, {"patch", "statefulsets.apps", ""}, {"patch", "daemonsets.apps", ""},
                                {"list", "pods", ""}, {"list", "replicasets.apps", ""}, {"list", "controllerrevisions.apps", ""}};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}
const std::vector<Permission> limits{{"list", "limitranges", ""}, {"list", "resourcequotas", ""}, {"list", "nodes", ""}};

/// One row an action, in the order of the catalogue in the handbook (docs/actions.md).
std::vector<ActionSpec> make_specs() {
    return {
        {.name = "collect_diagnostics",
         .description = "reads the target, its owners, pods, events and logs, redacted",
         .params = {ranged("lines", "int", 1, 200, 100), ranged("bytes", "int", 1024, 64 * 1024, 16 * 1024)},
         .target_kinds = {}, .risk = Risk::none, .mutating = false, .reversible = false, .gitops_safe = true, .timeout = minutes(2), .tries = 2,
         .permissions = {{"get", "pods", "log"}, {"list", "pods", ""}, {"list", "events", ""}}},
        {.name = "notify",
         .description = "tells people, by the configured routes",
         .params = {text("kind", "notice"), optional(text("title")), optional(ranged("text", "string", 0, 16384)),
                    text("severity", "info", {"none", "info", "warning", "critical"})},
         .target_kinds = {}, .risk = Risk::none, .mutating = false, .reversible = false, .gitops_safe = true, .timeout = 30s, .tries = 5,
         .permissions = {}},

        {.name = "rollback_deployment",
         .description = "puts the pod template of an earlier revision back",
         .params = {text("to_revision", "previous"), object_param()},
         .target_kinds = {"Deployment"}, .risk = Risk::medium, .disruptive = true, .timeout = minutes(10), .tries = 2,
         .permissions = {{"patch", "deployments.apps", ""}, {"list", "replicasets.apps", ""}, {"list", "pods", ""}}},
        {.name = "rollback_statefulset",
         .description = "puts the pod template of an earlier controller revision back",
         .params = {text("to_revision", "previous"), object_param()},
         .target_kinds = {"StatefulSet"}, .risk = Risk::high, .disruptive = true, .timeout = minutes(20), .tries = 2,
         .permissions = {{"patch", "statefulsets.apps", ""}, {"list", "controllerrevisions.apps", ""}, {"list", "pods", ""}}},
        {.name = "rollback_daemonset",
         .description = "puts the pod template of an earlier controller revision back",
         .params = {text("to_revision", "previous"), object_param()},
         .target_kinds = {"DaemonSet"}, .risk = Risk::high, .disruptive = true, .timeout = minutes(20), .tries = 2,
         .permissions = {{"patch", "daemonsets.apps", ""}, {"list", "controllerrevisions.apps", ""}, {"list", "pods", ""}}},
        {.name = "pause_rollout", .description = "stops a rollout where it is", .params = {object_param()}, .target_kinds = {"Deployment"},
         .risk = Risk::low, .timeout = 30s, .tries = 3, .permissions = {{"patch", "deployments.apps", ""}}},
        {.name = "resume_rollout", .description = "lets a rollout go on that we paused", .params = {object_param()},
         .target_kinds = {"Deployment"}, .risk = Risk::low, .timeout = 30s, .tries = 3, .permissions = {{"patch", "deployments.apps", ""}}},
        {.name = "restart_workload",
         .description = "replaces all pods, step by step, by the workload's own rolling update",
         .params = {plain("allow_interruption", "bool", false), object_param()},
         .target_kinds = workloads, .risk = Risk::low, .reversible = false, .disruptive = true, .timeout = minutes(10), .tries = 2,
         .permissions = patch_workloads()},
        {.name = "restart_pod",
         .description = "deletes pods one at a time, so that their controller makes new ones",
         .params = {optional(ranged("pods", "list", 1, 20)),
                    text("select", "crashing",
                         {"crashing", "waiting", "pull_backoff", "crash_backoff", "unready", "pending", "lowest_broken", "misscheduled", "all"}),
                    ranged("max", "int", 1, 20, 20), object_param()},
         .target_kinds = pod_owners, .risk = Risk::low, .reversible = false, .disruptive = true, .gitops_safe = true, .timeout = minutes(3),
         .tries = 2, .permissions = {{"list", "pods", ""}, {"delete", "pods", ""}}},
        {.name = "evict_pod",
         .description = "evicts pods through the eviction API, waiting for their budgets",
         .params = {optional(ranged("pods", "list", 1, 20)), text("select", "crashing", {"crashing", "unready", "largest_memory", "all"}),
                    ranged("max", "int", 1, 20, 3), optional(text("node")), plain("delete_emptydir_data", "bool", false),
                    ranged("deadline", "duration", 60, 1800, "10m"), object_param()},
         .target_kinds = {"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Node"}, .risk = Risk::medium,
         .reversible = false, .disruptive = true, .gitops_safe = true, .timeout = minutes(30), .tries = 1,
         .permissions = {{"list", "pods", ""}, {"create", "pods", "eviction"}}},
        {.name = "force_delete_pod",
         .description = "removes the record of a pod whose node is proven gone",
         .params = {object_param()},
         .target_kinds = {"Pod"}, .risk = Risk::high, .reversible = false, .disruptive = true, .gitops_safe = true, .timeout = minutes(1),
         .tries = 2, .permissions = {{"delete", "pods", ""}, {"get", "nodes", ""}}},
        {.name = "delete_failed_pods",
         .description = "deletes pods that ended as Failed and belong to no Job",
         .params = {ranged("max", "int", 1, 200, 50), object_param()},
         .target_kinds = {"Node", "Namespace", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod"}, .risk = Risk::low,
         .reversible = false, .gitops_safe = true, .timeout = minutes(2), .tries = 3,
         .permissions = {{"list", "pods", ""}, {"delete", "pods", ""}}},

        {.name = "scale_workload",
         .description = "sets the number of replicas",
         .params = {ranged("replicas", "int", 0, 100), object_param()},
         .target_kinds = {"Deployment", "StatefulSet"}, .risk = Risk::medium, .timeout = minutes(5), .tries = 3,
         .permissions = {{"patch", "deployments.apps", "scale"}, {"patch", "statefulsets.apps", "scale"},
                         {"list", "horizontalpodautoscalers.autoscaling", ""}, {"list", "resourcequotas", ""}, {"list", "nodes", ""},
                         {"list", "pods", ""}}},
        {.name = "raise_memory_limit",
         .description = "raises a container's memory limit within its caps",
         .params = {optional(text("container")), ranged("factor", "number", 1.1, 2.0, 1.5), optional(plain("cap", "quantity")), object_param()},
         .target_kinds = workloads, .risk = Risk::medium, .disruptive = true, .timeout = minutes(20), .tries = 2,
         .permissions = patch_workloads(limits)},
        {.name = "raise_cpu_limit",
         .description = "raises a container's CPU limit within its caps",
         .params = {optional(text("container")), ranged("factor", "number", 1.1, 2.0, 1.5), optional(plain("cap", "quantity")), object_param()},
         .target_kinds = workloads, .risk = Risk::low, .disruptive = true, .timeout = minutes(15), .tries = 2,
         .permissions = patch_workloads(limits)},
        {.name = "resize_pod_in_place",
         .description = "raises a running container's limit without a restart",
         .params = {optional(text("container")), text("resource", "memory", {"memory", "cpu"}), ranged("factor", "number", 1.1, 2.0, 1.5),
                    object_param()},
         .target_kinds = {"Pod", "Deployment", "StatefulSet", "DaemonSet"}, .risk = Risk::low, .gitops_safe = true, .timeout = minutes(3),
         .tries = 2, .permissions = {{"patch", "pods", "resize"}, {"list", "pods", ""}, {"list", "nodes", ""}}},
        {.name = "patch_probe",
         .description = "gives a probe more time",
         .params = {optional(text("container")), text("probe", "auto", {"auto", "liveness", "readiness", "startup"}),
                    optional(ranged("initial_delay", "int", 0, 600)), optional(ranged("timeout", "int", 1, 60)),
                    optional(ranged("period", "int", 1, 60)), optional(ranged("failure_threshold", "int", 1, 30)),
                    optional(ranged("factor", "number", 1.1, 5.0)), object_param()},
         .target_kinds = workloads, .risk = Risk::medium, .disruptive = true, .timeout = minutes(15), .tries = 2,
         .permissions = patch_workloads()},
        {.name = "patch_hpa",
         .description = "moves the bounds of an autoscaler",
         .params = {optional(ranged("min", "int", 1, 100)), optional(ranged("max", "int", 1, 100)), optional(ranged("factor", "number", 1.1, 2.0)),
                    object_param()},
         .target_kinds = {"HorizontalPodAutoscaler", "Deployment", "StatefulSet"}, .risk = Risk::medium, .timeout = minutes(5), .tries = 3,
         .permissions = {{"patch", "horizontalpodautoscalers.autoscaling", ""}, {"list", "horizontalpodautoscalers.autoscaling", ""},
                         {"list", "resourcequotas", ""}, {"list", "nodes", ""}, {"list", "pods", ""}}},
        {.name = "patch_pdb",
         .description = "relaxes a disruption budget for a while",
         .params = {optional(text("min_available")), optional(text("max_unavailable")), ranged("ttl", "duration", 60, 3600, "30m"), object_param()},
         .target_kinds = {"PodDisruptionBudget"}, .risk = Risk::high, .timeout = minutes(1), .tries = 3,
         .permissions = {{"patch", "poddisruptionbudgets.policy", ""}, {"list", "pods", ""}}},
        {.name = "patch_resource_quota",
         .description = "raises one hard limit of a quota, at most by half",
         .params = {text("resource"), optional(plain("hard", "quantity")), ranged("factor", "number", 1.01, 1.5, 1.25), object_param()},
         .target_kinds = {"ResourceQuota"}, .risk = Risk::high, .timeout = minutes(2), .tries = 2,
         .permissions = {{"patch", "resourcequotas", ""}, {"list", "nodes", ""}, {"list", "pods", ""}}},

        {.name = "cordon_node", .description = "takes a node out of scheduling", .params = {object_param()}, .target_kinds = {"Node", "Pod"},
         .risk = Risk::medium, .gitops_safe = true, .timeout = 30s, .tries = 3, .permissions = {{"patch", "nodes", ""}, {"list", "nodes", ""}}},
        {.name = "uncordon_node", .description = "puts a node back that we took out", .params = {object_param()}, .target_kinds = {"Node", "Pod"},
         .risk = Risk::low, .gitops_safe = true, .timeout = 30s, .tries = 3, .permissions = {{"patch", "nodes", ""}}},
        {.name = "drain_node",
         .description = "evicts the pods of a cordoned node, within all budgets",
         .params = {ranged("deadline", "duration", 60, 3600, "15m"), ranged("parallel", "int", 1, 5, 2),
                    plain("delete_emptydir_data", "bool", false), object_param()},
         .target_kinds = {"Node", "Pod"}, .risk = Risk::high, .disruptive = true, .gitops_safe = true, .timeout = minutes(60), .tries = 1,
         .permissions = {{"list", "pods", ""}, {"create", "pods", "eviction"}, {"list", "nodes", ""}, {"patch", "nodes", ""}}},
        {.name = "remove_taint",
         .description = "removes one taint from a node",
         .params = {text("key"), text("effect", "NoSchedule", {"NoSchedule", "PreferNoSchedule", "NoExecute"}), object_param()},
         .target_kinds = {"Node", "Pod"}, .risk = Risk::medium, .gitops_safe = true, .timeout = minutes(5), .tries = 3,
         .permissions = {{"patch", "nodes", ""}}},
        {.name = "add_taint",
         .description = "puts one taint on a node",
         .params = {text("key"), optional(text("value")), text("effect", "NoSchedule", {"NoSchedule", "PreferNoSchedule"}), object_param()},
         .target_kinds = {"Node", "Pod"}, .risk = Risk::medium, .gitops_safe = true, .timeout = minutes(5), .tries = 3,
         .permissions = {{"patch", "nodes", ""}, {"list", "nodes", ""}}},

        {.name = "expand_pvc",
         .description = "asks for a larger volume",
         .params = {optional(plain("size", "quantity")), ranged("factor", "number", 1.1, 2.0, 1.5), object_param()},
         .target_kinds = {"PersistentVolumeClaim"}, .risk = Risk::medium, .reversible = false, .timeout = minutes(15), .tries = 2,
         .permissions = {{"patch", "persistentvolumeclaims", ""}, {"get", "storageclasses.storage.k8s.io", ""}, {"list", "resourcequotas", ""}}},
        {.name = "recreate_pvc",
         .description = "makes a claim anew that was never bound, with a storage class that exists",
         .params = {optional(text("storage_class")), object_param()},
         .target_kinds = {"PersistentVolumeClaim", "StatefulSet"}, .risk = Risk::high, .timeout = minutes(5), .tries = 1,
         .permissions = {{"create", "persistentvolumeclaims", ""}, {"delete", "persistentvolumeclaims", ""},
                         {"list", "persistentvolumeclaims", ""}, {"list", "storageclasses.storage.k8s.io", ""}, {"list", "pods", ""}}},

        {.name = "restore_configmap",
         .description = "puts the last good content of a ConfigMap back",
         .params = {optional(text("name")), optional(plain("data", "object")), optional(text("hash")), optional(text("source"))},
         .target_kinds = {}, .risk = Risk::medium, .timeout = minutes(1), .tries = 3,
         .permissions = {{"create", "configmaps", ""}, {"patch", "configmaps", ""}, {"delete", "configmaps", ""}}},
        {.name = "restore_role_binding",
         .description = "makes a deleted binding anew, as it was",
         .params = {plain("binding", "object")},
         .target_kinds = {}, .risk = Risk::high, .timeout = minutes(1), .tries = 2,
         .permissions = {{"create", "rolebindings.rbac.authorization.k8s.io", ""}, {"delete", "rolebindings.rbac.authorization.k8s.io", ""},
                         {"create", "clusterrolebindings.rbac.authorization.k8s.io", ""},
                         {"delete", "clusterrolebindings.rbac.authorization.k8s.io", ""},
                         {"get", "roles.rbac.authorization.k8s.io", ""}, {"get", "clusterroles.rbac.authorization.k8s.io", ""},
                         {"create", "subjectaccessreviews.authorization.k8s.io", ""}}},
        {.name = "copy_secret",
         .description = "copies a Secret from an allowed source",
         .params = {optional(text("name")), optional(text("source")), optional(text("registry"))},
         .target_kinds = {}, .risk = Risk::medium, .timeout = minutes(1), .tries = 3,
         .permissions = {{"get", "secrets", ""}, {"create", "secrets", ""}, {"patch", "secrets", ""}, {"delete", "secrets", ""}}},
        {.name = "patch_service_selector",
         .description = "points a Service at its workload's labels again",
         .params = {optional(plain("selector", "object")), object_param()},
         .target_kinds = {"Service"}, .risk = Risk::medium, .timeout = minutes(2), .tries = 2,
         .permissions = {{"patch", "services", ""}, {"list", "endpointslices.discovery.k8s.io", ""}, {"list", "pods", ""},
                         {"list", "deployments.apps", ""}, {"list", "statefulsets.apps", ""}, {"list", "daemonsets.apps", ""}}},
        {.name = "add_network_allow",
         .description = "opens one ingress edge to the target's pods that was open before",
         .params = {optional(plain("from", "object")), optional(text("from_namespace")), ranged("port", "int", 1, 65535),
                    text("protocol", "TCP", {"TCP", "UDP", "SCTP"}), object_param()},
         .target_kinds = workloads, .risk = Risk::medium, .timeout = minutes(3), .tries = 2,
         .permissions = {{"create", "networkpolicies.networking.k8s.io", ""}, {"delete", "networkpolicies.networking.k8s.io", ""}}},

        {.name = "rerun_job",
         .description = "runs a copy of a failed Job",
         .params = {object_param()},
         .target_kinds = {"Job"}, .risk = Risk::low, .timeout = minutes(30), .tries = 1,
         .permissions = {{"create", "jobs.batch", ""}, {"delete", "jobs.batch", ""}}},
        {.name = "delete_job",
         .description = "deletes a finished or overdue Job with its pods",
         .params = {object_param()},
         .target_kinds = {"Job", "CronJob"}, .risk = Risk::medium, .reversible = false, .timeout = minutes(1), .tries = 3,
         .permissions = {{"delete", "jobs.batch", ""}, {"list", "jobs.batch", ""}}},
        {.name = "trigger_cronjob",
         .description = "runs a CronJob's Job now",
         .params = {object_param()},
         .target_kinds = {"CronJob"}, .risk = Risk::low, .timeout = minutes(1), .tries = 2,
         .permissions = {{"create", "jobs.batch", ""}, {"delete", "jobs.batch", ""}, {"list", "jobs.batch", ""}}},
        {.name = "suspend_cronjob",
         .description = "suspends a CronJob or lets it go on",
         .params = {plain("suspend", "bool", true), object_param()},
         .target_kinds = {"CronJob"}, .risk = Risk::low, .timeout = minutes(1), .tries = 2, .permissions = {{"patch", "cronjobs.batch", ""}}},

        {.name = "annotate_target",
         .description = "sets one annotation under kubernaut.io/",
         .params = {text("key"), optional(ranged("value", "string", 0, 4096)), object_param()},
         .target_kinds = {}, .risk = Risk::low, .timeout = 30s, .tries = 5, .permissions = {}},
    };
}

}  // namespace

const std::vector<ActionSpec>& action_specs() {
    static const std::vector<ActionSpec> specs = make_specs();
    return specs;
}

const ActionSpec& spec_of(std::string_view name) {
    const auto& all = action_specs();
    const auto found = std::ranges::find(all, name, &ActionSpec::name);
    if (found == all.end()) std::abort();  // an action class without a row: found by the first test that builds the registry
    return *found;
}

}  // namespace kn::actions
