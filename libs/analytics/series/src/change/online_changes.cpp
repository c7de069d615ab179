#include "kubernaut/analytics/series/online_changes.hpp"

#include <algorithm>
#include <cmath>

namespace kn::analytics::series {

double OnlineChangeDetector::noise() const { return weight_ > 0 ? std::sqrt(square_ / weight_ / 2) : 0; }

void OnlineChangeDetector::restart(std::uint64_t index, double level) {
    upper_.clear();
    lower_.clear();
    count_ = sum_ = 0;
    origin_ = level_ = level;
    upper_.push_back({.index = index});
    lower_.push_back({.index = index});
}

/// Puts the present place on the hull; corners that fall inside go.
void OnlineChangeDetector::extend(std::vector<Corner>& hull, double sign) {
    const Corner now{.count = count_, .sum = sum_, .index = seen_};
    while (hull.size() >= 2) {
        const Corner &a = hull[hull.size() - 2], &b = hull.back();
        const double turn = (b.sum - a.sum) * (now.count - b.count) - (now.sum - b.sum) * (b.count - a.count);
        if (sign * turn > 0) break;
        hull.pop_back();
    }
    hull.push_back(now);
}

std::optional<OnlineChange> OnlineChangeDetector::push(double value) {
    if (!std::isfinite(value)) {
        ++seen_;
        return std::nullopt;
    }
    if (upper_.empty()) restart(seen_, value);
    if (has_last_) {
        const double difference = value - last_;
        const double scale = noise() * std::sqrt(2.0);
        // A jump must not widen the noise by which it is judged.
        const double kept = scale > 0 && weight_ > 10 ? std::clamp(difference, -3 * scale, 3 * scale) : difference;
        const double forget = std::max(1.0 / 1000, 1 / (weight_ + 1));
        square_ = weight_ > 0 ? square_ / weight_ * (1 - forget) + kept * kept * forget : kept * kept;
        if (has_difference_) product_ = (weight_ > 0 ? product_ / weight_ : 0) * (1 - forget) + kept * last_difference_ * forget;
        weight_ = std::min(weight_ + 1, 1000.0);
        square_ *= weight_;
        product_ *= weight_;
        last_difference_ = kept;
        has_difference_ = true;
    }
    last_ = value;
    has_last_ = true;

    const double r = square_ > 0 ? std::clamp(1 + 2 * product_ / square_, 0.0, 0.95) : 0;
    const double deviation = noise() / std::sqrt(1 - r);
    double seen = value;
    // The level follows slowly for clipping only; a lasting change moves it within a few points.
    if (deviation > 0 && weight_ >= 10) seen = std::clamp(value, level_ - options_.clip * deviation, level_ + options_.clip * deviation);
    level_ += (seen - level_) * std::max(0.1, 1 / (count_ + 1));
    extend(upper_, 1);
    extend(lower_, -1);
    count_ += 1;
    sum_ += seen - origin_;
    ++seen_;
    if (!(deviation > 0) || count_ < options_.warm_up) return std::nullopt;

    const double long_run = deviation * deviation * (1 + r) / (1 - r);
    double best = 0;
    Corner at;
    for (const auto* hull : {&upper_, &lower_})
        for (const Corner& corner : *hull) {
            if (corner.count < 1 || count_ - corner.count < 1) continue;
            const double gap = corner.sum / corner.count - (sum_ - corner.sum) / (count_ - corner.count);
            const double statistic = gap * gap * corner.count * (count_ - corner.count) / count_ / long_run;
            if (statistic > best) {
                best = statistic;
                at = corner;
            }
        }
    if (best < options_.threshold) return std::nullopt;
    const OnlineChange out{
        .index = at.index, .before = origin_ + at.sum / at.count, .after = origin_ + (sum_ - at.sum) / (count_ - at.count), .statistic = best};
    restart(seen_, out.after);
    return out;
}

}  // namespace kn::analytics::series
