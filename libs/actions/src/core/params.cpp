#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>

#include "kubernaut/actions/registry.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::actions {
namespace {

std::unexpected<Error> bad(std::string field, std::string message) {
    return fail(Error{.code = ErrorCode::invalid_argument, .message = std::move(message), .field = std::move(field), .reason = "invalid_parameters"});
}

std::string bound(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.12g", value);
    return text.data();
}

std::string dotted(std::string_view prefix, std::string_view key) { return std::string(prefix).append(".").append(key); }

/// What the bounds count, or why the value is of the wrong type.
Result<double> measure(const ParamSpec& spec, const json::Value& value, const std::string& field) {
    const auto number = json::to_double(&value);
    const auto* text = value.if_string();
    if (spec.type == "bool") {
        if (!value.is_bool()) return bad(field, "must be true or false");
        return 0;
    }
    if (spec.type == "int") {
        const auto whole = json::to_int(&value);
        if (!whole) return bad(field, "must be a whole number");
        return static_cast<double>(*whole);
    }
    if (spec.type == "number") {
        if (!number || !std::isfinite(*number)) return bad(field, "must be a finite number");
        return *number;
    }
    if (spec.type == "duration") {
        const auto parsed = text == nullptr ? Result<Duration>(fail(ErrorCode::invalid_argument, "")) : parse_duration(json::view(*text));
        if (!parsed) return bad(field, R"(must be a duration such as "90s" or "15m")");
        return static_cast<double>(parsed->count()) / 1000.0;
    }
    if (spec.type == "quantity") {
        const auto parsed = text != nullptr ? kube::parse_quantity(json::view(*text)) : number;
        if (!parsed || !std::isfinite(*parsed) || *parsed < 0) return bad(field, R"(must be a quantity such as "500m" or "2Gi")");
        return *parsed;
    }
    if (spec.type == "list") {
        if (!value.is_array()) return bad(field, "must be a list");
        return static_cast<double>(value.get_array().size());
    }
    if (spec.type == "object") {
        if (!value.is_object()) return bad(field, "must be an object");
        return static_cast<double>(value.get_object().size());
    }
    // A string; a whole number is taken for its text (revision 3, percentages are strings anyway).
    if (text != nullptr) return static_cast<double>(text->size());
    if (const auto whole = json::to_int(&value)) return static_cast<double>(std::to_string(*whole).size());
    return bad(field, "must be a string");
}

Result<> check(const ParamSpec& spec, const json::Value& value, const std::string& field) {
    KN_TRY(const double size, measure(spec, value, field));
    if (spec.min && size < *spec.min) return bad(field, "must be at least " + bound(*spec.min));
    if (spec.max && size > *spec.max) return bad(field, "must be at most " + bound(*spec.max));
    if (!spec.one_of.empty()) {
        const auto* text = value.if_string();
        if (text == nullptr || std::ranges::find(spec.one_of, json::view(*text)) == spec.one_of.end()) {
            std::string names;
            for (const auto& name : spec.one_of) names += (names.empty() ? "" : ", ") + name;
            return bad(field, "must be one of " + names);
        }
    }
    return {};
}

}  // namespace

Result<json::Object> validate_params(const std::vector<ParamSpec>& specs, const json::Object& params, std::string_view prefix) {
    json::Object result;
    for (const auto& [name, value] : params) {
        const std::string_view key{name.data(), name.size()};
        const auto spec = std::ranges::find(specs, key, &ParamSpec::name);
        if (spec == specs.end()) return bad(dotted(prefix, key), "no such parameter");
        if (value.is_null()) continue;  // the same as absent: expressions give null for what is not known
        KN_CHECK(check(*spec, value, dotted(prefix, key)));
        result[name] = value;
    }
    for (const auto& spec : specs) {
        if (result.contains(spec.name)) continue;
        if (!spec.fallback.is_null())
            result[spec.name] = spec.fallback;
        else if (!spec.optional)
            return bad(dotted(prefix, spec.name), "is required");
    }
    return result;
}

std::string content_hash(const json::Object& data, const json::Object& binary_data) {
    json::Object part;
    part["data"] = data;
    if (!binary_data.empty()) part["binaryData"] = binary_data;
    return to_hex(sha256(json::canonical(part)));
}

}  // namespace kn::actions
