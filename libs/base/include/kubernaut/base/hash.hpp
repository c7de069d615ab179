#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace kn {

using Digest = std::array<std::uint8_t, 32>;

Digest sha256(std::string_view bytes);
/// SHA-256 over length-prefixed parts, so that ("ab","c") and ("a","bc") differ.
Digest sha256_parts(std::initializer_list<std::string_view> parts);
Digest sha256_parts(std::span<const std::string> parts);
Digest hmac_sha256(std::string_view key, std::string_view bytes);

/// Lower-case hex, 64 characters for a Digest.
std::string to_hex(std::span<const std::uint8_t> bytes);

std::string base64_encode(std::string_view bytes);
/// Accepts the standard alphabet with or without padding; empty optional for anything else is reported by `ok`.
struct Base64Decoded {
    std::string bytes;
    bool ok = false;
};
Base64Decoded base64_decode(std::string_view text);

/// True when both are equal; the time does not depend on where they differ.
bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace kn
