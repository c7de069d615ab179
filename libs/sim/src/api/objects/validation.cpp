#include "api/objects/validation.hpp"

#include <algorithm>
#include <set>

#include "api/objects/defaults.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

using json::array_at;
using json::at;
using json::object_at;
using json::string_at;

constexpr std::string_view subdomain_why =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr std::string_view label_why =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. "
    "'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
constexpr std::string_view not_negative = "must be greater than or equal to 0";
constexpr std::string_view immutable = "field is immutable";

bool alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool is_qualified_part(std::string_view text) {
    if (text.empty() || text.size() > 63 || !alnum(text.front()) || !alnum(text.back())) return false;
    return std::ranges::all_of(text, [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_label_key(std::string_view key) {
    const auto slash = key.find('/');
    if (slash == std::string_view::npos) return is_qualified_part(key);
    return is_dns_subdomain(key.substr(0, slash)) && is_qualified_part(key.substr(slash + 1));
}

struct Checker {
    const ServedType& type;
    const Value& object;
    const Value* old;
    Causes causes{};

    template <class... Keys> void not_below_zero(std::string field, const Keys&... keys) {
        const auto* value = at(object, keys...);
        if (value == nullptr) return;
        const auto number = json::to_int(value);
        if (number && *number < 0) causes.push_back(invalid_value(std::move(field), *value, not_negative));
    }

    void unchanged(std::string field, const Value* now, const Value* before, std::string_view why = immutable) {
        if (old == nullptr) return;
        const Value none = nullptr;
        const Value& a = now == nullptr ? none : *now;
        const Value& b = before == nullptr ? none : *before;
        if (a != b) causes.push_back(invalid_value(std::move(field), a, why));
    }

    void name() {
        const auto text = kube::name_of(object);
        if (text.empty()) {
            causes.push_back(required("metadata.name", "name or generateName is required"));
            return;
        }
        if (old != nullptr) return;
        const auto& plural = type.resource.plural;
        const auto& group = type.resource.group;
        // RBAC names and the names of CRDs follow rules of their own.
        if (group == "rbac.authorization.k8s.io") {
            if (text == "." || text == ".." || text.find('/') != std::string_view::npos || text.find('%') != std::string_view::npos) {
                causes.push_back(invalid_value("metadata.name", Value(text), "may not contain '/'"));
            }
            return;
        }
        const bool label = plural == "namespaces" || (plural == "services" && group.empty());
        if (label ? !is_dns_label(text) : !is_dns_subdomain(text)) {
            causes.push_back(invalid_value("metadata.name", Value(text), label ? label_why : subdomain_why));
        }
    }

    void metadata() {
        name();
        for (const auto& [key, value] : object_at(object, "metadata", "labels")) check_label(key, value, "metadata.labels");
        for (const auto& [key, value] : object_at(object, "metadata", "annotations")) {
            if (!is_label_key(key))
                causes.push_back(invalid_value("metadata.annotations", Value(key), "name part must consist of alphanumeric characters"));
            if (!value.is_string()) causes.push_back(invalid_value("metadata.annotations", value, "must be a string"));
        }
        std::size_t index = 0, controllers = 0;
        for (const Value& owner : array_at(object, "metadata", "ownerReferences")) {
            const auto place = "metadata.ownerReferences[" + std::to_string(index++) + "]";
            for (const std::string_view key : {"apiVersion", "kind", "name", "uid"}) {
                if (string_at(owner, key).empty()) causes.push_back(invalid_value(place + "." + std::string(key), Value(""), "must not be empty"));
            }
            if (json::bool_at(owner, "controller").value_or(false) && ++controllers == 2) {
                causes.push_back(invalid_value("metadata.ownerReferences", array_at(object, "metadata", "ownerReferences"),
                                               "Only one reference can have Controller set to true"));
            }
        }
    }

    void check_label(std::string_view key, const Value& value, const std::string& field) {
        if (!is_label_key(key)) {
            causes.push_back(
                invalid_value(field, Value(key),
                              "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                              "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                              "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"));
        }
        const auto* text = value.if_string();
        if (text == nullptr || (!text->empty() && !is_qualified_part(json::view(*text)))) {
            causes.push_back(
                invalid_value(field, value,
                              "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
                              "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                              "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"));
        }
    }

    void resource_list(const std::string& place, const json::Object& list) {
        for (const auto& [name, value] : list) {
            const auto amount = kube::quantity_at(&value);
            if (!amount) {
                causes.push_back(invalid_value(place + "[" + std::string(name) + "]", value,
                                               "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"));
            } else if (*amount < 0) {
                causes.push_back(invalid_value(place + "[" + std::string(name) + "]", value, not_negative));
            }
        }
    }

    void containers(const Value& spec, const std::string& place, std::string_view list, std::set<std::string>& names) {
        std::size_t index = 0;
        for (const Value& container : array_at(spec, list)) {
            const auto here = place + "." + std::string(list) + "[" + std::to_string(index++) + "]";
            const auto container_name = string_at(container, "name");
            if (container_name.empty())
                causes.push_back(required(here + ".name"));
            else if (!is_dns_label(container_name))
                causes.push_back(invalid_value(here + ".name", Value(container_name), label_why));
            else if (!names.emplace(container_name).second)
                causes.push_back(duplicate(here + ".name", Value(container_name)));
            if (string_at(container, "image").empty()) causes.push_back(required(here + ".image"));
            const auto policy = string_at(container, "imagePullPolicy");
            if (!policy.empty() && policy != "Always" && policy != "IfNotPresent" && policy != "Never") {
                causes.push_back(unsupported(here + ".imagePullPolicy", Value(policy), {"Always", "IfNotPresent", "Never"}));
            }
            const auto& limits = object_at(container, "resources", "limits");
            const auto& requests = object_at(container, "resources", "requests");
            resource_list(here + ".resources.limits", limits);
            resource_list(here + ".resources.requests", requests);
            for (const auto& [resource, value] : requests) {
                const auto* limit = limits.if_contains(resource);
                if (limit == nullptr) continue;
                const auto a = kube::quantity_at(&value), b = kube::quantity_at(limit);
                if (a && b && *a > *b) {
                    causes.push_back(invalid_value(here + ".resources.requests", value,
                                                   "must be less than or equal to " + std::string(resource) + " limit of " +
                                                       (limit->is_string() ? std::string(json::view(limit->get_string())) : json::dump(*limit))));
                }
            }
            std::size_t mount = 0;
            for (const Value& volume_mount : array_at(container, "volumeMounts")) {
                const auto volume = string_at(volume_mount, "name");
                const auto& volumes = array_at(spec, "volumes");
                // A StatefulSet's claims become volumes of its pods.
                const auto& claims = array_at(object, "spec", "volumeClaimTemplates");
                if (std::ranges::none_of(volumes, [&](const Value& v) { return string_at(v, "name") == volume; }) &&
                    std::ranges::none_of(claims, [&](const Value& v) { return string_at(v, "metadata", "name") == volume; })) {
                    causes.push_back({"FieldValueNotFound", "Not found: " + json::dump(Value(volume)),
                                      here + ".volumeMounts[" + std::to_string(mount) + "].name"});
                }
                if (string_at(volume_mount, "mountPath").empty())
                    causes.push_back(required(here + ".volumeMounts[" + std::to_string(mount) + "].mountPath"));
                ++mount;
            }
        }
    }

    void pod_spec(const Value& spec, const std::string& place, bool is_template) {
        std::set<std::string> names;
        if (array_at(spec, "containers").empty()) causes.push_back(required(place + ".containers"));
        containers(spec, place, "containers", names);
        containers(spec, place, "initContainers", names);
        const auto policy = string_at(spec, "restartPolicy");
        if (policy != "Always" && policy != "OnFailure" && policy != "Never") {
            causes.push_back(unsupported(place + ".restartPolicy", Value(policy), {"Always", "OnFailure", "Never"}));
        } else if (is_template && policy != "Always" && type.resource.group == "apps") {
            causes.push_back(unsupported(place + ".restartPolicy", Value(policy), {"Always"}));
        }
        if (const auto* grace = at(spec, "terminationGracePeriodSeconds"); grace != nullptr && json::to_int(grace).value_or(0) < 0) {
            causes.push_back(invalid_value(place + ".terminationGracePeriodSeconds", *grace, not_negative));
        }
    }

    void workload(std::string_view selector_rule) {
        not_below_zero("spec.replicas", "spec", "replicas");
        not_below_zero("spec.minReadySeconds", "spec", "minReadySeconds");
        not_below_zero("spec.revisionHistoryLimit", "spec", "revisionHistoryLimit");
        const auto* selector = at(object, "spec", "selector");
        const auto& labels = object_at(object, "spec", "template", "metadata", "labels");
        if (selector == nullptr) {
            causes.push_back(required("spec.selector"));
        } else if (object_at(*selector, "matchLabels").empty() && array_at(*selector, "matchExpressions").empty()) {
            causes.push_back(invalid_value("spec.selector", *selector, "empty selector is invalid for " + std::string(selector_rule)));
        } else if (!kube::label_selector_matches(selector, labels)) {
            causes.push_back(invalid_value("spec.template.metadata.labels", Value(labels), "`selector` does not match template `labels`"));
        }
        const auto* spec = at(object, "spec", "template", "spec");
        const Value none = json::Object{};
        pod_spec(spec == nullptr ? none : *spec, "spec.template.spec", true);
        if (old != nullptr) unchanged("spec.selector", selector, at(*old, "spec", "selector"));
    }

    void int_or_percent(std::string field, const Value* value) {
        if (value == nullptr) return;
        if (const auto* text = value->if_string()) {
            const auto view = json::view(*text);
            const bool percent = view.ends_with('%') && view.size() > 1 &&
                                 std::ranges::all_of(view.substr(0, view.size() - 1), [](char c) { return c >= '0' && c <= '9'; });
            if (!percent)
                causes.push_back(
                    invalid_value(std::move(field), *value, "a valid percent string must be a numeric string followed by an ending '%'"));
        } else if (json::to_int(value).value_or(-1) < 0) {
            causes.push_back(invalid_value(std::move(field), *value, not_negative));
        }
    }

    void deployment() {
        workload("deployment");
        const auto kind = string_at(object, "spec", "strategy", "type");
        if (kind != "RollingUpdate" && kind != "Recreate") {
            causes.push_back(unsupported("spec.strategy.type", Value(kind), {"Recreate", "RollingUpdate"}));
        }
        if (kind == "Recreate" && at(object, "spec", "strategy", "rollingUpdate") != nullptr) {
            causes.push_back(forbidden_field("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"));
        }
        int_or_percent("spec.strategy.rollingUpdate.maxUnavailable", at(object, "spec", "strategy", "rollingUpdate", "maxUnavailable"));
        int_or_percent("spec.strategy.rollingUpdate.maxSurge", at(object, "spec", "strategy", "rollingUpdate", "maxSurge"));
        not_below_zero("spec.progressDeadlineSeconds", "spec", "progressDeadlineSeconds");
    }

    void stateful_set() {
        workload("statefulset");
        if (old == nullptr) return;
        Value now = *at(object, "spec"), before = at(*old, "spec") == nullptr ? Value(json::Object{}) : *at(*old, "spec");
        for (const std::string_view field : {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                                             "persistentVolumeClaimRetentionPolicy", "minReadySeconds", "selector"}) {
            now.as_object().erase(field);
            before.as_object().erase(field);
        }
        if (now != before) {
            causes.push_back(
                forbidden_field("spec",
                                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
                                "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
        }
    }

    void job() {
        not_below_zero("spec.parallelism", "spec", "parallelism");
        not_below_zero("spec.completions", "spec", "completions");
        not_below_zero("spec.backoffLimit", "spec", "backoffLimit");
        const auto* spec = at(object, "spec", "template", "spec");
        const Value none = json::Object{};
        pod_spec(spec == nullptr ? none : *spec, "spec.template.spec", true);
        if (string_at(object, "spec", "template", "spec", "restartPolicy") == "Always") {
            causes.push_back(required("spec.template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\""));
        }
        if (old == nullptr) return;
        unchanged("spec.selector", at(object, "spec", "selector"), at(*old, "spec", "selector"));
        unchanged("spec.template", at(object, "spec", "template"), at(*old, "spec", "template"));
        if (string_at(object, "spec", "completionMode") != "Indexed") {
            unchanged("spec.completions", at(object, "spec", "completions"), at(*old, "spec", "completions"));
        }
    }

    void pod_update(UpdatePart part) {
        Value now = *at(object, "spec"), before = *at(*old, "spec");
        const auto drop = [&](std::string_view list, std::string_view field) {
            for (Value* spec : {&now, &before}) {
                auto* items = spec->as_object().if_contains(list);
                if (items == nullptr || !items->is_array()) continue;
                for (Value& item : items->get_array()) {
                    if (item.is_object()) item.get_object().erase(field);
                }
            }
        };
        if (array_at(now, "containers").size() != array_at(before, "containers").size()) {
            causes.push_back(forbidden_field("spec.containers", "pod updates may not add or remove containers"));
            return;
        }
        if (part == UpdatePart::resize) {
            for (const std::string_view list : {"containers", "initContainers"}) {
                drop(list, "resources");
                drop(list, "resizePolicy");
            }
            if (now != before) causes.push_back(forbidden_field("spec", "only cpu and memory resources are mutable"));
            if (qos_class(*at(object, "spec")) != qos_class(*at(*old, "spec"))) {
                causes.push_back(invalid_value("spec", Value(qos_class(*at(*old, "spec"))), "Pod QOS Class may not change as a result of resizing"));
            }
            return;
        }
        if (part == UpdatePart::ephemeral) {
            now.as_object().erase("ephemeralContainers");
            before.as_object().erase("ephemeralContainers");
        }
        drop("containers", "image");
        drop("initContainers", "image");
        // Tolerations may only be added; a gate may be removed; a node may be set by binding alone.
        const auto& more = array_at(now, "tolerations");
        for (const Value& toleration : array_at(before, "tolerations")) {
            if (std::ranges::find(more, toleration) == more.end()) {
                causes.push_back(forbidden_field("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"));
                break;
            }
        }
        for (Value* spec : {&now, &before}) {
            for (const std::string_view field : {"activeDeadlineSeconds", "tolerations", "schedulingGates"}) spec->as_object().erase(field);
            if (part == UpdatePart::binding) spec->as_object().erase("nodeName");
        }
        if (now != before) {
            causes.push_back(forbidden_field("spec",
                                             "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
                                             "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
                                             "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"));
        }
    }

    void claim() {
        if (array_at(object, "spec", "accessModes").empty()) causes.push_back(required("spec.accessModes", "at least 1 access mode is required"));
        const auto* size = at(object, "spec", "resources", "requests", "storage");
        if (size == nullptr)
            causes.push_back(required("spec.resources[storage]"));
        else if (kube::quantity_at(size).value_or(-1) <= 0)
            causes.push_back(invalid_value("spec.resources[storage]", *size, "must be greater than zero"));
        if (old == nullptr) return;
        Value now = *at(object, "spec"), before = *at(*old, "spec");
        const auto new_size = kube::quantity_at(size), old_size = kube::quantity_at(at(before, "resources", "requests", "storage"));
        const bool bound = string_at(*old, "status", "phase") == "Bound";
        if (new_size && old_size && *new_size < *old_size) {
            const auto capacity = kube::quantity_at(at(*old, "status", "capacity", "storage"));
            if (!capacity || *new_size <= *capacity) {
                causes.push_back(forbidden_field("spec.resources.requests.storage", "field can not be less than status.capacity"));
            }
        } else if (new_size != old_size && !bound) {
            causes.push_back(
                forbidden_field("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
            return;
        }
        for (Value* spec : {&now, &before}) {
            if (auto* resources = spec->as_object().if_contains("resources"); resources != nullptr && resources->is_object()) {
                if (auto* requests = resources->get_object().if_contains("requests"); requests != nullptr && requests->is_object()) {
                    requests->get_object().erase("storage");
                }
            }
            spec->as_object().erase("volumeAttributesClassName");
        }
        // The binder may name the volume once.
        if (string_at(before, "volumeName").empty()) {
            now.as_object().erase("volumeName");
            before.as_object().erase("volumeName");
        }
        if (now != before) {
            causes.push_back(
                forbidden_field("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
        }
    }

    void immutable_data(std::initializer_list<std::string_view> fields) {
        if (old == nullptr || !json::bool_at(*old, "immutable").value_or(false)) return;
        if (!json::bool_at(object, "immutable").value_or(false)) {
            causes.push_back(forbidden_field("immutable", "field is immutable when `immutable` is set"));
        }
        for (const auto field : fields) {
            const Value none = nullptr;
            const auto* now = at(object, field);
            const auto* before = at(*old, field);
            if ((now == nullptr ? none : *now) != (before == nullptr ? none : *before)) {
                causes.push_back(forbidden_field(std::string(field), "field is immutable when `immutable` is set"));
            }
        }
    }

    void config(std::string_view what) {
        std::size_t bytes = 0;
        for (const std::string_view field : {"data", "binaryData"}) {
            for (const auto& [key, value] : object_at(object, field)) {
                const auto* text = value.if_string();
                if (text == nullptr) {
                    causes.push_back(invalid_value(std::string(field) + "[" + std::string(key) + "]", value, "must be a string"));
                    continue;
                }
                bytes += text->size();
                if (!std::ranges::all_of(key, [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; }) || key.empty() ||
                    key.size() > 253) {
                    causes.push_back(invalid_value(std::string(field) + "[" + std::string(key) + "]", Value(key),
                                                   "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"));
                }
            }
        }
        if (bytes > 1048576)
            causes.push_back({"FieldValueTooLong", "Too long: may not be more than 1048576 bytes", what == "secret" ? "data" : "[]"});
    }

    void service() {
        const auto kind = string_at(object, "spec", "type");
        if (kind != "ClusterIP" && kind != "NodePort" && kind != "LoadBalancer" && kind != "ExternalName") {
            causes.push_back(unsupported("spec.type", Value(kind), {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"}));
        }
        if (array_at(object, "spec", "ports").empty() && string_at(object, "spec", "clusterIP") != "None" && kind != "ExternalName") {
            causes.push_back(required("spec.ports"));
        }
        std::size_t index = 0;
        for (const Value& port : array_at(object, "spec", "ports")) {
            const auto number = json::int_at(port, "port").value_or(0);
            if (number < 1 || number > 65535) {
                causes.push_back(
                    invalid_value("spec.ports[" + std::to_string(index) + "].port", Value(number), "must be between 1 and 65535, inclusive"));
            }
            ++index;
        }
        if (old == nullptr || kind == "ExternalName") return;
        const auto before = string_at(*old, "spec", "clusterIP"), now = string_at(object, "spec", "clusterIP");
        if (!before.empty() && before != "None" && now != before) {
            causes.push_back(invalid_value("spec.clusterIPs[0]", json::Array{Value(now)}, "may not change once set"));
        }
    }

    void budget() {
        const auto* low = at(object, "spec", "minAvailable");
        const auto* high = at(object, "spec", "maxUnavailable");
        if (low != nullptr && high != nullptr) {
            causes.push_back(invalid_value("spec", *at(object, "spec"), "minAvailable and maxUnavailable cannot be both set"));
        }
        int_or_percent("spec.minAvailable", low);
        int_or_percent("spec.maxUnavailable", high);
    }

    void autoscaler() {
        const auto low = json::int_at(object, "spec", "minReplicas").value_or(1), high = json::int_at(object, "spec", "maxReplicas").value_or(0);
        if (high < 1) causes.push_back(invalid_value("spec.maxReplicas", Value(high), "must be greater than 0"));
        if (low < 1) causes.push_back(invalid_value("spec.minReplicas", Value(low), "must be greater than or equal to 1"));
        if (high < low) causes.push_back(invalid_value("spec.maxReplicas", Value(high), "must be greater than or equal to `minReplicas`"));
        if (string_at(object, "spec", "scaleTargetRef", "kind").empty()) causes.push_back(required("spec.scaleTargetRef.kind"));
        if (string_at(object, "spec", "scaleTargetRef", "name").empty()) causes.push_back(required("spec.scaleTargetRef.name"));
    }

    void binding() {
        if (string_at(object, "roleRef", "name").empty()) causes.push_back(required("roleRef.name"));
        std::size_t index = 0;
        for (const Value& subject : array_at(object, "subjects")) {
            const auto kind = string_at(subject, "kind");
            const auto place = "subjects[" + std::to_string(index++) + "]";
            if (kind != "User" && kind != "Group" && kind != "ServiceAccount") {
                causes.push_back(unsupported(place + ".kind", Value(kind), {"Group", "ServiceAccount", "User"}));
            }
            if (kind == "ServiceAccount" && string_at(subject, "namespace").empty()) causes.push_back(required(place + ".namespace"));
            if (string_at(subject, "name").empty()) causes.push_back(required(place + ".name"));
        }
        if (old != nullptr && at(object, "roleRef") != nullptr && at(*old, "roleRef") != nullptr && *at(object, "roleRef") != *at(*old, "roleRef")) {
            causes.push_back(invalid_value("roleRef", *at(object, "roleRef"), "cannot change roleRef"));
        }
    }

    void definition() {
        const auto group = string_at(object, "spec", "group"), plural = string_at(object, "spec", "names", "plural");
        if (group.empty()) causes.push_back(required("spec.group"));
        if (string_at(object, "spec", "names", "kind").empty()) causes.push_back(required("spec.names.kind"));
        const auto expected = std::string(plural) + "." + std::string(group);
        if (kube::name_of(object) != expected) {
            causes.push_back(invalid_value("metadata.name", Value(kube::name_of(object)), "must be spec.names.plural+\".\"+spec.group"));
        }
        const auto scope = string_at(object, "spec", "scope");
        if (scope != "Namespaced" && scope != "Cluster") causes.push_back(unsupported("spec.scope", Value(scope), {"Cluster", "Namespaced"}));
        std::size_t stored = 0;
        for (const Value& version : array_at(object, "spec", "versions")) stored += json::bool_at(version, "storage").value_or(false) ? 1 : 0;
        if (stored != 1)
            causes.push_back(
                invalid_value("spec.versions", array_at(object, "spec", "versions"), "must have exactly one version marked as storage version"));
        std::size_t index = 0;
        for (const Value& version : array_at(object, "spec", "versions")) {
            if (at(version, "schema", "openAPIV3Schema") == nullptr) {
                causes.push_back(required("spec.versions[" + std::to_string(index) + "].schema.openAPIV3Schema", "schemas are required"));
            }
            ++index;
        }
    }

    void node_update() {
        // Of a node's spec only these may change through the API.
        Value now = at(object, "spec") == nullptr ? Value(json::Object{}) : *at(object, "spec");
        Value before = at(*old, "spec") == nullptr ? Value(json::Object{}) : *at(*old, "spec");
        for (Value* spec : {&now, &before}) {
            for (const std::string_view field : {"unschedulable", "taints", "configSource"}) spec->as_object().erase(field);
        }
        // Empty values may be set once.
        for (const std::string_view field : {"podCIDR", "podCIDRs", "providerID"}) {
            if (at(before, field) == nullptr) now.as_object().erase(field);
        }
        if (now != before) causes.push_back(forbidden_field("", "node updates may only change labels, taints, or capacity"));
    }
};

}  // namespace

bool is_dns_label(std::string_view text) {
    const auto ok = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (text.empty() || text.size() > 63 || !ok(text.front()) || !ok(text.back())) return false;
    return std::ranges::all_of(text, [&](char c) { return ok(c) || c == '-'; });
}

bool is_dns_subdomain(std::string_view text) {
    if (text.empty() || text.size() > 253) return false;
    while (true) {
        const auto dot = text.find('.');
        const auto part = text.substr(0, dot);
        // Parts of a subdomain may be longer than labels.
        const auto ok = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
        if (part.empty() || !ok(part.front()) || !ok(part.back()) || !std::ranges::all_of(part, [&](char c) { return ok(c) || c == '-'; }))
            return false;
        if (dot == std::string_view::npos) return true;
        text.remove_prefix(dot + 1);
    }
}

Causes validate(const ServedType& type, const Value& object, const Value* old, UpdatePart part) {
    Checker check{type, object, old};
    check.metadata();
    if (type.custom) {
        auto more = validate_custom(type, object);
        check.causes.insert(check.causes.end(), more.begin(), more.end());
        return check.causes;
    }
    if (part == UpdatePart::status || part == UpdatePart::finalize) return check.causes;
    const auto& kind = type.storage;
    if (kind == "pods") {
        if (old != nullptr) {
            check.pod_update(part);
        } else {
            const auto* spec = at(object, "spec");
            const Value none = json::Object{};
            check.pod_spec(spec == nullptr ? none : *spec, "spec", false);
        }
    } else if (kind == "deployments.apps") {
        check.deployment();
    } else if (kind == "replicasets.apps") {
        check.workload("replicaset");
    } else if (kind == "daemonsets.apps") {
        check.workload("daemonset");
    } else if (kind == "statefulsets.apps") {
        check.stateful_set();
    } else if (kind == "jobs.batch") {
        check.job();
    } else if (kind == "persistentvolumeclaims") {
        check.claim();
    } else if (kind == "configmaps") {
        check.config("configmap");
        check.immutable_data({"data", "binaryData"});
    } else if (kind == "secrets") {
        check.config("secret");
        check.immutable_data({"data"});
        if (old != nullptr) check.unchanged("type", at(object, "type"), at(*old, "type"));
    } else if (kind == "services") {
        check.service();
    } else if (kind == "poddisruptionbudgets.policy") {
        check.budget();
    } else if (kind == "horizontalpodautoscalers.autoscaling") {
        check.autoscaler();
    } else if (kind == "rolebindings.rbac.authorization.k8s.io" || kind == "clusterrolebindings.rbac.authorization.k8s.io") {
        check.binding();
    } else if (kind == "customresourcedefinitions.apiextensions.k8s.io") {
        check.definition();
    } else if (kind == "nodes" && old != nullptr) {
        check.node_update();
    } else if (kind == "storageclasses.storage.k8s.io") {
        if (string_at(object, "provisioner").empty()) check.causes.push_back(required("provisioner"));
        if (old != nullptr) {
            check.unchanged("parameters", at(object, "parameters"), at(*old, "parameters"), "updates to parameters are forbidden.");
            check.unchanged("provisioner", at(object, "provisioner"), at(*old, "provisioner"), "updates to provisioner are forbidden.");
        }
    }
    return check.causes;
}

}  // namespace kn::sim::api
