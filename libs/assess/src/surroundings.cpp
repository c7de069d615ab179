#include "surroundings.hpp"

#include <algorithm>
#include <array>

#include "kubernaut/kube/object.hpp"

namespace kn::assess {
namespace {

using json::Value;

ObjectKey key_of(const ClusterId& cluster, const Value& object) {
    const std::string_view version = kube::api_version_of(object);
    const auto slash = version.find('/');
    return {cluster, std::string(kube::namespace_of(object)), std::string(kube::kind_of(object)),
            slash == std::string_view::npos ? std::string{} : std::string(version.substr(0, slash)), std::string(kube::name_of(object))};
}

bool selects(const Value& workload, const Value& pod) {
    const auto* selector = json::at(workload, "spec", "selector");
    return kube::namespace_of(workload) == kube::namespace_of(pod) && selector != nullptr &&
           kube::label_selector_matches(selector, json::object_at(pod, "metadata", "labels"));
}

bool serves(const Value& service, const Value& workload) {
    const auto& selector = json::object_at(service, "spec", "selector");
    return !selector.empty() && kube::namespace_of(service) == kube::namespace_of(workload) &&
           kube::map_selector_matches(selector, json::object_at(workload, "spec", "template", "metadata", "labels"));
}

/// "http://cart.shop.svc:8080/x" → "cart.shop.svc"
std::string_view host_in(std::string_view value) {
    if (const auto scheme = value.find("://"); scheme != std::string_view::npos) value.remove_prefix(scheme + 3);
    if (const auto at = value.find('@'); at != std::string_view::npos) value.remove_prefix(at + 1);
    return value.substr(0, value.find_first_of(":/?,"));
}

bool names(std::string_view value, const Value& service, std::string_view from_namespace) {
    const std::string_view host = host_in(value);
    const std::string name(kube::name_of(service)), ns(kube::namespace_of(service));
    if (host == name) return from_namespace == ns;
    return host == name + "." + ns || host == name + "." + ns + ".svc" || host == name + "." + ns + ".svc.cluster.local";
}

bool depends_on(const Value& workload, const Value& service) {
    const std::string_view ns = kube::namespace_of(workload);
    for (const char* list : {"containers", "initContainers"}) {
        for (const Value& container : json::array_at(workload, "spec", "template", "spec", list)) {
            for (const Value& variable : json::array_at(container, "env")) {
                if (names(json::string_at(variable, "value"), service, ns)) return true;
            }
        }
    }
    std::string_view declared = kube::annotation_of(workload, "kubernaut.io/depends-on");
    const std::string full = std::string(kube::namespace_of(service)) + "/" + std::string(kube::name_of(service));
    while (!declared.empty()) {
        const auto comma = declared.find(',');
        std::string_view one = declared.substr(0, comma);
        while (one.starts_with(' ')) one.remove_prefix(1);
        while (one.ends_with(' ')) one.remove_suffix(1);
        if (one == full) return true;
        if (comma == std::string_view::npos) break;
        declared.remove_prefix(comma + 1);
    }
    return false;
}

/// Does the pod template refer to a ConfigMap or Secret of this name, in whatever way?
bool refers(const Value& value, std::string_view kind, std::string_view name) {
    static constexpr std::array config{"configMap", "configMapRef", "configMapKeyRef"}, secret{"secret", "secretRef", "secretKeyRef"};
    if (const auto* list = value.if_array()) return std::ranges::any_of(*list, [&](const Value& each) { return refers(each, kind, name); });
    const auto* object = value.if_object();
    if (object == nullptr) return false;
    for (const auto& [key, member] : *object) {
        const std::string_view word(key.data(), key.size());
        const auto& words = kind == "Secret" ? secret : config;
        if (std::ranges::find(words, word) != words.end() &&
            (json::string_at(member, "name") == name || json::string_at(member, "secretName") == name))
            return true;
        if (word == "imagePullSecrets" && kind == "Secret" && member.is_array()) {
            for (const Value& each : member.get_array()) {
                if (json::string_at(each, "name") == name) return true;
            }
        }
        if (refers(member, kind, name)) return true;
    }
    return false;
}

bool mounts_claim(const Value& pod, std::string_view claim) {
    return std::ranges::any_of(json::array_at(pod, "spec", "volumes"),
                               [&](const Value& volume) { return json::string_at(volume, "persistentVolumeClaim", "claimName") == claim; });
}

class Around {
public:
    Around(const ObjectKey& target, const Surroundings& around) : target_(target), around_(around) {}

    std::set<std::string> run() {
        const std::string& kind = target_.kind;
        if (kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet")
            of_workload();
        else if (kind == "Node")
            users([this](const Value& pod) { return json::string_at(pod, "spec", "nodeName") == target_.name; });
        else if (kind == "PersistentVolumeClaim")
            users([this](const Value& pod) { return kube::namespace_of(pod) == target_.ns && mounts_claim(pod, target_.name); });
        else if (kind == "ConfigMap" || kind == "Secret")
            of_content();
        else if (kind == "Service")
            of_service();
        else if (!target_.ns.empty())
            of_namespace();
        found_.erase(target_.str());
        return std::move(found_);
    }

private:
    void add(const Value& object) { found_.insert(key_of(target_.cluster, object).str()); }
    void dependents_of(const Value& service) {
        for (const auto& workload : around_.workloads) {
            if (depends_on(*workload, service)) add(*workload);
        }
    }
    void of_workload() {
        for (const auto& workload : around_.workloads) {
            if (key_of(target_.cluster, *workload) != target_) continue;
            for (const auto& service : around_.services) {
                if (!serves(*service, *workload)) continue;
                add(*service);
                dependents_of(*service);
            }
            for (const auto& pod : around_.pods) {
                if (!selects(*workload, *pod)) continue;
                if (const auto node = json::string_at(*pod, "spec", "nodeName"); !node.empty())
                    found_.insert(ObjectKey{target_.cluster, "", "Node", "", std::string(node)}.str());
                for (const Value& volume : json::array_at(*pod, "spec", "volumes")) {
                    const auto claim = json::string_at(volume, "persistentVolumeClaim", "claimName");
                    if (!claim.empty()) found_.insert(ObjectKey{target_.cluster, target_.ns, "PersistentVolumeClaim", "", std::string(claim)}.str());
                }
            }
        }
    }
    template <class Uses> void users(Uses uses) {
        for (const auto& pod : around_.pods) {
            if (!uses(*pod)) continue;
            for (const auto& workload : around_.workloads) {
                if (selects(*workload, *pod)) add(*workload);
            }
        }
    }
    void of_content() {
        for (const auto& workload : around_.workloads) {
            if (kube::namespace_of(*workload) != target_.ns) continue;
            const auto* pod = json::at(*workload, "spec", "template", "spec");
            if (pod != nullptr && refers(*pod, target_.kind, target_.name)) add(*workload);
        }
    }
    void of_service() {
        for (const auto& service : around_.services) {
            if (kube::namespace_of(*service) != target_.ns || kube::name_of(*service) != target_.name) continue;
            dependents_of(*service);
            for (const auto& workload : around_.workloads) {
                if (serves(*service, *workload)) add(*workload);
            }
        }
    }
    void of_namespace() {
        for (const auto& workload : around_.workloads) {
            if (kube::namespace_of(*workload) == target_.ns) add(*workload);
        }
    }

    const ObjectKey& target_;
    const Surroundings& around_;
    std::set<std::string> found_;
};

}  // namespace

std::set<std::string> neighbours_of(const ObjectKey& target, const Surroundings& around) { return Around(target, around).run(); }

Drift drift_of(const json::Value& object, Instant since) {
    static constexpr std::array machines{"kubernaut",      "kube-controller-manager", "kube-scheduler", "kubelet",
                                         "kube-apiserver", "cluster-autoscaler",      "karpenter"};
    const auto& entries = json::array_at(object, "metadata", "managedFields");
    if (entries.empty()) return {};
    Drift drift{.seen = Truth::no, .manager = {}};
    for (const Value& entry : entries) {
        if (!json::string_at(entry, "subresource").empty()) continue;
        const auto manager = json::string_at(entry, "manager");
        const auto at = kube::time_at(entry, "time");
        // Times in it are whole seconds: a write in the second of our own counts as before it.
        if (!at || *at <= since || std::ranges::any_of(machines, [&](const char* m) { return manager == m; })) continue;
        // Fields outside spec and data (a label, an annotation) change nothing that we did.
        const auto& fields = json::object_at(entry, "fieldsV1");
        const bool touches =
            fields.empty() || std::ranges::any_of(fields, [](const auto& field) { return field.key() != "f:metadata" && field.key() != "f:status"; });
        if (touches) drift = {.seen = Truth::yes, .manager = std::string(manager)};
    }
    return drift;
}

std::optional<double> availability_of(const json::Value& workload) {
    const auto kind = kube::kind_of(workload);
    if (kind == "DaemonSet") {
        const auto desired = json::int_at(workload, "status", "desiredNumberScheduled");
        if (!desired || *desired == 0) return std::nullopt;
        return static_cast<double>(json::int_at(workload, "status", "numberAvailable").value_or(0)) / static_cast<double>(*desired);
    }
    if (kind != "Deployment" && kind != "StatefulSet" && kind != "ReplicaSet") return std::nullopt;
    const auto desired = json::int_at(workload, "spec", "replicas").value_or(1);
    if (desired == 0) return std::nullopt;
    const auto available = json::int_at(workload, "status", kind == "StatefulSet" ? "readyReplicas" : "availableReplicas").value_or(0);
    return static_cast<double>(available) / static_cast<double>(desired);
}

bool can_be_an_effect(std::string_view fault_class) {
    static constexpr std::array effects{
        "crashloop.dependency_down", "pending.capacity",      "pending.affinity",   "pending.taint",         "pending.pvc_unbound",
        "quota.exhausted",           "node.pressure.memory",  "node.pressure.disk", "node.pressure.pid",     "node.too_many_pods",
        "service.no_endpoints",      "connections.saturated", "slo.burn",           "admission.webhook_down"};
    return std::ranges::find(effects, fault_class) != effects.end();
}

}  // namespace kn::assess
