#pragma once

#include "kubernaut/json/json.hpp"

namespace kn::sim::api {

/// An Event is stored as core/v1 and served under events.k8s.io/v1 with other names of the same fields.
json::Value event_to_new_form(const json::Value& event);
json::Value event_to_old_form(const json::Value& event);

}  // namespace kn::sim::api
