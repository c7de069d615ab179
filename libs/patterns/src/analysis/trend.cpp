#include "kubernaut/patterns/analysis/trend.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "analysis/statistics.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::patterns {

std::optional<Trend> find_trend(std::span<const double> times, std::span<const double> values) {
    std::vector<double> t, y;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (std::isfinite(values[i])) t.push_back(times[i] - times[0]), y.push_back(values[i]);
    if (y.size() < 24) return std::nullopt;
    const Blocks by = block_medians(y, 240);
    std::vector<double> x;
    for (std::size_t b = 0; b < by.values.size(); ++b) x.push_back((t[by.first[b]] + t[by.first[b + 1] - 1]) / 2);
    const std::size_t n = x.size();

    std::vector<double> slopes;
    slopes.reserve(n * (n - 1) / 2);
    double s = 0;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = i + 1; j < n; ++j) {
            const double d = by.values[j] - by.values[i];
            s += d > 0 ? 1 : d < 0 ? -1 : 0;
            slopes.push_back(d / (x[j] - x[i]));
        }
    std::sort(slopes.begin(), slopes.end());
    const double slope = analytics::quantile(slopes, 0.5);

    // Ties make the count of pairs vary less, neighbours that are alike make it vary more.
    const auto m = static_cast<double>(n);
    double variance = m * (m - 1) * (2 * m + 5);
    std::vector<double> sorted = by.values;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < n;) {
        std::size_t j = i;
        while (j < n && sorted[j] == sorted[i]) ++j;
        const auto k = static_cast<double>(j - i);
        variance -= k * (k - 1) * (2 * k + 5);
        i = j;
    }
    variance /= 18;
    std::vector<double> rest(n);
    for (std::size_t i = 0; i < n; ++i) rest[i] = by.values[i] - slope * x[i];
    const double r = lag_one(rest, 0.95);
    variance *= (1 + r) / (1 - r);

    Trend trend;
    trend.slope = slope;
    const double base = analytics::median(rest);
    trend.start = base;
    trend.end = base + slope * t.back();
    if (variance <= 0) return trend;  // constant
    const double z = s == 0 ? 0 : (s - (s > 0 ? 1 : -1)) / std::sqrt(variance);
    trend.p_value = normal_p(z);
    const double reach = 1.96 * std::sqrt(variance), pairs = static_cast<double>(slopes.size());
    const auto at = [&](double place) { return slopes[static_cast<std::size_t>(std::clamp(place, 0.0, pairs - 1))]; };
    trend.slope_low = at(std::floor((pairs - reach) / 2));
    trend.slope_high = at(std::ceil((pairs + reach) / 2));

    double around_line = 0, around_mean = 0;
    const double center = analytics::mean(y);
    for (std::size_t i = 0; i < y.size(); ++i) {
        const double off = y[i] - base - slope * t[i];
        around_line += off * off;
        around_mean += (y[i] - center) * (y[i] - center);
    }
    trend.r2 = around_mean > 0 ? std::max(0.0, 1 - around_line / around_mean) : 0;
    return trend;
}

}  // namespace kn::patterns
