#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace kn::app {

struct KubeBenchOptions {
    std::string kubeconfig, peer = "bin/kubernaut-testbed", output = "table", op;
    int rounds = 5, count = 1000, pods = 2000, parallel = 1;
    int page = 500;  ///< items a page of a list into a cache
    int watches = 1000, clusters = 100;
    bool http2 = false;
};

/// The subcommand `kube` of `bench`.
void add_bench_kube(CLI::App& bench, int& exit_code);

/// One kind of work, measured; a line of JSON tells what it cost.
int run_kube_client(const KubeBenchOptions& options);
std::int64_t process_cpu_us();

}  // namespace kn::app
