#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kubernaut/analytics/clustering/k_means.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

struct PartitionOptions {
    std::size_t clusters = 0;  ///< 0 = found out, up to most_clusters
    std::size_t most_clusters = 10;
    std::size_t most_rows = 0;    ///< rows that decide; the others join the nearest of these. 0 = 10,000 for a given number, else 4,000
    std::size_t neighbours = 10;  ///< of the graph that judges
    std::uint64_t seed = 1;
    unsigned threads = 1;
};

struct Partition {
    struct Candidate {
        std::size_t clusters = 0;
        std::string method;    ///< "genie 0.3", "mixture", "k-means"
        double cut = 1;        ///< see normalized_cut
        double looseness = 1;  ///< see looseness; where the number of clusters was found out
    };
    std::vector<Label> labels;  ///< 0 .. clusters-1 in the order of their first row
    std::size_t clusters = 0;
    Candidate chosen;
    std::vector<Candidate> rivals;  ///< the best for each number of clusters that was tried, fewest first
    double confidence = 0;          ///< 1 - 2 x looseness, in [0, 1]; 0 for one cluster. An index, not a probability
};

/// Clusters without a method to choose: Genie at five thresholds, a Gaussian mixture and k-means propose; of the proposals with the same
/// number of clusters the one wins that cuts the fewest links to nearest neighbours (normalised cut), so chains and rings go to Genie,
/// overlapping heaps to the mixture. The number of clusters is the one whose clusters come apart from each other most easily compared
/// with how each comes apart within (looseness); 1 when even the best is loose. Distances are Euclidean: scale the columns first. O(n log n)
/// in the rows that decide, and a nearest-row search for each other.
/// invalid_argument: no rows or columns, more clusters than rows, a value that is not finite.
Result<Partition> partition(MatrixView rows, const PartitionOptions& options);

}  // namespace kn::analytics
