#include "outlook/smoothing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics::series::detail {

std::vector<double> minimize(const std::function<double(std::span<const double>)>& cost, std::vector<double> start, std::span<const double> low,
                             std::span<const double> high, std::size_t evaluations) {
    const std::size_t d = start.size();
    struct Corner {
        std::vector<double> at;
        double cost = 0;
    };
    std::size_t used = 0;
    const auto corner = [&](std::vector<double> at) {
        for (std::size_t i = 0; i < d; ++i) at[i] = std::clamp(at[i], low[i], high[i]);
        ++used;
        double value = cost(at);
        if (!std::isfinite(value)) value = std::numeric_limits<double>::max();
        return Corner{std::move(at), value};
    };
    std::vector<Corner> simplex{corner(start)};
    for (std::size_t i = 0; i < d; ++i) {
        auto at = simplex[0].at;
        const double step = 0.25 * (high[i] - low[i]);
        at[i] += at[i] + step <= high[i] ? step : -step;
        simplex.push_back(corner(std::move(at)));
    }
    const auto by_cost = [](const Corner& a, const Corner& b) { return a.cost < b.cost; };
    while (used < evaluations) {
        std::ranges::stable_sort(simplex, by_cost);
        if (simplex.back().cost - simplex.front().cost <= 1e-7 * std::abs(simplex.front().cost)) break;
        std::vector<double> center(d, 0.0);
        for (std::size_t c = 0; c < d; ++c)
            for (std::size_t i = 0; i < d; ++i) center[i] += simplex[c].at[i] / static_cast<double>(d);
        const auto towards = [&](double factor) {
            std::vector<double> at(d);
            for (std::size_t i = 0; i < d; ++i) at[i] = center[i] + factor * (simplex.back().at[i] - center[i]);
            return corner(std::move(at));
        };
        Corner reflected = towards(-1);
        if (reflected.cost < simplex.front().cost) {
            Corner further = towards(-2);
            simplex.back() = further.cost < reflected.cost ? std::move(further) : std::move(reflected);
        } else if (reflected.cost < simplex[d - 1].cost)
            simplex.back() = std::move(reflected);
        else {
            Corner nearer = towards(reflected.cost < simplex.back().cost ? -0.5 : 0.5);
            if (nearer.cost < std::min(reflected.cost, simplex.back().cost))
                simplex.back() = std::move(nearer);
            else
                for (std::size_t c = 1; c <= d; ++c) {
                    auto at = simplex[c].at;
                    for (std::size_t i = 0; i < d; ++i) at[i] = 0.5 * (at[i] + simplex[0].at[i]);
                    simplex[c] = corner(std::move(at));
                }
        }
    }
    return std::ranges::min_element(simplex, by_cost)->at;
}

std::vector<double> seasonal_indexes(std::span<const double> y, std::size_t period, bool multiplicative) {
    const std::size_t n = y.size(), half = period / 2;
    std::vector<double> out(period, multiplicative ? 1.0 : 0.0);
    if (n < 2 * period) return out;
    std::vector<double> sums(period, 0.0), counts(period, 0.0);
    double window = 0;
    // The sum is begun anew at times so that rounding cannot pile up.
    constexpr std::size_t restart = 1024;
    for (std::size_t i = half; i + half < n; ++i) {
        if ((i - half) % restart == 0) {
            window = 0;
            for (std::size_t k = i - half; k <= i + half; ++k) window += y[k];
        } else {
            window += y[i + half] - y[i - half - 1];
        }
        const double level = (period % 2 == 0 ? window - (y[i - half] + y[i + half]) / 2 : window) / static_cast<double>(period);
        if (multiplicative && !(level > 0)) continue;
        sums[i % period] += multiplicative ? y[i] / level : y[i] - level;
        counts[i % period] += 1;
    }
    double total = 0;
    for (std::size_t p = 0; p < period; ++p) {
        if (counts[p] > 0) out[p] = sums[p] / counts[p];
        total += out[p];
    }
    total /= static_cast<double>(period);
    for (double& v : out) v = multiplicative ? v / total : v - total;
    return out;
}

namespace {
struct EtsParameters {
    double alpha, beta, gamma, phi;
};

/// One pass of error correction. `see` is called with (count of values seen, level, slope, seasons) after each value.
template <SeasonKind kind, class See>
double ets_pass(std::span<const double> y, std::size_t period, const EtsParameters& p, double level, double slope, std::vector<double>& seasons,
                See&& see) {
    double squares = 0;
    std::size_t phase = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const double base = level + p.phi * slope;
        double error = 0, to_level = 0;
        if constexpr (kind == SeasonKind::multiplicative) {
            const double s = seasons[phase];
            error = y[i] - base * s;
            to_level = error / s;
            seasons[phase] = std::max(1e-3, s + p.gamma * error / (std::abs(base) > 1e-12 ? base : 1e-12));
        } else if constexpr (kind == SeasonKind::additive) {
            error = y[i] - base - seasons[phase];
            to_level = error;
            seasons[phase] += p.gamma * error;
        } else {
            error = y[i] - base;
            to_level = error;
        }
        level = base + p.alpha * to_level;
        slope = p.phi * slope + p.beta * to_level;
        if constexpr (kind != SeasonKind::none) phase = phase + 1 == period ? 0 : phase + 1;
        squares += error * error;
        see(i + 1, level, slope);
    }
    return squares;
}

template <SeasonKind kind> Fitted fit_ets_of(const SmoothingTask& task, bool trend, bool damped, std::size_t period) {
    const auto y = task.values;
    const std::size_t n = y.size();
    std::vector<double> first_seasons;
    if constexpr (kind != SeasonKind::none) {
        // Old seasons start the recursion; it should not learn them from the whole series.
        const std::size_t cycles = std::min<std::size_t>(n / period, 5);
        first_seasons =
            seasonal_indexes(y.subspan(0, std::min(n, std::max<std::size_t>(cycles, 2) * period)), period, kind == SeasonKind::multiplicative);
    }
    // A line through the first (deseasonalized) points.
    const std::size_t first = std::min(n, std::max<std::size_t>(kind == SeasonKind::none ? 10 : 2 * period, 4));
    double sy = 0, st = 0, sty = 0, stt = 0;
    for (std::size_t i = 0; i < first; ++i) {
        double v = y[i];
        if constexpr (kind == SeasonKind::multiplicative) v /= std::max(first_seasons[i % period], 1e-3);
        if constexpr (kind == SeasonKind::additive) v -= first_seasons[i % period];
        const auto t = static_cast<double>(i) + 1;
        sy += v, st += t, sty += t * v, stt += t * t;
    }
    const auto m = static_cast<double>(first);
    const double spread = stt - st * st / m;
    const double slope0 = trend && spread > 0 ? (sty - st * sy / m) / spread : 0;
    const double level0 = trend ? (sy - slope0 * st) / m : sy / m;

    std::vector<double> seasons;
    const auto parameters = [&](std::span<const double> x) {
        std::size_t k = 0;
        EtsParameters p{.alpha = x[k++], .beta = 0, .gamma = 0, .phi = 1};
        if (trend) p.beta = p.alpha * x[k++];
        if constexpr (kind != SeasonKind::none) p.gamma = (1 - p.alpha) * x[k++];
        if (damped) p.phi = x[k++];
        if (!trend) p.phi = 0;
        return p;
    };
    std::vector<double> start{0.5}, low{1e-4}, high{0.9999};
    if (trend) start.push_back(0.1), low.push_back(1e-4), high.push_back(0.9999);
    if constexpr (kind != SeasonKind::none) start.push_back(0.1), low.push_back(1e-4), high.push_back(0.9999);
    if (damped) start.push_back(0.95), low.push_back(0.8), high.push_back(0.98);
    const auto cost = [&](std::span<const double> x) {
        seasons = first_seasons;
        return ets_pass<kind>(y, period, parameters(x), level0, slope0, seasons, [](std::size_t, double, double) {});
    };
    const auto best = task.known.empty() ? minimize(cost, start, low, high, 30 * start.size() + 10) : task.known.front().parameters;
    const EtsParameters p = parameters(best);

    Fitted out{.parameters = best};
    seasons = first_seasons;
    std::size_t next_origin = 0;
    const double squares = ets_pass<kind>(y, period, p, level0, slope0, seasons, [&](std::size_t seen, double level, double slope) {
        if (next_origin >= task.origins.size() || task.origins[next_origin] != seen) return;
        ++next_origin;
        auto& path = out.paths.emplace_back(task.horizon);
        double drift = 0, damp = p.phi;
        for (std::size_t h = 0; h < task.horizon; ++h) {
            drift += damp * slope;
            damp *= p.phi;
            path[h] = level + drift;
            if constexpr (kind == SeasonKind::multiplicative) path[h] *= seasons[(seen + h) % period];
            if constexpr (kind == SeasonKind::additive) path[h] += seasons[(seen + h) % period];
        }
    });
    const double size = static_cast<double>(n), k = static_cast<double>(start.size()) + (trend ? 3 : 2);
    out.criterion = size * std::log(std::max(squares / size, 1e-300)) + 2 * k + (size - k > 1 ? 2 * k * (k + 1) / (size - k - 1) : 1e9);
    return out;
}
}  // namespace

Fitted fit_ets(const SmoothingTask& task, bool trend, bool damped, SeasonKind season, std::size_t period) {
    switch (season) {
        case SeasonKind::additive: return fit_ets_of<SeasonKind::additive>(task, trend, damped, period);
        case SeasonKind::multiplicative: return fit_ets_of<SeasonKind::multiplicative>(task, trend, damped, period);
        case SeasonKind::none: break;
    }
    return fit_ets_of<SeasonKind::none>(task, trend, damped, period);
}

Fitted fit_theta(const SmoothingTask& task) {
    const auto y = task.values;
    // Running least-squares line of what was seen so far, as the dynamic model has it.
    struct State {
        double level, mean, a, b;
    };
    const auto pass = [&](double alpha, double theta, double level, auto&& see) {
        State s{level, y[0], y[0], 0};
        double squares = 0, keep = 1;  // (1 - alpha)^t
        for (std::size_t i = 0; i < y.size(); ++i) {
            const double share = 1 - 1 / theta;
            const double forecast = s.level + share * (keep * s.a + (1 - keep * (1 - alpha)) / alpha * s.b);
            const double error = y[i] - forecast;
            if (i > 2 || y.size() < 8) squares += error * error;
            s.level = alpha * y[i] + (1 - alpha) * s.level;
            keep *= 1 - alpha;
            const double t = static_cast<double>(i) + 1;
            const double mean_before = s.mean;
            s.mean = ((t - 1) * s.mean + y[i]) / t;
            // Slope of the line through all seen values, by recursion.
            if (i > 0) s.b = ((t - 2) * s.b + 6 * (y[i] - mean_before) / t) / (t + 1);
            s.a = s.mean - s.b * (t + 1) / 2;
            see(i + 1, s, keep);
        }
        return squares;
    };
    const double first = y[0];
    // The level carries 1/theta of the series at first, the line the rest.
    const std::vector<double> low{0.05, 1.0, std::min(first * -0.25, first * 1.25) - 1e-9},
        high{0.99, 6.0, std::max(first * -0.25, first * 1.25) + 1e-9};
    const auto best = !task.known.empty()
                          ? task.known.front().parameters
                          : minimize([&](std::span<const double> x) { return pass(x[0], x[1], x[2], [](std::size_t, const State&, double) {}); },
                                     {0.5, 2.0, first / 2}, low, high, 100);
    Fitted out{.model = "theta", .parameters = best};
    std::size_t next_origin = 0;
    pass(best[0], best[1], best[2], [&](std::size_t seen, const State& s, double keep) {
        if (next_origin >= task.origins.size() || task.origins[next_origin] != seen) return;
        ++next_origin;
        auto& path = out.paths.emplace_back(task.horizon);
        // The line is followed as if the forecasts came true, which leaves a and b as they are.
        const double share = 1 - 1 / best[1];
        double k = keep, level = s.level;
        for (std::size_t h = 0; h < task.horizon; ++h) {
            path[h] = level + share * (k * s.a + (1 - k * (1 - best[0])) / best[0] * s.b);
            level = best[0] * path[h] + (1 - best[0]) * level;
            k *= 1 - best[0];
        }
    });
    return out;
}

}  // namespace kn::analytics::series::detail
