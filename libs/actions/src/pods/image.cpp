#include "pods/image.hpp"

#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::actions {
namespace {

constexpr std::string_view type_name(kube::PatchType type) {
    switch (type) {
        case kube::PatchType::json: return "json";
        case kube::PatchType::merge: return "merge";
        case kube::PatchType::strategic: return "strategic";
        case kube::PatchType::apply: return "apply";
    }
    return "?";
}

}  // namespace

std::string last_manager(const json::Value& object) {
    std::string_view manager, time;
    for (const auto& entry : json::array_at(object, "metadata", "managedFields")) {
        const auto at = json::string_at(entry, "time");  // RFC 3339 in UTC: text order is time order
        if (at >= time) time = at, manager = json::string_at(entry, "manager");
    }
    return std::string(manager);
}

json::Object identity_json(const Subject& subject) {
    json::Object made;
    made["object"] = subject.key.str();
    made["uid"] = kube::uid_of(subject.live);
    made["resource_version"] = kube::resource_version_of(subject.live);
    made["generation"] = kube::generation_of(subject.live);
    made["manager"] = last_manager(subject.live);
    return made;
}

Image Image::of(const Subject& subject, kube::PatchType type, std::vector<FieldChange> changes) {
    return {.object = subject.key,
            .uid = std::string(kube::uid_of(subject.live)),
            .resource_version = std::string(kube::resource_version_of(subject.live)),
            .manager = last_manager(subject.live),
            .generation = kube::generation_of(subject.live),
            .type = type,
            .subresource = {},
            .fields = with_before(subject.live, std::move(changes)),
            .extra = {}};
}

json::Value Image::to_json() const {
    json::Object made;
    made["object"] = object.str();
    made["uid"] = uid;
    made["resource_version"] = resource_version;
    made["generation"] = generation;
    made["manager"] = manager;
    made["patch"] = type_name(type);
    if (!subresource.empty()) made["subresource"] = subresource;
    made["fields"] = fields_to_json(fields);
    if (!extra.empty()) made["extra"] = extra;
    return json::Value(std::move(made));
}

Result<Image> Image::from_json(const json::Value& stored) {
    Image image;
    if (!stored.is_object()) return fail(ErrorCode::internal, "no pre-image was stored for this action");
    KN_TRY(image.object, ObjectKey::parse(json::string_at(stored, "object")));
    image.uid = json::string_at(stored, "uid");
    image.resource_version = json::string_at(stored, "resource_version");
    image.generation = json::int_at(stored, "generation").value_or(0);
    image.manager = json::string_at(stored, "manager");
    const auto type = json::string_at(stored, "patch");
    image.type = type == "json" ? kube::PatchType::json : type == "merge" ? kube::PatchType::merge : kube::PatchType::strategic;
    image.subresource = json::string_at(stored, "subresource");
    KN_TRY(image.fields, fields_from_json(json::array_at(stored, "fields")));
    image.extra = json::object_at(stored, "extra");
    return image;
}

std::string Image::digest() const {
    json::Array sent;
    for (const auto& change : fields) sent.emplace_back(json::Array{json::Value(path_text(change.path)), change.after});
    const auto bytes = json::canonical(json::Value(std::move(sent)));
    return to_hex(sha256_parts({type_name(type), object.str(), subresource, bytes}));
}

}  // namespace kn::actions
