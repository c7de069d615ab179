#include "evidence/template_diff.hpp"
#include "has.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

namespace kn::decision {
namespace {

using json::at;
using json::string_at;
using json::Value;

constexpr std::array restart_marks{"kubectl.kubernetes.io/restartedAt", "kubernaut.io/restarted-at"};

const Value& value_or_null(const Value* value) {
    static const Value null;
    return value == nullptr ? null : *value;
}

// null, {} and [] mean the same in a spec: a server leaves them out.
bool is_blank(const Value& value) {
    return value.is_null() || (value.is_object() && value.get_object().empty()) || (value.is_array() && value.get_array().empty());
}

bool same(const Value& a, const Value& b) { return (is_blank(a) && is_blank(b)) || a == b; }

json::Object clean_metadata(const Value& pod_template) {
    json::Object labels = json::object_at(pod_template, "metadata", "labels");
    labels.erase("pod-template-hash");
    labels.erase("controller-revision-hash");
    json::Object annotations = json::object_at(pod_template, "metadata", "annotations");
    for (const auto* mark : restart_marks) annotations.erase(mark);
    json::Object out;
    out["labels"] = std::move(labels);
    out["annotations"] = std::move(annotations);
    return out;
}

std::string_view field_word(std::string_view field) {
    static const std::map<std::string_view, std::string_view> words{{"image", "image"},
                                                                    {"command", "command"},
                                                                    {"args", "command"},
                                                                    {"workingDir", "command"},
                                                                    {"livenessProbe", "probe"},
                                                                    {"readinessProbe", "probe"},
                                                                    {"startupProbe", "probe"},
                                                                    {"resources", "resources"},
                                                                    {"lifecycle", "lifecycle"},
                                                                    {"securityContext", "security"},
                                                                    {"volumeMounts", "volumes"},
                                                                    {"nodeSelector", "scheduling"},
                                                                    {"affinity", "scheduling"},
                                                                    {"tolerations", "scheduling"},
                                                                    {"topologySpreadConstraints", "scheduling"},
                                                                    {"schedulerName", "scheduling"},
                                                                    {"priorityClassName", "scheduling"},
                                                                    {"runtimeClassName", "scheduling"},
                                                                    {"nodeName", "scheduling"},
                                                                    {"imagePullSecrets", "pull_secrets"},
                                                                    {"serviceAccountName", "account"},
                                                                    {"serviceAccount", "account"},
                                                                    {"terminationGracePeriodSeconds", "lifecycle"},
                                                                    {"hostNetwork", "security"},
                                                                    {"hostPID", "security"},
                                                                    {"hostIPC", "security"}};
    const auto found = words.find(field);
    return found == words.end() ? std::string_view{"other"} : found->second;
}

std::set<std::string> field_names(const Value& a, const Value& b) {
    std::set<std::string> names;
    for (const auto* object : {a.if_object(), b.if_object()}) {
        if (object == nullptr) continue;
        for (const auto& member : *object) names.emplace(member.key());
    }
    return names;
}

// Two env lists: did values change, or only which ConfigMap or Secret they come from?
void diff_env(const Value& a, const Value& b, std::set<std::string>& out) {
    if (same(a, b)) return;
    const auto values = [](const Value& list) {
        std::map<std::string, Value> by_name;
        if (const auto* entries = list.if_array()) {
            for (const Value& entry : *entries) by_name[std::string{string_at(entry, "name")}] = entry;
        }
        return by_name;
    };
    const auto before = values(a), after = values(b);
    std::set<std::string> names;
    for (const auto& [name, entry] : before) names.insert(name);
    for (const auto& [name, entry] : after) names.insert(name);
    for (const auto& name : names) {
        const auto x = before.find(name), y = after.find(name);
        const Value& vx = x == before.end() ? value_or_null(nullptr) : x->second;
        const Value& vy = y == after.end() ? value_or_null(nullptr) : y->second;
        if (same(vx, vy)) continue;
        const bool refs = at(vx, "valueFrom") != nullptr || at(vy, "valueFrom") != nullptr;
        out.insert(refs ? "config_refs" : "env");
    }
}

void diff_containers(const Value& a, const Value& b, std::set<std::string>& out) {
    const auto by_name = [](const Value& list) {
        std::map<std::string, const Value*> map;
        if (const auto* entries = list.if_array()) {
            for (const Value& entry : *entries) map[std::string{string_at(entry, "name")}] = &entry;
        }
        return map;
    };
    const auto before = by_name(a), after = by_name(b);
    for (const auto& [name, container] : before) {
        if (!after.contains(name)) out.insert("containers");
    }
    for (const auto& [name, container] : after) {
        const auto old = before.find(name);
        if (old == before.end()) {
            out.insert("containers");
            continue;
        }
        for (const auto& field : field_names(*old->second, *container)) {
            const Value& x = value_or_null(at(*old->second, field));
            const Value& y = value_or_null(at(*container, field));
            if (same(x, y)) continue;
            if (field == "env")
                diff_env(x, y, out);
            else if (field == "envFrom")
                out.insert("config_refs");
            else
                out.emplace(field_word(field));
        }
    }
}

std::set<std::string> volume_refs(const Value& spec) {
    std::set<std::string> refs;
    for (const auto& reference : references_of(spec)) {
        if (reference.volume) refs.insert(reference.kind + "/" + reference.name);
    }
    return refs;
}

void add_reference(std::map<std::pair<std::string, std::string>, ConfigReference>& all, std::string_view kind, std::string_view name, bool optional,
                   bool volume, std::string_view key) {
    if (name.empty()) return;
    auto [entry, fresh] = all.try_emplace({std::string{kind}, std::string{name}});
    auto& reference = entry->second;
    if (fresh) {
        reference.kind = kind;
        reference.name = name;
        reference.optional = optional;
    }
    reference.optional = reference.optional && optional;
    reference.volume = reference.volume || volume;
    // A container starts without a key that it marks as optional.
    if (!key.empty() && !optional && !has(reference.keys, key)) reference.keys.emplace_back(key);
}

bool name_character(char c) {
    return std::islower(static_cast<unsigned char>(c)) || std::isdigit(static_cast<unsigned char>(c)) || c == '-' || c == '.';
}

}  // namespace

bool same_template(const Value& a, const Value& b) { return template_diff(a, b).empty(); }

std::set<std::string> template_diff(const Value& before, const Value& after) {
    std::set<std::string> out;
    const auto meta_a = clean_metadata(before), meta_b = clean_metadata(after);
    if (meta_a.at("labels") != meta_b.at("labels")) out.insert("labels");
    for (const auto& name : field_names(meta_a.at("annotations"), meta_b.at("annotations"))) {
        if (same(value_or_null(at(meta_a.at("annotations"), name)), value_or_null(at(meta_b.at("annotations"), name)))) continue;
        // Charts put a hash of their configuration into the template so that a change rolls the pods.
        out.insert(name.starts_with("checksum/") ? "config_refs" : "annotations");
    }
    const Value& spec_a = value_or_null(at(before, "spec"));
    const Value& spec_b = value_or_null(at(after, "spec"));
    for (const auto& field : field_names(spec_a, spec_b)) {
        const Value& x = value_or_null(at(spec_a, field));
        const Value& y = value_or_null(at(spec_b, field));
        if (same(x, y)) continue;
        if (field == "containers" || field == "initContainers") {
            diff_containers(x, y, out);
        } else if (field == "volumes") {
            out.insert(volume_refs(spec_a) == volume_refs(spec_b) ? "volumes" : "config_refs");
        } else {
            out.emplace(field_word(field));
        }
    }
    return out;
}

std::vector<ConfigReference> references_of(const Value& spec) {
    std::map<std::pair<std::string, std::string>, ConfigReference> all;
    const auto optional_of = [](const Value& ref) { return json::bool_at(ref, "optional").value_or(false); };
    for (const auto* list : {"initContainers", "containers"}) {
        for (const Value& container : json::array_at(spec, list)) {
            for (const Value& env : json::array_at(container, "env")) {
                if (const auto* ref = at(env, "valueFrom", "configMapKeyRef")) {
                    add_reference(all, "ConfigMap", string_at(*ref, "name"), optional_of(*ref), false, string_at(*ref, "key"));
                }
                if (const auto* ref = at(env, "valueFrom", "secretKeyRef")) {
                    add_reference(all, "Secret", string_at(*ref, "name"), optional_of(*ref), false, string_at(*ref, "key"));
                }
            }
            for (const Value& from : json::array_at(container, "envFrom")) {
                if (const auto* ref = at(from, "configMapRef"))
                    add_reference(all, "ConfigMap", string_at(*ref, "name"), optional_of(*ref), false, {});
                if (const auto* ref = at(from, "secretRef")) add_reference(all, "Secret", string_at(*ref, "name"), optional_of(*ref), false, {});
            }
        }
    }
    for (const Value& volume : json::array_at(spec, "volumes")) {
        if (const auto* ref = at(volume, "configMap")) add_reference(all, "ConfigMap", string_at(*ref, "name"), optional_of(*ref), true, {});
        if (const auto* ref = at(volume, "secret")) add_reference(all, "Secret", string_at(*ref, "secretName"), optional_of(*ref), true, {});
        for (const Value& source : json::array_at(volume, "projected", "sources")) {
            if (const auto* ref = at(source, "configMap")) add_reference(all, "ConfigMap", string_at(*ref, "name"), optional_of(*ref), true, {});
            if (const auto* ref = at(source, "secret")) add_reference(all, "Secret", string_at(*ref, "name"), optional_of(*ref), true, {});
        }
    }
    for (const Value& pull : json::array_at(spec, "imagePullSecrets")) {
        const auto name = string_at(pull, "name");
        if (name.empty()) continue;
        auto [entry, fresh] = all.try_emplace({"Secret", std::string{name}});
        if (fresh) {
            entry->second.kind = "Secret";
            entry->second.name = name;
            entry->second.optional = true;  // the kubelet starts pods without it when the image can be had
        }
        entry->second.image_pull = true;
    }
    std::vector<ConfigReference> out;
    for (auto& [key, reference] : all) {
        // Every pod gets this one; it is not the author's configuration.
        if (reference.kind == "ConfigMap" && reference.name == "kube-root-ca.crt") continue;
        std::ranges::sort(reference.keys);
        out.push_back(std::move(reference));
    }
    return out;
}

std::vector<std::string> claims_of(const Value& spec) {
    std::vector<std::string> out;
    for (const Value& volume : json::array_at(spec, "volumes")) {
        const auto name = string_at(volume, "persistentVolumeClaim", "claimName");
        if (!name.empty()) out.emplace_back(name);
    }
    return out;
}

std::vector<UpstreamName> upstream_names(const Value& spec) {
    std::vector<UpstreamName> out;
    for (const auto* list : {"initContainers", "containers"}) {
        for (const Value& container : json::array_at(spec, list)) {
            for (const Value& env : json::array_at(container, "env")) {
                std::string_view text = string_at(env, "value");
                if (text.empty() || text.size() > 1024) continue;
                if (const auto scheme = text.find("://"); scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
                if (const auto login = text.find('@'); login != std::string_view::npos) text.remove_prefix(login + 1);
                // Lists of hosts: each one.
                while (!text.empty()) {
                    const auto comma = std::min(text.find(','), text.size());
                    std::string_view host = text.substr(0, comma);
                    text.remove_prefix(std::min(comma + 1, text.size()));
                    host = host.substr(0, host.find_first_of(":/?"));
                    if (host.empty() || host.size() > 253 || !std::ranges::all_of(host, name_character)) continue;
                    UpstreamName name;
                    name.why = "env " + std::string{string_at(env, "name")};
                    const auto dot = host.find('.');
                    name.service = host.substr(0, dot);
                    if (dot != std::string_view::npos) {
                        std::string_view rest = host.substr(dot + 1);
                        const auto second = rest.find('.');
                        name.ns = rest.substr(0, second);
                        // db.infra, db.infra.svc, db.infra.svc.<cluster domain>; anything else is a name outside the cluster.
                        if (second != std::string_view::npos && rest.substr(second + 1) != "svc" && !rest.substr(second + 1).starts_with("svc."))
                            continue;
                    }
                    if (!name.service.empty() && std::isalpha(static_cast<unsigned char>(name.service.front()))) out.push_back(std::move(name));
                }
            }
        }
    }
    return out;
}

std::vector<UpstreamName> declared_upstreams(std::string_view text) {
    std::vector<UpstreamName> out;
    while (!text.empty()) {
        const auto end = std::min(text.find_first_of(", \n\t"), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (word.empty()) continue;
        UpstreamName name;
        name.why = "annotation";
        const auto slash = word.find('/');
        if (slash == std::string_view::npos)
            name.service = word;
        else
            name.ns = word.substr(0, slash), name.service = word.substr(slash + 1);
        const auto valid = [](std::string_view part) { return part.size() <= 253 && std::ranges::all_of(part, name_character); };
        if (!name.service.empty() && valid(name.service) && valid(name.ns)) out.push_back(std::move(name));
    }
    return out;
}

}  // namespace kn::decision
