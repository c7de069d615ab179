#pragma once

#include <cstddef>
#include <vector>

#include "kubernaut/analytics/numerics/kd_tree.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/analytics/numerics/scaling.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

/// Mean distance to the k nearest rows of a baseline (Ramaswamy et al. 2000; Angiulli, Pizzuti 2002), columns scaled to deviation 1. A
/// missing (not finite) value counts as its column's mean. Fit O(n log n), a score O(log n) in few columns, O(n) in many.
class NeighbourDistance {
public:
    /// invalid_argument: no rows or columns, k = 0.
    static Result<NeighbourDistance> fit(MatrixView baseline, std::size_t k, unsigned threads);

    /// Per row; for rows that are not in the baseline. invalid_argument: another number of columns.
    [[nodiscard]] Result<std::vector<double>> score(MatrixView rows, unsigned threads) const;
    /// The baseline's own rows, each against the others.
    [[nodiscard]] std::vector<double> score_own(unsigned threads) const;
    /// Per row and column: the share of the squared distances to the k nearest that lies along the column; a row sums to its mean square.
    [[nodiscard]] Result<Matrix> contributions(MatrixView rows, unsigned threads) const;

private:
    NeighbourDistance(Scaling scaling, const Matrix& scaled, std::size_t k, unsigned threads) : scaling_(std::move(scaling)), scaled_(scaled), tree_(scaled_, threads), k_(k) {}

    Scaling scaling_;
    Matrix scaled_;
    KdTree tree_;
    std::size_t k_;
};

}  // namespace kn::analytics
