#pragma once

#include <optional>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"

namespace kn::analytics {

/// Per column: (value - shift) * scale.
struct Scaling {
    std::vector<double> shift, scale;
    [[nodiscard]] Matrix apply(MatrixView rows) const;
};

/// Mean 0, deviation 1; a constant column becomes 0. Values that are not finite are left out of the fit. O(rows x cols).
Scaling standard_scaling(MatrixView rows);
/// Median 0, MAD 1; where half of a column is one value its interquantile ranges (5-95 %, then all) or deviation stand in. O(rows x cols).
Scaling robust_scaling(MatrixView rows);

/// The first row with a value that is not finite, if any.
std::optional<std::size_t> first_row_not_finite(MatrixView rows);

}  // namespace kn::analytics
