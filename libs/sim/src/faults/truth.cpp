#include "kubernaut/sim/faults/truth.hpp"

#include <algorithm>

#include "common/text.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/patch.hpp"
#include "kubernaut/kube/resource.hpp"

namespace kn::sim {
namespace {

namespace r = kube::resources;

/// Namespaces where the product or the control plane keeps its own books.
bool is_own_namespace(std::string_view ns) { return ns == "kube-node-lease" || ns == "kubernaut-system"; }

bool by_controllers(const json::Value& object) {
    const auto kind = kube::kind_of(object);
    const auto name = kube::name_of(object);
    if (kind == "ConfigMap" && (name == "kube-root-ca.crt" || name == "extension-apiserver-authentication")) return true;
    if (kind == "Secret" && json::string_at(object, "type") == "kubernetes.io/service-account-token") return true;
    if ((kind == "Job" || kind == "Pod") && kube::controller_of(object)) return true;
    return kube::label_of(object, "kubernetes.io/bootstrapping") == "rbac-defaults" || name.starts_with("system:");
}

/// The part of an object that its owner writes.
json::Value owned_part(const json::Value& object) {
    json::Object out;
    for (const auto& [key, value] : object.as_object()) {
        if (key == "metadata" || key == "status" || key == "kind" || key == "apiVersion") continue;
        out[key] = value;
    }
    json::Object annotations = json::object_at(object, "metadata", "annotations");
    for (auto it = annotations.begin(); it != annotations.end();) {
        const std::string_view key(it->key().data(), it->key().size());
        const bool machine = key.starts_with("deployment.kubernetes.io/") || key.starts_with("pv.kubernetes.io/") || key.starts_with("volume.") ||
                             key.starts_with("node.alpha.kubernetes.io/") || key.starts_with("deprecated.daemonset.template.generation") ||
                             key.starts_with("endpoints.kubernetes.io/");
        it = machine ? annotations.erase(it) : it + 1;
    }
    if (!annotations.empty()) out["annotations"] = std::move(annotations);
    if (const auto* labels = json::at(object, "metadata", "labels")) out["labels"] = *labels;
    const auto kind = kube::kind_of(object);
    if (kind == "Node") {
        json::Array taints;
        for (const auto& taint : json::array_at(object, "spec", "taints")) {
            if (!json::string_at(taint, "key").starts_with("node.kubernetes.io/")) taints.push_back(taint);
        }
        out["spec"] = json::Object{{"unschedulable", json::bool_at(object, "spec", "unschedulable").value_or(false)}, {"taints", std::move(taints)}};
    } else if (kind == "PersistentVolumeClaim") {
        auto& spec = out["spec"].as_object();
        spec.erase("volumeName");
    } else if (kind == "Secret") {  // never carry contents around
        const std::string content = json::canonical(out.contains("data") ? out["data"] : json::Value(nullptr));
        out["data"] = std::to_string(fnv1a(content));
        out.erase("stringData");
    } else if (kind == "Namespace" || kind == "ServiceAccount") {
        out.erase("spec");
        out.erase("secrets");
    }
    return out;
}

std::string key_of_object(const kube::Resource& resource, const json::Value& object) {
    const auto ns = kube::namespace_of(object);
    return resource.kind_group() + "/" + (ns.empty() ? "" : std::string(ns) + "/") + std::string(kube::name_of(object));
}

std::string first_difference(const json::Value& a, const json::Value& b, const std::string& path) {
    if (a.is_object() && b.is_object()) {
        for (const auto& [key, value] : a.get_object()) {
            const std::string below = path + "/" + json::escape_pointer_token(std::string_view(key.data(), key.size()));
            const auto* other = b.get_object().if_contains(key);
            if (other == nullptr) return below + " removed";
            if (value != *other) return first_difference(value, *other, below);
        }
        for (const auto& [key, value] : b.get_object()) {
            if (!a.get_object().contains(key)) return path + "/" + std::string(key) + " added";
        }
    }
    if (a.is_array() && b.is_array() && a.get_array().size() == b.get_array().size()) {
        for (std::size_t i = 0; i < a.get_array().size(); ++i) {
            if (a.get_array()[i] != b.get_array()[i]) return first_difference(a.get_array()[i], b.get_array()[i], path + "/" + std::to_string(i));
        }
    }
    const auto brief = [](const json::Value& value) {
        std::string text = json::dump(value);
        if (text.size() > 60) text = text.substr(0, 57) + "...";
        return text;
    };
    return path + " " + brief(a) + " -> " + brief(b);
}

bool is_allowed(const std::set<std::string, std::less<>>& allowed, std::string_view key) {
    return std::ranges::any_of(allowed, [&](const std::string& pattern) { return glob_matches(pattern, key); });
}

}  // namespace

async::Task<Result<StateSnapshot>> StateSnapshot::read(std::shared_ptr<kube::Client> client, Deadline deadline) {
    static const kube::Resource* const kinds[] = {&r::deployments,
                                                  &r::stateful_sets,
                                                  &r::daemon_sets,
                                                  &r::jobs,
                                                  &r::cron_jobs,
                                                  &r::services,
                                                  &r::config_maps,
                                                  &r::secrets,
                                                  &r::nodes,
                                                  &r::pod_disruption_budgets,
                                                  &r::horizontal_pod_autoscalers,
                                                  &r::resource_quotas,
                                                  &r::limit_ranges,
                                                  &r::network_policies,
                                                  &r::ingresses,
                                                  &r::roles,
                                                  &r::role_bindings,
                                                  &r::persistent_volume_claims,
                                                  &r::namespaces,
                                                  &r::storage_classes};
    StateSnapshot out;
    std::set<std::string> scaled_by_hpa;
    for (const auto* kind : kinds) {
        KN_CO_TRY(const auto list, co_await client->list(*kind, {}, {}, deadline));
        for (const auto& object : list.items) {
            if (is_own_namespace(kube::namespace_of(object)) || by_controllers(object)) continue;
            out.objects[key_of_object(*kind, object)] = owned_part(object);
            if (kind == &r::horizontal_pod_autoscalers) {
                const auto target = json::string_at(object, "spec", "scaleTargetRef", "kind");
                scaled_by_hpa.insert(std::string(target) + ".apps/" + std::string(kube::namespace_of(object)) + "/" +
                                     std::string(json::string_at(object, "spec", "scaleTargetRef", "name")));
            }
        }
    }
    for (const auto& key : scaled_by_hpa) {
        if (const auto found = out.objects.find(key); found != out.objects.end()) {
            if (auto* spec = found->second.as_object().if_contains("spec"); spec != nullptr && spec->is_object())
                spec->get_object().erase("replicas");
        }
    }
    std::map<std::string, std::string> owner_of_set;
    KN_CO_TRY(const auto sets, co_await client->list(r::replica_sets, {}, {}, deadline));
    for (const auto& set : sets.items) {
        const auto owner = kube::controller_of(set);
        owner_of_set[std::string(kube::uid_of(set))] =
            owner ? owner->kind + ".apps/" + std::string(kube::namespace_of(set)) + "/" + owner->name : std::string();
    }
    KN_CO_TRY(const auto pods, co_await client->list(r::pods, {}, {}, deadline));
    for (const auto& pod : pods.items) {
        const std::string ns(kube::namespace_of(pod));
        if (is_own_namespace(ns) || kube::is_deleting(pod)) continue;
        const auto owner = kube::controller_of(pod);
        std::string owner_key = "Pod/" + ns + "/" + std::string(kube::name_of(pod));
        if (owner) {
            const auto set = owner_of_set.find(owner->uid);
            owner_key =
                set != owner_of_set.end() && !set->second.empty()
                    ? set->second
                    : owner->kind + "." + std::string(owner->api_version.substr(0, owner->api_version.find('/'))) + "/" + ns + "/" + owner->name;
            if (owner->kind == "Job" || scaled_by_hpa.contains(owner_key)) continue;  // these come and go by themselves
        }
        out.pods[ns + "/" + std::string(kube::name_of(pod))] = owner_key + "|" + std::string(kube::uid_of(pod));
    }
    co_return out;
}

std::vector<Violation> untouched(const StateSnapshot& before, const StateSnapshot& after, const std::set<std::string, std::less<>>& allowed) {
    std::vector<Violation> out;
    for (const auto& [key, value] : before.objects) {
        if (is_allowed(allowed, key)) continue;
        const auto found = after.objects.find(key);
        if (found == after.objects.end())
            out.push_back({key, "deleted"});
        else if (found->second != value)
            out.push_back({key, "changed: " + first_difference(value, found->second, "")});
    }
    for (const auto& [key, value] : after.objects) {
        if (!before.objects.contains(key) && !is_allowed(allowed, key)) out.push_back({key, "created"});
    }
    for (const auto& [key, value] : before.pods) {
        const auto bar = value.find('|');
        const std::string owner = value.substr(0, bar), pod = "Pod/" + key;
        if (is_allowed(allowed, owner) || is_allowed(allowed, pod)) continue;
        const auto found = after.pods.find(key);
        if (found == after.pods.end() || found->second != value) out.push_back({pod, "a pod of " + owner + " was replaced"});
    }
    return out;
}

}  // namespace kn::sim
