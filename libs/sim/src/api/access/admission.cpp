#include "api/access/admission.hpp"

#include <algorithm>
#include <cmath>

#include "api/objects/defaults.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

using json::at;
using json::Object;
using json::string_at;

std::string plain(const Value& value) { return value.is_string() ? std::string(json::view(value.get_string())) : json::dump(value); }

void default_tolerations(Value& spec) {
    json::Array tolerations = json::array_at(spec, "tolerations");
    for (const std::string_view key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
        const bool there = std::ranges::any_of(tolerations, [key](const Value& t) {
            const auto k = string_at(t, "key"), effect = string_at(t, "effect");
            return (k == key || k.empty()) && (effect == "NoExecute" || effect.empty());
        });
        if (!there) tolerations.push_back(Object{{"key", key}, {"operator", "Exists"}, {"effect", "NoExecute"}, {"tolerationSeconds", 300}});
    }
    json::make_at(spec, "tolerations") = std::move(tolerations);
}

Outcome<> default_priority(Core& core, const WriteContext& context, Value& spec) {
    const auto* classes = core.store.find("priorityclasses.scheduling.k8s.io");
    std::string name(string_at(spec, "priorityClassName"));
    std::int64_t value = 0;
    std::string policy = "PreemptLowerPriority";
    if (name == "system-node-critical")
        value = 2000001000;
    else if (name == "system-cluster-critical")
        value = 2000000000;
    else if (!name.empty()) {
        const auto found = classes == nullptr ? nullptr : classes->find({}, name);
        if (!found) return forbidden(context.type->resource, {}, "no PriorityClass with name " + name + " was found");
        value = json::int_at(found->value(), "value").value_or(0);
        policy = string_at(found->value(), "preemptionPolicy");
    } else if (classes != nullptr) {
        for (const auto& [key, object] : classes->objects()) {
            if (!json::bool_at(object->value(), "globalDefault").value_or(false)) continue;
            name = key.second;
            value = json::int_at(object->value(), "value").value_or(0);
            policy = string_at(object->value(), "preemptionPolicy");
        }
    }
    if (!name.empty()) json::make_at(spec, "priorityClassName") = name;
    json::make_at(spec, "priority") = value;
    if (at(spec, "preemptionPolicy") == nullptr) json::make_at(spec, "preemptionPolicy") = policy.empty() ? "PreemptLowerPriority" : policy;
    return {};
}

Outcome<> service_account(Core& core, const WriteContext& context, Value& spec, std::string_view ns, std::string_view pod) {
    if (string_at(spec, "serviceAccountName").empty()) {
        json::make_at(spec, "serviceAccountName") = "default";
        json::make_at(spec, "serviceAccount") = "default";
    }
    const auto account = core.find("serviceaccounts", ns, string_at(spec, "serviceAccountName"));
    if (!account) {
        return forbidden(context.type->resource, pod,
                         "error looking up service account " + std::string(ns) + "/" + std::string(string_at(spec, "serviceAccountName")) +
                             ": serviceaccount \"" + std::string(string_at(spec, "serviceAccountName")) + "\" not found");
    }
    if (json::array_at(spec, "imagePullSecrets").empty()) {
        const auto& secrets = json::array_at(account->value(), "imagePullSecrets");
        if (!secrets.empty()) json::make_at(spec, "imagePullSecrets") = secrets;
    }
    return {};
}

/// Calls visit(limit item) for every LimitRange entry of this type in the namespace.
template <class Visit> void each_limit(Core& core, std::string_view ns, std::string_view type, const Visit& visit) {
    const auto* ranges = core.store.find("limitranges");
    if (ranges == nullptr) return;
    for (const auto& [key, object] : ranges->objects()) {
        if (key.first != ns) continue;
        for (const Value& item : json::array_at(object->value(), "spec", "limits")) {
            if (string_at(item, "type") == type) visit(item);
        }
    }
}

void limit_range_defaults(Core& core, std::string_view ns, Value& spec) {
    each_limit(core, ns, "Container", [&spec](const Value& item) {
        for (const std::string_view list : {"containers", "initContainers"}) {
            auto* containers = spec.as_object().if_contains(list);
            if (containers == nullptr || !containers->is_array()) continue;
            for (Value& container : containers->get_array()) {
                const Object limits = json::object_at(item, "default");
                const Object requests = json::object_at(item, "defaultRequest");
                for (const auto& [name, value] : limits) {
                    if (at(container, "resources", "limits", std::string_view(name)) == nullptr)
                        json::make_at(container, "resources", "limits", std::string_view(name)) = value;
                }
                for (const auto& [name, value] : requests) {
                    if (at(container, "resources", "requests", std::string_view(name)) == nullptr) {
                        json::make_at(container, "resources", "requests", std::string_view(name)) = value;
                    }
                }
                // A default limit is the default request as well where no other is given.
                for (const auto& [name, value] : limits) {
                    if (at(container, "resources", "requests", std::string_view(name)) == nullptr) {
                        json::make_at(container, "resources", "requests", std::string_view(name)) = value;
                    }
                }
            }
        }
    });
}

std::string limit_range_violations(Core& core, std::string_view ns, const Value& spec) {
    std::vector<std::string> found;
    each_limit(core, ns, "Container", [&](const Value& item) {
        for (const Value& container : json::array_at(spec, "containers")) {
            for (const auto& [name, bound] : json::object_at(item, "max")) {
                const auto* limit = at(container, "resources", "limits", std::string_view(name));
                if (limit == nullptr) {
                    found.push_back("maximum " + std::string(name) + " usage per Container is " + plain(bound) + ".  No limit is specified");
                } else if (kube::quantity_at(limit).value_or(0) > kube::quantity_at(&bound).value_or(0)) {
                    found.push_back("maximum " + std::string(name) + " usage per Container is " + plain(bound) + ", but limit is " + plain(*limit));
                }
            }
            for (const auto& [name, bound] : json::object_at(item, "min")) {
                const auto* request = at(container, "resources", "requests", std::string_view(name));
                if (request == nullptr) {
                    found.push_back("minimum " + std::string(name) + " usage per Container is " + plain(bound) + ".  No request is specified");
                } else if (kube::quantity_at(request).value_or(0) < kube::quantity_at(&bound).value_or(0)) {
                    found.push_back("minimum " + std::string(name) + " usage per Container is " + plain(bound) + ", but request is " +
                                    plain(*request));
                }
            }
        }
    });
    if (found.empty()) return {};
    if (found.size() == 1) return found[0];
    std::string out = "[";
    for (std::size_t i = 0; i < found.size(); ++i) out += (i == 0 ? "" : ", ") + found[i];
    return out + "]";
}

void default_storage_class(Core& core, Value& object) {
    if (at(object, "spec", "storageClassName") != nullptr) return;
    const auto* classes = core.store.find("storageclasses.storage.k8s.io");
    if (classes == nullptr) return;
    for (const auto& [key, item] : classes->objects()) {
        if (kube::annotation_of(item->value(), "storageclass.kubernetes.io/is-default-class") == "true") {
            json::make_at(object, "spec", "storageClassName") = key.second;
            return;
        }
    }
}

Outcome<> assign_service_addresses(Core& core, const WriteContext& context, Value& object) {
    const auto kind = string_at(object, "spec", "type");
    if (kind == "ExternalName") return {};
    if (string_at(object, "spec", "clusterIP").empty()) {
        const auto n = core.next_service_ip_++;
        json::make_at(object, "spec", "clusterIP") = "10.96." + std::to_string((n >> 8U) & 0xFFU) + "." + std::to_string(n & 0xFFU);
    }
    json::make_at(object, "spec", "clusterIPs") = json::Array{*at(object, "spec", "clusterIP")};
    if (kind == "NodePort" || kind == "LoadBalancer") {
        if (auto* ports = object.as_object()["spec"].as_object().if_contains("ports"); ports != nullptr && ports->is_array()) {
            for (Value& port : ports->get_array()) {
                if (at(port, "nodePort") == nullptr) json::make_at(port, "nodePort") = core.next_node_port_++;
            }
        }
    }
    (void)context;
    return {};
}

double pod_amount(const Value& spec, std::string_view kind, std::string_view name) {
    double containers = 0, init = 0;
    for (const Value& c : json::array_at(spec, "containers")) containers += kube::quantity_at(at(c, "resources", kind, name)).value_or(0);
    for (const Value& c : json::array_at(spec, "initContainers"))
        init = std::max(init, kube::quantity_at(at(c, "resources", kind, name)).value_or(0));
    return std::max(containers, init);
}

bool in_scope(const Value& quota, const ServedType& type, const Value& object) {
    const auto& scopes = json::array_at(quota, "spec", "scopes");
    const auto& expressions = json::array_at(quota, "spec", "scopeSelector", "matchExpressions");
    if (scopes.empty() && expressions.empty()) return true;
    if (type.storage != "pods") return false;
    const auto* spec = at(object, "spec");
    const Value none = Object{};
    const Value& pod = spec == nullptr ? none : *spec;
    const auto fits = [&](std::string_view scope) {
        if (scope == "BestEffort") return qos_class(pod) == "BestEffort";
        if (scope == "NotBestEffort") return qos_class(pod) != "BestEffort";
        if (scope == "Terminating") return at(pod, "activeDeadlineSeconds") != nullptr;
        if (scope == "NotTerminating") return at(pod, "activeDeadlineSeconds") == nullptr;
        return true;
    };
    for (const Value& scope : scopes) {
        if (scope.is_string() && !fits(json::view(scope.get_string()))) return false;
    }
    for (const Value& expression : expressions) {
        const auto scope = string_at(expression, "scopeName");
        if (scope != "PriorityClass") {
            if (!fits(scope)) return false;
            continue;
        }
        const auto name = string_at(pod, "priorityClassName");
        const auto& values = json::array_at(expression, "values");
        const bool listed = std::ranges::any_of(values, [&](const Value& v) { return v.is_string() && json::view(v.get_string()) == name; });
        const auto op = string_at(expression, "operator");
        if ((op == "In" && !listed) || (op == "NotIn" && listed) || (op == "Exists" && name.empty()) || (op == "DoesNotExist" && !name.empty()))
            return false;
    }
    return true;
}

std::string amount_text(std::string_view resource, double amount) {
    const bool bytes = resource.find("memory") != std::string_view::npos || resource.find("storage") != std::string_view::npos;
    if (bytes) return kube::format_bytes(amount);
    if (resource.ends_with("cpu")) return kube::format_cores(amount);
    return std::to_string(static_cast<std::int64_t>(std::llround(amount)));
}

/// How much a namespace uses of what the quota limits, counted on the stored objects (not on the quota's status, which follows later).
double used_of(Core& core, const Value& quota, std::string_view ns, const std::string& resource, const ServedType& type) {
    double sum = 0;
    const auto* collection = core.store.find(type.storage);
    if (collection == nullptr) return 0;
    for (auto it = collection->objects().lower_bound(KeyView{ns, {}}); it != collection->objects().end() && it->first.first == ns; ++it) {
        if (!in_scope(quota, type, it->second->value())) continue;
        const auto usage = quota_usage(type, it->second->value());
        if (const auto found = usage.find(resource); found != usage.end()) sum += found->second;
    }
    return sum;
}

Outcome<> check_quota(Core& core, const WriteContext& context, const Value& object, const Value* old) {
    const auto ns = kube::namespace_of(object);
    const auto* quotas = core.store.find("resourcequotas");
    if (ns.empty() || quotas == nullptr) return {};
    auto usage = quota_usage(*context.type, object);
    if (old != nullptr) {
        for (const auto& [name, amount] : quota_usage(*context.type, *old)) usage[name] -= amount;
    }
    for (auto it = quotas->objects().lower_bound(KeyView{ns, {}}); it != quotas->objects().end() && it->first.first == ns; ++it) {
        const Value& quota = it->second->value();
        if (!in_scope(quota, *context.type, object)) continue;
        std::string requested, used, limited, missing;
        for (const auto& [key, hard] : json::object_at(quota, "spec", "hard")) {
            const std::string name(key);
            // A quota on compute resources obliges every pod to state them.
            if (context.type->storage == "pods" && old == nullptr) {
                static const std::map<std::string, std::pair<std::string_view, std::string_view>, std::less<>> compute{
                    {"cpu", {"requests", "cpu"}},       {"requests.cpu", {"requests", "cpu"}},       {"limits.cpu", {"limits", "cpu"}},
                    {"memory", {"requests", "memory"}}, {"requests.memory", {"requests", "memory"}}, {"limits.memory", {"limits", "memory"}}};
                if (const auto rule = compute.find(name); rule != compute.end()) {
                    for (const Value& container : json::array_at(object, "spec", "containers")) {
                        if (at(container, "resources", rule->second.first, rule->second.second) == nullptr) {
                            missing += (missing.empty() ? "" : ",") + name + " for: " + std::string(string_at(container, "name"));
                        }
                    }
                }
            }
            const auto delta = usage.find(name);
            if (delta == usage.end() || delta->second <= 0) continue;
            const double limit = kube::quantity_at(&hard).value_or(0);
            const double now = used_of(core, quota, ns, name, *context.type);
            if (now + delta->second <= limit) continue;
            requested += (requested.empty() ? "" : ",") + name + "=" + amount_text(name, delta->second);
            used += (used.empty() ? "" : ",") + name + "=" + amount_text(name, now);
            limited += (limited.empty() ? "" : ",") + name + "=" + plain(hard);
        }
        if (!missing.empty()) {
            return forbidden(context.type->resource, kube::name_of(object), "failed quota: " + it->first.second + ": must specify " + missing);
        }
        if (!requested.empty()) {
            return forbidden(context.type->resource, kube::name_of(object),
                             "exceeded quota: " + it->first.second + ", requested: " + requested + ", used: " + used + ", limited: " + limited);
        }
    }
    return {};
}

/// The pod template of a workload, for warnings.
const Value* template_of(const ServedType& type, const Value& object) {
    if (type.storage == "cronjobs.batch") return at(object, "spec", "jobTemplate", "spec", "template");
    if (type.resource.group == "apps" || type.storage == "jobs.batch" || type.storage == "replicationcontrollers")
        return at(object, "spec", "template");
    return nullptr;
}

Outcome<> check_pod_security(Core& core, WriteContext& context, const Value& object) {
    const auto ns = core.find("namespaces", {}, kube::namespace_of(object));
    if (!ns) return {};
    const auto level = [&](std::string_view mode) {
        return std::string(kube::label_of(ns->value(), "pod-security.kubernetes.io/" + std::string(mode)));
    };
    const auto version = [&](std::string_view mode) {
        const auto text = kube::label_of(ns->value(), "pod-security.kubernetes.io/" + std::string(mode) + "-version");
        return text.empty() ? std::string("latest") : std::string(text);
    };
    const Value none = Object{};
    if (context.type->storage == "pods") {
        const auto* spec = at(object, "spec");
        const auto* metadata = at(object, "metadata");
        if (const auto enforce = level("enforce"); !enforce.empty()) {
            const auto found = pod_security_violations(enforce, metadata == nullptr ? none : *metadata, spec == nullptr ? none : *spec);
            if (!found.empty()) {
                return forbidden(context.type->resource, kube::name_of(object),
                                 "violates PodSecurity \"" + enforce + ":" + version("enforce") + "\": " + found);
            }
        }
        if (const auto warn = level("warn"); !warn.empty()) {
            const auto found = pod_security_violations(warn, metadata == nullptr ? none : *metadata, spec == nullptr ? none : *spec);
            if (!found.empty()) context.warnings.push_back("would violate PodSecurity \"" + warn + ":" + version("warn") + "\": " + found);
        }
        return {};
    }
    const auto* pod = template_of(*context.type, object);
    if (pod == nullptr) return {};
    // Workloads are only warned about: by the warn level, or else by what would be enforced on their pods.
    const auto mode = level("warn").empty() ? "enforce" : "warn";
    if (const auto warn = level(mode); !warn.empty()) {
        const auto* spec = at(*pod, "spec");
        const auto* metadata = at(*pod, "metadata");
        const auto found = pod_security_violations(warn, metadata == nullptr ? none : *metadata, spec == nullptr ? none : *spec);
        if (!found.empty()) context.warnings.push_back("would violate PodSecurity \"" + warn + ":" + version(mode) + "\": " + found);
    }
    return {};
}

}  // namespace

std::map<std::string, double> quota_usage(const ServedType& type, const Value& object) {
    std::map<std::string, double> out;
    const auto& r = type.resource;
    out["count/" + r.plural_group()] = 1;
    if (r.group.empty() && (r.plural == "services" || r.plural == "secrets" || r.plural == "configmaps" || r.plural == "persistentvolumeclaims" ||
                            r.plural == "resourcequotas" || r.plural == "replicationcontrollers")) {
        out[r.plural] = 1;
    }
    if (type.storage == "services") {
        const auto kind = string_at(object, "spec", "type");
        if (kind == "LoadBalancer") out["services.loadbalancers"] = 1;
        if (kind == "LoadBalancer" || kind == "NodePort")
            out["services.nodeports"] = static_cast<double>(json::array_at(object, "spec", "ports").size());
    }
    if (type.storage == "persistentvolumeclaims") {
        const double size = kube::quantity_at(at(object, "spec", "resources", "requests", "storage")).value_or(0);
        out["requests.storage"] = size;
        if (const auto name = string_at(object, "spec", "storageClassName"); !name.empty()) {
            out[std::string(name) + ".storageclass.storage.k8s.io/requests.storage"] = size;
            out[std::string(name) + ".storageclass.storage.k8s.io/persistentvolumeclaims"] = 1;
        }
    }
    if (type.storage == "pods") {
        const auto phase = string_at(object, "status", "phase");
        // Finished pods count as objects only.
        if (phase == "Succeeded" || phase == "Failed") return out;
        out["pods"] = 1;
        const auto* spec = at(object, "spec");
        if (spec == nullptr) return out;
        for (const std::string_view name : {"cpu", "memory", "ephemeral-storage"}) {
            const double request = pod_amount(*spec, "requests", name);
            out[std::string(name)] = request;
            out["requests." + std::string(name)] = request;
            out["limits." + std::string(name)] = pod_amount(*spec, "limits", name);
        }
    }
    return out;
}

Outcome<> admit_create(Core& core, WriteContext& context, Value& object) {
    const auto& kind = context.type->storage;
    if (kind == "pods") {
        auto& spec = json::make_at(object, "spec");
        if (!spec.is_object()) spec.emplace_object();
        KN_CHECK(service_account(core, context, spec, kube::namespace_of(object), kube::name_of(object)));
        KN_CHECK(default_priority(core, context, spec));
        default_tolerations(spec);
        limit_range_defaults(core, kube::namespace_of(object), spec);
        json::make_at(object, "status") = Object{{"phase", "Pending"}, {"qosClass", qos_class(spec)}};
    } else if (kind == "persistentvolumeclaims") {
        default_storage_class(core, object);
        json::make_at(object, "status") = Object{{"phase", "Pending"}};
    } else if (kind == "persistentvolumes") {
        json::make_at(object, "status") = Object{{"phase", "Pending"}};
    } else if (kind == "services") {
        KN_CHECK(assign_service_addresses(core, context, object));
        json::make_at(object, "status") = Object{{"loadBalancer", Object{}}};
    } else if (kind == "namespaces") {
        const std::string name(kube::name_of(object));  // a copy: making room for the label moves what the view points into
        json::make_at(object, "metadata", "labels", "kubernetes.io/metadata.name") = name;
        json::make_at(object, "status") = Object{{"phase", "Active"}};
    } else if (kind == "jobs.batch" && !json::bool_at(object, "spec", "manualSelector").value_or(false)) {
        const std::string uid(kube::uid_of(object)), name(kube::name_of(object));
        json::make_at(object, "spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid") = uid;
        auto& labels = json::make_at(object, "spec", "template", "metadata", "labels");
        for (const std::string_view key : {"batch.kubernetes.io/controller-uid", "controller-uid"}) json::make_at(labels, key) = uid;
        for (const std::string_view key : {"batch.kubernetes.io/job-name", "job-name"}) json::make_at(labels, key) = name;
    }
    return {};
}

Outcome<> check_create(Core& core, WriteContext& context, const Value& object) {
    if (context.type->storage == "pods") {
        const auto* spec = at(object, "spec");
        if (const auto found = limit_range_violations(core, kube::namespace_of(object), spec == nullptr ? Value(Object{}) : *spec); !found.empty()) {
            return forbidden(context.type->resource, kube::name_of(object), found);
        }
    }
    KN_CHECK(check_pod_security(core, context, object));
    return check_quota(core, context, object, nullptr);
}

Outcome<> check_update(Core& core, WriteContext& context, const Value& object, const Value& old) {
    if (context.type->storage == "persistentvolumeclaims") {
        const auto now = kube::quantity_at(at(object, "spec", "resources", "requests", "storage"));
        const auto before = kube::quantity_at(at(old, "spec", "resources", "requests", "storage"));
        if (now && before && *now > *before) {
            const auto storage_class = core.find("storageclasses.storage.k8s.io", {}, string_at(object, "spec", "storageClassName"));
            if (!storage_class || !json::bool_at(storage_class->value(), "allowVolumeExpansion").value_or(false)) {
                return forbidden(context.type->resource, kube::name_of(object),
                                 "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize");
            }
        }
        return check_quota(core, context, object, &old);
    }
    if (context.type->storage == "services" || context.type->storage == "pods") KN_CHECK(check_quota(core, context, object, &old));
    if (context.type->storage != "pods") return check_pod_security(core, context, object);
    return {};
}

}  // namespace kn::sim::api
