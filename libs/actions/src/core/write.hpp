#pragma once

#include <string>
#include <vector>

#include "pods/image.hpp"

namespace kn::actions {

/// The calls of one action, as history shows them: "PATCH deployments shop/cart → ok".
using Calls = std::vector<std::string>;

/// Writes the image's fields (or restores them). Reads the object anew before every try, patches against the resourceVersion it saw, and goes on
/// after a conflict only while generation and fields are as they were (<= 5 times). Nothing is sent when the fields already are as wished.
/// target_changed (apply) or drift (restore) when they hold something else. Gives the object afterwards.
Task<Result<json::Value>> write_fields(const ActionContext& context, const Image& image, Direction direction, Calls& calls);

/// Makes an object that carries the labels kubernaut.io/action and kubernaut.io/execution; one of that name with our label counts as made, another one is already_exists.
Task<Result<json::Value>> create_ours(const ActionContext& context, kube::Resource resource, std::string ns, json::Value object, Calls& calls);
/// Deletes exactly this object; one that is gone, made anew or already being deleted counts as deleted.
Task<Result<>> delete_exactly(const ActionContext& context, const Subject& subject, kube::DeleteOptions options, Calls& calls);

/// "PATCH deployments/scale shop/cart", for the calls list.
std::string call_text(std::string_view verb, const kube::Resource& resource, std::string_view subresource, std::string_view ns,
                      std::string_view name);
std::string call_result(const ActionContext& context, std::string call, const Error* error);

constexpr std::string_view action_label = "kubernaut.io/action";
constexpr std::string_view execution_label = "kubernaut.io/execution";
/// Label values hold letters, digits, '-', '_' and '.': ids of ours do.
bool made_by(const ActionContext& context, const json::Value& object);

}  // namespace kn::actions
