// What reaches a container from ConfigMaps, Secrets and Services.
#include <algorithm>

#include "common/text.hpp"
#include "kubelet/pod_runtime.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim {

PodRuntime::Environment PodRuntime::resolve_env(const json::Value& spec) {
    const std::string ns(kube::namespace_of(pod()));
    Environment out;
    std::string& missing = out.missing;
    const auto look_up = [&](std::string_view kind, const json::Value& reference) -> std::optional<Content> {
        const auto name = json::string_at(reference, "name");
        references_.insert(std::string(kind) + "/" + ns + "/" + std::string(name));
        auto content = world_.config(kind, ns, name);
        if (!content && !json::bool_at(reference, "optional").value_or(false) && missing.empty()) {
            missing = std::string(kind == "Secret" ? "secret" : "configmap") + " \"" + std::string(name) + "\" not found";
        }
        return content;
    };
    for (const auto& from : json::array_at(spec, "envFrom")) {
        for (const auto& [key, kind] : {std::pair<std::string_view, std::string_view>{"configMapRef", "ConfigMap"}, {"secretRef", "Secret"}}) {
            const auto* reference = json::at(from, key);
            if (reference == nullptr) continue;
            const auto content = look_up(kind, *reference);
            if (!content) continue;
            for (const auto& [name, value] : *content) {
                out.variables[std::string(json::string_at(from, "prefix")) + name] = value;
                out.config[std::string(kind) + "/" + std::string(json::string_at(*reference, "name")) + "/" + name] = value;
            }
        }
    }
    for (const auto& entry : json::array_at(spec, "env")) {
        const std::string name(json::string_at(entry, "name"));
        if (json::at(entry, "value") != nullptr) {
            out.variables[name] = json::string_at(entry, "value");
            continue;
        }
        for (const auto& [key, kind] : {std::pair<std::string_view, std::string_view>{"configMapKeyRef", "ConfigMap"}, {"secretKeyRef", "Secret"}}) {
            const auto* reference = json::at(entry, "valueFrom", key);
            if (reference == nullptr) continue;
            const auto content = look_up(kind, *reference);
            if (!content) continue;
            const std::string item(json::string_at(*reference, "key"));
            const auto found = content->find(item);
            if (found != content->end()) {
                out.variables[name] = found->second;
                out.config[std::string(kind) + "/" + std::string(json::string_at(*reference, "name")) + "/" + item] = found->second;
            } else if (!json::bool_at(*reference, "optional").value_or(false) && missing.empty()) {
                missing =
                    "couldn't find key " + item + " in " + std::string(kind) + " " + ns + "/" + std::string(json::string_at(*reference, "name"));
            }
        }
    }
    return out;
}

/// The kubelet refreshes mounted content in its own time: a change arrives between config_delay_min and config_delay_max later.
const std::optional<Content>& PodRuntime::delivered(const std::string& kind, const std::string& name) {
    const std::string ns(kube::namespace_of(pod()));
    references_.insert(kind + "/" + ns + "/" + name);
    auto current = world_.config(kind, ns, name);
    const auto [found, fresh] = deliveries_.try_emplace(kind + "/" + name);
    Delivery& delivery = found->second;
    if (fresh) delivery.content = current;
    if (current == delivery.content || !current) {  // a deleted object leaves the mounted files as they are
        delivery.due.reset();
        return delivery.content;
    }
    if (!delivery.due || delivery.coming != current) {
        const auto spread = static_cast<double>((options_.config_delay_max - options_.config_delay_min).count());
        delivery.due = now_ + scaled(options_.config_delay_min + Duration{static_cast<std::int64_t>(spread * world_.chance())});
        delivery.coming = std::move(current);
    }
    if (*delivery.due <= now_) {
        delivery.content = std::move(delivery.coming);
        delivery.due.reset();
    } else {
        wake_at(*delivery.due);
    }
    return delivery.content;
}

std::map<std::string, std::string, std::less<>> PodRuntime::mounted_config(const json::Value& spec) {
    std::map<std::string, std::string, std::less<>> out;
    const auto add = [&](const std::string& kind, std::string_view name) {
        const auto& content = delivered(kind, std::string(name));
        if (!content) return;
        for (const auto& [key, value] : *content) out[kind + "/" + std::string(name) + "/" + key] = value;
    };
    for (const auto& mount : json::array_at(spec, "volumeMounts")) {
        for (const auto& volume : json::array_at(pod(), "spec", "volumes")) {
            if (json::string_at(volume, "name") != json::string_at(mount, "name")) continue;
            if (const auto name = json::string_at(volume, "configMap", "name"); !name.empty()) add("ConfigMap", name);
            if (const auto name = json::string_at(volume, "secret", "secretName"); !name.empty()) add("Secret", name);
            for (const auto& source : json::array_at(volume, "projected", "sources")) {
                if (const auto name = json::string_at(source, "configMap", "name"); !name.empty()) add("ConfigMap", name);
                if (const auto name = json::string_at(source, "secret", "name"); !name.empty()) add("Secret", name);
            }
        }
    }
    return out;
}

ContainerView PodRuntime::view_of(const ContainerRun& run, const json::Value& spec) {
    ContainerView view;
    view.ns = kube::namespace_of(pod());
    view.pod = kube::name_of(pod());
    view.container = run.name;
    view.image = json::string_at(spec, "image");
    view.labels = &json::object_at(pod(), "metadata", "labels");
    view.command = strings_of(json::array_at(spec, "command"));
    view.args = strings_of(json::array_at(spec, "args"));
    view.env = run.env;
    view.config = mounted_config(spec);
    for (const auto& [path, value] : run.env_config) view.config.insert_or_assign(path, value);
    view.memory_limit = kube::quantity_at(json::at(spec, "resources", "limits", "memory")).value_or(0);
    return view;
}

namespace {

/// "http://db.infra:5432/x" → {"db", "infra"}; a bare word is a name in the pod's own namespace.
std::pair<std::string, std::string> host_of(std::string_view text, std::string_view own_ns) {
    if (const auto scheme = text.find("://"); scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
    if (const auto at = text.find('@'); at != std::string_view::npos) text.remove_prefix(at + 1);
    text = text.substr(0, text.find_first_of(":/?"));
    const auto labels = split(text, '.');
    return {labels.front(), labels.size() > 1 ? labels[1] : std::string(own_ns)};
}

}  // namespace

bool PodRuntime::dependency_down(const ContainerRun& run) {
    const std::string ns(kube::namespace_of(pod()));
    const auto& labels = json::object_at(pod(), "metadata", "labels");
    const auto down = [&](const std::string& in, const std::string& name, bool declared) {
        const auto state = world_.service(in, name, labels);
        if (state == ServiceState::absent && !declared) return false;
        references_.insert("Service/" + in + "/" + name);
        return state == ServiceState::down || state == ServiceState::absent;
    };
    bool any = false;
    const auto declared = [&](std::string_view text) {
        const auto name = trimmed(text);
        if (name.empty()) return;
        const auto slash = name.find('/');
        any = (slash == std::string::npos ? down(ns, name, true) : down(name.substr(0, slash), name.substr(slash + 1), true)) || any;
    };
    for (const auto& each : split(kube::annotation_of(pod(), "kubernaut.io/depends-on"), ',')) declared(each);
    for (const auto& each : run.behaviour.dependencies) declared(each);
    for (const auto& [key, value] : run.env) {
        if (value.empty() || value.size() > 253 || value.find_first_of(" \n{") != std::string::npos) continue;
        const auto [name, in] = host_of(value, ns);
        if (!name.empty()) any = down(in, name, false) || any;
    }
    return any;
}

bool PodRuntime::access_denied(const ContainerRun& run) {
    if (run.behaviour.access.empty()) return false;
    const std::string ns(kube::namespace_of(pod()));
    std::string account(json::string_at(pod(), "spec", "serviceAccountName"));
    if (account.empty()) account = "default";
    bool denied = false;
    for (const auto& what : run.behaviour.access) {
        references_.insert("Access/" + ns + "/" + account);
        denied = !world_.access(ns, account, what) || denied;
    }
    world_.metrics().set_gauge("workload_access_denied", {{"namespace", ns}, {"pod", std::string(kube::name_of(pod()))}, {"serviceaccount", account}},
                               now_, denied ? 1 : 0);
    return denied;
}

}  // namespace kn::sim
