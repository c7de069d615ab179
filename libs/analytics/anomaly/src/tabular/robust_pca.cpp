#include "kubernaut/analytics/anomaly/robust_pca.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "tabular/columns.hpp"

namespace kn::analytics {
namespace {
using Table = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

double spread(const Eigen::VectorXd& x) {
    const std::span<const double> values(x.data(), static_cast<std::size_t>(x.size()));
    const double m = mad(values);
    return m > 0 ? m : std::sqrt(variance(values));
}

double middle(const Eigen::VectorXd& x) { return median({x.data(), static_cast<std::size_t>(x.size())}); }

// OGK: robust covariances of pairs, cov(a, b) = (s(a + b)^2 - s(a - b)^2) / 4, made positive by taking the spreads along its eigenvectors.
struct Shape {
    Eigen::VectorXd center;
    Eigen::MatrixXd covariance;
};

Shape ogk(const Table& rows) {
    const Eigen::Index d = rows.cols();
    Eigen::MatrixXd pairs = Eigen::MatrixXd::Identity(d, d);
    for (Eigen::Index a = 0; a < d; ++a)
        for (Eigen::Index b = 0; b < a; ++b) {
            const double plus = spread(rows.col(a) + rows.col(b)), minus = spread(rows.col(a) - rows.col(b));
            const double sum = plus * plus + minus * minus;
            pairs(a, b) = pairs(b, a) = sum > 0 ? (plus * plus - minus * minus) / sum : 0;
        }
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(pairs);
    const Eigen::MatrixXd& axes = solver.eigenvectors();
    const Table along = rows * axes;
    Eigen::VectorXd centers(d), spreads(d);
    for (Eigen::Index j = 0; j < d; ++j) {
        centers(j) = middle(along.col(j));
        const double s = spread(along.col(j));
        spreads(j) = s * s;
    }
    return {axes * centers, axes * spreads.asDiagonal() * axes.transpose()};
}

// A small ridge, relative to the mean variance, keeps directions of no spread from deciding everything.
Eigen::MatrixXd with_ridge(const Eigen::MatrixXd& covariance) {
    constexpr double share = 1e-3;
    const auto d = static_cast<double>(covariance.rows());
    const double ridge = share * std::max(covariance.trace() / d, 1e-12);
    return covariance + ridge * Eigen::MatrixXd::Identity(covariance.rows(), covariance.cols());
}

Eigen::VectorXd squared_distances_from(const Table& rows, const Shape& shape) {
    const Eigen::LLT<Eigen::MatrixXd> factor(with_ridge(shape.covariance));
    const Table centred = rows.rowwise() - shape.center.transpose();
    return factor.matrixL().solve(centred.transpose()).colwise().squaredNorm();
}

// The mean and covariance of the nearest share of rows, again and again until the same rows stay.
Shape concentrate(const Table& rows, Shape shape, double share) {
    const auto n = static_cast<std::size_t>(rows.rows());
    const auto kept = std::max<std::size_t>(static_cast<std::size_t>(std::ceil(share * static_cast<double>(n))), 2);
    std::vector<std::size_t> order(n), before;
    constexpr int most_steps = 20;
    for (int step = 0; step < most_steps; ++step) {
        const Eigen::VectorXd distance = squared_distances_from(rows, shape);
        std::iota(order.begin(), order.end(), 0U);
        std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
            return std::pair(distance(static_cast<Eigen::Index>(a)), a) < std::pair(distance(static_cast<Eigen::Index>(b)), b);
        });
        std::vector<std::size_t> nearest(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(std::min(kept, n)));
        std::ranges::sort(nearest);
        if (nearest == before) break;
        Table subset(static_cast<Eigen::Index>(nearest.size()), rows.cols());
        for (std::size_t i = 0; i < nearest.size(); ++i) subset.row(static_cast<Eigen::Index>(i)) = rows.row(static_cast<Eigen::Index>(nearest[i]));
        shape.center = subset.colwise().mean().transpose();
        const Table centred = subset.rowwise() - shape.center.transpose();
        shape.covariance = centred.transpose() * centred / static_cast<double>(nearest.size());
        before = std::move(nearest);
    }
    // Consistency: the median squared distance of the bulk should be that of a chi-squared with d degrees of freedom (Wilson, Hilferty).
    const Eigen::VectorXd distance = squared_distances_from(rows, shape);
    const auto d = static_cast<double>(rows.cols());
    const double expected = d * std::pow(1 - 2 / (9 * d), 3), found = middle(distance);
    if (found > 0) shape.covariance *= found / expected;
    return shape;
}
}  // namespace

Result<RobustPca> RobustPca::fit(MatrixView rows, const RobustPcaOptions& options) {
    KN_CHECK(enough_to_fit(rows));
    if (options.most_rows < 2 || !(options.kept_share >= 0.5 && options.kept_share <= 1) || !(options.explained > 0 && options.explained <= 1))
        return fail(ErrorCode::invalid_argument, "robust PCA: most_rows >= 2, kept_share in [0.5, 1], explained in (0, 1]");
    RobustPca pca;
    pca.scaling_ = robust_scaling(rows);
    std::vector<std::size_t> useful;
    for (std::size_t c = 0; c < rows.cols; ++c)
        if (pca.scaling_.scale[c] > 0) useful.push_back(c);
    pca.center_.assign(rows.cols, 0);
    if (useful.empty()) {
        pca.axes_ = Matrix(0, rows.cols);
        return pca;
    }
    std::vector<std::size_t> drawn(rows.rows);
    std::iota(drawn.begin(), drawn.end(), 0U);
    const std::size_t n = std::min(options.most_rows, rows.rows);
    Rng rng(options.seed);
    if (n < rows.rows)
        for (std::size_t i = 0; i < n; ++i) std::swap(drawn[i], drawn[i + rng.below(rows.rows - i)]);
    Table table(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>(useful.size()));
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < useful.size(); ++j) {
            const std::size_t c = useful[j];
            const double v = (rows.at(drawn[i], c) - pca.scaling_.shift[c]) * pca.scaling_.scale[c];
            table(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) = std::isfinite(v) ? v : 0;
        }
    const Shape shape = concentrate(table, ogk(table), options.kept_share);
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(with_ridge(shape.covariance));
    const auto d = static_cast<Eigen::Index>(useful.size());
    pca.axes_ = Matrix(useful.size(), rows.cols);
    double total = 0, main = 0;
    for (Eigen::Index i = 0; i < d; ++i) {
        const Eigen::Index from = d - 1 - i;  // largest first
        pca.variances_.push_back(solver.eigenvalues()(from));
        total += pca.variances_.back();
        for (Eigen::Index j = 0; j < d; ++j)
            pca.axes_.at(static_cast<std::size_t>(i), useful[static_cast<std::size_t>(j)]) = solver.eigenvectors()(j, from);
    }
    while (pca.main_ < pca.variances_.size() && main < options.explained * total) main += pca.variances_[pca.main_++];
    for (std::size_t j = 0; j < useful.size(); ++j) pca.center_[useful[j]] = shape.center(static_cast<Eigen::Index>(j));
    return pca;
}

std::vector<double> RobustPca::centred(MatrixView rows, std::size_t r) const {
    std::vector<double> x(center_.size());
    for (std::size_t c = 0; c < x.size(); ++c) {
        const double v = (rows.at(r, c) - scaling_.shift[c]) * scaling_.scale[c];
        x[c] = std::isfinite(v) ? v - center_[c] : 0;
    }
    return x;
}

Result<std::vector<double>> RobustPca::part(MatrixView rows, std::size_t from) const {
    KN_CHECK(same_columns(rows, center_.size()));
    std::vector<double> out(rows.rows, 0);
    if (from >= components()) return out;
    for (std::size_t r = 0; r < rows.rows; ++r) {
        const auto x = centred(rows, r);
        for (std::size_t i = from; i < components(); ++i) {
            const auto axis = axes_.row(i);
            const double z = std::inner_product(x.begin(), x.end(), axis.begin(), 0.0);
            out[r] += z * z / variances_[i];
        }
        out[r] /= static_cast<double>(components() - from);
    }
    return out;
}

Result<std::vector<double>> RobustPca::distances(MatrixView rows) const { return part(rows, 0); }
Result<std::vector<double>> RobustPca::off_model_distances(MatrixView rows) const { return part(rows, main_); }

Result<Matrix> RobustPca::contributions(MatrixView rows) const {
    KN_CHECK(same_columns(rows, center_.size()));
    Matrix out(rows.rows, rows.cols);
    const double count = std::max<double>(static_cast<double>(components()), 1);
    for (std::size_t r = 0; r < rows.rows; ++r) {
        const auto x = centred(rows, r);
        for (std::size_t i = 0; i < components(); ++i) {
            const auto axis = axes_.row(i);
            const double z = std::inner_product(x.begin(), x.end(), axis.begin(), 0.0);
            for (std::size_t c = 0; c < x.size(); ++c) out.at(r, c) += x[c] * axis[c] * z / variances_[i] / count;
        }
    }
    return out;
}

}  // namespace kn::analytics
