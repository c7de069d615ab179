#pragma once

#include "kubernaut/json/json.hpp"

namespace kn::kube {

/// Equal as JSON: 1 and 1.0 are the same number, the order of keys does not count.
bool json_equal(const json::Value& a, const json::Value& b);

}  // namespace kn::kube
