#include "kubernaut/analytics/numerics/scaling.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics {
namespace {
std::vector<double> column(MatrixView rows, std::size_t c) {
    std::vector<double> values(rows.rows);
    for (std::size_t r = 0; r < rows.rows; ++r) values[r] = rows.at(r, c);
    return values;
}

double inverse_or_zero(double spread, double center) {
    // Below the rounding of the values themselves a spread is noise of the arithmetic.
    return spread > 1e-14 * std::abs(center) && spread > 0 && std::isfinite(spread) ? 1 / spread : 0;
}
}  // namespace

Matrix Scaling::apply(MatrixView rows) const {
    Matrix scaled(rows.rows, rows.cols);
    for (std::size_t r = 0; r < rows.rows; ++r)
        for (std::size_t c = 0; c < rows.cols; ++c) scaled.at(r, c) = (rows.at(r, c) - shift[c]) * scale[c];
    return scaled;
}

Scaling standard_scaling(MatrixView rows) {
    Scaling fit;
    for (std::size_t c = 0; c < rows.cols; ++c) {
        const auto values = column(rows, c);
        const double center = mean(values);
        fit.shift.push_back(std::isfinite(center) ? center : 0);
        fit.scale.push_back(inverse_or_zero(std::sqrt(variance(values)), center));
    }
    return fit;
}

Scaling robust_scaling(MatrixView rows) {
    Scaling fit;
    for (std::size_t c = 0; c < rows.cols; ++c) {
        const auto values = column(rows, c);
        const double center = median(values);
        double spread = mad(values);
        constexpr double normal_5_95 = 3.29;  // the range of 5 % to 95 % of a normal sample in deviations
        if (inverse_or_zero(spread, center) == 0) spread = (quantile(values, 0.95) - quantile(values, 0.05)) / normal_5_95;
        if (inverse_or_zero(spread, center) == 0) spread = std::sqrt(variance(values));
        fit.shift.push_back(std::isfinite(center) ? center : 0);
        fit.scale.push_back(inverse_or_zero(spread, center));
    }
    return fit;
}

std::optional<std::size_t> first_row_not_finite(MatrixView rows) {
    for (std::size_t r = 0; r < rows.rows; ++r)
        for (const double v : rows.row(r))
            if (!std::isfinite(v)) return r;
    return std::nullopt;
}

}  // namespace kn::analytics
