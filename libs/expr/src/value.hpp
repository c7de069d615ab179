#pragma once

#include <string_view>
#include <variant>

#include "code.hpp"

namespace kn::expr {

/// A value while evaluating. Big values of the environment are borrowed, never copied; `NodeId` inside Unknown says what was not known.
struct Unknown {
    NodeId because = 0;
};
struct Borrowed {
    const json::Value* value;
};
using Held = std::variant<Unknown, Borrowed, json::Value, Duration, Instant>;

inline const json::Value* json_of(const Held& held) {
    if (const auto* borrowed = std::get_if<Borrowed>(&held)) return borrowed->value;
    return std::get_if<json::Value>(&held);
}
inline bool is_unknown(const Held& held) { return std::holds_alternative<Unknown>(held); }
inline bool is_null(const Held& held) {
    const auto* value = json_of(held);
    return value != nullptr && value->is_null();
}
Type type_of(const Held& held);

/// The numbers of JSON under one roof: integers stay exact as long as they can.
struct Number {
    bool whole = true;
    std::int64_t integer = 0;
    double real = 0;
    [[nodiscard]] double as_real() const { return whole ? static_cast<double>(integer) : real; }
};
std::optional<Number> number_of(const Held& held);
std::optional<std::string_view> text_of(const Held& held);

/// Steps and bytes that are left.
class Budget {
public:
    explicit Budget(const Limits& limits) : steps_(limits.steps), bytes_(limits.bytes) {}
    Result<> spend(std::size_t steps) {
        if (steps > steps_) return fail(ErrorCode::resource_exhausted, "the expression takes too many steps");
        steps_ -= steps;
        return {};
    }
    Result<> hold(std::size_t bytes) {
        if (bytes > bytes_) return fail(ErrorCode::resource_exhausted, "the expression's values take too much memory");
        bytes_ -= bytes;
        return {};
    }
    /// Pays for reading that much text.
    Result<> read(std::size_t bytes) { return spend(bytes / 1024); }
    /// A copy of a value, paid for by its size.
    Result<json::Value> copy(const json::Value& value);
    /// Deep equality, paid for by size. Numbers compare by value.
    Result<bool> equal(const json::Value& a, const json::Value& b);

private:
    Result<> weigh(const json::Value& value, int depth);
    Result<bool> equal_at(const json::Value& a, const json::Value& b, int depth);
    std::size_t steps_, bytes_;
};

/// The value as JSON: durations as "5m", times as RFC 3339.
Result<json::Value> to_json(const Held& held, Budget& budget);

/// Reads a string as a duration where the other side is one; a number counts seconds.
std::optional<Duration> duration_of(const Held& held);
std::optional<Instant> time_of(const Held& held);

}  // namespace kn::expr
