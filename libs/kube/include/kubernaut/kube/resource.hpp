#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kubernaut/json/json.hpp"

namespace kn::kube {

/// One kind of object and where the API serves it.
struct Resource {
    std::string group;  ///< "" for core
    std::string version;
    std::string plural;
    std::string kind;
    bool namespaced = true;

    [[nodiscard]] std::string api_version() const { return group.empty() ? version : group + "/" + version; }
    /// "Deployment.apps", "Pod": the form in keys and logs.
    [[nodiscard]] std::string kind_group() const { return group.empty() ? kind : kind + "." + group; }
    /// "deployments.apps", "pods": the form in error messages and RBAC.
    [[nodiscard]] std::string plural_group() const { return group.empty() ? plural : plural + "." + group; }
    /// Collection, object or subresource path: path("shop"), path("shop","web-1"), path("shop","web-1","status"). An empty namespace is cluster scope or all namespaces.
    [[nodiscard]] std::string path(std::string_view ns = {}, std::string_view name = {}, std::string_view subresource = {}) const;
    bool operator==(const Resource&) const = default;
};

/// The built-in kinds that Kubernaut knows; others come from discovery.
std::span<const Resource> known_resources();
/// By "Kind.group", "Kind", plural, "plural.group" or kubectl's short name ("deploy", "po", "pvc"), case-insensitive; nullptr when unknown.
const Resource* find_resource(std::string_view name);
/// By apiVersion and kind of an object.
const Resource* resource_of(const json::Value& object);

namespace resources {
extern const Resource pods, services, config_maps, secrets, nodes, namespaces, events_core, persistent_volume_claims, persistent_volumes,
    service_accounts, resource_quotas, limit_ranges, endpoints, replication_controllers;
extern const Resource deployments, replica_sets, stateful_sets, daemon_sets, controller_revisions;
extern const Resource jobs, cron_jobs;
extern const Resource horizontal_pod_autoscalers;  ///< autoscaling/v2
extern const Resource pod_disruption_budgets;      ///< policy/v1
extern const Resource storage_classes, volume_attachments;
extern const Resource network_policies, ingresses;
extern const Resource roles, role_bindings, cluster_roles, cluster_role_bindings;
extern const Resource leases;           ///< coordination.k8s.io/v1
extern const Resource events;           ///< events.k8s.io/v1
extern const Resource endpoint_slices;  ///< discovery.k8s.io/v1
extern const Resource custom_resource_definitions, priority_classes;
}  // namespace resources

}  // namespace kn::kube
