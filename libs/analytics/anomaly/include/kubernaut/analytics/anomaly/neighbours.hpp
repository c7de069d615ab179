#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kubernaut/analytics/numerics/kd_tree.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/analytics/numerics/scaling.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

/// What one unit of a column is.
enum class NeighbourScaling : std::uint8_t {
    deviation,  ///< the baseline's standard deviation
    range,      ///< the baseline's largest less its smallest value
    ranks,      ///< normal scores of the ranks in the baseline, which even out skewed columns; beyond its ends in deviations
};

/// Mean distance to the k nearest rows of a baseline (Ramaswamy et al. 2000; Angiulli, Pizzuti 2002), columns scaled. A
/// missing (not finite) value counts as its column's mean, or median for ranks. Fit O(n log n), a score O(log n) in few columns, O(n) in many.
class NeighbourDistance {
public:
    /// invalid_argument: no rows or columns, k = 0.
    static Result<NeighbourDistance> fit(MatrixView baseline, std::size_t k, unsigned threads,
                                         NeighbourScaling scaling = NeighbourScaling::deviation);

    /// Per row; for rows that are not in the baseline. invalid_argument: another number of columns.
    [[nodiscard]] Result<std::vector<double>> score(MatrixView rows, unsigned threads) const;
    /// The baseline's own rows, each against the others.
    [[nodiscard]] std::vector<double> score_own(unsigned threads) const;
    /// Per row and column: the share of the squared distances to the k nearest that lies along the column; a row sums to its mean square.
    [[nodiscard]] Result<Matrix> contributions(MatrixView rows, unsigned threads) const;

private:
    struct Units {
        NeighbourScaling kind = NeighbourScaling::deviation;
        Scaling scaling;
        std::vector<std::vector<double>> sorted{};  ///< of each column of the baseline, for ranks
        [[nodiscard]] Matrix apply(MatrixView rows) const;
    };
    NeighbourDistance(Units units, Matrix scaled, std::size_t k, unsigned threads)
        : units_(std::move(units)), scaled_(std::move(scaled)), tree_(scaled_, threads), k_(k) {}

    Units units_;
    Matrix scaled_;
    KdTree tree_;
    std::size_t k_;
};

}  // namespace kn::analytics
