#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/json/json.hpp"

namespace kn::sim {

/// `*` stands for any run of characters.
bool glob_matches(std::string_view pattern, std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string trimmed(std::string_view text);
/// Strings of an array; others are left out.
std::vector<std::string> strings_of(const json::Array& array);
std::uint32_t fnv1a(std::string_view text);
/// A 32-bit number in the alphabet of generated names (no vowels, so that no words come up).
std::string safe_encode(std::uint32_t number);

}  // namespace kn::sim
