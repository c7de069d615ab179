#pragma once

#include <functional>
#include <string>
#include <vector>

#include "controllers/controller.hpp"

namespace kn::sim {

struct Resources {
    double cpu = 0, memory = 0, storage = 0;
    std::map<std::string, double, std::less<>> extended{};
    void add(const Resources& other);
    void subtract(const Resources& other);
};

/// Requests of a pod: the larger of the sum over containers and the largest init container, plus overhead.
Resources requests_of(const Value& pod_spec);
Resources allocatable_of(const Value& node);

bool tolerates(const json::Array& tolerations, const Value& taint);
/// The first taint with one of these effects that the pod does not tolerate, or nullptr.
const Value* untolerated_taint(const Value& pod_spec, const Value& node, bool no_execute_only);
/// nodeSelector and required node affinity.
bool fits_node_affinity(const Value& pod_spec, const Value& node);

}  // namespace kn::sim
