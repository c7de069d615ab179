#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

struct FairCutForestOptions {
    std::size_t trees = 200;
    std::size_t sample = 256;       ///< rows a tree, 2 .. 65,536
    std::size_t columns_a_cut = 2;  ///< 1 .. 4: a cut runs across a random combination of so many columns
    std::uint64_t seed = 1;
    unsigned threads = 1;
};

/// Fair-cut forest with density scores (Cortes, arXiv 2110.13402 and 2111.11639): every cut runs along a random direction at the place
/// that lowers the pooled deviation the most; a row's score is minus the mean over the trees of the log of the density that its cuts
/// leave it with, relative to the sample's. The score is a sum over cuts, so it splits exactly into contributions of the columns.
/// A missing (not finite) value counts as its column's median. Fit O(trees x sample log^2 sample), score O(rows x trees x depth).
class FairCutForest {
public:
    /// invalid_argument: fewer than two rows, no columns, options out of range.
    static Result<FairCutForest> fit(MatrixView rows, const FairCutForestOptions& options);

    /// Per row; larger is more anomalous, 0 = as dense as the sample on average. invalid_argument: another number of columns.
    [[nodiscard]] Result<std::vector<double>> score(MatrixView rows, unsigned threads) const;
    /// Per row and column; each row's sum is its score.
    [[nodiscard]] Result<Matrix> contributions(MatrixView rows, unsigned threads) const;
    [[nodiscard]] std::size_t columns() const { return median_.size(); }

private:
    static constexpr std::size_t most_columns = 4;
    struct Cut {
        std::uint32_t columns[most_columns] = {0, 0, 0, 0};
        float coefficients[most_columns] = {0, 0, 0, 0};
        float at = 0;
        float low = 0, high = 0;                     // where the sample's rows lie along it
        float rows = 0;                              // how many
        std::uint32_t below = 0, above = 0;          // next cuts; 0 = a leaf
        float density_below = 0, density_above = 0;  // log density gained on either side
    };
    struct Builder;
    template <class Visit> void walk(const float* values, std::size_t tree, Visit visit) const;
    [[nodiscard]] std::vector<float> prepared(const double* row) const;

    std::size_t columns_a_cut_ = 2;
    std::vector<double> median_, scale_;
    std::vector<std::vector<Cut>> trees_;  // cut 0 is the root; an empty tree has no cut
};

}  // namespace kn::analytics
