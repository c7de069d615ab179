#include <algorithm>
#include <cmath>

#include "kubernaut/analytics/numerics/robust.hpp"
#include "outlook/smoothing.hpp"

namespace kn::analytics::series::detail {
namespace {
/// Solves the symmetric positive definite system in place by Cholesky's factors (row-major, k x k).
std::vector<double> solve(std::vector<double> a, std::vector<double> b) {
    const std::size_t k = b.size();
    for (std::size_t i = 0; i < k; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            double sum = a[i * k + j];
            for (std::size_t m = 0; m < j; ++m) sum -= a[i * k + m] * a[j * k + m];
            a[i * k + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / a[j * k + j];
        }
    }
    for (std::size_t i = 0; i < k; ++i) {
        for (std::size_t m = 0; m < i; ++m) b[i] -= a[i * k + m] * b[m];
        b[i] /= a[i * k + i];
    }
    for (std::size_t i = k; i-- > 0;) {
        for (std::size_t m = i + 1; m < k; ++m) b[i] -= a[m * k + i] * b[m];
        b[i] /= a[i * k + i];
    }
    return b;
}
}  // namespace

Fitted fit_autoregression(const SmoothingTask& task, std::span<const std::size_t> periods) {
    std::vector<std::size_t> lags{1, 2, 3};
    for (const std::size_t p : periods)
        for (const std::size_t lag : {p - 1, p, p + 1}) lags.push_back(lag);
    // A second round tells a season that moves from one that stays, where there are rounds enough to learn from.
    for (const std::size_t p : periods)
        if (6 * p <= task.values.size())
            for (const std::size_t lag : {2 * p - 1, 2 * p, 2 * p + 1}) lags.push_back(lag);
    std::ranges::sort(lags);
    lags.erase(std::unique(lags.begin(), lags.end()), lags.end());
    const std::size_t k = lags.size(), start = lags.back(), n = task.values.size();
    const double center = mean(task.values), scale = std::max(std::sqrt(variance(task.values)), 1e-300);
    std::vector<double> y(n);
    for (std::size_t i = 0; i < n; ++i) y[i] = (task.values[i] - center) / scale;
    std::vector<double> gram(k * k, 0.0), right(k, 0.0);
    for (std::size_t a = 0; a < k; ++a) {
        for (std::size_t t = start; t < n; ++t) right[a] += y[t - lags[a]] * y[t];
        for (std::size_t b = 0; b <= a; ++b) {
            double sum = 0;
            for (std::size_t t = start; t < n; ++t) sum += y[t - lags[a]] * y[t - lags[b]];
            gram[a * k + b] = gram[b * k + a] = sum;
        }
    }
    constexpr double ridge = 1e-5;
    for (std::size_t a = 0; a < k; ++a) gram[a * k + a] += ridge * static_cast<double>(n - start) + 1e-9;
    const auto weights = solve(gram, right);
    Fitted out{.model = "autoregression"};
    std::vector<double> path_and_past;
    for (const std::size_t origin : task.origins) {
        auto& path = out.paths.emplace_back(task.horizon);
        path_and_past.assign(start + task.horizon, 0.0);
        for (std::size_t i = 0; i < start; ++i) path_and_past[i] = origin + i >= start ? y[origin + i - start] : 0;
        for (std::size_t h = 0; h < task.horizon; ++h) {
            double sum = 0;
            for (std::size_t a = 0; a < k; ++a) sum += weights[a] * path_and_past[start + h - lags[a]];
            // A sum of weights above 1 must not run away.
            path_and_past[start + h] = std::clamp(sum, -10.0, 10.0);
            path[h] = center + scale * path_and_past[start + h];
        }
    }
    return out;
}

}  // namespace kn::analytics::series::detail
