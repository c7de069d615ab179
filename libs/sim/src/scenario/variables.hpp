#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "kubernaut/base/result.hpp"

namespace kn::sim {

/// The `vars:` block of a scenario's text, with a choice made for each: a list gives one of its members, {between: [low, high]} a whole number, a scalar itself.
/// A value may use the variables above it. Always there: `seed`, and `tag`, four letters that differ from seed to seed.
Result<std::map<std::string, std::string>> choose_variables(std::string_view text, std::uint64_t seed);
/// `text` with every ${name} replaced; an unknown name is an error that names its line.
Result<std::string> substitute(std::string_view text, const std::map<std::string, std::string>& variables);

}  // namespace kn::sim
