#include "analysis/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::patterns {

double normal_p(double z) { return std::erfc(std::abs(z) / std::sqrt(2.0)); }

double lag_one(std::span<const double> values, double most) {
    const double center = analytics::mean(values);
    double own = 0, next = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        own += (values[i] - center) * (values[i] - center);
        if (i > 0) next += (values[i] - center) * (values[i - 1] - center);
    }
    return own > 0 ? std::clamp(next / own, 0.0, most) : 0;
}

Blocks block_medians(std::span<const double> values, std::size_t count) {
    Blocks blocks;
    const std::size_t n = values.size(), k = std::min(n, count);
    for (std::size_t b = 0; b < k; ++b) {
        const std::size_t first = b * n / k, last = (b + 1) * n / k;
        blocks.first.push_back(first);
        blocks.values.push_back(last - first == 1 ? values[first] : analytics::median(values.subspan(first, last - first)));
    }
    blocks.first.push_back(n);
    return blocks;
}

std::vector<double> q_values(std::span<const double> p_values) {
    std::vector<std::size_t> order(p_values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return p_values[a] != p_values[b] ? p_values[a] < p_values[b] : a < b; });
    std::vector<double> q(p_values.size(), 1);
    double least = 1;
    for (std::size_t rank = order.size(); rank-- > 0;) {
        least = std::min(least, p_values[order[rank]] * static_cast<double>(order.size()) / static_cast<double>(rank + 1));
        q[order[rank]] = least;
    }
    return q;
}

}  // namespace kn::patterns
