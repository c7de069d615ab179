#include "kubernaut/analytics/anomaly/series/series_scores.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics {
namespace {
// Gaps bridged by straight lines, the median taken off.
std::vector<double> bridged(std::span<const double> values) {
    std::vector<double> x(values.begin(), values.end());
    const double center = median(values);
    const std::size_t n = x.size();
    std::size_t before = n;
    for (std::size_t i = 0; i < n; ++i) {
        if (!std::isfinite(x[i])) continue;
        x[i] -= center;
        const std::size_t first = before == n ? 0 : before + 1;
        for (std::size_t k = first; k < i; ++k)
            x[k] = before == n ? x[i] : x[before] + (x[i] - x[before]) * static_cast<double>(k - before) / static_cast<double>(i - before);
        before = i;
    }
    for (std::size_t k = before == n ? 0 : before + 1; k < n; ++k) x[k] = before == n ? 0 : x[before];
    return x;
}

// The usual size of what is not nothing; 0 when all is (nearly) nothing.
double usual_size(std::span<const double> errors, double largest) {
    const double robust = mad(errors);
    const double floor = 1e-9 * largest;
    if (robust > floor) return robust;
    const double deviation = std::sqrt(variance(errors));
    return deviation > floor ? deviation : 0;
}

double largest_size(std::span<const double> x) {
    double largest = 0;
    for (const double v : x) largest = std::max(largest, std::abs(v));
    return largest;
}

std::vector<double> scaled(std::vector<double> errors, double largest) {
    const double usual = usual_size(errors, largest);
    for (double& e : errors) e = usual > 0 ? std::abs(e) / usual : 0;
    return errors;
}
}  // namespace

std::vector<double> amplitude_score(std::span<const double> values, std::size_t window) {
    const auto x = bridged(values);
    const double largest = largest_size(x);
    const std::size_t n = x.size(), half = std::max<std::size_t>(window, 2) / 2;
    std::vector<double> sums(n + 1, 0), local(n);
    for (std::size_t i = 0; i < n; ++i) sums[i + 1] = sums[i] + x[i];
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t a = i - std::min(i, half), b = std::min(n, i + half + 1);
        local[i] = (sums[b] - sums[a]) / static_cast<double>(b - a);
    }
    const double local_center = median(local);
    for (double& v : local) v -= local_center;
    auto spikes = scaled(x, largest);
    const auto shifts = scaled(std::move(local), largest);
    for (std::size_t i = 0; i < n; ++i) spikes[i] = std::max(spikes[i], shifts[i]);
    return spikes;
}

std::vector<double> local_polynomial_score(std::span<const double> values, std::size_t window, int degree) {
    const auto x = bridged(values);
    const std::size_t n = x.size();
    const int terms = std::clamp(degree, 0, 3) + 1;
    const std::size_t half = std::max<std::size_t>({window / 2, static_cast<std::size_t>(terms), 2});
    if (n < 2 * half + 1) return std::vector<double>(n, 0);
    // The prediction at the middle from its neighbours is one fixed weighted sum of them.
    const auto rows = static_cast<Eigen::Index>(2 * half);
    Eigen::MatrixXd basis(rows, terms);
    for (Eigen::Index r = 0; r < rows; ++r) {
        const double offset =
            (static_cast<double>(r < static_cast<Eigen::Index>(half) ? r : r + 1) - static_cast<double>(half)) / static_cast<double>(half);
        double power = 1;
        for (int t = 0; t < terms; ++t, power *= offset) basis(r, t) = power;
    }
    const Eigen::VectorXd weights = basis * (basis.transpose() * basis).ldlt().solve(Eigen::VectorXd::Unit(terms, 0));
    std::vector<double> errors(n, 0);
    for (std::size_t i = half; i + half < n; ++i) {
        double predicted = 0;
        for (std::size_t k = 0; k < half; ++k) {
            predicted += weights(static_cast<Eigen::Index>(k)) * x[i - half + k];
            predicted += weights(static_cast<Eigen::Index>(half + k)) * x[i + 1 + k];
        }
        errors[i] = x[i] - predicted;
    }
    return scaled(std::move(errors), largest_size(x));
}

Result<std::vector<double>> subsequence_pca_score(std::span<const double> values, std::size_t window, double share) {
    const std::size_t n = values.size();
    if (window < 3 || n < 4 * window) return fail(ErrorCode::invalid_argument, "sub-sequence PCA needs 4 windows of 3 values or more");
    const auto x = bridged(values);
    const double overall = std::sqrt(variance(x));
    std::vector<double> scores(n, 0);
    if (!(overall > 1e-9 * largest_size(x))) return scores;
    const auto m = static_cast<Eigen::Index>(window);
    const std::size_t count = n - window + 1;
    const auto sequence = [&](std::size_t i) {
        const Eigen::Map<const Eigen::VectorXd> raw(x.data() + i, m);
        Eigen::VectorXd z = raw.array() - raw.mean();
        return Eigen::VectorXd(z / std::max(std::sqrt(z.squaredNorm() / static_cast<double>(m)), 0.3 * overall));
    };
    // Some thousand sub-sequences tell the covariance as well as all of them.
    const std::size_t step = std::max<std::size_t>(1, count / 4000);
    Eigen::MatrixXd moments = Eigen::MatrixXd::Zero(m, m);
    for (std::size_t i = 0; i < count; i += step) {
        const Eigen::VectorXd z = sequence(i);
        moments.selfadjointView<Eigen::Lower>().rankUpdate(z);
    }
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> parts(moments);
    const Eigen::VectorXd& weight = parts.eigenvalues();  // ascending
    Eigen::Index kept = 0;
    for (double sum = 0; kept < m && sum < share * weight.sum(); ++kept) sum += weight(m - 1 - kept);
    const Eigen::MatrixXd axes = parts.eigenvectors().rightCols(std::max<Eigen::Index>(kept, 1));
    std::vector<double> sums(n + 1, 0), covers(n + 1, 0);
    for (std::size_t i = 0; i < count; ++i) {
        const Eigen::VectorXd z = sequence(i);
        const double error = std::sqrt(std::max(0.0, z.squaredNorm() - (axes.transpose() * z).squaredNorm()));
        sums[i] += error, sums[i + window] -= error;
        covers[i] += 1, covers[i + window] -= 1;
    }
    double sum = 0, cover = 0;
    for (std::size_t i = 0; i < n; ++i) {
        sum += sums[i];
        cover += covers[i];
        scores[i] = std::max(0.0, sum) / cover;
    }
    return scores;
}

}  // namespace kn::analytics
