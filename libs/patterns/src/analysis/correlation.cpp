#include "kubernaut/patterns/analysis/correlation.hpp"

#include <algorithm>
#include <cmath>

#include "analysis/statistics.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/fft.hpp"
#include "kubernaut/analytics/series/regular.hpp"

namespace kn::patterns {
namespace {

/// Innovations of an autoregression (Levinson-Durbin, order by AIC up to 12) in deviations, extremes clipped; empty for a constant series.
std::vector<double> whitened(const std::vector<double>& values) {
    namespace series = analytics::series;
    std::vector<double> x = series::fill_missing(values);
    const double center = analytics::median(x), spread = analytics::mad(x);
    double scale = spread > 0 ? spread : std::sqrt(analytics::variance(x));
    if (!(scale > 0)) return {};
    for (double& v : x) v = std::clamp((v - center) / scale, -6.0, 6.0);
    const std::size_t most = std::min<std::size_t>(12, x.size() / 10);
    const auto r = series::autocorrelation(x, most);
    std::vector<double> a, best;
    double error = 1, best_aic = 0;
    for (std::size_t k = 1; k <= most; ++k) {
        double acc = r[k];
        for (std::size_t j = 0; j + 1 < k; ++j) acc -= a[j] * r[k - 1 - j];
        if (error <= 1e-9) break;
        const double reflection = acc / error;
        std::vector<double> next(k);
        next[k - 1] = reflection;
        for (std::size_t j = 0; j + 1 < k; ++j) next[j] = a[j] - reflection * a[k - 2 - j];
        a = std::move(next);
        error *= 1 - reflection * reflection;
        if (error <= 0) break;
        const double aic = static_cast<double>(x.size()) * std::log(error) + 2 * static_cast<double>(k);
        if (aic < best_aic) best_aic = aic, best = a;
    }
    const double mean = analytics::mean(x);
    std::vector<double> e(x.size(), 0);
    for (std::size_t t = best.size(); t < x.size(); ++t) {
        double predicted = 0;
        for (std::size_t j = 0; j < best.size(); ++j) predicted += best[j] * (x[t - 1 - j] - mean);
        e[t] = x[t] - mean - predicted;
    }
    const double m = analytics::mean(e), deviation = std::sqrt(analytics::variance(e));
    if (!(deviation > 1e-9)) return {};
    for (double& v : e) v = std::clamp((v - m) / deviation, -4.0, 4.0);
    const double again = std::sqrt(analytics::variance(e));
    for (double& v : e) v /= again;
    return e;
}

}  // namespace

std::vector<LeadLag> find_lead_lag(std::span<const std::vector<double>> all, std::size_t max_lag, double false_discovery_rate) {
    std::vector<std::vector<double>> white;
    for (const auto& one : all) white.push_back(one.size() >= 24 ? whitened(one) : std::vector<double>{});
    std::vector<LeadLag> pairs;
    std::vector<double> p;
    for (std::size_t a = 0; a < white.size(); ++a)
        for (std::size_t b = a + 1; b < white.size(); ++b) {
            if (white[a].empty() || white[b].empty() || white[a].size() != white[b].size()) continue;
            const std::size_t n = white[a].size(), reach = std::min(max_lag, n / 4);
            const auto c = analytics::series::cross_products(white[a], white[b], reach);
            std::size_t best = reach;
            for (std::size_t i = 0; i < c.size(); ++i)
                if (std::abs(c[i]) > std::abs(c[best])) best = i;
            const double r = std::clamp(c[best], -1.0, 1.0);
            const double one = normal_p(r * std::sqrt(static_cast<double>(n)));
            pairs.push_back({.a = a,
                             .b = b,
                             .lag = static_cast<std::ptrdiff_t>(best) - static_cast<std::ptrdiff_t>(reach),
                             .correlation = r,
                             .p_value = std::min(1.0, one * static_cast<double>(c.size()))});
            p.push_back(pairs.back().p_value);
        }
    const auto q = q_values(p);
    for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i].q_value = q[i];
    std::erase_if(pairs, [&](const LeadLag& one) { return one.q_value >= false_discovery_rate; });
    std::sort(pairs.begin(), pairs.end(), [](const LeadLag& x, const LeadLag& y) {
        return x.q_value != y.q_value ? x.q_value < y.q_value : std::abs(x.correlation) > std::abs(y.correlation);
    });
    return pairs;
}

}  // namespace kn::patterns
