#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "kubernaut/base/result.hpp"

namespace kn::analytics {

/// Detector state as bytes: numbers one after another, in this machine's (little-endian) order. Every detector begins with its kind and the
/// version of its layout, so that another program's state is refused instead of misread.
class StateWriter {
public:
    StateWriter(std::string_view kind, std::uint32_t version) {
        put(static_cast<std::uint32_t>(kind.size()));
        bytes_ += kind;
        put(version);
    }
    template <class T> void put(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    }
    void put_bytes(std::string_view nested) {
        put(static_cast<std::uint32_t>(nested.size()));
        bytes_ += nested;
    }
    [[nodiscard]] std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

class StateReader {
public:
    /// Errors: invalid_argument when the bytes are of another kind, failed_precondition when of another version.
    static Result<StateReader> open(std::string_view bytes, std::string_view kind, std::uint32_t version) {
        StateReader reader(bytes);
        if (reader.nested() != kind) return fail(ErrorCode::invalid_argument, "these bytes are no state of a " + std::string(kind));
        const auto found = reader.get<std::uint32_t>();
        if (found != version || !reader.good_)
            return fail(ErrorCode::failed_precondition, std::string(kind) + ": state of layout version " + std::to_string(found));
        return reader;
    }
    template <class T> T get() {
        static_assert(std::is_trivially_copyable_v<T>);
        T value{};
        if (bytes_.size() < sizeof(T)) {
            good_ = false;
            return value;
        }
        std::memcpy(&value, bytes_.data(), sizeof(T));
        bytes_.remove_prefix(sizeof(T));
        return value;
    }
    template <class T> void get_into(T& value) { value = get<T>(); }
    std::string_view nested() {
        const auto size = get<std::uint32_t>();
        if (!good_ || bytes_.size() < size) {
            good_ = false;
            return {};
        }
        const auto part = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return part;
    }
    /// All was there and nothing is left.
    [[nodiscard]] Result<void> finish() const {
        if (!good_ || !bytes_.empty()) return fail(ErrorCode::invalid_argument, "detector state is cut short or too long");
        return {};
    }

private:
    explicit StateReader(std::string_view bytes) : bytes_(bytes) {}
    std::string_view bytes_;
    bool good_ = true;
};

}  // namespace kn::analytics
