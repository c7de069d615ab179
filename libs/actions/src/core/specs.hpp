#pragma once

#include <string_view>

#include "kubernaut/ports/action_runner.hpp"

namespace kn::actions {

/// The row of that action in the table of specs.cpp.
const ports::ActionSpec& spec_of(std::string_view name);

}  // namespace kn::actions
