#include "kubernaut/analytics/anomaly/fusion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace kn::analytics {

ScoreCalibration::ScoreCalibration(std::span<const double> baseline) {
    for (const double s : baseline)
        if (std::isfinite(s)) sorted_.push_back(s);
    std::ranges::sort(sorted_);
    constexpr std::size_t enough = 200;
    constexpr double in_tail = 0.05;
    if (sorted_.size() < enough) return;
    const auto first = static_cast<std::size_t>(static_cast<double>(sorted_.size()) * (1 - in_tail));
    tail_from_ = sorted_[first];
    std::vector<double> excess;
    for (std::size_t i = first; i < sorted_.size(); ++i)
        if (sorted_[i] > tail_from_) excess.push_back(sorted_[i] - tail_from_);
    if (excess.size() < 8) return;
    double mean = 0, weighted = 0;  // probability-weighted moments
    const auto n = static_cast<double>(excess.size());
    for (std::size_t i = 0; i < excess.size(); ++i) {
        mean += excess[i] / n;
        weighted += excess[i] * (n - 1 - static_cast<double>(i)) / (n - 1) / n;
    }
    const double spread = mean - 2 * weighted;
    if (!(spread > 0) || !(mean > 0)) return;
    // A shape below 0 would claim that nothing lies beyond some point: more than a sample can know.
    tail_shape_ = std::clamp(2 - mean / spread, 0.0, 0.8);
    tail_scale_ = mean * (1 - tail_shape_);  // so that the mean excess stays what it is
    tail_share_ = n / static_cast<double>(sorted_.size());
    has_tail_ = tail_scale_ > 0;
}

double ScoreCalibration::p_value(double score) const {
    if (sorted_.empty() || std::isnan(score)) return 1;
    const auto n = static_cast<double>(sorted_.size());
    const auto as_high = static_cast<double>(sorted_.end() - std::ranges::lower_bound(sorted_, score));
    const double counted = (1 + as_high) / (1 + n);
    if (!has_tail_ || score <= sorted_.back()) return counted;
    const double over = (score - tail_from_) / tail_scale_;
    const double inside = 1 + tail_shape_ * over;
    const double beyond = inside <= 0 ? 0 : (std::abs(tail_shape_) < 1e-9 ? std::exp(-over) : std::pow(inside, -1 / tail_shape_));
    return std::clamp(tail_share_ * beyond, 1e-15, counted);
}

std::vector<double> ScoreCalibration::p_values(std::span<const double> scores) const {
    std::vector<double> out;
    out.reserve(scores.size());
    for (const double s : scores) out.push_back(p_value(s));
    return out;
}

double ScoreCalibration::threshold(double rate) const {
    if (sorted_.empty()) return std::numeric_limits<double>::infinity();
    const auto above = static_cast<std::size_t>(std::clamp(rate, 0.0, 1.0) * static_cast<double>(sorted_.size()));
    return above >= sorted_.size() ? sorted_.front() : sorted_[sorted_.size() - 1 - above];
}

double cauchy_combination(std::span<const double> p_values, std::span<const double> weights) {
    double sum = 0, total = 0;
    constexpr double edge = 1e-15;
    for (std::size_t i = 0; i < p_values.size(); ++i) {
        const double w = weights.empty() ? 1 : weights[i];
        const double p = std::clamp(p_values[i], edge, 1 - edge);
        // tan((1/2 - p) pi) loses its digits for small p; there it is 1 / (pi p).
        sum += w * (p < 1e-8 ? 1 / (std::numbers::pi * p) : std::tan((0.5 - p) * std::numbers::pi));
        total += w;
    }
    if (!(total > 0)) return 1;
    const double t = sum / total;
    return t > 1e8 ? 1 / (std::numbers::pi * t) : 0.5 - std::atan(t) / std::numbers::pi;
}

}  // namespace kn::analytics
