#include <algorithm>

#include "api/core.hpp"
#include "api/objects/managed.hpp"
#include "api/objects/validation.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/patch.hpp"

namespace kn::sim::api {
namespace {

std::string_view media_type(const kube::Request& request) {
    const std::string_view text = request.content_type;
    return text.substr(0, text.find(';'));
}

constexpr std::string_view rejected = "the server rejected our request due to an error in our request";

}  // namespace

Outcome<Value> Core::patched(WriteContext& context, Value target, std::string_view kind) {
    const auto& request = *context.info->request;
    const auto media = media_type(request);
    const bool json_patch = media == kube::content_type(kube::PatchType::json);
    const bool merge = media == kube::content_type(kube::PatchType::merge);
    const bool strategic = media == kube::content_type(kube::PatchType::strategic);
    if (strategic && context.type->custom) {
        return refuse(415, "UnsupportedMediaType",
                      "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
                      "application/merge-patch+json, application/apply-patch+yaml");
    }
    if (!json_patch && !merge && !strategic) return refuse(415, "UnsupportedMediaType", "415: Unsupported Media Type", json::Object{});
    KN_TRY(const auto patch, read_body(request, kind));
    if (json_patch) {
        if (!patch.is_array()) return bad_request("error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp");
        if (patch.get_array().size() > 10'000) {
            return refuse(413, "RequestEntityTooLarge",
                          "The allowed maximum operations in a JSON patch is 10000, got " + std::to_string(patch.get_array().size()));
        }
        auto result = kube::apply_json_patch(std::move(target), patch);
        if (!result) return refuse(422, "Invalid", std::string(rejected), json::Object{});
        return std::move(*result);
    }
    if (!patch.is_object()) return bad_request("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}");
    if (merge) return kube::apply_merge_patch(std::move(target), patch);
    auto result = kube::apply_strategic_merge_patch(std::move(target), patch);
    if (!result) return bad_request(result.error().message);
    return std::move(*result);
}

Outcome<Written> Core::patch(WriteContext& context) {
    const auto& info = *context.info;
    const auto& type = *context.type;
    if (media_type(*info.request) == kube::content_type(kube::PatchType::apply)) return apply(context);
    const auto old = find(type.storage, type.resource.namespaced ? info.ns : std::string{}, info.name);
    if (!old) return not_found(type.resource, info.name);
    KN_TRY(auto desired, patched(context, served_value(type, old->value()), type.resource.kind));
    if (kube::name_of(desired) != info.name) {
        return bad_request("the name of the object (" + std::string(kube::name_of(desired)) + ") does not match the name on the URL (" + info.name +
                           ")");
    }
    if (type.resource.namespaced && kube::namespace_of(desired) != info.ns) {
        return bad_request("the namespace of the object (" + std::string(kube::namespace_of(desired)) +
                           ") does not match the namespace on the request (" + info.ns + ")");
    }
    auto part = UpdatePart::main;
    if (info.subresource == "status") part = UpdatePart::status;
    if (info.subresource == "resize") part = UpdatePart::resize;
    if (info.subresource == "ephemeralcontainers") part = UpdatePart::ephemeral;
    return update(context, old, stored_value(type, std::move(desired)), part);
}

Outcome<Written> Core::apply(WriteContext& context) {
    const auto& info = *context.info;
    const auto& type = *context.type;
    if (info.query("fieldManager").empty()) {
        return invalid("meta.k8s.io", "PatchOptions", "", {required("fieldManager", "is required for apply patch")});
    }
    KN_TRY(auto config, read_body(*info.request, type.resource.kind));
    if (!config.is_object() || kube::kind_of(config).empty() || kube::api_version_of(config).empty()) {
        return bad_request("error decoding YAML: Object 'Kind' or 'apiVersion' is missing");
    }
    if (kube::kind_of(config) != type.resource.kind || kube::api_version_of(config) != type.resource.api_version()) {
        return bad_request("incorrect version specified in apply patch. Specified patch version: " + std::string(kube::api_version_of(config)) +
                           ", expected: " + type.resource.api_version());
    }
    const auto name = kube::name_of(config);
    if (!name.empty() && name != info.name) {
        return bad_request("the name of the object (" + std::string(name) + ") does not match the name on the URL (" + info.name + ")");
    }
    if (const auto* managed = json::at(config, "metadata", "managedFields"); managed != nullptr && !managed->is_null()) {
        return bad_request("metadata.managedFields must be nil");
    }
    // The typed merge fails before validation is asked (f11); so do fields that the kind has not.
    if (!type.custom) {
        if (const auto unknown = unknown_fields(type, config); !unknown.empty()) {
            return refuse(500, "",
                          "failed to create typed patch object (" + info.ns + "/" + info.name + "; " + type.resource.api_version() +
                              ", Kind=" + type.resource.kind + "): ." + unknown.front() + ": field not declared in schema");
        }
    }
    auto& metadata = config.as_object()["metadata"];
    if (!metadata.is_object()) metadata.emplace_object();
    metadata.as_object()["name"] = info.name;
    if (type.resource.namespaced) metadata.as_object()["namespace"] = info.ns;
    const bool keyed = !type.custom;
    const auto fields = FieldSet::of(config, keyed);

    const auto old = find(type.storage, type.resource.namespaced ? info.ns : std::string{}, info.name);
    if (!old) {
        if (!info.subresource.empty()) return not_found(type.resource, info.name);
        if (!kube::uid_of(config).empty())
            return conflict(type.resource, info.name, "uid mismatch: the provided object specified uid and no existing object was found");
        return create(context, std::move(config), &fields);
    }
    const Value live = served_value(type, old->value());
    const Manager manager{context.manager, "Apply", type.resource.api_version(), context.subresource};
    const auto& managed = json::array_at(live, "metadata", "managedFields");
    const auto conflicts = find_conflicts(managed, manager, live, config, fields);
    if (!conflicts.empty() && !info.flag("force")) {
        json::Array causes;
        std::string list;
        for (const auto& one : conflicts) {
            const auto field = FieldSet::describe(one.path);
            causes.push_back(json::Object{{"reason", "FieldManagerConflict"}, {"message", "conflict with " + one.manager}, {"field", field}});
            list += conflicts.size() == 1 ? "conflict with " + one.manager + ": " + field : "\nconflict with " + one.manager + ": " + field;
        }
        return refuse(409, "Conflict",
                      "Apply failed with " + std::to_string(conflicts.size()) + (conflicts.size() == 1 ? " conflict: " : " conflicts: ") + list,
                      json::Object{{"causes", std::move(causes)}});
    }
    Value merged = merge_config(live, config, keyed);
    // What this manager stated before and does not any more goes, unless somebody else states it as well.
    auto dropped = applied_before(managed, manager);
    dropped.remove(fields);
    dropped.remove(owned_by_others(managed, manager));
    remove_fields(merged, dropped);
    const auto part = info.subresource == "status" ? UpdatePart::status : UpdatePart::main;
    if (const auto version = kube::resource_version_of(config); version.empty())
        json::make_at(merged, "metadata", "resourceVersion") = kube::resource_version_of(live);
    return update(context, old, stored_value(type, std::move(merged)), part, &fields);
}

}  // namespace kn::sim::api
