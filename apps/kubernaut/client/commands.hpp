#pragma once

#include <CLI/CLI.hpp>

namespace kn::client {

/// get, describe, why, approve, reject, cancel, pause, resume, run, audit: each sets `exit_code` (0 ok, 1 error, 4 not found).
void add_commands(CLI::App& app, int& exit_code);

}  // namespace kn::client
