#include "kubernaut/analytics/numerics/robust.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace kn::analytics {
namespace {
constexpr double no_value = std::numeric_limits<double>::quiet_NaN();

std::vector<double> finite(std::span<const double> values) {
    std::vector<double> kept;
    kept.reserve(values.size());
    for (const double v : values)
        if (std::isfinite(v)) kept.push_back(v);
    return kept;
}

double quantile_of(std::vector<double>& kept, double q) {
    if (kept.empty()) return no_value;
    const double place = std::clamp(q, 0.0, 1.0) * static_cast<double>(kept.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto at = kept.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(kept.begin(), at, kept.end());
    const double share = place - static_cast<double>(below);
    if (share == 0 || at + 1 == kept.end()) return *at;
    const double above = *std::min_element(at + 1, kept.end());
    return *at + share * (above - *at);
}
}  // namespace

double quantile(std::span<const double> values, double q) {
    auto kept = finite(values);
    return quantile_of(kept, q);
}

double median(std::span<const double> values) { return quantile(values, 0.5); }

double mad(std::span<const double> values) {
    auto kept = finite(values);
    const double center = quantile_of(kept, 0.5);
    for (double& v : kept) v = std::abs(v - center);
    constexpr double to_normal_deviation = 1.4826;
    return to_normal_deviation * quantile_of(kept, 0.5);
}

double mean(std::span<const double> values) {
    const auto kept = finite(values);
    if (kept.empty()) return no_value;
    const double shift = kept.front();
    double sum = 0;
    for (const double v : kept) sum += v - shift;
    return shift + sum / static_cast<double>(kept.size());
}

double variance(std::span<const double> values) {
    const auto kept = finite(values);
    if (kept.empty()) return no_value;
    if (kept.size() == 1) return 0;
    const double center = mean(kept);
    double sum = 0;
    for (const double v : kept) sum += (v - center) * (v - center);
    return sum / static_cast<double>(kept.size() - 1);
}

}  // namespace kn::analytics
