#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

/// A point's cluster, 0 .. k-1, or `noise`.
using Label = std::int32_t;
inline constexpr Label noise = -1;

struct KMeansOptions {
    std::size_t clusters = 2;
    unsigned max_steps = 100;
    unsigned restarts = 1;       ///< the one with the least inertia wins
    std::size_t mini_batch = 0;  ///< 0 = exact; else rows a step (Sculley 2010), then one exact assignment
    std::uint64_t seed = 1;
    unsigned threads = 1;
};

struct KMeans {
    Matrix centers;             ///< k x cols; fewer than asked when there are fewer distinct points
    std::vector<Label> labels;  ///< the nearest center of each row, the lower index on ties
    double inertia = 0;         ///< sum of squared distances to the nearest center
    unsigned steps = 0;
    bool converged = false;  ///< no row changed its cluster in the last step
};

/// Lloyd's k-means with greedy k-means++ seeding (Arthur, Vassilvitskii 2007; on a sample of at most 32,768 rows) and the bounds of Hamerly
/// (2010), which skip distances without changing the answer. Distances in float after a shift to the median and one common scale, sums in
/// double; the same bits for any number of threads and any vector unit. O(rows x k x cols) a step at worst.
/// invalid_argument: no rows or columns, clusters = 0 or > rows, a value that is not finite.
Result<KMeans> k_means(MatrixView rows, const KMeansOptions& options);

}  // namespace kn::analytics
