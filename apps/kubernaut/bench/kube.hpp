#pragma once

#include <CLI/CLI.hpp>

namespace kn::app {

/// The subcommand `kube` of `bench`.
void add_bench_kube(CLI::App& bench, int& exit_code);

}  // namespace kn::app
