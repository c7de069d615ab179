#pragma once

#include <CLI/CLI.hpp>

namespace kn::app {

/// `analyze FILE|- [what]`: patterns in a table or in a Prometheus query. Needs no hub.
void add_analyze(CLI::App& app, int& exit_code);

}  // namespace kn::app
