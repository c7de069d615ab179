#pragma once

#include <string_view>

#include "api/refusal.hpp"

namespace kn::sim::api {

constexpr std::string_view protobuf_type = "application/vnd.kubernetes.protobuf";

/// A body in the API's protobuf encoding as JSON, for the kinds that newer kubectl and client-go send this way when they create or ask something. A kind or
/// a field that is not in the table is refused (415 with its number): dropping it in silence would change what the client meant.
Outcome<Value> decode_protobuf(std::string_view body);

}  // namespace kn::sim::api
