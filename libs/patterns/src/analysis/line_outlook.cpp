#include "analysis/line_outlook.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/trend.hpp"

namespace kn::patterns {

LineOutlook::LineOutlook(std::span<const double> times, std::span<const double> calm, std::span<const double> season, std::size_t longest)
    : times_(times), calm_(calm), season_(season), longest_(std::max<std::size_t>(1, longest)) {}

std::vector<double> LineOutlook::from(std::size_t origin, std::size_t steps) const {
    const double slope = analytics::series::robust_slope(times_.first(origin), calm_.first(origin));
    if (!std::isfinite(slope)) return {};
    // The line's slope, through where the values are now.
    const double step = (times_[origin - 1] - times_[0]) / static_cast<double>(origin - 1);
    const std::size_t recent = std::min(origin, std::max<std::size_t>(longest_, 24));
    std::vector<double> level;
    for (std::size_t i = origin - recent; i < origin; ++i)
        if (std::isfinite(calm_[i])) level.push_back(calm_[i] + slope * (times_[origin - 1] - times_[i]));
    if (level.empty()) return {};
    const double now = analytics::median(level);
    std::vector<double> out(steps);
    for (std::size_t h = 0; h < steps; ++h) {
        const std::size_t cycle = std::min(longest_, origin);
        out[h] = now + slope * step * static_cast<double>(h + 1) + season_[origin - cycle + h % cycle];
    }
    return out;
}

std::optional<double> LineOutlook::past_error(std::size_t steps) const {
    if (calm_.size() < steps + 48) return std::nullopt;
    const std::size_t origin = calm_.size() - steps;
    const auto said = from(origin, steps);
    if (said.empty()) return std::nullopt;
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t h = 0; h < steps; ++h)
        if (std::isfinite(calm_[origin + h])) sum += std::abs(calm_[origin + h] + season_[origin + h] - said[h]), ++count;
    return count > 0 ? std::optional(sum / static_cast<double>(count)) : std::nullopt;
}

std::vector<analytics::series::Forecast> LineOutlook::ahead(std::size_t steps, std::span<const double> levels) const {
    const std::size_t n = calm_.size();
    std::vector<std::vector<double>> errors(steps);
    for (int share = 50; share <= 95; share += 5) {
        const std::size_t origin = n * static_cast<std::size_t>(share) / 100, reach = std::min(steps, n - origin);
        const auto said = from(origin, reach);
        for (std::size_t h = 0; h < said.size(); ++h)
            if (std::isfinite(calm_[origin + h])) errors[h].push_back(std::abs(calm_[origin + h] + season_[origin + h] - said[h]));
    }
    analytics::series::Forecast plain;
    plain.values = from(n, steps);
    plain.members.push_back({.model = "straight line with seasons", .values = plain.values});
    std::vector<analytics::series::Forecast> out(levels.size(), plain);
    std::vector<double> width(levels.size(), 0), at_last(levels.size(), 0);
    std::size_t last = 0;
    for (std::size_t h = 0; h < plain.values.size(); ++h) {
        // Errors at about as many steps ahead, so that there are enough of them.
        std::vector<double> near;
        for (std::size_t j = (h + 1) * 3 / 4 > 0 ? (h + 1) * 3 / 4 - 1 : 0; j <= std::min(steps - 1, (h + 1) * 5 / 4); ++j)
            near.insert(near.end(), errors[j].begin(), errors[j].end());
        std::sort(near.begin(), near.end());
        constexpr std::size_t enough = 10;
        for (std::size_t l = 0; l < levels.size(); ++l) {
            if (near.size() >= enough) {
                const auto rank = static_cast<std::size_t>(std::ceil(levels[l] * static_cast<double>(near.size() + 1)));
                width[l] = at_last[l] = std::max(width[l], rank <= near.size() ? near[rank - 1] : 1.3 * near.back());
            } else {
                width[l] = at_last[l] * static_cast<double>(h + 1) / static_cast<double>(last + 1);  // a wrong slope is wrong in proportion
            }
            out[l].lower.push_back(plain.values[h] - width[l]);
            out[l].upper.push_back(plain.values[h] + width[l]);
        }
        if (near.size() >= enough) last = h;
    }
    return out;
}

}  // namespace kn::patterns
