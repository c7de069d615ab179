#include "kubernaut/kube/resource.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "kubernaut/kube/object.hpp"

namespace kn::kube {
namespace {

struct Known {
    std::string_view group, version, plural, kind;
    bool namespaced;
    std::array<std::string_view, 2> short_names{};
};

// The order matters where a bare kind names two resources: "Event" is the core one, as with kubectl.
constexpr Known known_table[] = {
    {"", "v1", "pods", "Pod", true, {"po"}},
    {"", "v1", "services", "Service", true, {"svc"}},
    {"", "v1", "configmaps", "ConfigMap", true, {"cm"}},
    {"", "v1", "secrets", "Secret", true},
    {"", "v1", "nodes", "Node", false, {"no"}},
    {"", "v1", "namespaces", "Namespace", false, {"ns"}},
    {"", "v1", "events", "Event", true, {"ev"}},
    {"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true, {"pvc"}},
    {"", "v1", "persistentvolumes", "PersistentVolume", false, {"pv"}},
    {"", "v1", "serviceaccounts", "ServiceAccount", true, {"sa"}},
    {"", "v1", "resourcequotas", "ResourceQuota", true, {"quota"}},
    {"", "v1", "limitranges", "LimitRange", true, {"limits"}},
    {"", "v1", "endpoints", "Endpoints", true, {"ep"}},
    {"", "v1", "replicationcontrollers", "ReplicationController", true, {"rc"}},
    {"apps", "v1", "deployments", "Deployment", true, {"deploy"}},
    {"apps", "v1", "replicasets", "ReplicaSet", true, {"rs"}},
    {"apps", "v1", "statefulsets", "StatefulSet", true, {"sts"}},
    {"apps", "v1", "daemonsets", "DaemonSet", true, {"ds"}},
    {"apps", "v1", "controllerrevisions", "ControllerRevision", true},
    {"batch", "v1", "jobs", "Job", true},
    {"batch", "v1", "cronjobs", "CronJob", true, {"cj"}},
    {"autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true, {"hpa"}},
    {"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, {"pdb"}},
    {"storage.k8s.io", "v1", "storageclasses", "StorageClass", false, {"sc"}},
    {"storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", false},
    {"networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true, {"netpol"}},
    {"networking.k8s.io", "v1", "ingresses", "Ingress", true, {"ing"}},
    {"rbac.authorization.k8s.io", "v1", "roles", "Role", true},
    {"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true},
    {"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false},
    {"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false},
    {"coordination.k8s.io", "v1", "leases", "Lease", true},
    {"events.k8s.io", "v1", "events", "Event", true},
    {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true},
    {"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false, {"crd", "crds"}},
    {"scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false, {"pc"}},
};

/// Built on first use, so that other files' static objects may ask.
const std::vector<Resource>& table() {
    static const std::vector<Resource> resources = [] {
        std::vector<Resource> out;
        for (const auto& known : known_table) {
            out.push_back(
                {std::string(known.group), std::string(known.version), std::string(known.plural), std::string(known.kind), known.namespaced});
        }
        return out;
    }();
    return resources;
}

const Resource& entry(std::string_view plural, std::string_view group) {
    for (const auto& resource : table()) {
        if (resource.plural == plural && resource.group == group) return resource;
    }
    std::abort();  // a name below that is not in the table
}

bool equal_nocase(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
        return lower(x) == lower(y);
    });
}

}  // namespace

std::string Resource::path(std::string_view ns, std::string_view name, std::string_view subresource) const {
    std::string out = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
    const auto add = [&out](std::string_view segment) {
        out += '/';
        out += segment;
    };
    if (namespaced && !ns.empty()) {
        add("namespaces");
        add(ns);
    }
    add(plural);
    if (!name.empty()) add(name);
    if (!subresource.empty()) add(subresource);
    return out;
}

std::span<const Resource> known_resources() { return table(); }

const Resource* find_resource(std::string_view name) {
    if (name.empty()) return nullptr;
    const auto& resources = table();
    for (std::size_t i = 0; i < resources.size(); ++i) {
        const auto& resource = resources[i];
        const auto& shorts = known_table[i].short_names;
        if (equal_nocase(name, resource.kind) || equal_nocase(name, resource.plural)) return &resource;
        if (std::ranges::any_of(shorts, [name](std::string_view s) { return !s.empty() && equal_nocase(name, s); })) return &resource;
    }
    const auto dot = name.find('.');
    if (dot == std::string_view::npos) return nullptr;
    const auto head = name.substr(0, dot);
    const auto group = name.substr(dot + 1);
    for (const auto& resource : resources) {
        if (!equal_nocase(head, resource.kind) && !equal_nocase(head, resource.plural)) continue;
        if (equal_nocase(group, resource.group)) return &resource;
        // kubectl's full form: deployments.v1.apps
        if (equal_nocase(group, resource.version + "." + resource.group)) return &resource;
    }
    return nullptr;
}

const Resource* resource_of(const json::Value& object) {
    const auto kind = kind_of(object);
    const auto api_version = api_version_of(object);
    for (const auto& resource : table()) {
        if (resource.kind == kind && resource.api_version() == api_version) return &resource;
    }
    return nullptr;
}

namespace resources {
const Resource pods = entry("pods", "");
const Resource services = entry("services", "");
const Resource config_maps = entry("configmaps", "");
const Resource secrets = entry("secrets", "");
const Resource nodes = entry("nodes", "");
const Resource namespaces = entry("namespaces", "");
const Resource events_core = entry("events", "");
const Resource persistent_volume_claims = entry("persistentvolumeclaims", "");
const Resource persistent_volumes = entry("persistentvolumes", "");
const Resource service_accounts = entry("serviceaccounts", "");
const Resource resource_quotas = entry("resourcequotas", "");
const Resource limit_ranges = entry("limitranges", "");
const Resource endpoints = entry("endpoints", "");
const Resource replication_controllers = entry("replicationcontrollers", "");
const Resource deployments = entry("deployments", "apps");
const Resource replica_sets = entry("replicasets", "apps");
const Resource stateful_sets = entry("statefulsets", "apps");
const Resource daemon_sets = entry("daemonsets", "apps");
const Resource controller_revisions = entry("controllerrevisions", "apps");
const Resource jobs = entry("jobs", "batch");
const Resource cron_jobs = entry("cronjobs", "batch");
const Resource horizontal_pod_autoscalers = entry("horizontalpodautoscalers", "autoscaling");
const Resource pod_disruption_budgets = entry("poddisruptionbudgets", "policy");
const Resource storage_classes = entry("storageclasses", "storage.k8s.io");
const Resource volume_attachments = entry("volumeattachments", "storage.k8s.io");
const Resource network_policies = entry("networkpolicies", "networking.k8s.io");
const Resource ingresses = entry("ingresses", "networking.k8s.io");
const Resource roles = entry("roles", "rbac.authorization.k8s.io");
const Resource role_bindings = entry("rolebindings", "rbac.authorization.k8s.io");
const Resource cluster_roles = entry("clusterroles", "rbac.authorization.k8s.io");
const Resource cluster_role_bindings = entry("clusterrolebindings", "rbac.authorization.k8s.io");
const Resource leases = entry("leases", "coordination.k8s.io");
const Resource events = entry("events", "events.k8s.io");
const Resource endpoint_slices = entry("endpointslices", "discovery.k8s.io");
const Resource custom_resource_definitions = entry("customresourcedefinitions", "apiextensions.k8s.io");
const Resource priority_classes = entry("priorityclasses", "scheduling.k8s.io");
}  // namespace resources

}  // namespace kn::kube
