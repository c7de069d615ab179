#pragma once

#include <string>
#include <string_view>

#include "kubernaut/json/json.hpp"

namespace kn::kube {

/// A JSON value as bytes, for caches: about half of its text and an eighth of json::Value, in one piece. The common words of the Kubernetes API (field names,
/// frequent values) are numbers. Only for this process: the numbers change with the program. Equal values of equal key order give equal bytes.
/// Complexity: linear; packing and unpacking cost about what a copy of the value costs.
std::string pack(const json::Value& value);
/// `packed` must come from pack() of this process.
json::Value unpack(std::string_view packed);

}  // namespace kn::kube
