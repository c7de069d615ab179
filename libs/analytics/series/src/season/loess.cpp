#include "season/loess.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kn::analytics::series::detail {

double loess_at(std::span<const double> values, std::span<const double> weights, std::size_t window, double x) {
    const auto n = static_cast<std::ptrdiff_t>(values.size());
    const auto q = static_cast<std::ptrdiff_t>(window);
    std::ptrdiff_t left = 0, right = n - 1;
    if (q < n) {
        left = std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(std::llround(x)) - q / 2, 0, n - q);
        right = left + q - 1;
    }
    double reach = std::max(x - static_cast<double>(left), static_cast<double>(right) - x);
    if (q > n) reach += static_cast<double>(q - n) / 2;
    reach = std::max(reach * 1.001, 1.0);
    const double scale = 1 / reach;
    double s0 = 0, s1 = 0, s2 = 0, t0 = 0, t1 = 0;
    {
#pragma clang fp reassociate(on)
        for (std::ptrdiff_t i = left; i <= right; ++i) {
            const double d = (static_cast<double>(i) - x) * scale;
            const double a = std::abs(d);
            const double c = 1 - a * a * a;
            const double w = c * c * c * weights[static_cast<std::size_t>(i)];
            const double y = values[static_cast<std::size_t>(i)];
            s0 += w;
            s1 += w * d;
            s2 += w * d * d;
            t0 += w * y;
            t1 += w * d * y;
        }
    }
    if (!(s0 > 1e-12)) return std::numeric_limits<double>::quiet_NaN();
    const double mean_d = s1 / s0, mean_y = t0 / s0;
    const double spread = s2 / s0 - mean_d * mean_d;
    if (spread < 1e-6) return mean_y;  // all weight on one place: no slope can be told
    return mean_y - mean_d * (t1 / s0 - mean_d * mean_y) / spread;
}

void loess_along(std::span<const double> values, std::span<const double> weights, std::size_t window, std::size_t jump, double first,
                 std::span<double> out) {
    jump = std::max<std::size_t>(jump, 1);
    const std::size_t n = out.size();
    std::size_t last = n;
    for (std::size_t i = 0; i < n; i = i + jump < n || i == n - 1 ? i + jump : n - 1) {
        double y = loess_at(values, weights, window, static_cast<double>(i) + first);
        if (!std::isfinite(y)) {
            // A gap wider than the window: look twice as far until something is there.
            for (std::size_t wider = window * 2; !std::isfinite(y) && wider < 4 * values.size(); wider *= 2)
                y = loess_at(values, weights, wider, static_cast<double>(i) + first);
            if (!std::isfinite(y)) y = 0;
        }
        out[i] = y;
        if (last < n)
            for (std::size_t j = last + 1; j < i; ++j)
                out[j] = out[last] + (y - out[last]) * static_cast<double>(j - last) / static_cast<double>(i - last);
        last = i;
    }
}

}  // namespace kn::analytics::series::detail
