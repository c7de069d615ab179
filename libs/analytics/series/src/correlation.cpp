#include "kubernaut/analytics/series/correlation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/fft.hpp"
#include "kubernaut/analytics/series/regular.hpp"

namespace kn::analytics::series {
namespace {

LagCorrelation strongest(const std::vector<double>& a, const std::vector<double>& b, std::size_t max_lag) {
    LagCorrelation out{.first = 0, .second = 1};
    constexpr std::size_t fewest = 20;
    const std::size_t n = std::min(a.size(), b.size());
    if (n < fewest || a.size() != b.size()) return out;
    max_lag = std::min(max_lag, n / 4);
    const auto products = cross_products(a, b, max_lag);
    double best_z = 0;
    for (std::size_t i = 0; i < products.size(); ++i) {
        const auto lag = static_cast<std::ptrdiff_t>(i) - static_cast<std::ptrdiff_t>(max_lag);
        const double overlap = static_cast<double>(n) - std::abs(static_cast<double>(lag));
        const double r = std::clamp(products[i] * static_cast<double>(n) / overlap, -1.0, 1.0);
        const double z = std::abs(r) * std::sqrt(overlap);
        if (z > best_z) {
            best_z = z;
            out.lag = lag;
            out.correlation = r;
        }
    }
    const double overlap = static_cast<double>(n) - std::abs(static_cast<double>(out.lag));
    const double r = std::min(std::abs(out.correlation), 1 - 1e-12);
    // Fisher's transform; every lag is a trial.
    const double p = 2 * normal_tail(std::atanh(r) * std::sqrt(overlap - 3));
    out.p_value = std::min(1.0, p * static_cast<double>(products.size()));
    out.q_value = out.p_value;
    return out;
}
}  // namespace

std::vector<double> whiten(std::span<const double> values, std::size_t max_order) {
    auto y = fill_missing(values);
    const std::size_t n = y.size();
    const double center = mean(y), deviation = std::sqrt(variance(y));
    if (n < 4 || !(deviation > 1e-12 * std::abs(center)) || !(deviation > 0)) return {};
    for (double& v : y) v = (v - center) / deviation;
    max_order = std::min(max_order, n / 10);
    const auto r = autocorrelation(y, max_order);
    // Levinson, Durbin: all orders in one pass.
    std::vector<double> phi, best;
    double error = 1, best_aic = 0;
    for (std::size_t k = 1; k <= max_order; ++k) {
        double reflection = r[k];
        for (std::size_t j = 1; j < k; ++j) reflection -= phi[j - 1] * r[k - j];
        reflection /= error;
        std::vector<double> next(phi);
        for (std::size_t j = 1; j < k; ++j) next[j - 1] -= reflection * phi[k - j - 1];
        next.push_back(reflection);
        phi = std::move(next);
        error *= 1 - reflection * reflection;
        if (!(error > 1e-12)) break;
        const double aic = static_cast<double>(n) * std::log(error) + 2 * static_cast<double>(k);
        if (aic < best_aic) {
            best_aic = aic;
            best = phi;
        }
    }
    std::vector<double> out(n, 0.0);
    for (std::size_t i = best.size(); i < n; ++i) {
        double rest = y[i];
        for (std::size_t j = 0; j < best.size(); ++j) rest -= best[j] * y[i - j - 1];
        out[i] = rest;
    }
    // One outlier in each of two series would correlate them at their distance.
    const double scale = mad(out);
    if (scale > 0)
        for (double& v : out) v = std::clamp(v, -5 * scale, 5 * scale);
    const double middle = mean(out), spread = std::sqrt(variance(out));
    if (!(spread > 0)) return {};
    for (double& v : out) v = (v - middle) / spread;
    return out;
}

LagCorrelation correlate(std::span<const double> first, std::span<const double> second, std::size_t max_lag) {
    return strongest(whiten(first), whiten(second), max_lag);
}

std::vector<LagCorrelation> correlate_all(std::span<const std::vector<double>> series, std::size_t max_lag, unsigned threads) {
    std::vector<std::vector<double>> white(series.size());
    parallel_blocks(series.size(), 4, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i)
            if (series[i].size() == series[0].size()) white[i] = whiten(series[i]);
    });
    std::vector<LagCorrelation> out;
    for (std::size_t i = 0; i < series.size(); ++i)
        for (std::size_t j = i + 1; j < series.size(); ++j)
            if (!white[i].empty() && !white[j].empty()) out.push_back({.first = i, .second = j});
    parallel_blocks(out.size(), 16, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t k = begin; k < end; ++k) {
            const auto pair = out[k];
            out[k] = strongest(white[pair.first], white[pair.second], max_lag);
            out[k].first = pair.first;
            out[k].second = pair.second;
        }
    });
    std::vector<double> p;
    for (const auto& pair : out) p.push_back(pair.p_value);
    const auto q = false_discovery_q(p);
    for (std::size_t k = 0; k < out.size(); ++k) out[k].q_value = q[k];
    std::ranges::stable_sort(out, {}, &LagCorrelation::p_value);
    return out;
}

}  // namespace kn::analytics::series
