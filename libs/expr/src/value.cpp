#include "value.hpp"

#include <cmath>

namespace kn::expr {

Type type_of(const Held& held) {
    if (std::holds_alternative<Duration>(held)) return Type::duration;
    if (std::holds_alternative<Instant>(held)) return Type::time;
    const auto* value = json_of(held);
    if (value == nullptr) return Type::any;
    switch (value->kind()) {
        case boost::json::kind::null: return Type::null;
        case boost::json::kind::bool_: return Type::boolean;
        case boost::json::kind::string: return Type::text;
        case boost::json::kind::array: return Type::list;
        case boost::json::kind::object: return Type::map;
        default: return Type::number;
    }
}

std::optional<Number> number_of(const Held& held) {
    const auto* value = json_of(held);
    if (value == nullptr) return std::nullopt;
    if (const auto* integer = value->if_int64()) return Number{.integer = *integer};
    if (const auto* natural = value->if_uint64()) {
        if (*natural <= static_cast<std::uint64_t>(INT64_MAX)) return Number{.integer = static_cast<std::int64_t>(*natural)};
        return Number{.whole = false, .real = static_cast<double>(*natural)};
    }
    if (const auto* real = value->if_double()) return Number{.whole = false, .real = *real};
    return std::nullopt;
}

std::optional<std::string_view> text_of(const Held& held) {
    const auto* value = json_of(held);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return json::view(value->get_string());
}

std::optional<Duration> duration_of(const Held& held) {
    if (const auto* duration = std::get_if<Duration>(&held)) return *duration;
    if (const auto text = text_of(held)) {
        const auto parsed = parse_duration(*text);
        return parsed ? std::optional(*parsed) : std::nullopt;
    }
    if (const auto number = number_of(held)) {
        const double ms = number->as_real() * 1000;
        if (!std::isfinite(ms) || std::abs(ms) > 9e15) return std::nullopt;
        return Duration{std::llround(ms)};
    }
    return std::nullopt;
}

std::optional<Instant> time_of(const Held& held) {
    if (const auto* time = std::get_if<Instant>(&held)) return *time;
    if (const auto text = text_of(held)) {
        const auto parsed = parse_rfc3339(*text);
        return parsed ? std::optional(*parsed) : std::nullopt;
    }
    return std::nullopt;
}

Result<> Budget::weigh(const json::Value& value, int depth) {
    if (depth > 128) return fail(ErrorCode::resource_exhausted, "the value is nested too deeply");
    KN_CHECK(hold(sizeof(json::Value)));
    if (const auto* text = value.if_string()) return hold(text->size());
    if (const auto* array = value.if_array()) {
        KN_CHECK(spend(array->size() / 16));
        for (const auto& item : *array) KN_CHECK(weigh(item, depth + 1));
    } else if (const auto* object = value.if_object()) {
        KN_CHECK(spend(object->size() / 16));
        for (const auto& [key, item] : *object) {
            KN_CHECK(hold(key.size() + 16));
            KN_CHECK(weigh(item, depth + 1));
        }
    }
    return {};
}

Result<json::Value> Budget::copy(const json::Value& value) {
    KN_CHECK(weigh(value, 0));
    return value;
}

Result<bool> Budget::equal(const json::Value& a, const json::Value& b) { return equal_at(a, b, 0); }

Result<bool> Budget::equal_at(const json::Value& a, const json::Value& b, int depth) {
    if (depth > 128) return fail(ErrorCode::resource_exhausted, "the value is nested too deeply");
    if (a.is_number() && b.is_number()) {
        const auto x = number_of(Held(Borrowed{&a})), y = number_of(Held(Borrowed{&b}));
        return x->whole && y->whole ? x->integer == y->integer : x->as_real() == y->as_real();
    }
    if (a.kind() != b.kind()) return false;
    if (a.is_string()) {
        const auto x = json::view(a.get_string()), y = json::view(b.get_string());
        if (x.size() != y.size()) return false;
        KN_CHECK(read(x.size()));
        return x == y;
    }
    if (a.is_array()) {
        const auto &x = a.get_array(), &y = b.get_array();
        if (x.size() != y.size()) return false;
        for (std::size_t i = 0; i < x.size(); ++i) {
            KN_CHECK(spend(1));
            KN_TRY(const bool same, equal_at(x[i], y[i], depth + 1));
            if (!same) return false;
        }
        return true;
    }
    if (a.is_object()) {
        const auto &x = a.get_object(), &y = b.get_object();
        if (x.size() != y.size()) return false;
        for (const auto& [key, item] : x) {
            KN_CHECK(spend(1));
            const auto* other = y.if_contains(key);
            if (other == nullptr) return false;
            KN_TRY(const bool same, equal_at(item, *other, depth + 1));
            if (!same) return false;
        }
        return true;
    }
    return a == b;
}

Result<json::Value> to_json(const Held& held, Budget& budget) {
    if (const auto* duration = std::get_if<Duration>(&held)) return json::Value(format_duration(*duration));
    if (const auto* time = std::get_if<Instant>(&held)) return json::Value(format_rfc3339(*time));
    const auto* value = json_of(held);
    if (value == nullptr) return json::Value(nullptr);
    return budget.copy(*value);
}

}  // namespace kn::expr
