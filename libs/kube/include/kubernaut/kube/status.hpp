#pragma once

#include <string>
#include <string_view>

#include "kubernaut/base/error.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/request.hpp"

namespace kn::kube {

/// An answer with an error status as an Error: by HTTP code, reason and causes, never by message. `Error::reason` is the most telling cause
/// ("DisruptionBudget", "FieldManagerConflict", "NamespaceTerminating", "ResourceVersionTooLarge", "Expired") or else the Status reason.
/// 5xx of a write has Applied::maybe, except where the server says that it did nothing (501, 503 before handling with Retry-After).
Error error_from(const Response& response, Method method);
/// The same for a Status object met in a stream (watch ERROR event).
Error error_from_status(const json::Value& status);

/// A Status object as servers write it; for the simulator and for webhooks.
json::Value make_status(int code, std::string_view reason, std::string_view message, json::Value details = nullptr);

}  // namespace kn::kube
