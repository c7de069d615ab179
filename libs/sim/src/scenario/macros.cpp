#include "scenario/macros.hpp"

#include <algorithm>
#include <array>

#include "common/text.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim {
namespace {

constexpr std::array workload_keys{
    "kind",    "ns",        "name",    "replicas", "image",       "cpu",       "memory",   "memory_request", "port",
    "service", "command",   "args",    "env",      "config",      "config_as", "secret",   "pull_secret",    "depends_on",
    "pdb",     "hpa",       "volume",  "labels",   "annotations", "readiness", "liveness", "startup",        "service_account",
    "pod",     "container", "strategy"};

json::Object metadata(std::string_view ns, std::string_view name) { return {{"namespace", ns}, {"name", name}}; }

json::Value data_object(std::string_view kind, std::string_view ns, const std::string& name, const json::Object& data) {
    json::Object content;
    for (const auto& [key, value] : data) {
        const std::string text = value.is_string() ? std::string(json::view(value.get_string())) : json::dump(value);
        content[key] = kind == "Secret" ? base64_encode(text) : text;
    }
    json::Object out{{"apiVersion", "v1"}, {"kind", kind}, {"metadata", metadata(ns, name)}, {"data", std::move(content)}};
    if (kind == "Secret") out["type"] = "Opaque";
    return out;
}

/// Objects merge, everything else replaces.
void overlay(json::Value& base, const json::Value& over) {
    if (!base.is_object() || !over.is_object()) {
        base = over;
        return;
    }
    for (const auto& [key, value] : over.get_object()) {
        if (auto* known = base.get_object().if_contains(key))
            overlay(*known, value);
        else
            base.get_object()[key] = value;
    }
}

}  // namespace

Result<std::vector<json::Value>> expand_workload(const json::Value& macro) {
    if (!macro.is_object()) return fail(ErrorCode::invalid_argument, "a workload is a map");
    for (const auto& [key, value] : macro.get_object()) {
        if (std::ranges::find(workload_keys, std::string_view(key.data(), key.size())) == workload_keys.end())
            return fail(ErrorCode::invalid_argument, "unknown key '" + std::string(key) + "'");
    }
    const std::string ns(json::string_at(macro, "ns")), name(json::string_at(macro, "name"));
    if (ns.empty() || name.empty()) return fail(ErrorCode::invalid_argument, "a workload needs ns and name");
    std::string kind(json::string_at(macro, "kind"));
    if (kind.empty()) kind = "Deployment";
    if (kind != "Deployment" && kind != "StatefulSet" && kind != "DaemonSet")
        return fail(ErrorCode::invalid_argument, "kind is Deployment, StatefulSet or DaemonSet");

    std::vector<json::Value> out;
    const json::Object selector{{"app", name}};
    json::Object labels = json::object_at(macro, "labels");
    labels["app"] = name;

    json::Object container{{"name", "app"}};
    const auto image = json::string_at(macro, "image");
    container["image"] = image.empty() ? "registry.example/" + name + ":1.4.2" : std::string(image);
    for (const auto key : {"command", "args"}) {
        if (const auto* list = json::at(macro, key)) container[key] = *list;
    }
    const auto text_at = [&](std::string_view key, std::string_view otherwise) {
        const auto* found = json::at(macro, key);
        if (found == nullptr) return std::string(otherwise);
        return found->is_string() ? std::string(json::view(found->get_string())) : json::dump(*found);
    };
    const std::string memory = text_at("memory", "128Mi");
    json::Object requests{{"cpu", text_at("cpu", "50m")}, {"memory", text_at("memory_request", memory)}}, limits;
    if (memory != "none")
        limits["memory"] = memory;
    else
        requests["memory"] = text_at("memory_request", "32Mi");
    container["resources"] = json::Object{{"requests", std::move(requests)}, {"limits", std::move(limits)}};

    const auto port = json::int_at(macro, "port").value_or(8080);
    if (port > 0) {
        container["ports"] = json::Array{json::Object{{"name", "http"}, {"containerPort", port}}};
        const json::Object get{{"httpGet", json::Object{{"path", "/healthz"}, {"port", port}}}, {"periodSeconds", 5}};
        if (const auto* own = json::at(macro, "readiness")) {
            if (own->is_object()) container["readinessProbe"] = *own;
        } else {
            container["readinessProbe"] = get;
        }
    }
    if (const auto* probe = json::at(macro, "liveness")) container["livenessProbe"] = *probe;
    if (const auto* probe = json::at(macro, "startup")) container["startupProbe"] = *probe;

    json::Array env, env_from, mounts, volumes, claims;
    for (const auto& [key, value] : json::object_at(macro, "env"))
        env.push_back(json::Object{{"name", key}, {"value", value.is_string() ? value : json::Value(json::dump(value))}});
    if (const auto& config = json::object_at(macro, "config"); !config.empty()) {
        const std::string config_name = name + "-config";
        out.push_back(data_object("ConfigMap", ns, config_name, config));
        if (json::string_at(macro, "config_as") == "env") {
            env_from.push_back(json::Object{{"configMapRef", json::Object{{"name", config_name}}}});
        } else {
            volumes.push_back(json::Object{{"name", "config"}, {"configMap", json::Object{{"name", config_name}}}});
            mounts.push_back(json::Object{{"name", "config"}, {"mountPath", "/etc/" + name}});
        }
    }
    if (const auto& secret = json::object_at(macro, "secret"); !secret.empty()) {
        out.push_back(data_object("Secret", ns, name + "-secret", secret));
        env_from.push_back(json::Object{{"secretRef", json::Object{{"name", name + "-secret"}}}});
    }
    json::Object pod{};
    if (const auto pull = json::string_at(macro, "pull_secret"); !pull.empty()) {
        const std::string host(std::string_view(json::view(container["image"].get_string())).substr(0, container["image"].get_string().find('/')));
        const json::Object config{
            {"auths",
             json::Object{{host, json::Object{{"username", "robot"}, {"password", "simulated"}, {"auth", base64_encode("robot:simulated")}}}}}};
        out.push_back(json::Object{{"apiVersion", "v1"},
                                   {"kind", "Secret"},
                                   {"type", "kubernetes.io/dockerconfigjson"},
                                   {"metadata", metadata(ns, pull)},
                                   {"data", json::Object{{".dockerconfigjson", base64_encode(json::dump(config))}}}});
        pod["imagePullSecrets"] = json::Array{json::Object{{"name", pull}}};
    }
    if (const auto* volume = json::at(macro, "volume")) {
        json::Object claim_spec{{"accessModes", json::Array{"ReadWriteOnce"}},
                                {"resources", json::Object{{"requests", json::Object{{"storage", json::string_at(*volume, "size")}}}}}};
        if (const auto cls = json::string_at(*volume, "class"); !cls.empty()) claim_spec["storageClassName"] = cls;
        mounts.push_back(json::Object{{"name", "data"}, {"mountPath", "/var/lib/" + name}});
        if (kind == "StatefulSet") {
            claims.push_back(json::Object{{"metadata", json::Object{{"name", "data"}}}, {"spec", std::move(claim_spec)}});
        } else {
            out.push_back(json::Object{{"apiVersion", "v1"},
                                       {"kind", "PersistentVolumeClaim"},
                                       {"metadata", metadata(ns, name + "-data")},
                                       {"spec", std::move(claim_spec)}});
            volumes.push_back(json::Object{{"name", "data"}, {"persistentVolumeClaim", json::Object{{"claimName", name + "-data"}}}});
        }
    }
    if (!env.empty()) container["env"] = std::move(env);
    if (!env_from.empty()) container["envFrom"] = std::move(env_from);
    if (!mounts.empty()) container["volumeMounts"] = std::move(mounts);
    json::Value whole_container(std::move(container));
    if (const auto* more = json::at(macro, "container")) overlay(whole_container, *more);
    pod["containers"] = json::Array{std::move(whole_container)};
    if (!volumes.empty()) pod["volumes"] = std::move(volumes);
    if (const auto account = json::string_at(macro, "service_account"); !account.empty()) {
        pod["serviceAccountName"] = account;
        out.push_back(json::Object{{"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", metadata(ns, account)}});
    }
    json::Value pod_spec(std::move(pod));
    if (const auto* more = json::at(macro, "pod")) overlay(pod_spec, *more);

    json::Object annotations = json::object_at(macro, "annotations"), pod_annotations;
    if (const auto depends = strings_of(json::array_at(macro, "depends_on")); !depends.empty())
        annotations["kubernaut.io/depends-on"] = pod_annotations["kubernaut.io/depends-on"] = join(depends, ",");
    json::Object template_meta{{"labels", labels}}, meta = metadata(ns, name);
    if (!pod_annotations.empty()) template_meta["annotations"] = std::move(pod_annotations);
    meta["labels"] = labels;
    if (!annotations.empty()) meta["annotations"] = std::move(annotations);
    json::Object spec{{"selector", json::Object{{"matchLabels", selector}}},
                      {"template", json::Object{{"metadata", std::move(template_meta)}, {"spec", std::move(pod_spec)}}}};
    const auto replicas = json::int_at(macro, "replicas").value_or(2);
    if (kind != "DaemonSet") spec["replicas"] = replicas;
    if (kind == "StatefulSet") {
        spec["serviceName"] = name;
        if (!claims.empty()) spec["volumeClaimTemplates"] = std::move(claims);
    }
    if (const auto* strategy = json::at(macro, "strategy")) spec[kind == "Deployment" ? "strategy" : "updateStrategy"] = *strategy;
    if (port > 0 && json::bool_at(macro, "service").value_or(true)) {
        out.push_back(json::Object{
            {"apiVersion", "v1"},
            {"kind", "Service"},
            {"metadata", metadata(ns, name)},
            {"spec", json::Object{{"selector", selector},
                                  {"ports", json::Array{json::Object{{"name", "http"}, {"port", 80}, {"targetPort", port}, {"protocol", "TCP"}}}}}}});
    }
    out.push_back(json::Object{{"apiVersion", "apps/v1"}, {"kind", kind}, {"metadata", std::move(meta)}, {"spec", std::move(spec)}});
    if (const auto* budget = json::at(macro, "pdb")) {
        json::Value budget_spec = json::Object{{"selector", json::Object{{"matchLabels", selector}}}};
        overlay(budget_spec, *budget);
        out.push_back(json::Object{
            {"apiVersion", "policy/v1"}, {"kind", "PodDisruptionBudget"}, {"metadata", metadata(ns, name)}, {"spec", std::move(budget_spec)}});
    }
    if (const auto* hpa = json::at(macro, "hpa")) {
        const json::Object target{{"type", "Utilization"}, {"averageUtilization", json::int_at(*hpa, "target").value_or(70)}};
        out.push_back(json::Object{
            {"apiVersion", "autoscaling/v2"},
            {"kind", "HorizontalPodAutoscaler"},
            {"metadata", metadata(ns, name)},
            {"spec", json::Object{{"scaleTargetRef", json::Object{{"apiVersion", "apps/v1"}, {"kind", kind}, {"name", name}}},
                                  {"minReplicas", json::int_at(*hpa, "min").value_or(1)},
                                  {"maxReplicas", json::int_at(*hpa, "max").value_or(5)},
                                  {"metrics", json::Array{json::Object{{"type", "Resource"},
                                                                       {"resource", json::Object{{"name", "cpu"}, {"target", target}}}}}}}}});
    }
    return out;
}

std::vector<json::Value> neighbours(std::string_view ns, int count, std::uint64_t seed, const std::vector<std::string>& taken) {
    static constexpr std::array names{"search", "mailer",  "reports", "gateway", "profile", "ledger",    "catalog",  "pricing",
                                      "stock",  "reviews", "geo",     "media",   "notify",  "audit-log", "sessions", "export"};
    SeededRandom random(seed ^ 0x9e3779b97f4a7c15ULL);
    std::vector<json::Value> out;
    const std::size_t start = random.next() % names.size();
    int made = 0;
    for (std::size_t i = 0; i < names.size() && made < count; ++i) {
        const std::string name = names[(start + i) % names.size()];
        if (std::ranges::find(taken, name) != taken.end()) continue;
        ++made;
        json::Object macro{
            {"ns", ns}, {"name", name}, {"replicas", 1 + static_cast<std::int64_t>(random.next() % 3)}, {"memory", "96Mi"}, {"cpu", "20m"}};
        if (random.next() % 3 == 0) macro["config"] = json::Object{{"app.yaml", "workers: " + std::to_string(1 + random.next() % 8) + "\n"}};
        if (random.next() % 4 == 0) macro["pdb"] = json::Object{{"maxUnavailable", 1}};
        auto objects = expand_workload(macro);
        if (objects) out.insert(out.end(), objects->begin(), objects->end());
    }
    return out;
}

Result<ObjectName> ObjectName::parse(std::string_view text) {
    const auto parts = split(text, '/');
    ObjectName out;
    out.resource = kube::find_resource(parts.front());
    if (out.resource == nullptr) return fail(ErrorCode::invalid_argument, "unknown kind in '" + std::string(text) + "'");
    const std::size_t wanted = out.resource->namespaced ? 3 : 2;
    if (parts.size() != wanted || parts.back().empty()) {
        return fail(ErrorCode::invalid_argument,
                    "'" + std::string(text) + "' should be " + out.resource->kind_group() + (wanted == 3 ? "/namespace/name" : "/name"));
    }
    if (wanted == 3) out.ns = parts[1];
    out.name = parts.back();
    return out;
}

std::string ObjectName::text() const { return resource->kind_group() + "/" + (ns.empty() ? "" : ns + "/") + name; }

ObjectName name_of_object(const json::Value& object) {
    return {kube::resource_of(object), std::string(kube::namespace_of(object)), std::string(kube::name_of(object))};
}

std::vector<std::string> images_of(const json::Value& object) {
    std::vector<std::string> out;
    const auto collect = [&](const json::Value* spec) {
        if (spec == nullptr) return;
        for (const auto key : {"containers", "initContainers"}) {
            for (const auto& container : json::array_at(*spec, key)) out.emplace_back(json::string_at(container, "image"));
        }
    };
    collect(json::at(object, "spec", "template", "spec"));
    collect(json::at(object, "spec", "jobTemplate", "spec", "template", "spec"));
    if (kube::kind_of(object) == "Pod") collect(json::at(object, "spec"));
    return out;
}

bool is_workload(const json::Value& object) {
    const auto kind = kube::kind_of(object);
    return kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet";
}

}  // namespace kn::sim
