#include "kubernaut/analytics/anomaly/neighbours.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/analytics/numerics/distributions.hpp"
#include "tabular/columns.hpp"

namespace kn::analytics {
namespace {
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

Matrix NeighbourDistance::Units::apply(MatrixView rows) const {
    Matrix out = scaling.apply(rows);
    for (std::size_t c = 0; c < rows.cols && kind == NeighbourScaling::ranks; ++c) {
        const auto& values = sorted[c];
        if (values.empty()) continue;
        const auto n = static_cast<double>(values.size());
        // The score of each possible twofold rank, found once.
        std::vector<double> scores(2 * values.size() + 1);
        for (std::size_t t = 0; t < scores.size(); ++t)
            scores[t] = normal_quantile(std::clamp((static_cast<double>(t) / 2 + 0.5) / (n + 1), 0.5 / (n + 1), 1 - 0.5 / (n + 1)));
        for (std::size_t r = 0; r < rows.rows; ++r) {
            const double v = rows.at(r, c);
            if (!std::isfinite(v)) continue;
            const auto below = std::ranges::lower_bound(values, v) - values.begin(), up_to = std::ranges::upper_bound(values, v) - values.begin();
            const double outside = v > values.back() ? v - values.back() : (v < values.front() ? v - values.front() : 0);
            out.at(r, c) = scores[static_cast<std::size_t>(below + up_to)] + outside * scaling.scale[c];
        }
    }
    // A missing value is in the middle.
    for (std::size_t r = 0; r < out.rows(); ++r)
        for (double& v : out.row(r))
            if (!std::isfinite(v)) v = 0;
    return out;
}

Result<NeighbourDistance> NeighbourDistance::fit(MatrixView baseline, std::size_t k, unsigned threads, NeighbourScaling kind) {
    if (baseline.rows == 0 || baseline.cols == 0) return fail(ErrorCode::invalid_argument, "a baseline needs at least one row and one column");
    if (k == 0) return fail(ErrorCode::invalid_argument, "at least one neighbour");
    Units units{.kind = kind, .scaling = standard_scaling(baseline)};
    for (std::size_t c = 0; c < baseline.cols; ++c) {
        std::vector<double> values;
        for (std::size_t r = 0; r < baseline.rows; ++r)
            if (std::isfinite(baseline.at(r, c))) values.push_back(baseline.at(r, c));
        double& scale = units.scaling.scale[c];
        if (kind == NeighbourScaling::range && scale > 0) {
            const auto [low, high] = std::ranges::minmax(values);
            scale = 1 / (high - low);
        }
        // A column that never moved in the baseline must still count when it moves: in units of its own size.
        if (scale == 0) scale = 1 / std::max(std::abs(units.scaling.shift[c]), 1.0);
        if (kind != NeighbourScaling::ranks) continue;
        std::ranges::sort(values);
        units.sorted.push_back(std::move(values));
    }
    auto scaled = units.apply(baseline);
    return NeighbourDistance(std::move(units), std::move(scaled), k, threads);
}

Result<std::vector<double>> NeighbourDistance::score(MatrixView rows, unsigned threads) const {
    KN_CHECK(same_columns(rows, scaled_.cols()));
    return means(tree_.nearest(units_.apply(rows), k_, threads), rows.rows);
}

std::vector<double> NeighbourDistance::score_own(unsigned threads) const { return means(tree_.nearest_others(k_, threads), scaled_.rows()); }

Result<Matrix> NeighbourDistance::contributions(MatrixView rows, unsigned threads) const {
    KN_CHECK(same_columns(rows, scaled_.cols()));
    const auto scaled = units_.apply(rows);
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
