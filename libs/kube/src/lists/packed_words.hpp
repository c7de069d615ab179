#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kn::kube {

/// The number of a common word of the Kubernetes API, and back.
std::optional<std::uint16_t> word_number(std::string_view text);
std::string_view word_of(std::uint16_t number);

}  // namespace kn::kube
