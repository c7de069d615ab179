#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/analytics/numerics/scaling.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

struct RobustPcaOptions {
    std::size_t most_rows = 4096;  ///< rows drawn for the fit
    double kept_share = 0.75;      ///< of rows that the covariance rests on, 0.5 .. 1
    double explained = 0.95;       ///< components are main ones until they explain this share of the variance
    std::uint64_t seed = 1;
};

/// Where the bulk of the rows lies and how it spreads: the orthogonalised pairwise estimator (OGK; Maronna, Zamar 2002) made better by
/// concentration steps (the C-steps of FastMCD; Rousseeuw, Van Driessen 1999), then its principal components (ROBPCA's two distances;
/// Hubert et al. 2005). Columns without spread are left out. A missing value counts as its column's median. O(rows x columns^2).
class RobustPca {
public:
    /// invalid_argument: fewer than two rows, no columns, options out of range.
    static Result<RobustPca> fit(MatrixView rows, const RobustPcaOptions& options);

    /// Mahalanobis distance, squared and divided by the number of components, so that it is 1 on average for the bulk.
    [[nodiscard]] Result<std::vector<double>> distances(MatrixView rows) const;
    /// The part of it that lies outside the main components, divided by their number: correlations that break. 0 when all are main.
    [[nodiscard]] Result<std::vector<double>> off_model_distances(MatrixView rows) const;
    /// Per row and column: the column's part in the squared distance (the terms x_j * (inverse covariance x)_j; a row sums to it).
    [[nodiscard]] Result<Matrix> contributions(MatrixView rows) const;
    [[nodiscard]] std::size_t components() const { return variances_.size(); }
    [[nodiscard]] std::size_t main_components() const { return main_; }

private:
    [[nodiscard]] std::vector<double> centred(MatrixView rows, std::size_t r) const;
    [[nodiscard]] Result<std::vector<double>> part(MatrixView rows, std::size_t from) const;

    Scaling scaling_;
    std::vector<double> center_;     // in scaled units
    Matrix axes_;                    // components x columns
    std::vector<double> variances_;  // of the components, largest first
    std::size_t main_ = 0;
};

}  // namespace kn::analytics
