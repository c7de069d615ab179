#pragma once

#include <CLI/CLI.hpp>

namespace kn::app {

/// `patterns` below the command `bench`, which must be there already.
void add_bench_patterns(CLI::App& app, int& exit_code);

}  // namespace kn::app
