#pragma once

#include <CLI/CLI.hpp>

namespace kn::app {

inline constexpr const char* version = KN_VERSION;

// Each adds one subcommand and sets `exit_code` when it has run.
void add_serve(CLI::App& app, int& exit_code);
void add_demo(CLI::App& app, int& exit_code);
void add_sim(CLI::App& app, int& exit_code);
void add_config(CLI::App& app, int& exit_code);
void add_bench(CLI::App& app, int& exit_code);
void add_completion(CLI::App& app, int& exit_code);

}  // namespace kn::app
