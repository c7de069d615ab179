#include "kubernaut/analytics/series/change_points.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "change/segments.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/decomposition.hpp"
#include "kubernaut/analytics/series/regular.hpp"
#include "kubernaut/analytics/series/seasonality.hpp"

namespace kn::analytics::series {
namespace {
using detail::RangeSums;
using detail::Shape;

struct Noise {
    double deviation = 0;        ///< of the noise itself
    double autocorrelation = 0;  ///< lag 1
    [[nodiscard]] double inflation() const { return (1 + autocorrelation) / (1 - autocorrelation); }
};

/// From differences, in which a level change is a single outlier. For AR(1) noise the differences have autocorrelation -(1 - r) / 2 and variance
/// 2 s^2 (1 - r).
Noise noise_of(std::span<const double> y) {
    std::vector<double> d(y.size() > 1 ? y.size() - 1 : 0);
    for (std::size_t i = 0; i < d.size(); ++i) d[i] = y[i + 1] - y[i];
    double scale = mad(d);
    if (!(scale > 0)) {
        // Mostly equal neighbours (counts, plateaus): the plain deviation of differences, without the largest twentieth.
        std::vector<double> sizes(d);
        for (double& v : sizes) v = std::abs(v);
        const double most = quantile(sizes, 0.95);
        for (double& v : d) v = std::clamp(v, -most, most);
        scale = std::sqrt(variance(d));
    }
    if (!(scale > 0)) return {};
    const double center = median(d);
    double products = 0, squares = 0;
    for (std::size_t i = 0; i < d.size(); ++i) {
        const double now = std::clamp((d[i] - center) / scale, -3.0, 3.0);
        squares += now * now;
        if (i > 0) products += now * std::clamp((d[i - 1] - center) / scale, -3.0, 3.0);
    }
    const double r = std::clamp(1 + 2 * products / std::max(squares, 1e-300), 0.0, 0.95);
    return {.deviation = scale / std::sqrt(2 * (1 - r)), .autocorrelation = r};
}

/// Single points far from both sides are pulled to the nearer one: a change needs company.
void pull_in_outliers(std::vector<double>& y, double noise) {
    const std::vector<double> raw = y;
    constexpr double far = 4;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const std::size_t first = i >= 2 ? i - 2 : 0, last = std::min(i + 2, y.size() - 1);
        const double middle = median(std::span(raw).subspan(first, last - first + 1));
        y[i] = std::clamp(raw[i], middle - far * noise, middle + far * noise);
    }
}

double description_cost(const RangeSums& sums, Shape shape, double noise, double penalty, const std::vector<std::size_t>& boundaries) {
    double cost = 0;
    for (std::size_t s = 0; s + 1 < boundaries.size(); ++s)
        cost += detail::segment_cost(sums, shape, noise, boundaries[s], boundaries[s + 1]) + (s > 0 ? penalty : 0);
    return cost;
}

/// Where the size of what remains about the segments changes: at least by half, and for ten points or more.
std::vector<Change> spread_changes(const RangeSums& sums, const std::vector<double>& y, const Changes& found, double deviation, double penalty,
                                   std::size_t shortest) {
    std::vector<double> rest(y.size());
    for (std::size_t s = 0; s + 1 < found.boundaries.size(); ++s) {
        const std::size_t a = found.boundaries[s], b = found.boundaries[s + 1];
        const double slope = found.piecewise_linear ? sums.slope(a, b) : 0, start = sums.mean(a, b) - slope * (static_cast<double>(b - a) - 1) / 2;
        for (std::size_t i = a; i < b; ++i) rest[i] = y[i] - start - slope * static_cast<double>(i - a);
    }
    const double inflation = (1 + found.autocorrelation) / (1 - found.autocorrelation);
    const RangeSums of_rest(rest);
    const auto boundaries = detail::pelt(of_rest, y.size(), Shape::spread, deviation, penalty * inflation, std::max<std::size_t>(shortest, 10));
    std::vector<Change> out;
    for (std::size_t s = 1; s + 1 < boundaries.size(); ++s) {
        const std::size_t a = boundaries[s - 1], b = boundaries[s], c = boundaries[s + 1];
        Change change{.index = b, .kind = ChangeKind::variance};
        change.before = std::sqrt(of_rest.about_mean(a, b) / static_cast<double>(b - a));
        change.after = std::sqrt(of_rest.about_mean(b, c) / static_cast<double>(c - b));
        const double saved = detail::segment_cost(of_rest, Shape::spread, deviation, a, c) -
                             detail::segment_cost(of_rest, Shape::spread, deviation, a, b) -
                             detail::segment_cost(of_rest, Shape::spread, deviation, b, c);
        change.score = saved / (penalty * inflation);
        if (std::max(change.before, change.after) > 1.5 * std::min(change.before, change.after)) out.push_back(change);
    }
    return out;
}

}  // namespace

Changes find_changes(std::span<const double> values, const ChangeOptions& options) {
    const std::size_t n = values.size();
    Changes out;
    out.boundaries = {0, n};
    constexpr std::size_t fewest = 10;
    if (count_finite(values) < fewest) return out;
    std::vector<double> y = fill_missing(values);
    out.period = options.period;
    if (out.period == 0) {
        const auto seasons = find_seasons(y, {.max_seasons = 1, .max_period = n / 4});
        out.period = !seasons.empty() && seasons.front().strength > 0.2 ? seasons.front().period : 1;
    }
    if (out.period > 1 && 2 * out.period <= n) {
        const auto parts = stl(y, out.period, {.season_window = n / out.period | 1U});
        y = parts.deseasonalized(y);
    }
    const Noise noise = noise_of(y);
    out.noise = noise.deviation;
    out.autocorrelation = noise.autocorrelation;
    const double size = std::abs(mean(y)), tiny = 1e-9 * size;
    const double deviation = std::max(noise.deviation, tiny);
    if (!(deviation > 0)) return out;
    pull_in_outliers(y, deviation);
    const std::size_t shortest = options.min_segment > 0 ? options.min_segment : std::max<std::size_t>(5, out.period);
    const double log_n = std::log(static_cast<double>(n));
    const double penalty = options.penalty_factor * log_n * noise.inflation();

    const RangeSums sums(y);
    const auto levels = detail::pelt(sums, n, Shape::level, deviation, penalty, shortest);
    const auto lines = options.levels_only ? levels : detail::pelt(sums, n, Shape::line, deviation, penalty * 4 / 3, shortest);
    const double level_cost = description_cost(sums, Shape::level, deviation, penalty, levels);
    const double line_cost = description_cost(sums, Shape::line, deviation, penalty * 4 / 3, lines) + log_n * noise.inflation();
    out.piecewise_linear = !options.levels_only && line_cost < level_cost;
    out.boundaries = out.piecewise_linear ? lines : levels;
    const Shape shape = out.piecewise_linear ? Shape::line : Shape::level;
    for (std::size_t s = 1; s + 1 < out.boundaries.size(); ++s) {
        const std::size_t a = out.boundaries[s - 1], b = out.boundaries[s], c = out.boundaries[s + 1];
        Change change{.index = b};
        const double saved = detail::segment_cost(sums, shape, deviation, a, c) - detail::segment_cost(sums, shape, deviation, a, b) -
                             detail::segment_cost(sums, shape, deviation, b, c);
        change.score = saved / penalty;
        change.kind = out.piecewise_linear ? ChangeKind::slope : ChangeKind::mean;
        change.before = out.piecewise_linear ? sums.slope(a, b) : sums.mean(a, b);
        change.after = out.piecewise_linear ? sums.slope(b, c) : sums.mean(b, c);
        out.changes.push_back(change);
    }
    out.spread_changes = spread_changes(sums, y, out, deviation, options.penalty_factor * log_n, shortest);
    return out;
}

std::vector<PenaltyStep> penalty_path(std::span<const double> values, std::span<const double> factors, std::size_t min_segment) {
    std::vector<PenaltyStep> out;
    const std::vector<double> y = fill_missing(values);
    const Noise noise = noise_of(y);
    std::vector<double> sorted(factors.begin(), factors.end());
    std::ranges::sort(sorted);
    const RangeSums sums(y);
    for (const double factor : sorted) {
        auto boundaries = noise.deviation > 0 ? detail::pelt(sums, y.size(), Shape::level, noise.deviation,
                                                             factor * std::log(static_cast<double>(y.size())) * noise.inflation(), min_segment)
                                              : std::vector<std::size_t>{0, y.size()};
        out.push_back({factor, std::move(boundaries)});
    }
    return out;
}

}  // namespace kn::analytics::series
