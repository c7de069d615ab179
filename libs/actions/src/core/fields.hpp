#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/patch.hpp"

namespace kn::actions {

/// Keys from the object's root; "[name=web]" picks the list element whose `name` is web.
using FieldPath = std::vector<std::string>;

/// One field that an action writes. null = absent: the API keeps no nulls.
struct FieldChange {
    FieldPath path;
    json::Value after;
    json::Value before{};
    bool quantity = false;  ///< "1536Mi" and "1.5Gi" are the same value
    bool replace = false;   ///< in a strategic merge: the whole value, not merged into what stands there
};

enum class FieldState : std::uint8_t { before, after, other };
enum class Direction : std::uint8_t { apply, restore };

const json::Value* field_at(const json::Value& object, const FieldPath& path);
/// Equal but for nulls inside, which servers write or leave out by version.
bool same_value(const json::Value* a, const json::Value* b, bool quantity);
/// Fills `before` from the live object and drops changes that change nothing.
std::vector<FieldChange> with_before(const json::Value& live, std::vector<FieldChange> changes);
/// `after` when every field holds what we write, `before` when every one holds what stood there, else `other`.
FieldState state_of(const json::Value& live, std::span<const FieldChange> changes);
/// The patch that makes the fields hold `after` (or `before`), bound to the live resourceVersion.
Result<json::Value> build_patch(kube::PatchType type, const json::Value& live, std::span<const FieldChange> changes, Direction direction);

json::Array fields_to_json(std::span<const FieldChange> changes);
Result<std::vector<FieldChange>> fields_from_json(const json::Array& array);
/// "spec.template.spec.containers[name=web].resources"
std::string path_text(const FieldPath& path);
/// The value without nulls in objects, at any depth.
json::Value without_nulls(const json::Value& value);

}  // namespace kn::actions
