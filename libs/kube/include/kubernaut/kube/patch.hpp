#pragma once

#include <cstdint>
#include <string_view>

#include "kubernaut/base/result.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/resource.hpp"

namespace kn::kube {

enum class PatchType : std::uint8_t { json, merge, strategic, apply };
/// "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"
std::string_view content_type(PatchType type);

/// RFC 6902. failed_precondition with reason "test" for a failing test, invalid_argument for a missing path or a malformed operation.
Result<json::Value> apply_json_patch(json::Value target, const json::Value& patch);
/// RFC 7386.
json::Value apply_merge_patch(json::Value target, const json::Value& patch);
/// As kube-apiserver does for built-in kinds: lists merge by the key that their field has ("name" for containers and env, "containerPort" for ports, ...),
/// `$patch: delete|replace`, `$setElementOrder/x`, `$deleteFromPrimitiveList/x`, `$retainKeys`. invalid_argument for a malformed directive.
Result<json::Value> apply_strategic_merge_patch(json::Value target, const json::Value& patch);
/// The key by which the list at this field merges, or "" for an atomic list. `field` is the last segment, `parent` the one before.
std::string_view merge_key(std::string_view parent, std::string_view field);

/// The smallest merge patch that turns `from` into `to`.
json::Value diff_merge_patch(const json::Value& from, const json::Value& to);

}  // namespace kn::kube
