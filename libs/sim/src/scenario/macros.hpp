#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/resource.hpp"

namespace kn::sim {

/// A workload macro written out as Kubernetes objects, in the order to create them; see tests/scenarios/README.md for its keys.
Result<std::vector<json::Value>> expand_workload(const json::Value& macro);
/// `count` healthy workloads of various kinds in this namespace, chosen by the seed.
std::vector<json::Value> neighbours(std::string_view ns, int count, std::uint64_t seed, const std::vector<std::string>& taken);

/// "Deployment.apps/shop/cart", "Node/n1".
struct ObjectName {
    const kube::Resource* resource = nullptr;
    std::string ns, name;
    static Result<ObjectName> parse(std::string_view text);
    [[nodiscard]] std::string text() const;
};
ObjectName name_of_object(const json::Value& object);
/// Every container image in a manifest.
std::vector<std::string> images_of(const json::Value& object);
bool is_workload(const json::Value& object);

}  // namespace kn::sim
