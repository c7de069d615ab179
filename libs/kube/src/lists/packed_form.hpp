#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "lists/packed_words.hpp"

/// The bytes of packed.hpp: what a value is written with.
namespace kn::kube::packed_form {

/// One head byte: its kind, and in the lower bits a small number (a length, a count, a word); the largest of these says that a varint follows.
enum class Tag : std::uint8_t { null = 0, no = 1, yes = 2, number = 3, large = 4, real = 5, word = 0x20, array = 0x40, object = 0x60, text = 0x80 };
inline constexpr std::uint8_t small_bits = 0x1f, text_bits = 0x7f;

inline void put_varint(std::string& out, std::uint64_t number) {
    for (; number >= 0x80; number >>= 7U) out += static_cast<char>(number | 0x80U);
    out += static_cast<char>(number);
}

inline void put_head(std::string& out, Tag tag, std::uint8_t largest, std::uint64_t number) {
    const auto base = static_cast<std::uint8_t>(tag);
    if (number < largest) {
        out += static_cast<char>(base + number);
    } else {
        out += static_cast<char>(base + largest);
        put_varint(out, number);
    }
}

inline void put_string(std::string& out, std::string_view text) {
    if (const auto word = word_number(text)) return put_head(out, Tag::word, small_bits, *word);
    put_head(out, Tag::text, text_bits, text.size());
    out += text;
}

/// The paths of managed fields are field names behind "f:".
inline constexpr std::string_view field_prefix = "f:";

/// A key is a varint: a word, "f:" and a word, or a length before bytes.
inline void put_key(std::string& out, std::string_view key) {
    const bool managed = key.starts_with(field_prefix);
    if (const auto word = word_number(managed ? key.substr(field_prefix.size()) : key)) {
        put_varint(out, std::uint64_t{*word} << 2U | (managed ? 2U : 0U) | 1U);
    } else {
        put_varint(out, std::uint64_t{key.size()} << 1U);
        out += key;
    }
}

inline void put_int(std::string& out, std::int64_t number) {
    out += static_cast<char>(Tag::number);
    put_varint(out, static_cast<std::uint64_t>(number) << 1U ^ static_cast<std::uint64_t>(number >> 63));  // zigzag
}

inline void put_uint(std::string& out, std::uint64_t number) {
    out += static_cast<char>(Tag::large);
    put_varint(out, number);
}

inline void put_double(std::string& out, double number) {
    out += static_cast<char>(Tag::real);
    const auto bytes = std::bit_cast<std::array<char, sizeof(double)>>(number);
    out.append(bytes.data(), bytes.size());
}

}  // namespace kn::kube::packed_form
