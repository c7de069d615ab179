#pragma once

#include <string>
#include <vector>

#include "bench/pattern_peers.hpp"
#include "kubernaut/analytics/judging/row.hpp"

namespace kn::app {

/// What could not be measured, and why.
struct Skipped {
    std::string set, why;
};

/// Our own times on made-up data, the best of three runs, and how many times as fast as the peers on the same data in the same run.
void measure_pattern_speed(std::size_t rows, unsigned threads, const Peers& peers, std::vector<analytics::judging::Row>& out,
                           std::vector<Skipped>& skipped);

}  // namespace kn::app
