#include "kubernaut/kube/object.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace kn::kube {

std::string_view name_of(const Value& object) { return json::string_at(object, "metadata", "name"); }
std::string_view namespace_of(const Value& object) { return json::string_at(object, "metadata", "namespace"); }
std::string_view uid_of(const Value& object) { return json::string_at(object, "metadata", "uid"); }
std::string_view resource_version_of(const Value& object) { return json::string_at(object, "metadata", "resourceVersion"); }
std::string_view kind_of(const Value& object) { return json::string_at(object, "kind"); }
std::string_view api_version_of(const Value& object) { return json::string_at(object, "apiVersion"); }
std::int64_t generation_of(const Value& object) { return json::int_at(object, "metadata", "generation").value_or(0); }
bool is_deleting(const Value& object) { return !json::string_at(object, "metadata", "deletionTimestamp").empty(); }
std::optional<Instant> creation_time(const Value& object) { return time_at(object, "metadata", "creationTimestamp"); }
std::string_view label_of(const Value& object, std::string_view key) { return json::string_at(object, "metadata", "labels", key); }
std::string_view annotation_of(const Value& object, std::string_view key) { return json::string_at(object, "metadata", "annotations", key); }

std::optional<OwnerRef> controller_of(const Value& object) {
    for (const Value& owner : json::array_at(object, "metadata", "ownerReferences")) {
        if (!json::bool_at(owner, "controller").value_or(false)) continue;
        return OwnerRef{std::string(json::string_at(owner, "apiVersion")), std::string(json::string_at(owner, "kind")),
                        std::string(json::string_at(owner, "name")), std::string(json::string_at(owner, "uid"))};
    }
    return std::nullopt;
}

std::optional<Condition> condition_of(const Value& object, std::string_view type) {
    for (const Value& entry : json::array_at(object, "status", "conditions")) {
        if (json::string_at(entry, "type") != type) continue;
        return Condition{std::string(type), std::string(json::string_at(entry, "status")), std::string(json::string_at(entry, "reason")),
                         std::string(json::string_at(entry, "message")), time_at(entry, "lastTransitionTime")};
    }
    return std::nullopt;
}

namespace {

struct Suffix {
    std::string_view text;
    double factor;
};
// The binary ones first: "Ki" must not be read as "K".
constexpr Suffix suffixes[] = {
    {"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}, {"n", 1e-9}, {"u", 1e-6},
    {"m", 1e-3},    {"", 1},        {"k", 1e3},     {"M", 1e6},     {"G", 1e9},     {"T", 1e12},    {"P", 1e15}, {"E", 1e18},
};

std::string integer_text(double value) {
    char buffer[64];
    const auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, 0);
    return ec == std::errc{} ? std::string(buffer, end) : "0";
}

}  // namespace

std::optional<double> parse_quantity(std::string_view text) {
    bool negative = false;
    std::string_view rest = text;
    if (rest.starts_with('+') || rest.starts_with('-')) {
        negative = rest.front() == '-';
        rest.remove_prefix(1);
    }
    const auto number_end = std::min(rest.find_first_not_of("0123456789."), rest.size());
    const auto digits = rest.substr(0, number_end);
    const auto suffix = rest.substr(number_end);
    if (digits.find_first_of("0123456789") == std::string_view::npos || std::ranges::count(digits, '.') > 1) return std::nullopt;
    double number = 0;
    if (const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::fixed);
        ec != std::errc{} || end != digits.data() + digits.size()) {
        return std::nullopt;
    }
    if (negative) number = -number;
    for (const auto& known : suffixes) {
        if (suffix == known.text) return number * known.factor;
    }
    // Decimal exponent: "2e3", "1E-2". A bare "E" was exa, above.
    if (suffix.size() < 2 || (suffix.front() != 'e' && suffix.front() != 'E')) return std::nullopt;
    auto exponent_text = suffix.substr(1);
    if (exponent_text.starts_with('+')) exponent_text.remove_prefix(1);
    int exponent = 0;
    const auto [end, ec] = std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
    if (exponent_text.empty() || ec != std::errc{} || end != exponent_text.data() + exponent_text.size()) return std::nullopt;
    const double value = number * std::pow(10.0, exponent);
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<double> quantity_at(const Value* value) {
    if (value == nullptr) return std::nullopt;
    if (const auto* text = value->if_string()) return parse_quantity(json::view(*text));
    return json::to_double(value);
}

std::string format_bytes(double bytes) {
    // Fractions of a byte are rounded up, as the API does.
    const double whole = bytes < 0 ? std::floor(bytes) : std::ceil(bytes);
    if (whole != 0) {
        for (std::size_t i = 6; i-- > 0;) {
            if (std::fmod(whole, suffixes[i].factor) == 0) return integer_text(whole / suffixes[i].factor) + std::string(suffixes[i].text);
        }
    }
    return integer_text(whole);
}

std::string format_cores(double cores) {
    // 0.1 * 1000 is 100.00000000000001: take such noise off before rounding up.
    const double milli = std::ceil(cores * 1000 - 1e-6);
    if (std::fmod(milli, 1000) == 0) return integer_text(milli / 1000);
    return integer_text(milli) + "m";
}

std::vector<const Value*> container_statuses(const Value& pod) {
    std::vector<const Value*> out;
    for (const auto* field : {"initContainerStatuses", "containerStatuses"}) {
        for (const Value& status : json::array_at(pod, "status", field)) out.push_back(&status);
    }
    return out;
}

namespace {

std::optional<std::string_view> label_value(const json::Object& labels, std::string_view key) {
    const auto* value = labels.if_contains(key);
    const auto* text = value == nullptr ? nullptr : value->if_string();
    if (text == nullptr) return std::nullopt;
    return json::view(*text);
}

bool expression_matches(const Value& expression, const json::Object& labels) {
    const auto value = label_value(labels, json::string_at(expression, "key"));
    const auto op = json::string_at(expression, "operator");
    const auto listed = [&] {
        return std::ranges::any_of(json::array_at(expression, "values"),
                                   [&](const Value& v) { return v.is_string() && json::view(v.get_string()) == *value; });
    };
    if (op == "In") return value && listed();
    if (op == "NotIn") return !value || !listed();
    if (op == "Exists") return value.has_value();
    if (op == "DoesNotExist") return !value;
    return false;  // an operator that we do not know selects nothing: the safe side
}

}  // namespace

bool label_selector_matches(const Value* selector, const json::Object& labels) {
    if (selector == nullptr || !selector->is_object()) return false;
    return map_selector_matches(json::object_at(*selector, "matchLabels"), labels) &&
           std::ranges::all_of(json::array_at(*selector, "matchExpressions"), [&](const Value& e) { return expression_matches(e, labels); });
}

bool map_selector_matches(const json::Object& selector, const json::Object& labels) {
    return std::ranges::all_of(selector, [&](const auto& wanted) {
        const auto value = label_value(labels, wanted.key());
        return value && wanted.value().is_string() && *value == json::view(wanted.value().get_string());
    });
}

}  // namespace kn::kube
