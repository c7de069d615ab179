#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/ports/registry_store.hpp"

namespace kn::app {

struct BenchOptions {
    std::string store, output = "table";
    int batches = 200, batch_size = 100, workflows = 300, parallel = 32, targets = 40;
    std::uint64_t seed = 1;
};

struct Figure {
    std::string name, unit;
    double value = 0;
};

/// The q-quantile of what was measured; 0 for nothing.
double percentile(std::vector<double> values, double q);
double seconds_since(std::chrono::steady_clock::time_point began);

/// The whole way of an alert, on a simulated cluster in real time: accepted → planned and started → first change at the API server.
Result<> bench_remediation(const BenchOptions& options, ports::Stores stores, async::EventLoop& loop, RandomSource& random,
                           std::vector<Figure>& figures);

}  // namespace kn::app
