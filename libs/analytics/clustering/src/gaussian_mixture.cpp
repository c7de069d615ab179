#include "kubernaut/analytics/clustering/gaussian_mixture.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <string>

#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/scaling.hpp"

namespace kn::analytics {
namespace {
constexpr std::size_t block = 512;
constexpr std::size_t most_columns = 64;

struct Component {
    double weight = 0;
    std::vector<double> mean;
    std::vector<double> whiten;  // d x d lower triangle: inverse of the covariance's Cholesky factor
    double log_factor = 0;       // log weight - half the log determinant - d/2 log 2 pi

    // Log of weight x density at x.
    [[nodiscard]] double log_density(const double* x) const {
        const std::size_t d = mean.size();
        std::array<double, most_columns> centred{};
        for (std::size_t i = 0; i < d; ++i) centred[i] = x[i] - mean[i];
        double squared = 0;
        for (std::size_t i = 0; i < d; ++i) {
            double z = 0;
            for (std::size_t j = 0; j <= i; ++j) z += whiten[i * d + j] * centred[j];
            squared += z * z;
        }
        return log_factor - squared / 2;
    }
};

// Sums over the rows of one component: weight, then d first and d (d + 1) / 2 second moments.
std::size_t moments_of(std::size_t d) { return 1 + d + d * (d + 1) / 2; }

Component component_from(const double* moments, std::size_t d, double rows, double ridge) {
    Component c{.weight = std::max(moments[0] / rows, 1e-12), .mean = std::vector<double>(d), .whiten = std::vector<double>(d * d, 0)};
    const double n = std::max(moments[0], 1e-9);
    for (std::size_t i = 0; i < d; ++i) c.mean[i] = moments[1 + i] / n;
    // The factor and its inverse. Too small a pivot is lifted to the ridge: the covariance of few or equal rows has no spread of its own.
    std::vector<double> factor(d * d, 0);
    const double* second = moments + 1 + d;
    double log_determinant = 0;
    for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j <= i; ++j) {
            double sum = second[i * (i + 1) / 2 + j] / n - c.mean[i] * c.mean[j] + (i == j ? ridge : 0);
            for (std::size_t m = 0; m < j; ++m) sum -= factor[i * d + m] * factor[j * d + m];
            if (i == j) {
                factor[i * d + i] = std::sqrt(std::max(sum, ridge));
                log_determinant += 2 * std::log(factor[i * d + i]);
            } else {
                factor[i * d + j] = sum / factor[j * d + j];
            }
        }
    for (std::size_t i = 0; i < d; ++i) {
        c.whiten[i * d + i] = 1 / factor[i * d + i];
        for (std::size_t j = 0; j < i; ++j) {
            double sum = 0;
            for (std::size_t m = j; m < i; ++m) sum -= factor[i * d + m] * c.whiten[m * d + j];
            c.whiten[i * d + j] = sum / factor[i * d + i];
        }
    }
    c.log_factor = std::log(c.weight) - log_determinant / 2 - static_cast<double>(d) / 2 * std::log(2 * std::numbers::pi);
    return c;
}

// Responsibilities of a row; returns the log of its density.
double responsibilities(const std::vector<Component>& components, const double* x, std::vector<double>& out) {
    double largest = -std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < components.size(); ++c) largest = std::max(largest, out[c] = components[c].log_density(x));
    double sum = 0;
    for (double& v : out) sum += v = std::exp(v - largest);
    for (double& v : out) v /= sum;
    return largest + std::log(sum);
}

void add_row(double* moments, const double* x, std::size_t d, double weight) {
    moments[0] += weight;
    double* second = moments + 1 + d;
    for (std::size_t i = 0; i < d; ++i) {
        const double wx = weight * x[i];
        moments[1 + i] += wx;
        for (std::size_t j = 0; j <= i; ++j) *second++ += wx * x[j];
    }
}

struct Fit {
    std::vector<Component> components;
    double mean_log_likelihood = -std::numeric_limits<double>::infinity();
    bool converged = false;
};

Fit fit_once(const Matrix& rows, const MixtureOptions& options, std::uint64_t seed) {
    const std::size_t n = rows.rows(), d = rows.cols(), k = options.components, width = moments_of(d);
    const auto blocks = (n + block - 1) / block;
    std::vector<double> parts(blocks * k * width), likelihoods(blocks);
    const auto start = k_means(rows, {.clusters = k, .max_steps = 30, .seed = seed, .threads = options.threads});
    if (!start) return {};
    std::vector<double> moments(k * width, 0);
    for (std::size_t r = 0; r < n; ++r) add_row(moments.data() + static_cast<std::size_t>(start->labels[r]) * width, rows.row(r).data(), d, 1);
    Fit fit;
    const auto maximise = [&] {
        fit.components.clear();
        for (std::size_t c = 0; c < k; ++c)
            fit.components.push_back(component_from(moments.data() + c * width, d, static_cast<double>(n), options.ridge));
    };
    maximise();
    for (unsigned step = 0; step < options.max_steps && !fit.converged; ++step) {
        std::ranges::fill(parts, 0);
        parallel_blocks(n, block, options.threads, [&](std::size_t begin, std::size_t end) {
            const std::size_t b = begin / block;
            std::vector<double> shares(k);
            likelihoods[b] = 0;
            for (std::size_t r = begin; r < end; ++r) {
                likelihoods[b] += responsibilities(fit.components, rows.row(r).data(), shares);
                for (std::size_t c = 0; c < k; ++c)
                    if (shares[c] > 1e-8) add_row(parts.data() + (b * k + c) * width, rows.row(r).data(), d, shares[c]);
            }
        });
        std::ranges::fill(moments, 0);
        for (std::size_t b = 0; b < blocks; ++b)
            for (std::size_t i = 0; i < k * width; ++i) moments[i] += parts[b * k * width + i];
        const double now = std::accumulate(likelihoods.begin(), likelihoods.end(), 0.0) / static_cast<double>(n);
        fit.converged = now - fit.mean_log_likelihood < options.tolerance;
        fit.mean_log_likelihood = now;
        maximise();
    }
    return fit;
}
}  // namespace

Result<Mixture> gaussian_mixture(MatrixView rows, const MixtureOptions& options) {
    if (rows.rows == 0 || rows.cols == 0 || rows.cols > most_columns)
        return fail(ErrorCode::invalid_argument, "a mixture needs at least one row and 1 to 64 columns");
    if (options.components == 0 || options.components > rows.rows)
        return fail(ErrorCode::invalid_argument,
                    "a mixture cannot make " + std::to_string(options.components) + " components of " + std::to_string(rows.rows) + " rows");
    if (const auto bad = first_row_not_finite(rows))
        return fail(ErrorCode::invalid_argument, "row " + std::to_string(*bad) + " has a value that is not finite");
    const auto scaling = standard_scaling(rows);
    std::vector<std::size_t> useful;
    for (std::size_t c = 0; c < rows.cols; ++c)
        if (scaling.scale[c] > 0) useful.push_back(c);
    Mixture result{.weights = {}, .means = {}, .labels = std::vector<Label>(rows.rows, 0), .membership = std::vector<double>(rows.rows, 1)};
    if (useful.empty()) {  // all rows are equal
        result.weights = {1};
        result.means = Matrix(1, rows.cols);
        std::ranges::copy(rows.row(0), result.means.row(0).begin());
        result.converged = true;
        return result;
    }
    const std::size_t d = useful.size();
    const auto scaled = [&](std::size_t r, std::span<double> to) {
        for (std::size_t i = 0; i < d; ++i) to[i] = (rows.at(r, useful[i]) - scaling.shift[useful[i]]) * scaling.scale[useful[i]];
    };
    const std::size_t n = std::min(rows.rows, std::max(options.most_rows, options.components));
    std::vector<std::size_t> drawn(rows.rows);
    std::iota(drawn.begin(), drawn.end(), 0U);
    Rng rng(options.seed);
    if (n < rows.rows)
        for (std::size_t i = 0; i < n; ++i) std::swap(drawn[i], drawn[i + rng.below(rows.rows - i)]);
    Matrix table(n, d);
    for (std::size_t i = 0; i < n; ++i) scaled(drawn[i], table.row(i));

    Fit best;
    for (unsigned again = 0; again < std::max(options.restarts, 1U); ++again) {
        auto fit = fit_once(table, options, options.seed + again * 0x9e3779b97f4a7c15U);
        if (again == 0 || fit.mean_log_likelihood > best.mean_log_likelihood) best = std::move(fit);
    }
    const std::size_t k = best.components.size();
    parallel_blocks(rows.rows, block, options.threads, [&](std::size_t begin, std::size_t end) {
        std::vector<double> x(d), shares(k);
        for (std::size_t r = begin; r < end; ++r) {
            scaled(r, x);
            responsibilities(best.components, x.data(), shares);
            const auto at = std::ranges::max_element(shares);
            result.labels[r] = static_cast<Label>(at - shares.begin());
            result.membership[r] = *at;
        }
    });
    result.means = Matrix(k, rows.cols);
    for (std::size_t c = 0; c < k; ++c) {
        result.weights.push_back(best.components[c].weight);
        for (std::size_t j = 0; j < rows.cols; ++j) result.means.at(c, j) = scaling.shift[j];
        for (std::size_t i = 0; i < d; ++i) result.means.at(c, useful[i]) += best.components[c].mean[i] / scaling.scale[useful[i]];
    }
    result.mean_log_likelihood = best.mean_log_likelihood;
    const auto parameters = static_cast<double>(k * moments_of(d) - 1);
    result.bic = parameters * std::log(static_cast<double>(n)) - 2 * best.mean_log_likelihood * static_cast<double>(n);
    result.converged = best.converged;
    return result;
}

}  // namespace kn::analytics
