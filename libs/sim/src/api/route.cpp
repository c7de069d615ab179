#include "api/route.hpp"

#include <algorithm>

#include "api/objects/protobuf.hpp"
#include "kubernaut/json/yaml.hpp"

namespace kn::sim::api {
namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> out;
    while (!text.empty()) {
        const auto end = text.find(at);
        const auto part = text.substr(0, end);
        if (!part.empty()) out.push_back(part);
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return out;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

std::string verb_of(const RequestInfo& info, kube::Method method) {
    switch (method) {
        case kube::Method::get:
            if (info.flag("watch")) return "watch";
            return info.name.empty() ? "list" : "get";
        case kube::Method::post: return "create";
        case kube::Method::put: return "update";
        case kube::Method::patch: return "patch";
        case kube::Method::del: return info.name.empty() ? "deletecollection" : "delete";
    }
    return {};
}

struct MediaRange {
    std::string_view type;
    std::vector<std::pair<std::string_view, std::string_view>> parameters;
    [[nodiscard]] std::string_view parameter(std::string_view name) const {
        for (const auto& [key, value] : parameters) {
            if (key == name) return value;
        }
        return {};
    }
};

std::vector<MediaRange> media_ranges(std::string_view accept) {
    std::vector<MediaRange> out;
    for (const auto entry : split(accept, ',')) {
        const auto parts = split(entry, ';');
        if (parts.empty()) continue;
        MediaRange range{trim(parts[0]), {}};
        for (std::size_t i = 1; i < parts.size(); ++i) {
            const auto part = trim(parts[i]);
            const auto eq = part.find('=');
            if (eq != std::string_view::npos) range.parameters.emplace_back(part.substr(0, eq), part.substr(eq + 1));
        }
        out.push_back(std::move(range));
    }
    return out;
}

bool is_true(std::string_view value) { return value == "1" || value == "true" || value == "True" || value == "t"; }

}  // namespace

std::string_view RequestInfo::query(std::string_view wanted) const {
    for (const auto& [key, value] : request->query) {
        if (key == wanted) return value;
    }
    return {};
}

bool RequestInfo::flag(std::string_view wanted) const { return is_true(query(wanted)); }

std::vector<std::string_view> RequestInfo::query_all(std::string_view wanted) const {
    std::vector<std::string_view> out;
    for (const auto& [key, value] : request->query) {
        if (key == wanted) out.emplace_back(value);
    }
    return out;
}

std::string RequestInfo::traffic_resource() const {
    if (!resource_request) return {};
    auto out = plural;
    if (!group.empty()) out += "." + group;
    if (!subresource.empty()) out += "/" + subresource;
    return out;
}

RequestInfo read_request(const kube::Request& request, std::string_view raw_method) {
    RequestInfo info;
    info.request = &request;
    info.path = request.path;
    const auto parts = split(request.path, '/');
    std::size_t at = 0;
    if (parts.size() >= 3 && parts[0] == "api") {
        info.version = parts[1];
        at = 2;
    } else if (parts.size() >= 4 && parts[0] == "apis") {
        info.group = parts[1];
        info.version = parts[2];
        at = 3;
    }
    if (at == 0) {
        info.verb = raw_method.empty() ? std::string(kube::to_string(request.method)) : std::string(raw_method);
        std::ranges::transform(info.verb, info.verb.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
        return info;
    }
    info.resource_request = true;
    // The old form /watch/... is a watch of what follows; nothing of ours uses it.
    // /namespaces/x is the object; /namespaces/x/pods is a collection in it; /namespaces/x/status and /finalize are subresources of the object.
    if (parts[at] == "namespaces" && parts.size() > at + 2 && parts[at + 2] != "status" && parts[at + 2] != "finalize") {
        info.ns = parts[at + 1];
        at += 2;
    }
    info.plural = parts[at];
    if (parts.size() > at + 1) info.name = parts[at + 1];
    if (parts.size() > at + 2) info.subresource = parts[at + 2];
    for (std::size_t i = at + 3; i < parts.size(); ++i) info.proxy_path += "/" + std::string(parts[i]);
    // RBAC and messages treat a namespace as living in itself.
    if (info.plural == "namespaces" && info.group.empty() && info.ns.empty() && !info.name.empty()) info.ns = info.name;
    info.verb = verb_of(info, request.method);
    return info;
}

Outcome<Accepted> negotiate(std::string_view accept, const ServedType* type) {
    if (accept.empty()) return Accepted{};
    for (const auto& range : media_ranges(accept)) {
        const bool json = range.type == "application/json" || range.type == "*/*" || range.type == "application/*";
        const bool yaml = range.type == "application/yaml";
        if (!json && !yaml) continue;
        const auto as = range.parameter("as");
        if (as.empty()) return Accepted{Form::object, yaml, yaml ? "application/yaml" : "application/json"};
        if (range.parameter("g") != "meta.k8s.io" || range.parameter("v") != "v1") continue;
        if (as == "Table" && type != nullptr) return Accepted{Form::table, yaml, yaml ? "application/yaml" : "application/json"};
        if ((as == "PartialObjectMetadata" || as == "PartialObjectMetadataList") && type != nullptr) {
            return Accepted{Form::metadata, yaml, yaml ? "application/yaml" : "application/json"};
        }
    }
    return refuse(406, "NotAcceptable",
                  "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/json;stream=watch",
                  json::Object{});
}

std::optional<std::string> accept_as(std::string_view accept, std::string_view group, std::string_view as, const std::vector<std::string>& versions) {
    for (const auto& range : media_ranges(accept)) {
        if (range.type != "application/json" || range.parameter("as") != as || range.parameter("g") != group) continue;
        const auto version = range.parameter("v");
        if (std::ranges::find(versions, version) != versions.end()) return std::string(version);
    }
    return std::nullopt;
}

Outcome<Value> read_body(const kube::Request& request, std::string_view expected_kind) {
    constexpr std::size_t limit = 3U << 20U;
    if (request.body.size() > limit) {
        return refuse(413, "RequestEntityTooLarge", "Request entity too large: limit is " + std::to_string(limit));
    }
    const std::string_view media = std::string_view(request.content_type).substr(0, request.content_type.find(';'));
    if (media == protobuf_type) return decode_protobuf(request.body);
    const bool yaml = media == "application/yaml" || media == "application/apply-patch+yaml";
    if (!yaml && !media.empty() && media != "application/json" && !media.starts_with("application/json-patch") &&
        !media.starts_with("application/merge-patch") && !media.starts_with("application/strategic-merge-patch")) {
        return refuse(415, "UnsupportedMediaType",
                      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml");
    }
    const auto unreadable = [&](const Error& error) {
        std::string start = request.body.substr(0, 100);
        return bad_request("the object provided is unrecognized (must be of type " + std::string(expected_kind) +
                           "): couldn't get version/kind; json parse error: " + error.message + " (" + start + ")");
    };
    if (yaml) {
        auto document = json::parse_yaml(request.body, {.max_bytes = limit});
        if (document) return std::move(document->value);
        return unreadable(document.error());
    }
    auto value = json::parse(request.body, {.max_bytes = limit});
    if (value) return std::move(*value);
    return unreadable(value.error());
}

}  // namespace kn::sim::api
