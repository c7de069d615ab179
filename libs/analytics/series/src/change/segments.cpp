#include "change/segments.hpp"

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

double RangeSums::mean(std::size_t begin, std::size_t end) const { return shift_ + (y_[end] - y_[begin]) / static_cast<double>(end - begin); }

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
    constexpr std::size_t exact_up_to = 1000, places_beyond = 500;
    const std::size_t stride = n <= exact_up_to ? 1 : (n + places_beyond - 1) / places_beyond;
    const std::size_t shortest = std::max<std::size_t>(1, (min_segment + stride - 1) / stride), places = n / stride;
    const auto place = [&](std::size_t i) { return i == places ? n : i * stride; };
    if (places < 2 * shortest) return {0, n};
    std::vector<double> best(places + 1, std::numeric_limits<double>::infinity()), costs;
    std::vector<std::size_t> from(places + 1, 0), candidates{0}, kept;
    best[0] = -penalty;
    for (std::size_t end = shortest; end <= places; ++end) {
        if (end >= 2 * shortest) candidates.push_back(end - shortest);
        costs.clear();
        for (const std::size_t begin : candidates) {
            const double cost = best[begin] + segment_cost(sums, shape, noise, place(begin), place(end));
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
        std::swap(candidates, kept);
    }
    std::vector<std::size_t> out{n};
    for (std::size_t end = places; end > 0; end = from[end]) out.push_back(place(from[end]));
    std::ranges::reverse(out);
    if (stride > 1)
        for (std::size_t s = 1; s + 1 < out.size(); ++s) {
            const std::size_t low = std::max(out[s] - stride, out[s - 1] + min_segment), high = std::min(out[s] + stride, out[s + 1] - min_segment);
            double least = std::numeric_limits<double>::infinity();
            for (std::size_t at = low, was = out[s]; at <= high; ++at) {
                const double cost = segment_cost(sums, shape, noise, out[s - 1], at) + segment_cost(sums, shape, noise, at, out[s + 1]);
                if (cost < least || (cost == least && at == was)) {
                    least = cost;
                    out[s] = at;
                }
            }
        }
    return out;
}

}  // namespace kn::analytics::series::detail
