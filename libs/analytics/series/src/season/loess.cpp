#include "season/loess.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kn::analytics::series::detail {
namespace {
struct Range {
    std::size_t left = 0, count = 0;
    double reach = 1;
};

Range range_of(std::size_t points, std::size_t window, double x) {
    const auto n = static_cast<std::ptrdiff_t>(points), q = static_cast<std::ptrdiff_t>(window);
    std::ptrdiff_t left = 0, right = n - 1;
    if (q < n) {
        left = std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(std::llround(x)) - q / 2, 0, n - q);
        right = left + q - 1;
    }
    double reach = std::max(x - static_cast<double>(left), static_cast<double>(right) - x);
    if (q > n) reach += static_cast<double>(q - n) / 2;
    return {static_cast<std::size_t>(left), static_cast<std::size_t>(right - left + 1), std::max(reach * 1.001, 1.0)};
}
}  // namespace

LoessPlan::LoessPlan(std::size_t points, std::size_t window, std::size_t jump, double first, std::size_t length)
    : points_(points), window_(window), first_(first) {
    jump = std::max<std::size_t>(jump, 1);
    std::size_t whole = 0;  // the kernel in the middle of its window, 1 + its place; 0: none yet
    for (std::size_t i = 0; i < length; i = i + jump < length || i == length - 1 ? i + jump : length - 1) {
        const double x = static_cast<double>(i) + first;
        const Range range = range_of(points, window, x);
        const bool centred = window % 2 == 1 && range.count == window && x == static_cast<double>(range.left + window / 2);
        std::size_t kernel = 0;
        if (centred && whole > 0)
            kernel = whole - 1;
        else
            kernel = add_kernel(range.left, range.count, x, range.reach);
        if (centred) whole = kernel + 1;
        fits_.push_back({.at = i, .left = range.left, .count = range.count, .kernel = kernel});
    }
}

std::size_t LoessPlan::add_kernel(std::size_t left, std::size_t count, double x, double reach) {
    const std::size_t begin = tricube_.size();
    for (std::size_t i = left; i < left + count; ++i) {
        const double d = (static_cast<double>(i) - x) / reach, a = std::min(std::abs(d), 1.0), c = 1 - a * a * a;
        tricube_.push_back(c * c * c);
        distance_.push_back(d);
    }
    return begin;
}

double LoessPlan::fit(const Fit& one, std::span<const double> values, std::span<const double> weights) const {
    const double *tricube = tricube_.data() + one.kernel, *distance = distance_.data() + one.kernel;
    const double *y = values.data() + one.left, *weight = weights.data() + one.left;
    double s0 = 0, s1 = 0, s2 = 0, t0 = 0, t1 = 0;
    {
#pragma clang fp reassociate(on)
        for (std::size_t i = 0; i < one.count; ++i) {
            const double w = tricube[i] * weight[i], wd = w * distance[i];
            s0 += w;
            s1 += wd;
            s2 += wd * distance[i];
            t0 += w * y[i];
            t1 += wd * y[i];
        }
    }
    if (!(s0 > 1e-12)) return std::numeric_limits<double>::quiet_NaN();
    const double mean_d = s1 / s0, mean_y = t0 / s0;
    const double spread = s2 / s0 - mean_d * mean_d;
    if (spread < 1e-6) return mean_y;  // all weight on one place: no slope can be told
    return mean_y - mean_d * (t1 / s0 - mean_d * mean_y) / spread;
}

void LoessPlan::smooth(std::span<const double> values, std::span<const double> weights, std::span<double> out) const {
    for (std::size_t f = 0; f < fits_.size(); ++f) {
        double y = fit(fits_[f], values, weights);
        // A gap wider than the window: look twice as far until something is there.
        for (std::size_t wider = window_ * 2; !std::isfinite(y) && wider < 4 * points_; wider *= 2) {
            LoessPlan plan(points_, wider, 1, static_cast<double>(fits_[f].at) + first_, 1);
            y = plan.fit(plan.fits_.front(), values, weights);
        }
        if (!std::isfinite(y)) y = 0;
        const std::size_t at = fits_[f].at;
        out[at] = y;
        if (f == 0) continue;
        const std::size_t before = fits_[f - 1].at;
        const double from = out[before], slope = (y - from) / static_cast<double>(at - before);
        for (std::size_t j = before + 1; j < at; ++j) out[j] = from + slope * static_cast<double>(j - before);
    }
}

}  // namespace kn::analytics::series::detail
