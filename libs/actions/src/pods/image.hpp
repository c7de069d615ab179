#pragma once

#include <string>
#include <vector>

#include "core/fields.hpp"
#include "core/subject.hpp"

namespace kn::actions {

/// What is stored before a patch: which object, how it was, which fields we write and what stood there.
struct Image {
    ObjectKey object;
    std::string uid, resource_version, manager;
    std::int64_t generation = 0;
    kube::PatchType type = kube::PatchType::strategic;
    std::string subresource;
    std::vector<FieldChange> fields;
    json::Object extra;  ///< what the action itself wants to remember

    static Image of(const Subject& subject, kube::PatchType type, std::vector<FieldChange> changes);
    [[nodiscard]] json::Value to_json() const;
    static Result<Image> from_json(const json::Value& stored);
    /// SHA-256 over what will be sent, apart from the resourceVersion.
    [[nodiscard]] std::string digest() const;
};

/// The manager that wrote last.
std::string last_manager(const json::Value& object);
/// {"object","uid","resource_version","generation","manager"}
json::Object identity_json(const Subject& subject);

}  // namespace kn::actions
