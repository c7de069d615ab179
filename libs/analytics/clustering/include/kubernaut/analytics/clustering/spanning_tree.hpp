#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kubernaut/analytics/numerics/kd_tree.hpp"

namespace kn::analytics {

struct TreeEdge {
    std::uint32_t from = 0, to = 0;  ///< rows, from < to
    double weight = 0;               ///< mutual reachability distance
};

/// The minimum spanning tree of points under mutual reachability (Campello et al. 2013), and each row's core distance.
struct SpanningTree {
    std::vector<TreeEdge> edges;  ///< n - 1, lightest first; ties by the plain distance, then by rows
    std::vector<double> core;     ///< distance to the `reach`-th nearest other row; 0 where reach = 0
};

/// reach = 0: plain Euclidean distances; else max(core(a), core(b), distance(a, b)). Borůvka's rounds over the k-d tree, every point
/// searching its nearest foreign point within its component's best so far (as in McInnes's and Gagolewski's fast trees). About
/// O(n log^2 n) in few dimensions, n^2 in many. The same tree for any number of threads: ties are ordered.
SpanningTree spanning_tree(const KdTree& points, std::size_t reach, unsigned threads);

}  // namespace kn::analytics
