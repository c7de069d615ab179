#include "api/objects/types.hpp"

#include <algorithm>
#include <cctype>

namespace kn::sim::api {
namespace {

const std::vector<std::string> all_verbs{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};

struct Traits {
    std::string_view plural_group;
    std::vector<std::string> short_names{}, categories{}, subresources{};
    bool generation = false, unconditional = true, create_on_update = false;
};

// Beside known_resources(): what discovery says of them, and how writes behave (registry/<group>/<kind>/strategy.go of Kubernetes).
const std::vector<Traits>& traits_table() {
    static const std::vector<Traits> table{
        {"pods",
         {"po"},
         {"all"},
         {"status", "log", "eviction", "binding", "resize", "ephemeralcontainers", "exec", "attach", "portforward", "proxy"},
         true},
        {"services", {"svc"}, {"all"}, {"status", "proxy"}, false, true, true},
        {"configmaps", {"cm"}},
        {"secrets"},
        {"nodes", {"no"}, {}, {"status", "proxy"}},
        {"namespaces", {"ns"}, {}, {"status", "finalize"}},
        {"events", {"ev"}, {}, {}, false, true, true},
        {"persistentvolumeclaims", {"pvc"}, {}, {"status"}},
        {"persistentvolumes", {"pv"}, {}, {"status"}},
        {"serviceaccounts", {"sa"}, {}, {"token"}},
        {"resourcequotas", {"quota"}, {}, {"status"}},
        {"limitranges", {"limits"}, {}, {}, false, true, true},
        {"endpoints", {"ep"}, {}, {}, false, true, true},
        {"replicationcontrollers", {"rc"}, {"all"}, {"status", "scale"}, true},
        {"deployments.apps", {"deploy"}, {"all"}, {"status", "scale"}, true},
        {"replicasets.apps", {"rs"}, {"all"}, {"status", "scale"}, true},
        {"statefulsets.apps", {"sts"}, {"all"}, {"status", "scale"}, true},
        {"daemonsets.apps", {"ds"}, {"all"}, {"status"}, true},
        {"controllerrevisions.apps"},
        {"jobs.batch", {}, {"all"}, {"status"}, true},
        {"cronjobs.batch", {"cj"}, {"all"}, {"status"}, true},
        {"horizontalpodautoscalers.autoscaling", {"hpa"}, {"all"}, {"status"}},
        {"poddisruptionbudgets.policy", {"pdb"}, {}, {"status"}, true, false},
        {"storageclasses.storage.k8s.io", {"sc"}},
        {"volumeattachments.storage.k8s.io", {}, {}, {"status"}},
        {"networkpolicies.networking.k8s.io", {"netpol"}, {}, {}, true},
        {"ingresses.networking.k8s.io", {"ing"}, {}, {"status"}, true},
        {"roles.rbac.authorization.k8s.io", {}, {}, {}, false, true, true},
        {"rolebindings.rbac.authorization.k8s.io", {}, {}, {}, false, true, true},
        {"clusterroles.rbac.authorization.k8s.io", {}, {}, {}, false, true, true},
        {"clusterrolebindings.rbac.authorization.k8s.io", {}, {}, {}, false, true, true},
        {"leases.coordination.k8s.io", {}, {}, {}, false, false, true},
        {"events.events.k8s.io", {"ev"}, {}, {}, false, true, true},
        {"endpointslices.discovery.k8s.io", {}, {}, {}, true},
        {"customresourcedefinitions.apiextensions.k8s.io", {"crd", "crds"}, {"api-extensions"}, {"status"}, true, false},
        {"priorityclasses.scheduling.k8s.io", {"pc"}, {}, {}, true},
        {"apiservices.apiregistration.k8s.io", {}, {"api-extensions"}, {"status"}},
        {"validatingwebhookconfigurations.admissionregistration.k8s.io", {}, {"api-extensions"}, {}, true},
        {"mutatingwebhookconfigurations.admissionregistration.k8s.io", {}, {"api-extensions"}, {}, true},
        {"ingressclasses.networking.k8s.io", {}, {}, {}, true},
        {"csidrivers.storage.k8s.io"},
        {"csinodes.storage.k8s.io"},
        {"runtimeclasses.node.k8s.io"},
    };
    return table;
}

// Kinds that clients meet and known_resources() leaves out.
const std::vector<kube::Resource>& more_resources() {
    static const std::vector<kube::Resource> list{
        {"apiregistration.k8s.io", "v1", "apiservices", "APIService", false},
        {"admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", false},
        {"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false},
        {"networking.k8s.io", "v1", "ingressclasses", "IngressClass", false},
        {"storage.k8s.io", "v1", "csidrivers", "CSIDriver", false},
        {"storage.k8s.io", "v1", "csinodes", "CSINode", false},
        {"node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", false},
    };
    return list;
}

// Requests that are answered and not stored.
const std::vector<kube::Resource>& review_resources() {
    static const std::vector<kube::Resource> list{
        {"authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false},
        {"authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", false},
        {"authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false},
        {"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false},
        {"authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", true},
        {"authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false},
        {"", "v1", "bindings", "Binding", true},
    };
    return list;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

ServedType built_in(const kube::Resource& resource) {
    ServedType type;
    type.resource = resource;
    // Events of both groups are one set of objects.
    type.storage = resource.group == "events.k8s.io" ? "events" : storage_of(resource);
    type.singular = lower(resource.kind);
    type.verbs = all_verbs;
    if (resource.plural == "namespaces") std::erase(type.verbs, "deletecollection");
    for (const auto& traits : traits_table()) {
        if (traits.plural_group != resource.plural_group()) continue;
        type.short_names = traits.short_names;
        type.categories = traits.categories;
        type.subresources.insert(traits.subresources.begin(), traits.subresources.end());
        type.generation = traits.generation;
        type.unconditional_update = traits.unconditional;
        type.create_on_update = traits.create_on_update;
    }
    type.status = type.subresources.contains("status");
    return type;
}

std::string without_dot(std::string_view path) { return std::string(path.starts_with('.') ? path.substr(1) : path); }

std::vector<std::string> strings(const json::Array& array) {
    std::vector<std::string> out;
    for (const Value& item : array) {
        if (const auto* text = item.if_string()) out.emplace_back(json::view(*text));
    }
    return out;
}

}  // namespace

bool ServedType::has_verb(std::string_view verb) const { return std::ranges::find(verbs, verb) != verbs.end(); }

std::string storage_of(const kube::Resource& resource) { return resource.plural_group(); }

TypeTable::TypeTable() {
    const auto add = [this](ServedType type) { types_.push_back(std::make_shared<const ServedType>(std::move(type))); };
    for (const auto& resource : kube::known_resources()) add(built_in(resource));
    for (const auto& resource : more_resources()) {
        if (find(resource.group, resource.version, resource.plural) == nullptr) add(built_in(resource));
    }
    for (const auto& resource : review_resources()) {
        ServedType type;
        type.resource = resource;
        type.singular = lower(resource.kind);
        type.verbs = {"create"};
        add(std::move(type));
    }
}

const ServedType* TypeTable::find(std::string_view group, std::string_view version, std::string_view plural) const {
    for (const auto& type : types_) {
        const auto& r = type->resource;
        if (r.plural == plural && r.group == group && r.version == version) return type.get();
    }
    return nullptr;
}

const ServedType* TypeTable::find_any(std::string_view group, std::string_view plural) const {
    for (const auto& type : types_) {
        if (type->resource.plural == plural && type->resource.group == group) return type.get();
    }
    return nullptr;
}

const ServedType* TypeTable::by_storage(std::string_view storage) const {
    for (const auto& type : types_) {
        if (type->storage == storage) return type.get();
    }
    return nullptr;
}

bool TypeTable::has_group_version(std::string_view group, std::string_view version) const {
    return std::ranges::any_of(types_, [&](const auto& t) { return t->resource.group == group && t->resource.version == version; });
}

void TypeTable::set_custom(const Value& definition) {
    const std::string group(json::string_at(definition, "spec", "group"));
    const std::string plural(json::string_at(definition, "spec", "names", "plural"));
    remove_custom(group, plural);
    for (const Value& version : json::array_at(definition, "spec", "versions")) {
        if (!json::bool_at(version, "served").value_or(true)) continue;
        auto custom = std::make_shared<CustomType>();
        if (const auto* schema = json::at(version, "schema", "openAPIV3Schema")) custom->schema = *schema;
        custom->columns = json::array_at(version, "additionalPrinterColumns");
        custom->scale_spec = without_dot(json::string_at(version, "subresources", "scale", "specReplicasPath"));
        custom->scale_status = without_dot(json::string_at(version, "subresources", "scale", "statusReplicasPath"));
        custom->scale_selector = without_dot(json::string_at(version, "subresources", "scale", "labelSelectorPath"));
        for (const Value& field : json::array_at(version, "selectableFields"))
            custom->selectable.push_back(without_dot(json::string_at(field, "jsonPath")));
        custom->storage = json::bool_at(version, "storage").value_or(false);

        ServedType type;
        type.resource = {group, std::string(json::string_at(version, "name")), plural,
                         std::string(json::string_at(definition, "spec", "names", "kind")),
                         json::string_at(definition, "spec", "scope") == "Namespaced"};
        type.storage = storage_of(type.resource);
        type.singular = std::string(json::string_at(definition, "spec", "names", "singular"));
        type.short_names = strings(json::array_at(definition, "spec", "names", "shortNames"));
        type.categories = strings(json::array_at(definition, "spec", "names", "categories"));
        type.verbs = all_verbs;
        type.generation = true;
        type.unconditional_update = false;
        type.status = json::at(version, "subresources", "status") != nullptr;
        if (type.status) type.subresources.insert("status");
        if (!custom->scale_spec.empty()) type.subresources.insert("scale");
        type.custom = std::move(custom);
        types_.push_back(std::make_shared<const ServedType>(std::move(type)));
    }
    ++revision_;
}

void TypeTable::remove_custom(std::string_view group, std::string_view plural) {
    std::erase_if(types_, [&](const auto& t) { return t->custom && t->resource.group == group && t->resource.plural == plural; });
    ++revision_;
}

void TypeTable::add_foreign(const kube::Resource& resource) {
    ServedType type;
    type.resource = resource;
    type.singular = lower(resource.kind);
    type.verbs = {"get", "list"};
    types_.push_back(std::make_shared<const ServedType>(std::move(type)));
    ++revision_;
}

}  // namespace kn::sim::api
