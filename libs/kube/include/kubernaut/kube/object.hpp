#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::kube {

using json::Value;

std::string_view name_of(const Value& object);
std::string_view namespace_of(const Value& object);  ///< "" for cluster-scoped
std::string_view uid_of(const Value& object);
std::string_view resource_version_of(const Value& object);
std::string_view kind_of(const Value& object);
std::string_view api_version_of(const Value& object);
std::int64_t generation_of(const Value& object);  ///< 0 when absent
bool is_deleting(const Value& object);
std::optional<Instant> creation_time(const Value& object);
std::string_view label_of(const Value& object, std::string_view key);
std::string_view annotation_of(const Value& object, std::string_view key);

struct OwnerRef {
    std::string api_version, kind, name, uid;
};
/// The owner with controller=true.
std::optional<OwnerRef> controller_of(const Value& object);

struct Condition {
    std::string type, status, reason, message;
    std::optional<Instant> last_transition;
};
/// The entry of status.conditions of that type.
std::optional<Condition> condition_of(const Value& object, std::string_view type);

/// A time field as the API writes it; nullopt when absent or malformed.
template <class... Keys> std::optional<Instant> time_at(const Value& object, const Keys&... keys) {
    const auto text = json::string_at(object, keys...);
    if (text.empty()) return std::nullopt;
    const auto time = parse_rfc3339(text);
    return time ? std::optional(*time) : std::nullopt;
}

/// A resource quantity ("500m", "1.5Gi", "2e3") in its base unit (cores, bytes).
std::optional<double> parse_quantity(std::string_view text);
std::optional<double> quantity_at(const Value* value);
/// Canonical text: bytes with the largest binary suffix that divides, cores in whole or milli units.
std::string format_bytes(double bytes);
std::string format_cores(double cores);

/// A CS walk over status.initContainerStatuses, containerStatuses (ephemeral ones left out).
std::vector<const Value*> container_statuses(const Value& pod);

/// `selector` in the API's object form {matchLabels, matchExpressions} against labels; an empty selector matches everything, null nothing.
bool label_selector_matches(const Value* selector, const json::Object& labels);
/// A plain map selector (Service.spec.selector).
bool map_selector_matches(const json::Object& selector, const json::Object& labels);

}  // namespace kn::kube
