#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::kube::http {

struct PluginCommand {
    std::string program;
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;  ///< the whole of it
    std::chrono::milliseconds timeout{10'000};
    std::size_t max_output = 64U << 10U;
    int stop_fd = -1;  ///< readable when the caller gives up; -1: never
};

/// Runs a program without a shell in a process group of its own and gives its standard output. Blocks: for a thread of its own. On time-out,
/// flood or stop the whole group is killed. Errors hold the exit code and the redacted beginning of standard error, never standard output.
Result<std::string> run_plugin(const PluginCommand& command);

/// Long words without blanks (tokens, keys) replaced by "[redacted]"; at most 300 characters, one line.
std::string redact(std::string_view text);

}  // namespace kn::kube::http
