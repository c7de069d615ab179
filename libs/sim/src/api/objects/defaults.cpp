#include "api/objects/defaults.hpp"

#include <algorithm>
#include <map>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

using json::make_at;
using json::Object;

/// Sets a field that is absent or null.
void fill(Object& object, std::string_view key, Value value) {
    auto& slot = object[key];
    if (slot.is_null()) slot = std::move(value);
}

/// An empty string counts as absent too, as it does for enumerations and names in the API.
void fill_text(Object& object, std::string_view key, std::string_view value) {
    auto& slot = object[key];
    if (slot.is_null() || (slot.is_string() && slot.get_string().empty())) slot = value;
}

Object* object_in(Value& parent, std::string_view key) {
    auto* object = parent.if_object();
    if (object == nullptr) return nullptr;
    auto* child = object->if_contains(key);
    return child == nullptr ? nullptr : child->if_object();
}

Object& ensure(Object& parent, std::string_view key) {
    auto& slot = parent[key];
    return slot.is_object() ? slot.get_object() : slot.emplace_object();
}

template <class Visit> void each_object(Object& parent, std::string_view key, const Visit& visit) {
    auto* list = parent.if_contains(key);
    if (list == nullptr || !list->is_array()) return;
    for (Value& item : list->get_array()) {
        if (item.is_object()) visit(item.get_object());
    }
}

void drop_nulls(Value& value) {
    if (auto* object = value.if_object()) {
        for (auto it = object->begin(); it != object->end();) {
            if (it->value().is_null()) {
                it = object->erase(it);
            } else {
                drop_nulls(it->value());
                ++it;
            }
        }
    } else if (auto* array = value.if_array()) {
        for (Value& item : *array) drop_nulls(item);
    }
}

bool has_nulls(const Value& value) {
    if (value.is_null()) return true;
    if (const auto* object = value.if_object()) return std::ranges::any_of(*object, [](const auto& pair) { return has_nulls(pair.value()); });
    if (const auto* array = value.if_array()) return std::ranges::any_of(*array, has_nulls);
    return false;
}

void drop_empty(Object& object, std::string_view key) {
    const auto found = object.find(key);
    if (found == object.end()) return;
    const Value& value = found->value();
    if ((value.is_object() && value.get_object().empty()) || (value.is_array() && value.get_array().empty()) ||
        (value.is_string() && value.get_string().empty())) {
        object.erase(found);
    }
}

void default_probe(Object& container, std::string_view name) {
    auto* slot = container.if_contains(name);
    if (slot == nullptr || !slot->is_object()) return;
    auto& probe = slot->get_object();
    fill(probe, "timeoutSeconds", 1);
    fill(probe, "periodSeconds", 10);
    fill(probe, "successThreshold", 1);
    fill(probe, "failureThreshold", 3);
    if (auto* http = object_in(*slot, "httpGet")) {
        fill_text(*http, "path", "/");
        fill_text(*http, "scheme", "HTTP");
    }
}

bool latest_tag(std::string_view image) {
    if (image.find('@') != std::string_view::npos) return false;
    const auto slash = image.rfind('/');
    const auto colon = image.find(':', slash == std::string_view::npos ? 0 : slash);
    return colon == std::string_view::npos || image.substr(colon + 1) == "latest";
}

void default_resources(Object& container) {
    auto& resources = ensure(container, "resources");
    // A limit without a request is the request too.
    const auto* limits = resources.if_contains("limits");
    if (limits == nullptr || !limits->is_object() || limits->get_object().empty()) return;
    const Object copy = limits->get_object();
    auto& requests = ensure(resources, "requests");
    for (const auto& [name, value] : copy) fill(requests, name, value);
}

void default_container(Object& container) {
    const auto image =
        container.contains("image") && container.at("image").is_string() ? json::view(container.at("image").get_string()) : std::string_view{};
    fill_text(container, "imagePullPolicy", latest_tag(image) ? "Always" : "IfNotPresent");
    fill_text(container, "terminationMessagePath", "/dev/termination-log");
    fill_text(container, "terminationMessagePolicy", "File");
    default_resources(container);
    each_object(container, "ports", [](Object& port) { fill_text(port, "protocol", "TCP"); });
    each_object(container, "env", [](Object& variable) {
        auto* source = variable.if_contains("valueFrom");
        if (source == nullptr) return;
        if (auto* field = object_in(*source, "fieldRef")) fill_text(*field, "apiVersion", "v1");
    });
    default_probe(container, "livenessProbe");
    default_probe(container, "readinessProbe");
    default_probe(container, "startupProbe");
}

void default_volume(Object& volume) {
    static constexpr std::string_view sources[]{"secret", "configMap", "projected", "downwardAPI"};
    for (const auto name : sources) {
        auto* source = volume.if_contains(name);
        if (source != nullptr && source->is_object()) fill(source->get_object(), "defaultMode", 420);
    }
    if (auto* path = volume.if_contains("hostPath"); path != nullptr && path->is_object()) fill(path->get_object(), "type", "");
    if (volume.size() == 1) volume["emptyDir"] = Object{};
}

void default_template(Object& spec) {
    auto* found = spec.if_contains("template");
    if (found == nullptr || !found->is_object()) return;
    auto& pod = found->get_object();
    auto& metadata = ensure(pod, "metadata");
    drop_empty(metadata, "labels");
    drop_empty(metadata, "annotations");
    drop_empty(metadata, "creationTimestamp");
    if (auto* inner = pod.if_contains("spec"); inner != nullptr && inner->is_object()) default_pod_spec(*inner, false);
}

void default_deployment(Object& spec) {
    fill(spec, "replicas", 1);
    auto& strategy = ensure(spec, "strategy");
    fill_text(strategy, "type", "RollingUpdate");
    if (strategy["type"] == "RollingUpdate") {
        auto& rolling = ensure(strategy, "rollingUpdate");
        fill(rolling, "maxUnavailable", "25%");
        fill(rolling, "maxSurge", "25%");
    }
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    default_template(spec);
}

void default_claim_spec(Object& spec) { fill_text(spec, "volumeMode", "Filesystem"); }

void default_stateful_set(Object& spec) {
    fill(spec, "replicas", 1);
    fill_text(spec, "podManagementPolicy", "OrderedReady");
    auto& strategy = ensure(spec, "updateStrategy");
    fill_text(strategy, "type", "RollingUpdate");
    if (strategy["type"] == "RollingUpdate") fill(ensure(strategy, "rollingUpdate"), "partition", 0);
    fill(spec, "revisionHistoryLimit", 10);
    auto& retention = ensure(spec, "persistentVolumeClaimRetentionPolicy");
    fill_text(retention, "whenDeleted", "Retain");
    fill_text(retention, "whenScaled", "Retain");
    each_object(spec, "volumeClaimTemplates", [](Object& claim) {
        fill_text(claim, "kind", "PersistentVolumeClaim");
        fill_text(claim, "apiVersion", "v1");
        default_claim_spec(ensure(claim, "spec"));
        claim["status"] = Object{{"phase", "Pending"}};
    });
    default_template(spec);
}

void default_daemon_set(Object& spec) {
    auto& strategy = ensure(spec, "updateStrategy");
    fill_text(strategy, "type", "RollingUpdate");
    if (strategy["type"] == "RollingUpdate") {
        auto& rolling = ensure(strategy, "rollingUpdate");
        fill(rolling, "maxUnavailable", 1);
        fill(rolling, "maxSurge", 0);
    }
    fill(spec, "revisionHistoryLimit", 10);
    default_template(spec);
}

void default_job(Object& spec) {
    if (!spec.contains("completions") && !spec.contains("parallelism")) {
        spec["completions"] = 1;
        spec["parallelism"] = 1;
    }
    fill(spec, "parallelism", 1);
    fill(spec, "backoffLimit", 6);
    fill_text(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    fill_text(spec, "podReplacementPolicy", "TerminatingOrFailed");
    default_template(spec);
}

void default_cron_job(Object& spec) {
    fill_text(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    auto& job = ensure(spec, "jobTemplate");
    ensure(job, "metadata");
    if (auto* inner = job.if_contains("spec"); inner != nullptr && inner->is_object()) default_template(inner->get_object());
}

void default_service(Object& spec) {
    fill_text(spec, "type", "ClusterIP");
    fill_text(spec, "sessionAffinity", "None");
    if (spec["type"] == "ExternalName") return;
    fill_text(spec, "internalTrafficPolicy", "Cluster");
    fill_text(spec, "ipFamilyPolicy", "SingleStack");
    fill(spec, "ipFamilies", json::Array{"IPv4"});
    if (spec["type"] != "ClusterIP") fill_text(spec, "externalTrafficPolicy", "Cluster");
    each_object(spec, "ports", [](Object& port) {
        fill_text(port, "protocol", "TCP");
        if (port.contains("port")) fill(port, "targetPort", port.at("port"));
    });
}

void default_network_policy(Object& spec) {
    fill(spec, "podSelector", Object{});
    if (!spec.contains("policyTypes")) {
        json::Array types{"Ingress"};
        if (spec.contains("egress")) types.emplace_back("Egress");
        spec["policyTypes"] = std::move(types);
    }
    for (const std::string_view direction : {"ingress", "egress"}) {
        each_object(spec, direction, [](Object& rule) { each_object(rule, "ports", [](Object& port) { fill_text(port, "protocol", "TCP"); }); });
    }
}

void default_autoscaler(Object& spec) {
    fill(spec, "minReplicas", 1);
    if (!spec.contains("metrics")) {
        spec["metrics"] = json::Array{Object{
            {"type", "Resource"}, {"resource", Object{{"name", "cpu"}, {"target", Object{{"type", "Utilization"}, {"averageUtilization", 80}}}}}}};
    }
}

void default_definition(Object& object) {
    auto& spec = ensure(object, "spec");
    auto& names = ensure(spec, "names");
    const std::string kind(names.contains("kind") && names.at("kind").is_string() ? json::view(names.at("kind").get_string()) : std::string_view{});
    std::string singular = kind;
    std::ranges::transform(singular, singular.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    fill_text(names, "singular", singular);
    fill_text(names, "listKind", kind + "List");
    auto& conversion = ensure(spec, "conversion");
    fill_text(conversion, "strategy", "None");
}

void default_secret(Object& object) {
    fill_text(object, "type", "Opaque");
    auto* texts = object.if_contains("stringData");
    if (texts == nullptr) return;
    if (texts->is_object()) {
        const Object copy = texts->get_object();
        auto& data = ensure(object, "data");
        for (const auto& [key, value] : copy) {
            if (value.is_string()) data[key] = base64_encode(json::view(value.get_string()));
        }
    }
    object.erase("stringData");
}

double quantity(const Object& map, std::string_view name) {
    const auto* value = map.if_contains(name);
    return value == nullptr ? 0 : kube::quantity_at(value).value_or(0);
}

}  // namespace

void default_pod_spec(Value& value, bool is_pod) {
    if (!value.is_object()) return;
    auto& spec = value.get_object();
    fill_text(spec, "restartPolicy", "Always");
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill_text(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "securityContext", Object{});
    fill_text(spec, "schedulerName", "default-scheduler");
    if (is_pod) fill(spec, "enableServiceLinks", true);
    each_object(spec, "containers", default_container);
    each_object(spec, "initContainers", default_container);
    each_object(spec, "volumes", default_volume);
    // serviceAccount is the old name of serviceAccountName; servers write both.
    if (spec.contains("serviceAccountName") && !spec.contains("serviceAccount")) spec["serviceAccount"] = spec["serviceAccountName"];
    if (spec.contains("serviceAccount") && !spec.contains("serviceAccountName")) spec["serviceAccountName"] = spec["serviceAccount"];
}

Value initial_status(const ServedType& type) {
    static const std::map<std::string, Object, std::less<>> counters{
        {"replicasets.apps", {{"replicas", 0}}},
        {"replicationcontrollers", {{"replicas", 0}}},
        {"statefulsets.apps", {{"replicas", 0}, {"availableReplicas", 0}}},
        {"daemonsets.apps", {{"currentNumberScheduled", 0}, {"numberMisscheduled", 0}, {"desiredNumberScheduled", 0}, {"numberReady", 0}}},
        {"poddisruptionbudgets.policy", {{"disruptionsAllowed", 0}, {"currentHealthy", 0}, {"desiredHealthy", 0}, {"expectedPods", 0}}},
        {"horizontalpodautoscalers.autoscaling", {{"desiredReplicas", 0}}},
        {"ingresses.networking.k8s.io", {{"loadBalancer", Object{}}}},
        {"volumeattachments.storage.k8s.io", {{"attached", false}}},
    };
    if (type.custom || !type.status) return nullptr;
    const auto found = counters.find(type.storage);
    return found == counters.end() ? Object{} : found->second;
}

std::string_view qos_class(const Value& spec) {
    bool any = false, guaranteed = true;
    for (const std::string_view list : {"containers", "initContainers"}) {
        for (const Value& container : json::array_at(spec, list)) {
            const auto& requests = json::object_at(container, "resources", "requests");
            const auto& limits = json::object_at(container, "resources", "limits");
            for (const std::string_view name : {"cpu", "memory"}) {
                const double request = quantity(requests, name), limit = quantity(limits, name);
                if (request > 0 || limit > 0) any = true;
                if (limit <= 0 || (request > 0 && request != limit)) guaranteed = false;
            }
        }
    }
    if (!any) return "BestEffort";
    return guaranteed ? "Guaranteed" : "Burstable";
}

void normalize(const ServedType& type, Value& object) {
    if (!object.is_object()) return;
    if (!type.custom) {
        // Event has two times that are written as null.
        if (has_nulls(object)) drop_nulls(object);
    }
    auto& root = object.get_object();
    if (auto* metadata = root.if_contains("metadata"); metadata != nullptr && metadata->is_object()) {
        auto& fields = metadata->get_object();
        for (const std::string_view key : {"labels", "annotations", "finalizers", "ownerReferences", "creationTimestamp", "generateName",
                                           "resourceVersion", "uid", "namespace", "managedFields", "selfLink"}) {
            drop_empty(fields, key);
        }
        for (auto it = fields.begin(); it != fields.end();) it = it->value().is_null() ? fields.erase(it) : std::next(it);
    }
    // kind, apiVersion, metadata in front of the rest: StoredObject relies on it.
    Object ordered;
    ordered.reserve(root.size() + 2);
    ordered["kind"] = type.resource.kind;
    ordered["apiVersion"] = type.resource.api_version();
    if (auto* metadata = root.if_contains("metadata"))
        ordered["metadata"] = std::move(*metadata);
    else
        ordered["metadata"] = Object{};
    for (auto& [key, value] : root) {
        if (key != "kind" && key != "apiVersion" && key != "metadata") ordered[key] = std::move(value);
    }
    object = std::move(ordered);
}

void apply_defaults(const ServedType& type, Value& object) {
    if (type.custom || !object.is_object()) return;
    auto& root = object.get_object();
    const auto& name = type.storage;
    // Every kind with a status has a spec, and an empty one is written too.
    if (type.status) fill(root, "spec", Object{});
    if (name == "customresourcedefinitions.apiextensions.k8s.io") return default_definition(root);
    if (name == "secrets") return default_secret(root);
    if (name == "storageclasses.storage.k8s.io") {
        fill_text(root, "reclaimPolicy", "Delete");
        fill_text(root, "volumeBindingMode", "Immediate");
        return;
    }
    if (name == "priorityclasses.scheduling.k8s.io") return fill_text(root, "preemptionPolicy", "PreemptLowerPriority");
    if (name == "namespaces") return fill(ensure(root, "spec"), "finalizers", json::Array{"kubernetes"});
    if (name == "rolebindings.rbac.authorization.k8s.io" || name == "clusterrolebindings.rbac.authorization.k8s.io") {
        if (auto* role = object_in(object, "roleRef")) fill_text(*role, "apiGroup", "rbac.authorization.k8s.io");
        each_object(root, "subjects", [](Object& subject) {
            const auto* kind = subject.if_contains("kind");
            if (kind != nullptr && (*kind == "User" || *kind == "Group")) fill_text(subject, "apiGroup", "rbac.authorization.k8s.io");
        });
        return;
    }
    auto* spec_value = root.if_contains("spec");
    if (spec_value == nullptr || !spec_value->is_object()) return;
    auto& spec = spec_value->get_object();
    if (name == "pods") return default_pod_spec(*spec_value, true);
    if (name == "deployments.apps") return default_deployment(spec);
    if (name == "replicasets.apps" || name == "replicationcontrollers") {
        fill(spec, "replicas", 1);
        return default_template(spec);
    }
    if (name == "statefulsets.apps") return default_stateful_set(spec);
    if (name == "daemonsets.apps") return default_daemon_set(spec);
    if (name == "jobs.batch") return default_job(spec);
    if (name == "cronjobs.batch") return default_cron_job(spec);
    if (name == "services") return default_service(spec);
    if (name == "persistentvolumeclaims") return default_claim_spec(spec);
    if (name == "persistentvolumes") {
        fill_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill_text(spec, "volumeMode", "Filesystem");
        return;
    }
    if (name == "networkpolicies.networking.k8s.io") return default_network_policy(spec);
    if (name == "horizontalpodautoscalers.autoscaling") return default_autoscaler(spec);
}

}  // namespace kn::sim::api
