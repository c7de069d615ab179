#include "kubernaut/analytics/anomaly/neighbours.hpp"

#include <cmath>

#include "tabular/columns.hpp"

namespace kn::analytics {
namespace {
// In scaled units a missing value is 0: the mean.
Matrix scaled_and_filled(const Scaling& scaling, MatrixView rows) {
    Matrix out = scaling.apply(rows);
    for (std::size_t r = 0; r < out.rows(); ++r)
        for (double& v : out.row(r))
            if (!std::isfinite(v)) v = 0;
    return out;
}

double mean_finite(std::span<const double> distances) {
    double sum = 0, count = 0;
    for (const double d : distances)
        if (std::isfinite(d)) {
            sum += d;
            count += 1;
        }
    return count > 0 ? sum / count : 0;
}

std::vector<double> means(const Neighbours& near, std::size_t queries) {
    std::vector<double> out(queries);
    for (std::size_t q = 0; q < queries; ++q) out[q] = mean_finite(near.distances_of(q));
    return out;
}
}  // namespace

Result<NeighbourDistance> NeighbourDistance::fit(MatrixView baseline, std::size_t k, unsigned threads) {
    if (baseline.rows == 0 || baseline.cols == 0) return fail(ErrorCode::invalid_argument, "a baseline needs at least one row and one column");
    if (k == 0) return fail(ErrorCode::invalid_argument, "at least one neighbour");
    auto scaling = standard_scaling(baseline);
    // A column that never moved in the baseline must still count when it moves: in units of its own size.
    for (std::size_t c = 0; c < baseline.cols; ++c)
        if (scaling.scale[c] == 0) scaling.scale[c] = 1 / std::max(std::abs(scaling.shift[c]), 1.0);
    const auto scaled = scaled_and_filled(scaling, baseline);
    return NeighbourDistance(std::move(scaling), scaled, k, threads);
}

Result<std::vector<double>> NeighbourDistance::score(MatrixView rows, unsigned threads) const {
    KN_CHECK(same_columns(rows, scaled_.cols()));
    return means(tree_.nearest(scaled_and_filled(scaling_, rows), k_, threads), rows.rows);
}

std::vector<double> NeighbourDistance::score_own(unsigned threads) const { return means(tree_.nearest_others(k_, threads), scaled_.rows()); }

Result<Matrix> NeighbourDistance::contributions(MatrixView rows, unsigned threads) const {
    KN_CHECK(same_columns(rows, scaled_.cols()));
    const auto scaled = scaled_and_filled(scaling_, rows);
    const auto near = tree_.nearest(scaled, k_, threads);
    Matrix out(rows.rows, rows.cols);
    for (std::size_t r = 0; r < rows.rows; ++r) {
        double found = 0;
        for (const std::uint32_t i : near.indices_of(r)) {
            if (i == Neighbours::nobody) continue;
            found += 1;
            for (std::size_t c = 0; c < rows.cols; ++c) {
                const double apart = scaled.at(r, c) - scaled_.at(i, c);
                out.at(r, c) += apart * apart;
            }
        }
        for (double& v : out.row(r)) v /= std::max(found, 1.0);
    }
    return out;
}

}  // namespace kn::analytics
