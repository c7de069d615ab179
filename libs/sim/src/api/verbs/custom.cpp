// Custom resources: the parts of OpenAPI v3 structural schemas that decide over objects (type, required, enum, bounds, defaults, pruning). Patterns and CEL rules are
// not evaluated: an object that only they would refuse is accepted here.
#include <algorithm>

#include "api/objects/validation.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

using json::at;

std::string child_path(const std::string& path, std::string_view key) { return path.empty() ? std::string(key) : path + "." + std::string(key); }

std::string_view type_name(const Value& value) {
    if (value.is_string()) return "string";
    if (value.is_bool()) return "boolean";
    if (value.is_object()) return "object";
    if (value.is_array()) return "array";
    if (value.is_null()) return "null";
    return value.is_double() ? "number" : "integer";
}

bool has_type(const Value& value, std::string_view type) {
    const auto actual = type_name(value);
    if (actual == type) return true;
    if (type == "number") return actual == "integer";
    if (type == "integer" && value.is_double()) return json::to_int(&value).has_value();
    return false;
}

void check_number(const Value& value, const Value& schema, const std::string& path, Causes& causes) {
    const auto number = json::to_double(&value);
    if (!number) return;
    const auto bound = [&](std::string_view key) { return json::to_double(at(schema, key)); };
    const auto text = [&](std::string_view key) { return json::dump(*at(schema, key)); };
    if (const auto low = bound("minimum"); low && *number < *low) {
        causes.push_back(invalid_value(path, value, path + " in body should be greater than or equal to " + text("minimum")));
    }
    if (const auto high = bound("maximum"); high && *number > *high) {
        causes.push_back(invalid_value(path, value, path + " in body should be less than or equal to " + text("maximum")));
    }
}

void check_size(const Value& value, std::size_t size, const Value& schema, std::string_view low_key, std::string_view high_key,
                const std::string& path, Causes& causes) {
    const auto low = json::to_int(at(schema, low_key)), high = json::to_int(at(schema, high_key));
    if (low && size < static_cast<std::size_t>(*low)) {
        causes.push_back(invalid_value(path, value, path + " in body should be at least " + std::to_string(*low) + " long"));
    }
    if (high && size > static_cast<std::size_t>(*high)) {
        causes.push_back({"FieldValueTooLong", "Too long: may not be more than " + std::to_string(*high) + " bytes", path});
    }
}

void check(const Value& value, const Value& schema, const std::string& path, Causes& causes) {
    if (value.is_null() && json::bool_at(schema, "nullable").value_or(false)) return;
    if (json::bool_at(schema, "x-kubernetes-int-or-string").value_or(false)) {
        if (!value.is_string() && !json::to_int(&value))
            causes.push_back(invalid_value(path, value, path + " in body must be of type integer or string"));
        return;
    }
    const auto type = json::string_at(schema, "type");
    if (!type.empty() && !has_type(value, type)) {
        causes.push_back({"FieldValueTypeInvalid",
                          "Invalid value: " + json::dump(Value(type_name(value))) + ": " + path + " in body must be of type " + std::string(type) +
                              ": " + json::dump(Value(type_name(value))),
                          path});
        return;
    }
    if (const auto& allowed = json::array_at(schema, "enum"); !allowed.empty() && std::ranges::find(allowed, value) == allowed.end()) {
        std::vector<std::string> names;
        for (const Value& one : allowed) names.push_back(one.is_string() ? std::string(json::view(one.get_string())) : json::dump(one));
        causes.push_back(unsupported(path, value, names));
    }
    check_number(value, schema, path, causes);
    if (const auto* text = value.if_string()) check_size(value, text->size(), schema, "minLength", "maxLength", path, causes);
    if (const auto* array = value.if_array()) {
        check_size(value, array->size(), schema, "minItems", "maxItems", path, causes);
        if (const auto* items = at(schema, "items")) {
            for (std::size_t i = 0; i < array->size(); ++i) check((*array)[i], *items, path + "[" + std::to_string(i) + "]", causes);
        }
    }
    const auto* object = value.if_object();
    if (object == nullptr) return;
    for (const Value& key : json::array_at(schema, "required")) {
        const auto name = key.is_string() ? json::view(key.get_string()) : std::string_view{};
        if (!object->contains(name)) causes.push_back(required(child_path(path, name)));
    }
    const auto& properties = json::object_at(schema, "properties");
    const auto* additional = at(schema, "additionalProperties");
    for (const auto& [key, child] : *object) {
        if (const auto* known = properties.if_contains(key))
            check(child, *known, child_path(path, key), causes);
        else if (additional != nullptr && additional->is_object())
            check(child, *additional, child_path(path, key), causes);
    }
}

void prune(Value& value, const Value& schema, const std::string& path, std::vector<std::string>& unknown) {
    if (json::bool_at(schema, "x-kubernetes-preserve-unknown-fields").value_or(false)) return;
    if (auto* array = value.if_array()) {
        if (const auto* items = at(schema, "items")) {
            for (std::size_t i = 0; i < array->size(); ++i) prune((*array)[i], *items, path + "[" + std::to_string(i) + "]", unknown);
        }
        return;
    }
    auto* object = value.if_object();
    if (object == nullptr) return;
    const auto& properties = json::object_at(schema, "properties");
    const auto* additional = at(schema, "additionalProperties");
    if (additional != nullptr) {
        if (additional->is_object()) {
            for (auto& [key, child] : *object) prune(child, *additional, child_path(path, key), unknown);
        }
        return;
    }
    for (auto it = object->begin(); it != object->end();) {
        const auto here = child_path(path, it->key());
        // The envelope is not part of the schema.
        const bool envelope = path.empty() && (it->key() == "kind" || it->key() == "apiVersion" || it->key() == "metadata");
        if (envelope) {
            ++it;
        } else if (const auto* known = properties.if_contains(it->key())) {
            prune(it->value(), *known, here, unknown);
            ++it;
        } else {
            unknown.push_back(here);
            it = object->erase(it);
        }
    }
}

void fill_defaults(Value& value, const Value& schema) {
    if (auto* array = value.if_array()) {
        if (const auto* items = at(schema, "items")) {
            for (Value& item : *array) fill_defaults(item, *items);
        }
        return;
    }
    auto* object = value.if_object();
    if (object == nullptr) return;
    for (const auto& [key, property] : json::object_at(schema, "properties")) {
        auto* child = object->if_contains(key);
        if (child == nullptr || child->is_null()) {
            const auto* preset = at(property, "default");
            if (preset == nullptr) continue;
            (*object)[key] = *preset;
            child = object->if_contains(key);
        }
        fill_defaults(*child, property);
    }
}

}  // namespace

Causes validate_custom(const ServedType& type, const Value& object) {
    Causes causes;
    if (type.custom && type.custom->schema.is_object()) {
        for (const auto& [key, child] : json::object_at(type.custom->schema, "properties")) {
            if (key == "metadata" || key == "kind" || key == "apiVersion") continue;
            if (const auto* value = at(object, std::string_view(key))) check(*value, child, std::string(key), causes);
        }
        for (const Value& key : json::array_at(type.custom->schema, "required")) {
            const auto name = key.is_string() ? json::view(key.get_string()) : std::string_view{};
            if (at(object, name) == nullptr) causes.push_back(required(std::string(name)));
        }
    }
    return causes;
}

std::vector<std::string> prune_custom(const ServedType& type, Value& object) {
    std::vector<std::string> unknown;
    if (type.custom && type.custom->schema.is_object()) prune(object, type.custom->schema, {}, unknown);
    return unknown;
}

void default_custom(const ServedType& type, Value& object) {
    if (type.custom && type.custom->schema.is_object()) fill_defaults(object, type.custom->schema);
}

namespace {

struct KnownFields {
    std::string_view storage;
    std::vector<std::string_view> root, spec;
};

const std::vector<KnownFields>& known_fields() {
    static const std::vector<KnownFields> table{
        {"configmaps", {"data", "binaryData", "immutable"}, {}},
        {"secrets", {"data", "stringData", "immutable", "type"}, {}},
        {"namespaces", {"spec", "status"}, {"finalizers"}},
        {"nodes", {"spec", "status"}, {"podCIDR", "podCIDRs", "providerID", "unschedulable", "taints", "configSource", "externalID"}},
        {"persistentvolumeclaims",
         {"spec", "status"},
         {"accessModes", "selector", "resources", "volumeName", "storageClassName", "volumeMode", "dataSource", "dataSourceRef",
          "volumeAttributesClassName"}},
        {"deployments.apps",
         {"spec", "status"},
         {"replicas", "selector", "template", "strategy", "minReadySeconds", "revisionHistoryLimit", "paused", "progressDeadlineSeconds"}},
        {"replicasets.apps", {"spec", "status"}, {"replicas", "selector", "template", "minReadySeconds"}},
        {"statefulsets.apps",
         {"spec", "status"},
         {"replicas", "selector", "template", "volumeClaimTemplates", "serviceName", "podManagementPolicy", "updateStrategy", "revisionHistoryLimit",
          "minReadySeconds", "persistentVolumeClaimRetentionPolicy", "ordinals"}},
        {"daemonsets.apps", {"spec", "status"}, {"selector", "template", "updateStrategy", "minReadySeconds", "revisionHistoryLimit"}},
        {"jobs.batch",
         {"spec", "status"},
         {"parallelism", "completions", "activeDeadlineSeconds", "podFailurePolicy", "successPolicy", "backoffLimit", "backoffLimitPerIndex",
          "maxFailedIndexes", "selector", "manualSelector", "template", "ttlSecondsAfterFinished", "completionMode", "suspend",
          "podReplacementPolicy", "managedBy"}},
        {"cronjobs.batch",
         {"spec", "status"},
         {"schedule", "timeZone", "startingDeadlineSeconds", "concurrencyPolicy", "suspend", "jobTemplate", "successfulJobsHistoryLimit",
          "failedJobsHistoryLimit"}},
        {"horizontalpodautoscalers.autoscaling", {"spec", "status"}, {"scaleTargetRef", "minReplicas", "maxReplicas", "metrics", "behavior"}},
        {"poddisruptionbudgets.policy", {"spec", "status"}, {"minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy"}},
        {"services",
         {"spec", "status"},
         {"ports",
          "selector",
          "clusterIP",
          "clusterIPs",
          "type",
          "externalIPs",
          "sessionAffinity",
          "loadBalancerIP",
          "loadBalancerSourceRanges",
          "externalName",
          "externalTrafficPolicy",
          "healthCheckNodePort",
          "publishNotReadyAddresses",
          "sessionAffinityConfig",
          "ipFamilies",
          "ipFamilyPolicy",
          "allocateLoadBalancerNodePorts",
          "loadBalancerClass",
          "internalTrafficPolicy",
          "trafficDistribution"}},
        {"pods",
         {"spec", "status"},
         {"volumes",
          "initContainers",
          "containers",
          "ephemeralContainers",
          "restartPolicy",
          "terminationGracePeriodSeconds",
          "activeDeadlineSeconds",
          "dnsPolicy",
          "nodeSelector",
          "serviceAccountName",
          "serviceAccount",
          "automountServiceAccountToken",
          "nodeName",
          "hostNetwork",
          "hostPID",
          "hostIPC",
          "shareProcessNamespace",
          "securityContext",
          "imagePullSecrets",
          "hostname",
          "subdomain",
          "affinity",
          "schedulerName",
          "tolerations",
          "hostAliases",
          "priorityClassName",
          "priority",
          "dnsConfig",
          "readinessGates",
          "runtimeClassName",
          "enableServiceLinks",
          "preemptionPolicy",
          "overhead",
          "topologySpreadConstraints",
          "setHostnameAsFQDN",
          "os",
          "hostUsers",
          "schedulingGates",
          "resourceClaims",
          "resources",
          "hostnameOverride",
          "workloadRef"}},
        {"resourcequotas", {"spec", "status"}, {"hard", "scopes", "scopeSelector"}},
        {"roles.rbac.authorization.k8s.io", {"rules"}, {}},
        {"clusterroles.rbac.authorization.k8s.io", {"rules", "aggregationRule"}, {}},
        {"rolebindings.rbac.authorization.k8s.io", {"subjects", "roleRef"}, {}},
        {"clusterrolebindings.rbac.authorization.k8s.io", {"subjects", "roleRef"}, {}},
        {"leases.coordination.k8s.io",
         {"spec"},
         {"holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions", "strategy", "preferredHolder"}},
        {"networkpolicies.networking.k8s.io", {"spec", "status"}, {"podSelector", "ingress", "egress", "policyTypes"}},
    };
    return table;
}

constexpr std::string_view metadata_fields[]{"name",
                                             "generateName",
                                             "namespace",
                                             "selfLink",
                                             "uid",
                                             "resourceVersion",
                                             "generation",
                                             "creationTimestamp",
                                             "deletionTimestamp",
                                             "deletionGracePeriodSeconds",
                                             "labels",
                                             "annotations",
                                             "ownerReferences",
                                             "finalizers",
                                             "managedFields",
                                             "clusterName"};

}  // namespace

std::vector<std::string> unknown_fields(const ServedType& type, const Value& object) {
    std::vector<std::string> out;
    for (const auto& [key, value] : json::object_at(object, "metadata")) {
        if (std::ranges::find(metadata_fields, std::string_view(key)) == std::end(metadata_fields)) out.push_back("metadata." + std::string(key));
    }
    for (const auto& known : known_fields()) {
        if (known.storage != type.storage || !object.is_object()) continue;
        for (const auto& [key, value] : object.get_object()) {
            if (key == "kind" || key == "apiVersion" || key == "metadata") continue;
            if (std::ranges::find(known.root, std::string_view(key)) == known.root.end()) out.emplace_back(key);
        }
        if (known.spec.empty()) break;
        for (const auto& [key, value] : json::object_at(object, "spec")) {
            if (std::ranges::find(known.spec, std::string_view(key)) == known.spec.end()) out.push_back("spec." + std::string(key));
        }
    }
    return out;
}

}  // namespace kn::sim::api
