#include "tabular/columns.hpp"

#include <algorithm>

#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics {

ColumnCenters column_centers(MatrixView rows) {
    constexpr std::size_t enough = 4096;
    const std::size_t step = std::max<std::size_t>(1, rows.rows / enough);
    ColumnCenters out;
    std::vector<double> values;
    for (std::size_t c = 0; c < rows.cols; ++c) {
        values.clear();
        for (std::size_t r = 0; r < rows.rows; r += step) values.push_back(rows.at(r, c));
        const double center = median(values);
        out.median.push_back(std::isfinite(center) ? center : 0);
    }
    std::vector<double> largest(rows.cols, 0);
    for (std::size_t r = 0; r < rows.rows; ++r)
        for (std::size_t c = 0; c < rows.cols; ++c) {
            const double away = std::abs(rows.at(r, c) - out.median[c]);
            if (std::isfinite(away)) largest[c] = std::max(largest[c], away);
        }
    for (const double l : largest) out.scale.push_back(l > 0 ? 1 / l : 0);
    return out;
}

}  // namespace kn::analytics
