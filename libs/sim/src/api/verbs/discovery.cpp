// Paths that are no resources: version, health, discovery in both forms, OpenAPI.
#include <algorithm>
#include <charconv>

#include "api/core.hpp"
#include "api/verbs/aggregation.hpp"
#include "kubernaut/base/hash.hpp"

namespace kn::sim::api {
namespace {

using json::Array;
using json::Object;

Array texts(const std::vector<std::string>& list) {
    Array out;
    for (const auto& text : list) out.emplace_back(text);
    return out;
}

struct SubresourceShape {
    std::vector<std::string> verbs;
    std::string group, version, kind;  ///< kind "" = that of the parent
};

SubresourceShape shape_of(const std::string& name) {
    if (name == "scale") return {{"get", "patch", "update"}, "autoscaling", "v1", "Scale"};
    if (name == "eviction") return {{"create"}, "policy", "v1", "Eviction"};
    if (name == "binding") return {{"create"}, "", "v1", "Binding"};
    if (name == "token") return {{"create"}, "authentication.k8s.io", "v1", "TokenRequest"};
    if (name == "log") return {{"get"}, "", "", ""};
    if (name == "finalize") return {{"update"}, "", "", ""};
    if (name == "exec") return {{"create", "get"}, "", "", "PodExecOptions"};
    if (name == "attach") return {{"create", "get"}, "", "", "PodAttachOptions"};
    if (name == "portforward") return {{"create", "get"}, "", "", "PodPortForwardOptions"};
    if (name == "proxy") return {{"create", "delete", "get", "patch", "update"}, "", "", ""};
    return {{"get", "patch", "update"}, "", "", ""};
}

Value resource_list(const std::vector<std::shared_ptr<const ServedType>>& types, const std::string& group, const std::string& version) {
    Array resources;
    for (const auto& type : types) {
        const auto& r = type->resource;
        if (r.group != group || r.version != version) continue;
        Object entry{
            {"name", r.plural}, {"singularName", type->singular}, {"namespaced", r.namespaced}, {"kind", r.kind}, {"verbs", texts(type->verbs)}};
        if (!type->short_names.empty()) entry["shortNames"] = texts(type->short_names);
        if (!type->categories.empty()) entry["categories"] = texts(type->categories);
        if (!type->storage.empty()) entry["storageVersionHash"] = base64_encode(to_hex(sha256(r.kind_group())).substr(0, 8));
        resources.push_back(std::move(entry));
        for (const auto& sub : type->subresources) {
            const auto shape = shape_of(sub);
            Object child{{"name", r.plural + "/" + sub}, {"singularName", ""}, {"namespaced", r.namespaced}};
            if (!shape.group.empty()) child["group"] = shape.group;
            if (!shape.version.empty()) child["version"] = shape.version;
            child["kind"] = shape.kind.empty() ? r.kind : shape.kind;
            child["verbs"] = texts(shape.verbs);
            resources.push_back(std::move(child));
        }
    }
    std::ranges::sort(resources, [](const Value& a, const Value& b) { return json::string_at(a, "name") < json::string_at(b, "name"); });
    Object out{{"kind", "APIResourceList"}};
    if (!group.empty()) out["apiVersion"] = "v1";  // the core list has none (a04)
    out["groupVersion"] = group.empty() ? version : group + "/" + version;
    out["resources"] = std::move(resources);
    return out;
}

/// Groups with their versions, in the order in which they came.
std::vector<std::pair<std::string, std::vector<std::string>>> groups_of(const std::vector<std::shared_ptr<const ServedType>>& types) {
    std::vector<std::pair<std::string, std::vector<std::string>>> out;
    for (const auto& type : types) {
        auto found = std::ranges::find(out, type->resource.group, &std::pair<std::string, std::vector<std::string>>::first);
        if (found == out.end()) found = out.insert(out.end(), {type->resource.group, {}});
        if (std::ranges::find(found->second, type->resource.version) == found->second.end()) found->second.push_back(type->resource.version);
    }
    return out;
}

Value group_entry(const std::string& name, const std::vector<std::string>& versions) {
    Array list;
    for (const auto& version : versions) list.push_back(Object{{"groupVersion", name + "/" + version}, {"version", version}});
    const Value preferred = list.front();
    return Object{{"name", name}, {"versions", std::move(list)}, {"preferredVersion", preferred}};
}

Value aggregated(const std::vector<std::shared_ptr<const ServedType>>& types, bool core, const std::string& api_version,
                 const std::vector<DeadApi>& dead) {
    Array items;
    for (const auto& [group, versions] : groups_of(types)) {
        if (group.empty() != core) continue;
        Array version_list;
        for (const auto& version : versions) {
            Array resources;
            for (const auto& type : types) {
                const auto& r = type->resource;
                if (r.group != group || r.version != version) continue;
                Object entry{{"resource", r.plural},
                             {"responseKind", Object{{"group", ""}, {"version", ""}, {"kind", r.kind}}},
                             {"scope", r.namespaced ? "Namespaced" : "Cluster"},
                             {"singularResource", type->singular},
                             {"verbs", texts(type->verbs)}};
                if (!type->short_names.empty()) entry["shortNames"] = texts(type->short_names);
                if (!type->categories.empty()) entry["categories"] = texts(type->categories);
                Array subs;
                for (const auto& sub : type->subresources) {
                    const auto shape = shape_of(sub);
                    subs.push_back(
                        Object{{"subresource", sub},
                               {"responseKind",
                                Object{{"group", shape.group}, {"version", shape.version}, {"kind", shape.kind.empty() ? r.kind : shape.kind}}},
                               {"verbs", texts(shape.verbs)}});
                }
                if (!subs.empty()) entry["subresources"] = std::move(subs);
                resources.push_back(std::move(entry));
            }
            version_list.push_back(Object{{"version", version}, {"resources", std::move(resources)}, {"freshness", "Current"}});
        }
        Object metadata;
        if (!group.empty()) metadata["name"] = group;
        items.push_back(Object{{"metadata", std::move(metadata)}, {"versions", std::move(version_list)}});
    }
    for (const auto& api : dead) {
        if (core) break;
        items.push_back(
            Object{{"metadata", Object{{"name", api.group}}}, {"versions", Array{Object{{"version", api.version}, {"freshness", "Stale"}}}}});
    }
    return Object{{"kind", "APIGroupDiscoveryList"}, {"apiVersion", api_version}, {"metadata", Object{}}, {"items", std::move(items)}};
}

std::string etag_of(const std::string& body) {
    auto hex = to_hex(sha256(body));
    std::ranges::transform(hex, hex.begin(), [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c; });
    return "\"" + hex + "\"";
}

kube::Response with_etag(const RequestInfo& info, std::string content_type, std::string body) {
    const auto etag = etag_of(body);
    kube::Response out;
    out.status = 200;
    for (const auto& [key, value] : info.request->headers) {
        if ((key == "If-None-Match" || key == "if-none-match") && value == etag) out.status = 304;
    }
    if (out.status == 200) {
        out.content_type = std::move(content_type);
        out.headers.emplace_back("content-type", out.content_type);
        out.body = std::move(body);
    }
    out.headers.emplace_back("etag", etag);
    out.headers.emplace_back("vary", "Accept");
    return out;
}

std::string openapi_name(const std::string& group, const std::string& version) {
    return group.empty() ? "api/" + version : "apis/" + group + "/" + version;
}

Value openapi_index(const TypeTable& types) {
    Object paths;
    for (const auto& [group, versions] : groups_of(types.all())) {
        for (const auto& version : versions) {
            const auto name = openapi_name(group, version);
            paths[name] = Object{
                {"serverRelativeURL", "/openapi/v3/" + name + "?hash=" + to_hex(sha256(name + std::to_string(types.revision()))).substr(0, 32)}};
        }
    }
    return Object{{"paths", std::move(paths)}};
}

/// No schemas: just enough for a client to learn that PATCH takes fieldValidation and dryRun, so that it leaves validation to the server.
Outcome<kube::Response> openapi_document(const TypeTable& types, const std::string& name) {
    Object paths;
    const auto parameter = [](std::string_view text) {
        return Object{{"name", text}, {"in", "query"}, {"schema", Object{{"type", "string"}, {"uniqueItems", true}}}};
    };
    for (const auto& type : types.all()) {
        const auto& r = type->resource;
        if (openapi_name(r.group, r.version) != name || !type->has_verb("patch")) continue;
        Object patch{{"operationId", "patch" + r.kind},
                     {"parameters", Array{parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation"), parameter("force")}},
                     {"responses", Object{{"200", Object{{"description", "OK"}}}}},
                     {"x-kubernetes-action", "patch"},
                     {"x-kubernetes-group-version-kind", Object{{"group", r.group}, {"version", r.version}, {"kind", r.kind}}}};
        paths[r.path(r.namespaced ? "{namespace}" : "", "{name}")] = Object{{"patch", std::move(patch)}};
    }
    if (paths.empty() &&
        !types.has_group_version(name.starts_with("apis/") ? name.substr(5, name.rfind('/') - 5) : "", name.substr(name.rfind('/') + 1))) {
        return page_not_found();
    }
    return json_response(
        200, Object{{"openapi", "3.0.0"}, {"info", Object{{"title", "Kubernetes"}, {"version", "simulated"}}}, {"paths", std::move(paths)}});
}

}  // namespace

Outcome<kube::Response> Core::discovery_of_group_version(const std::string& group, const std::string& version) {
    if (!types.has_group_version(group, version)) return page_not_found();
    return json_response(200, resource_list(types.all(), group, version));
}

Outcome<kube::Response> Core::non_resource(const RequestInfo& info) {
    std::string path = info.path;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    if (info.verb != "get" && info.verb != "head") return method_not_allowed();
    for (const std::string_view health : {"/healthz", "/livez", "/readyz"}) {
        if (path == health || path.starts_with(std::string(health) + "/")) {
            if (info.request != nullptr && std::ranges::any_of(info.request->query, [](const auto& q) { return q.first == "verbose"; })) {
                return text_response(200, "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]poststarthook/rbac/bootstrap-roles ok\n" +
                                              std::string(health.substr(1)) + " check passed\n");
            }
            return text_response(200, "ok");
        }
    }
    if (path == "/version") {
        // "v1.36.0-sim" → 1, 36
        const auto& text = options.version;
        const auto first = text.find('.');
        const auto second = text.find('.', first + 1);
        const auto major = text.substr(1, first - 1), minor = text.substr(first + 1, second - first - 1);
        return json_response(200, Object{{"major", major},
                                         {"minor", minor},
                                         {"gitVersion", text},
                                         {"gitCommit", "simulated"},
                                         {"gitTreeState", "clean"},
                                         {"buildDate", "1970-01-01T00:00:00Z"},
                                         {"goVersion", "none"},
                                         {"compiler", "none"},
                                         {"platform", "linux/amd64"}});
    }
    if (path == "/api" || path == "/apis") {
        const bool core = path == "/api";
        if (const auto version = accept_as(info.request->accept, "apidiscovery.k8s.io", "APIGroupDiscoveryList", {"v2", "v2beta1"})) {
            return with_etag(info, "application/json;g=apidiscovery.k8s.io;v=" + *version + ";as=APIGroupDiscoveryList",
                             json::dump(aggregated(types.all(), core, "apidiscovery.k8s.io/" + *version, dead_apis(*this))) + "\n");
        }
        KN_CHECK(negotiate(info.request->accept, nullptr));
        if (core) {
            return json_response(
                200, Object{{"kind", "APIVersions"},
                            {"versions", Array{"v1"}},
                            {"serverAddressByClientCIDRs", Array{Object{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", "127.0.0.1:6443"}}}}});
        }
        Array groups;
        for (const auto& [group, versions] : groups_of(types.all())) {
            if (!group.empty()) groups.push_back(group_entry(group, versions));
        }
        for (const auto& api : dead_apis(*this)) groups.push_back(group_entry(api.group, {api.version}));
        return json_response(200, Object{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}});
    }
    if (path.starts_with("/api/") && path.find('/', 5) == std::string::npos) return discovery_of_group_version("", path.substr(5));
    if (path.starts_with("/apis/")) {
        const auto rest = path.substr(6);
        const auto slash = rest.find('/');
        if (slash != std::string::npos) return discovery_of_group_version(rest.substr(0, slash), rest.substr(slash + 1));
        for (const auto& [group, versions] : groups_of(types.all())) {
            if (group != rest) continue;
            auto entry = group_entry(group, versions).as_object();
            Object out{{"kind", "APIGroup"}, {"apiVersion", "v1"}};
            for (auto& [key, value] : entry) out[key] = std::move(value);
            return json_response(200, out);
        }
        return page_not_found();
    }
    if (path == "/openapi/v3") return json_response(200, openapi_index(types));
    if (path.starts_with("/openapi/v3/")) return openapi_document(types, path.substr(12));
    if (path == "/") {
        Array paths{"/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version"};
        return json_response(200, Object{{"paths", std::move(paths)}});
    }
    return page_not_found();
}

}  // namespace kn::sim::api
