#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/base/time.hpp"

namespace kn::sim {

/// What a command line does, as far as it can be told without running it.
struct CommandEffect {
    std::optional<int> exit_code;  ///< nullopt: it keeps running
    Duration after{};
    std::optional<std::string> start_error;  ///< no such program
    std::vector<std::string> output;
};

/// Reads `true`, `false`, `sleep N`, `sh -c "..."` with those, echo, exit, `;`, `&&`, `||` and newlines. A program that it does not know runs for ever, except a
/// path below a folder where images keep programs whose name says that it does not exist.
CommandEffect read_command(const std::vector<std::string>& command, const std::vector<std::string>& args);

}  // namespace kn::sim
