#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kubernaut/domain/codec.hpp"
#include "kubernaut/json/json.hpp"

// One description of a type's members serves both ways, so that what is written is what is read:
//
//     template <class Io, Is<Pause> T>
//     void members(Io& io, T& pause) { io("cluster", pause.cluster); io("ns", pause.ns); ... }
namespace kn::codec {

template <class T, class U>
concept Is = std::same_as<std::remove_const_t<T>, U>;

/// Types with a public codec of their own.
template <class T> inline constexpr bool is_document = false;
template <> inline constexpr bool is_document<ObjectRef> = true;
template <> inline constexpr bool is_document<Signal> = true;
template <> inline constexpr bool is_document<Diagnosis> = true;
template <> inline constexpr bool is_document<Plan> = true;
template <> inline constexpr bool is_document<Incident> = true;

class Writer {
public:
    explicit Writer(json::Object& out) : out_(out) {}

    template <class T> void operator()(std::string_view name, const T& value) { out_[name] = write(value); }
    template <class T> void operator()(std::string_view name, const std::optional<T>& value) {
        if (value) out_[name] = write(*value);
    }
    /// The epoch is "not set", as null is.
    void operator()(std::string_view name, const Instant& value) {
        if (value != Instant{}) out_[name] = write(value);
    }
    void operator()(std::string_view name, const json::Value& value) {
        if (!value.is_null()) out_[name] = value;
    }

    static json::Value write(const std::string& text) { return json::Value(text); }
    static json::Value write(bool flag) { return flag; }
    static json::Value write(int number) { return static_cast<std::int64_t>(number); }
    static json::Value write(std::int64_t number) { return number; }
    /// JSON has no word for infinities and not-a-number.
    static json::Value write(double number) { return std::isfinite(number) ? json::Value(number) : json::Value(nullptr); }
    static json::Value write(Instant at) { return json::Value(format_rfc3339(at)); }
    static json::Value write(Duration d) { return static_cast<std::int64_t>(d.count()); }
    static json::Value write(const ObjectKey& key) { return json::Value(key.str()); }
    static json::Value write(const json::Object& object) { return object; }
    static json::Value write(const json::Value& value) { return value; }
    template <class Tag> static json::Value write(const StrongId<Tag>& id) { return json::Value(id.str()); }
    template <class E>
        requires std::is_enum_v<E>
    static json::Value write(E value) {
        const std::string_view name = to_string(value);
        return json::Value(boost::json::string_view(name.data(), name.size()));
    }
    template <class T> static json::Value write(const std::vector<T>& list) {
        json::Array out;
        out.reserve(list.size());
        for (const auto& each : list) out.push_back(write(each));
        return out;
    }
    static json::Value write(const std::map<std::string, std::string>& map) { return write_map(map); }
    static json::Value write(const std::vector<std::pair<std::string, std::string>>& map) { return write_map(map); }
    template <class T>
        requires is_document<T>
    static json::Value write(const T& value) {
        return to_json(value);
    }
    template <class T>
        requires(!is_document<T>) && requires(Writer& io, const T& value) { members(io, value); }
    static json::Value write(const T& value) {
        json::Object out;
        Writer io(out);
        members(io, value);
        return out;
    }

private:
    template <class Map> static json::Value write_map(const Map& map) {
        json::Object out;
        for (const auto& [key, value] : map) out[key] = value;
        return out;
    }

    json::Object& out_;
};

class Reader {
public:
    explicit Reader(const json::Object& in) : in_(in) {}

    template <class T> void operator()(std::string_view name, T& value) {
        if (error_) return;
        const auto* found = in_.if_contains(boost::json::string_view(name.data(), name.size()));
        if (found == nullptr || found->is_null()) return;
        if (auto read_it = read(*found, value); !read_it) {
            error_ = std::move(read_it).error();
            error_->field = error_->field.empty() ? std::string(name) : std::string(name) + (error_->field[0] == '[' ? "" : ".") + error_->field;
        }
    }
    [[nodiscard]] Result<> result() && {
        if (error_) return fail(*std::move(error_));
        return {};
    }

    static std::unexpected<Error> wrong(std::string_view wanted) { return fail(ErrorCode::invalid_argument, "must be " + std::string(wanted)); }

    static Result<> read(const json::Value& in, std::string& out) {
        const auto* text = in.if_string();
        if (text == nullptr) return wrong("a string");
        out.assign(text->data(), text->size());
        return {};
    }
    static Result<> read(const json::Value& in, bool& out) {
        const auto* flag = in.if_bool();
        if (flag == nullptr) return wrong("true or false");
        out = *flag;
        return {};
    }
    static Result<> read(const json::Value& in, std::int64_t& out) {
        const auto number = json::to_int(&in);
        if (!number) return wrong("a whole number");
        out = *number;
        return {};
    }
    static Result<> read(const json::Value& in, int& out) {
        std::int64_t wide = 0;
        KN_CHECK(read(in, wide));
        if (wide < std::numeric_limits<int>::min() || wide > std::numeric_limits<int>::max()) return wrong("a number of 32 bits");
        out = static_cast<int>(wide);
        return {};
    }
    static Result<> read(const json::Value& in, double& out) {
        const auto number = json::to_double(&in);
        if (!number) return wrong("a number");
        out = *number;
        return {};
    }
    static Result<> read(const json::Value& in, Instant& out) {
        std::string text;
        KN_CHECK(read(in, text));
        KN_TRY(out, parse_rfc3339(text));
        return {};
    }
    static Result<> read(const json::Value& in, Duration& out) {
        std::int64_t ms = 0;
        KN_CHECK(read(in, ms));
        out = Duration{ms};
        return {};
    }
    static Result<> read(const json::Value& in, ObjectKey& out) {
        std::string text;
        KN_CHECK(read(in, text));
        if (text.empty()) {
            out = {};
            return {};
        }
        KN_TRY(out, ObjectKey::parse(text));
        return {};
    }
    static Result<> read(const json::Value& in, json::Object& out) {
        const auto* object = in.if_object();
        if (object == nullptr) return wrong("an object");
        out = *object;
        return {};
    }
    static Result<> read(const json::Value& in, json::Value& out) {
        out = in;
        return {};
    }
    template <class Tag> static Result<> read(const json::Value& in, StrongId<Tag>& out) {
        std::string text;
        KN_CHECK(read(in, text));
        out = StrongId<Tag>(std::move(text));
        return {};
    }
    template <class E>
        requires std::is_enum_v<E>
    static Result<> read(const json::Value& in, E& out) {
        std::string text;
        KN_CHECK(read(in, text));
        const auto value = parse_enum<E>(text);
        if (!value) return fail(ErrorCode::invalid_argument, "unknown word \"" + text + "\"");
        out = *value;
        return {};
    }
    template <class T> static Result<> read(const json::Value& in, std::optional<T>& out) {
        T value{};
        KN_CHECK(read(in, value));
        out = std::move(value);
        return {};
    }
    template <class T> static Result<> read(const json::Value& in, std::vector<T>& out) {
        const auto* array = in.if_array();
        if (array == nullptr) return wrong("a list");
        out.clear();
        out.reserve(array->size());
        for (const auto& each : *array) {
            T value{};
            if (auto item = read(each, value); !item) {
                Error error = std::move(item).error();
                error.field = "[" + std::to_string(out.size()) + "]" + (error.field.empty() || error.field[0] == '[' ? "" : ".") + error.field;
                return fail(std::move(error));
            }
            out.push_back(std::move(value));
        }
        return {};
    }
    static Result<> read(const json::Value& in, std::map<std::string, std::string>& out) {
        return read_map(in, [&out](std::string key, std::string value) { out.insert_or_assign(std::move(key), std::move(value)); });
    }
    static Result<> read(const json::Value& in, std::vector<std::pair<std::string, std::string>>& out) {
        return read_map(in, [&out](std::string key, std::string value) { out.emplace_back(std::move(key), std::move(value)); });
    }
    template <class T>
        requires is_document<T>
    static Result<> read(const json::Value& in, T& out) {
        KN_TRY(out, from_json<T>(in));
        return {};
    }
    template <class T>
        requires(!is_document<T>) && requires(Reader& io, T& value) { members(io, value); }
    static Result<> read(const json::Value& in, T& out) {
        const auto* object = in.if_object();
        if (object == nullptr) return wrong("an object");
        Reader io(*object);
        members(io, out);
        return std::move(io).result();
    }

private:
    template <class Put> static Result<> read_map(const json::Value& in, Put put) {
        const auto* object = in.if_object();
        if (object == nullptr) return wrong("an object");
        for (const auto& [key, each] : *object) {
            std::string value;
            if (auto item = read(each, value); !item) {
                Error error = std::move(item).error();
                error.field = std::string(key.data(), key.size());
                return fail(std::move(error));
            }
            put(std::string(key.data(), key.size()), std::move(value));
        }
        return {};
    }

    const json::Object& in_;
    std::optional<Error> error_;
};

template <class T> json::Value encode(const T& value) {
    json::Object out;
    Writer io(out);
    members(io, value);
    return out;
}

template <class T> Result<T> decode(const json::Value& in, std::string_view what) {
    const auto* object = in.if_object();
    if (object == nullptr) return fail(ErrorCode::invalid_argument, std::string(what) + " must be an object");
    T out{};
    Reader io(*object);
    members(io, out);
    if (auto done = std::move(io).result(); !done) return fail(done.error().with_context(what));
    return out;
}

}  // namespace kn::codec

/// Defines both directions of a public codec over members().
#define KN_DOCUMENT(T, what)                                             \
    json::Value to_json(const T& value) { return codec::encode(value); } \
    template <> Result<T> from_json(const json::Value& value) { return codec::decode<T>(value, what); }
