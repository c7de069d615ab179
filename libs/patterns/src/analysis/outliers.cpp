#include "kubernaut/patterns/analysis/outliers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::patterns {
namespace {

/// P(score > x) of ordinary scores (absolute robust deviations).
class Tail {
public:
    explicit Tail(std::span<const double> scores) {
        from_ = analytics::quantile(scores, 0.90);
        const double q95 = analytics::quantile(scores, 0.95), q975 = analytics::quantile(scores, 0.975);
        if (scores.size() >= 200 && q95 > from_ && q975 > q95) {
            shape_ = std::clamp(std::log2((q975 - q95) / (q95 - from_)), 0.0, 0.5);
            scale_ = shape_ > 1e-6 ? shape_ * (q95 - from_) / (std::pow(2.0, shape_) - 1) : (q95 - from_) / std::log(2.0);
        } else {
            // Too few to know the tail, or most values are alike: heavier than normal, in robust deviations.
            from_ = std::max(from_, 1.645);
            scale_ = std::max(0.6, from_ / 2.7);
            shape_ = 0.1;
        }
    }
    [[nodiscard]] double beyond(double x) const {
        if (x <= from_) return 1;
        const double over = (x - from_) / scale_;
        return 0.1 * (shape_ > 1e-6 ? std::pow(1 + shape_ * over, -1 / shape_) : std::exp(-over));
    }

private:
    double from_ = 0, scale_ = 1, shape_ = 0;
};

}  // namespace

std::vector<OddStretch> find_outliers(std::span<const double> values, std::span<const double> expected, double false_discovery_rate) {
    std::vector<double> off;
    std::vector<std::size_t> place;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (std::isfinite(values[i]) && std::isfinite(expected[i])) off.push_back(values[i] - expected[i]), place.push_back(i);
    if (off.size() < 24) return {};
    const double center = analytics::median(off);
    double scale = analytics::mad(off);
    const double rounding = 64 * std::numeric_limits<double>::epsilon() * std::abs(analytics::median(values));
    if (!(scale > rounding)) {  // more than half are exactly as expected
        scale = 0;
        for (const double v : off) scale += std::abs(v - center) / static_cast<double>(off.size());
        scale *= 1.2533;
    }
    if (!(scale > rounding)) return {};
    std::vector<double> scores(off.size()), p(off.size());
    for (std::size_t i = 0; i < off.size(); ++i) scores[i] = std::abs(off[i] - center) / scale;
    const Tail tail(scores);
    for (std::size_t i = 0; i < off.size(); ++i) p[i] = tail.beyond(scores[i]);
    const auto q = analytics::false_discovery_q(p);
    std::vector<OddStretch> stretches;
    for (std::size_t i = 0; i < off.size(); ++i) {
        if (q[i] > false_discovery_rate) continue;
        const std::size_t at = place[i];
        if (stretches.empty() || at > stretches.back().last + 3) stretches.push_back({.first = at, .last = at, .peak = at, .score = -1});
        OddStretch& one = stretches.back();
        one.last = at;
        if (scores[i] > one.score) one.peak = at, one.score = scores[i], one.p_value = p[i], one.value = values[at], one.expected = expected[at];
    }
    return stretches;
}

}  // namespace kn::patterns
