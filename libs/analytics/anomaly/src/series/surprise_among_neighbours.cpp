#include <algorithm>
#include <cmath>
#include <numeric>

#include "kubernaut/analytics/anomaly/series/metrics_detector.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics {

std::vector<double> surprise_among_neighbours(MatrixView rows, std::size_t around, std::size_t strongest) {
    const std::size_t n = rows.rows, half = around / 2;
    Matrix surprises(n, rows.cols);
    std::vector<double> values(n), distances(n);
    for (std::size_t c = 0; c < rows.cols; ++c) {
        for (std::size_t r = 0; r < n; ++r) values[r] = rows.at(r, c);
        for (std::size_t r = 0; r < n; ++r) {
            const std::size_t first = r - std::min(r, half), past = std::min(n, r + half + 1);
            distances[r] = std::abs(values[r] - median(std::span(values).subspan(first, past - first)));
        }
        const ScoreCalibration calibration(distances);
        // NaN distances have p = 1 and so no surprise.
        for (std::size_t r = 0; r < n; ++r) surprises.at(r, c) = -std::log10(calibration.p_value(distances[r]));
    }
    std::vector<double> scores(n, 0);
    const std::size_t taken = std::clamp<std::size_t>(strongest, 1, std::max<std::size_t>(rows.cols, 1));
    for (std::size_t r = 0; r < n && rows.cols > 0; ++r) {
        const auto row = surprises.row(r);
        std::partial_sort(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(taken), row.end(), std::greater{});
        scores[r] = std::accumulate(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(taken), 0.0) / static_cast<double>(taken);
    }
    return scores;
}

}  // namespace kn::analytics
