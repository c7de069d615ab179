#pragma once

#include <string_view>

#include "api/objects/types.hpp"

namespace kn::sim::api {

/// Drops what the API's encoding leaves out: nulls, and empty maps and lists of metadata. Puts kind and apiVersion first.
void normalize(const ServedType& type, Value& object);
/// The defaults that the API fills in (pkg/apis/<group>/<version>/defaults.go), for the kinds and fields that clients look at.
void apply_defaults(const ServedType& type, Value& object);
/// A pod's (or pod template's) spec alone.
void default_pod_spec(Value& spec, bool is_pod);
/// The status that a new object of this kind shows: fields that the API writes even when they are zero. Null for kinds without.
Value initial_status(const ServedType& type);
/// "Guaranteed", "Burstable" or "BestEffort".
std::string_view qos_class(const Value& pod_spec);

}  // namespace kn::sim::api
