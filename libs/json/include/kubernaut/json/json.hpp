#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::json {

using Value = boost::json::value;
using Object = boost::json::object;
using Array = boost::json::array;

/// What a text may hold before it is refused: bodies come from outside.
struct ParseLimits {
    std::size_t max_bytes = 64U << 20U;
    std::size_t max_depth = 128;
};

/// Errors carry `line N, column M` in `field`.
Result<Value> parse(std::string_view text, ParseLimits limits = {});

std::string dump(const Value& value);
/// Indented by two spaces.
std::string dump_pretty(const Value& value);
/// Keys sorted, no spaces: equal values give equal bytes. For hashes and "byte for byte" promises.
std::string canonical(const Value& value);

namespace detail {
inline const Value* step(const Value* value, std::string_view key) {
    if (value == nullptr) return nullptr;
    const auto* object = value->if_object();
    return object == nullptr ? nullptr : object->if_contains(key);
}
inline const Value* step(const Value* value, std::size_t index) {
    if (value == nullptr) return nullptr;
    const auto* array = value->if_array();
    return array == nullptr || index >= array->size() ? nullptr : &(*array)[index];
}
template <class Key> const Value* step_any(const Value* value, const Key& key) {
    if constexpr (std::is_integral_v<Key>)
        return step(value, static_cast<std::size_t>(key));
    else
        return step(value, std::string_view{key});
}
const Array& empty_array();
const Object& empty_object();
}  // namespace detail

/// The value at a path of keys and indexes, or nullptr: at(pod, "status", "conditions", 0, "type").
template <class... Keys> const Value* at(const Value& value, const Keys&... keys) {
    const Value* found = &value;
    ((found = detail::step_any(found, keys)), ...);
    return found;
}

/// The string there, or "" when it is missing or something else.
template <class... Keys> std::string_view string_at(const Value& value, const Keys&... keys) {
    const Value* found = at(value, keys...);
    const auto* text = found == nullptr ? nullptr : found->if_string();
    return text == nullptr ? std::string_view{} : std::string_view{text->data(), text->size()};
}

std::optional<std::int64_t> to_int(const Value* value);
std::optional<double> to_double(const Value* value);

/// The integer there; a double with an integral value counts.
template <class... Keys> std::optional<std::int64_t> int_at(const Value& value, const Keys&... keys) { return to_int(at(value, keys...)); }
template <class... Keys> std::optional<double> double_at(const Value& value, const Keys&... keys) { return to_double(at(value, keys...)); }
template <class... Keys> std::optional<bool> bool_at(const Value& value, const Keys&... keys) {
    const Value* found = at(value, keys...);
    const bool* flag = found == nullptr ? nullptr : found->if_bool();
    return flag == nullptr ? std::nullopt : std::optional(*flag);
}
/// The array there, or an empty one: `for (const Value& c : array_at(pod, "spec", "containers"))`.
template <class... Keys> const Array& array_at(const Value& value, const Keys&... keys) {
    const Value* found = at(value, keys...);
    const auto* array = found == nullptr ? nullptr : found->if_array();
    return array == nullptr ? detail::empty_array() : *array;
}
template <class... Keys> const Object& object_at(const Value& value, const Keys&... keys) {
    const Value* found = at(value, keys...);
    const auto* object = found == nullptr ? nullptr : found->if_object();
    return object == nullptr ? detail::empty_object() : *object;
}

/// The value at a path of keys for writing; objects are made on the way (whatever stood there is replaced).
template <class... Keys> Value& make_at(Value& value, const Keys&... keys) {
    Value* found = &value;
    const auto down = [&found](std::string_view key) {
        if (!found->is_object()) found->emplace_object();
        found = &found->get_object()[key];
    };
    (down(std::string_view{keys}), ...);
    return *found;
}

/// A JSON pointer (RFC 6901) split into unescaped tokens; "" is the whole document.
Result<std::vector<std::string>> split_pointer(std::string_view pointer);
/// One token escaped for a pointer: "a/b~c" → "a~1b~0c".
std::string escape_pointer_token(std::string_view token);
const Value* at_pointer(const Value& value, std::string_view pointer);

inline std::string_view view(const boost::json::string& text) { return {text.data(), text.size()}; }

}  // namespace kn::json
