#pragma once

#include <string>
#include <vector>

#include "api/core.hpp"

namespace kn::sim::api {

/// Changes that built-in admission makes to an object that is being created: service account, priority, tolerations, LimitRange defaults, default class,
/// cluster IP. May refuse.
Outcome<> admit_create(Core& core, WriteContext& context, Value& object);
/// Checks after validation: LimitRange bounds, Pod Security, ResourceQuota.
Outcome<> check_create(Core& core, WriteContext& context, const Value& object);
/// Volume expansion, Pod Security warnings, quota of grown claims and services.
Outcome<> check_update(Core& core, WriteContext& context, const Value& object, const Value& old);

/// Violations of a Pod Security level by a pod spec, in the words of the admission plug-in; empty = none.
std::string pod_security_violations(std::string_view level, const Value& pod_metadata, const Value& pod_spec);

/// Use of every resource that a quota may count, by this object alone.
std::map<std::string, double> quota_usage(const ServedType& type, const Value& object);

}  // namespace kn::sim::api
