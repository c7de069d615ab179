#pragma once

#include <string>
#include <string_view>

#include "kubernaut/json/json.hpp"

namespace kn::actions {

/// Log text without what looks like a credential: values after password, token, key and the like, Authorization headers, JWTs, PEM blocks.
std::string redact_text(std::string_view text);
/// An object for people: no managedFields, no data of Secrets and ConfigMaps (key names stay), no values of environment variables with telling
/// names, no last-applied annotation.
json::Value redact_object(const json::Value& object);

}  // namespace kn::actions
