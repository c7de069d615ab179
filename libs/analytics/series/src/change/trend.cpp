#include "kubernaut/analytics/series/trend.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "change/segments.hpp"
#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/change_points.hpp"
#include "kubernaut/analytics/series/fft.hpp"
#include "kubernaut/analytics/series/regular.hpp"

namespace kn::analytics::series {
namespace {

/// Pairs (i < j) with v[i] > v[j] and, through `ties`, pairs with equal values. Merge sort, n log n.
double inversions(std::vector<double>& v, std::vector<double>& buffer, std::size_t begin, std::size_t end) {
    if (end - begin < 2) return 0;
    const std::size_t middle = (begin + end) / 2;
    double count = inversions(v, buffer, begin, middle) + inversions(v, buffer, middle, end);
    std::size_t a = begin, b = middle, to = begin;
    while (a < middle || b < end) {
        if (b == end || (a < middle && v[a] <= v[b]))
            buffer[to++] = v[a++];
        else {
            count += static_cast<double>(middle - a);
            buffer[to++] = v[b++];
        }
    }
    std::copy(buffer.begin() + static_cast<std::ptrdiff_t>(begin), buffer.begin() + static_cast<std::ptrdiff_t>(end),
              v.begin() + static_cast<std::ptrdiff_t>(begin));
    return count;
}

struct Kendall {
    double s = 0;         ///< concordant minus discordant pairs
    double variance = 0;  ///< for independent values, ties taken into account
};

Kendall kendall(std::span<const double> values) {
    std::vector<double> v(values.begin(), values.end()), buffer(v.size());
    const auto n = static_cast<double>(v.size());
    const double discordant = inversions(v, buffer, 0, v.size());
    double tied_pairs = 0, tie_term = 0;
    for (std::size_t i = 0; i < v.size();) {
        std::size_t j = i;
        while (j < v.size() && v[j] == v[i]) ++j;
        const auto t = static_cast<double>(j - i);
        tied_pairs += t * (t - 1) / 2;
        tie_term += t * (t - 1) * (2 * t + 5);
        i = j;
    }
    return {.s = n * (n - 1) / 2 - tied_pairs - 2 * discordant, .variance = (n * (n - 1) * (2 * n + 5) - tie_term) / 18};
}

/// Ranks with ties at their mean.
std::vector<double> ranks(std::span<const double> v) {
    std::vector<std::size_t> order(v.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return v[a] < v[b]; });
    std::vector<double> out(v.size());
    for (std::size_t i = 0; i < order.size();) {
        std::size_t j = i;
        while (j < order.size() && v[order[j]] == v[order[i]]) ++j;
        for (std::size_t k = i; k < j; ++k) out[order[k]] = static_cast<double>(i + j - 1) / 2;
        i = j;
    }
    return out;
}

/// Hamed and Rao's factor: how much the variance of S grows by the significant autocorrelations of the ranks of the detrended values. Their sum
/// over all lags is noisy, so lags stop at the first that is not significant.
double inflation(std::span<const double> detrended) {
    const std::size_t n = detrended.size();
    const auto r = autocorrelation(ranks(detrended), std::min<std::size_t>(n - 1, 1 + n / 4));
    const double limit = 1.96 / std::sqrt(static_cast<double>(n)), size = static_cast<double>(n);
    double sum = 0;
    for (std::size_t k = 1; k < r.size() && r[k] > limit; ++k) {
        const auto lag = static_cast<double>(k);
        sum += (size - lag) * (size - lag - 1) * (size - lag - 2) * r[k];
    }
    return std::max(1.0, 1 + 2 / (size * (size - 1) * (size - 2)) * sum);
}

/// Slopes between pairs: all of them, or for long series some 12,000 at distances that shrink evenly from 7/8 to a quarter of the series; every point
/// takes part.
std::vector<double> pair_slopes(const std::vector<double>& t, const std::vector<double>& v) {
    std::vector<double> out;
    const std::size_t n = v.size();
    const auto add = [&](std::size_t i, std::size_t j) {
        if (t[j] > t[i]) out.push_back((v[j] - v[i]) / (t[j] - t[i]));
    };
    constexpr std::size_t all_pairs_up_to = 160, pairs_beyond = 12'000, fewest_distances = 11;
    if (n <= all_pairs_up_to) {
        out.reserve(n * (n - 1) / 2);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = i + 1; j < n; ++j) add(i, j);
        return out;
    }
    const std::size_t longest = n * 7 / 8, shortest = n / 4, span = longest - shortest;
    const std::size_t distances = std::clamp(pairs_beyond * 16 / (7 * n), fewest_distances, span);
    const std::size_t stride = std::max<std::size_t>(1, distances * 7 * n / (16 * pairs_beyond));
    for (std::size_t d = 0; d < distances; ++d) {
        const std::size_t distance = longest - d * span / distances;
        for (std::size_t i = d % stride; i + distance < n; i += stride) add(i, i + distance);
    }
    return out;
}

/// Those that are finite; none when lengths differ or times go back.
struct Points {
    std::vector<double> times, values;
};
Points known_points(std::span<const double> times, std::span<const double> values) {
    Points out;
    if (times.size() != values.size()) return out;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!std::isfinite(values[i]) || !std::isfinite(times[i])) continue;
        if (!out.times.empty() && times[i] < out.times.back()) return {};
        out.times.push_back(times[i]);
        out.values.push_back(values[i]);
    }
    return out;
}
constexpr std::size_t fewest_points = 4;

}  // namespace

double robust_slope(std::span<const double> times, std::span<const double> values) {
    const auto [t, v] = known_points(times, values);
    if (v.size() < fewest_points || !(t.back() > t.front())) return std::numeric_limits<double>::quiet_NaN();
    return median(pair_slopes(t, v));
}

Trend fit_trend(std::span<const double> times, std::span<const double> values) {
    Trend out;
    const auto [t, v] = known_points(times, values);
    out.points = v.size();
    if (v.size() < fewest_points || !(t.back() > t.front())) return out;
    out.enough = true;
    auto slopes = pair_slopes(t, v);
    out.slope = median(slopes);
    std::vector<double> rest(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) rest[i] = v[i] - out.slope * (t[i] - t.front());
    out.start = median(rest);
    out.end = out.start + out.slope * (t.back() - t.front());
    const double center = mean(v);
    double about_line = 0, about_mean = 0;
    for (std::size_t i = 0; i < v.size(); ++i) {
        about_line += (rest[i] - out.start) * (rest[i] - out.start);
        about_mean += (v[i] - center) * (v[i] - center);
    }
    const Kendall k = kendall(v);
    const double factor = inflation(rest);
    out.effective_points = static_cast<double>(v.size()) / factor;
    const double deviation = std::sqrt(k.variance * factor);
    if (deviation > 0) {
        // Continuity correction: S moves in steps of 2.
        const double z = std::max(0.0, std::abs(k.s) - 1) / deviation;
        out.p_value = normal_two_sided(z);
    }
    out.r_squared = about_mean > 0 ? std::max(0.0, 1 - about_line / about_mean) : 0;
    const auto n = static_cast<double>(v.size());
    const double half_share = 1.96 * deviation / (n * (n - 1) / 2) / 2;
    out.slope_low = quantile(slopes, 0.5 - half_share);
    out.slope_high = quantile(slopes, 0.5 + half_share);
    constexpr double significant = 0.01;
    if (out.p_value < significant && out.slope != 0) out.direction = out.slope > 0 ? Direction::rising : Direction::falling;
    return out;
}

PiecewiseTrend fit_piecewise(std::span<const double> values) {
    PiecewiseTrend out;
    if (count_finite(values) < 2) return out;
    const auto y = fill_missing(values);
    const auto changes = find_changes(values, {.period = 1});
    const detail::RangeSums sums(y);
    double rest = 0;
    for (std::size_t s = 0; s + 1 < changes.boundaries.size(); ++s) {
        const std::size_t a = changes.boundaries[s], b = changes.boundaries[s + 1];
        const double slope = sums.slope(a, b);
        out.pieces.push_back({a, b, slope, sums.mean(a, b) - slope * (static_cast<double>(b - a) - 1) / 2});
        rest += sums.about_line(a, b);
    }
    const double whole = sums.about_mean(0, y.size());
    out.r_squared = whole > 0 ? std::clamp(1 - rest / whole, 0.0, 1.0) : 0;
    return out;
}

Summary summarize(std::span<const double> values) {
    Summary out;
    out.points = count_finite(values);
    out.missing = values.size() - out.points;
    if (out.points == 0) return out;
    out.mean = mean(values);
    out.median = median(values);
    out.min = quantile(values, 0);
    out.max = quantile(values, 1);
    out.p95 = quantile(values, 0.95);
    out.deviation = std::sqrt(variance(values));
    for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] == out.max) {
            out.peak_index = i;
            break;
        }
    out.variability = out.mean != 0 ? out.deviation / std::abs(out.mean) : 0;
    const std::size_t tenth = std::max<std::size_t>(1, values.size() / 10);
    const double first = median(values.first(tenth)), last = median(values.last(tenth));
    out.growth = std::isfinite(first) && std::isfinite(last) && first != 0 ? (last - first) / std::abs(first) : 0;
    return out;
}

}  // namespace kn::analytics::series
