#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

struct IsolationForestOptions {
    std::size_t trees = 100;
    std::size_t sample = 256;  ///< rows a tree, 2 .. 1024
    std::uint64_t seed = 1;
    unsigned threads = 1;
};

/// Isolation forest (Liu, Ting, Zhou 2008): rows that random splits separate early are anomalous. Trees are kept as full binary arrays
/// of log2(sample) levels, so that scoring has no branches. A missing (not finite) value counts as its column's median.
/// Fit O(trees x sample log sample), score O(rows x trees x log sample); the same bits for any number of threads.
class IsolationForest {
public:
    /// invalid_argument: fewer than two rows, no columns, no trees, a sample out of range.
    static Result<IsolationForest> fit(MatrixView rows, const IsolationForestOptions& options);

    /// Per row in (0, 1): above 0.5 isolated earlier than expected. invalid_argument: another number of columns.
    [[nodiscard]] Result<std::vector<double>> score(MatrixView rows, unsigned threads) const;
    /// Per row and column: how much the score falls when the value is replaced by the column's median. O(columns) scorings.
    [[nodiscard]] Result<Matrix> contributions(MatrixView rows, unsigned threads) const;
    [[nodiscard]] std::size_t columns() const { return median_.size(); }

private:
    struct Builder;
    std::size_t levels_ = 0, trees_ = 0;
    double expected_depth_ = 1;           // of a row in the sample
    std::vector<double> median_, scale_;  // per column, to bring values near 1 before they become floats
    std::vector<std::uint32_t> feature_;  // trees x (2^levels - 1)
    std::vector<float> threshold_;        // the same; infinity where nothing is split any more
    std::vector<float> depth_;            // trees x 2^levels
};

}  // namespace kn::analytics
