#pragma once

#include "api/core.hpp"

namespace kn::sim::api {

/// The essentials of the API's validation; `old` is null for a create. An empty list means valid.
Causes validate(const ServedType& type, const Value& object, const Value* old, UpdatePart part);
Causes validate_custom(const ServedType& type, const Value& object);
/// Fields that the schema of a custom resource does not know are taken out; their paths are returned.
std::vector<std::string> prune_custom(const ServedType& type, Value& object);
/// Defaults of the schema.
void default_custom(const ServedType& type, Value& object);
/// Unknown fields that strict decoding of a built-in kind would find, as far as tables here know the fields: top level, metadata, spec.
std::vector<std::string> unknown_fields(const ServedType& type, const Value& object);

bool is_dns_label(std::string_view text);
bool is_dns_subdomain(std::string_view text);

}  // namespace kn::sim::api
