#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

/// Per column the median of at most 4096 values that are finite, and 1 / the largest distance from it: brings values near 1.
struct ColumnCenters {
    std::vector<double> median, scale;
};
ColumnCenters column_centers(MatrixView rows);

/// (value - median) * scale, 0 for a missing value.
inline float centred_value(double value, double median, double scale) {
    return std::isfinite(value) ? static_cast<float>((value - median) * scale) : 0.0F;
}

inline Result<> same_columns(MatrixView rows, std::size_t columns) {
    if (rows.cols == columns || rows.rows == 0) return {};
    return fail(ErrorCode::invalid_argument, "fitted to " + std::to_string(columns) + " columns, asked about " + std::to_string(rows.cols));
}

inline Result<> enough_to_fit(MatrixView rows) {
    if (rows.rows >= 2 && rows.cols >= 1) return {};
    return fail(ErrorCode::invalid_argument, "needs at least two rows and one column");
}

}  // namespace kn::analytics
