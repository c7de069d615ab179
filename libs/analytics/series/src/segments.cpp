#include "segments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics::series::detail {

RangeSums::RangeSums(std::span<const double> values) : shift_(analytics::mean(values)), y_(values.size() + 1), yy_(y_), ty_(y_) {
    const double middle = static_cast<double>(values.size()) / 2;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double v = values[i] - shift_, t = static_cast<double>(i) - middle;
        y_[i + 1] = y_[i] + v;
        yy_[i + 1] = yy_[i] + v * v;
        ty_[i + 1] = ty_[i] + t * v;
    }
}

double RangeSums::about_mean(std::size_t begin, std::size_t end) const {
    const auto m = static_cast<double>(end - begin);
    const double s = y_[end] - y_[begin];
    return std::max(0.0, yy_[end] - yy_[begin] - s * s / m);
}

double RangeSums::mean(std::size_t begin, std::size_t end) const {
    return shift_ + (y_[end] - y_[begin]) / static_cast<double>(end - begin);
}

double RangeSums::slope(std::size_t begin, std::size_t end) const {
    const auto m = static_cast<double>(end - begin);
    if (end - begin < 2) return 0;
    const double middle = static_cast<double>(y_.size() - 1) / 2, center = (static_cast<double>(begin + end) - 1) / 2 - middle;
    const double spread = m * (m * m - 1) / 12;
    return (ty_[end] - ty_[begin] - center * (y_[end] - y_[begin])) / spread;
}

double RangeSums::about_line(std::size_t begin, std::size_t end) const {
    const auto m = static_cast<double>(end - begin);
    const double b = slope(begin, end);
    return std::max(0.0, about_mean(begin, end) - b * b * m * (m * m - 1) / 12);
}

double segment_cost(const RangeSums& sums, Shape shape, double noise, std::size_t begin, std::size_t end) {
    switch (shape) {
        case Shape::level: return sums.about_mean(begin, end) / (noise * noise);
        case Shape::line: return sums.about_line(begin, end) / (noise * noise);
        case Shape::spread: break;
    }
    const auto m = static_cast<double>(end - begin);
    return m * std::log(std::max(sums.about_mean(begin, end) / m, 1e-4 * noise * noise));
}

std::vector<std::size_t> pelt(const RangeSums& sums, std::size_t n, Shape shape, double noise, double penalty, std::size_t min_segment) {
    min_segment = std::max<std::size_t>(min_segment, shape == Shape::level ? 1 : 2);
    if (n < 2 * min_segment) return {0, n};
    std::vector<double> best(n + 1, std::numeric_limits<double>::infinity());
    std::vector<std::size_t> from(n + 1, 0), candidates{0}, kept;
    std::vector<double> costs;
    best[0] = -penalty;
    for (std::size_t end = min_segment; end <= n; ++end) {
        if (end >= 2 * min_segment) candidates.push_back(end - min_segment);
        costs.clear();
        for (const std::size_t begin : candidates) {
            const double cost = best[begin] + segment_cost(sums, shape, noise, begin, end);
            costs.push_back(cost);
            if (cost + penalty < best[end]) {
                best[end] = cost + penalty;
                from[end] = begin;
            }
        }
        // What cannot beat the best even without its penalty never will.
        kept.clear();
        for (std::size_t i = 0; i < candidates.size(); ++i)
            if (costs[i] <= best[end]) kept.push_back(candidates[i]);
        // With a least length a start may still be needed before the newest one is allowed.
        candidates = kept;
    }
    std::vector<std::size_t> out{n};
    for (std::size_t end = n; end > 0; end = from[end]) out.push_back(from[end]);
    std::ranges::reverse(out);
    return out;
}

}  // namespace kn::analytics::series::detail
