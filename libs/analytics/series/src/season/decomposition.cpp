#include "kubernaut/analytics/series/decomposition.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/regular.hpp"
#include "season/loess.hpp"

namespace kn::analytics::series {
namespace {

std::size_t odd(double x) {
    const auto whole = static_cast<std::size_t>(std::max(3.0, std::ceil(x)));
    return whole % 2 == 0 ? whole + 1 : whole;
}

std::size_t jump_for(std::size_t window) { return std::max<std::size_t>(1, window / 10); }

/// Means of `length` neighbours: out has length - 1 fewer. The sum is restarted at times so that rounding cannot pile up.
std::vector<double> moving_average(std::span<const double> x, std::size_t length) {
    std::vector<double> out(x.size() - length + 1);
    constexpr std::size_t restart = 1024;
    double sum = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (i % restart == 0)
            sum = std::accumulate(x.begin() + static_cast<std::ptrdiff_t>(i), x.begin() + static_cast<std::ptrdiff_t>(i + length), 0.0);
        else
            sum += x[i + length - 1] - x[i - 1];
        out[i] = sum / static_cast<double>(length);
    }
    return out;
}

/// Bisquare weights of residuals, 6 median absolute residuals wide; 0 where the value is missing.
std::vector<double> robust_weights(std::span<const double> residuals) {
    std::vector<double> sizes(residuals.size());
    double total = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        sizes[i] = std::abs(residuals[i]);
        if (std::isfinite(sizes[i])) total += sizes[i];
    }
    // More than half exact zeros: the median says nothing about the rest, so the mean stands in.
    double reach = 6 * median(sizes);
    if (!(reach > 0)) reach = 6 * total / static_cast<double>(std::max<std::size_t>(sizes.size(), 1));
    std::vector<double> out(sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const double r = reach > 0 ? sizes[i] / reach : 0;
        out[i] = !std::isfinite(sizes[i]) || r >= 1 ? 0 : (1 - r * r) * (1 - r * r);
    }
    return out;
}

std::vector<double> presence(std::span<const double> values) {
    std::vector<double> out(values.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::isfinite(values[i]) ? 1 : 0;
    return out;
}

double strength(std::span<const double> part, std::span<const double> remainder) {
    std::vector<double> both(part.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < both.size(); ++i) both[i] = part[i] + remainder[i];
    const double whole = variance(both), rest = variance(remainder);
    // Below rounding of the values themselves there is nothing to be strong.
    const double size = std::abs(mean(both)) * 1e-12;
    return whole > size * size && std::isfinite(rest) ? std::max(0.0, 1 - rest / whole) : 0;
}

class Stl {
public:
    Stl(std::span<const double> values, std::size_t period, StlOptions options)
        : period_(period),
          options_(completed(options, period)),
          present_(presence(values)),
          // Phases that one more period reaches have one value more.
          longer_(cycle_plan((values.size() + period - 1) / period)),
          shorter_(cycle_plan(values.size() / period)),
          slow_(values.size(), odd(static_cast<double>(period)), jump_for(odd(static_cast<double>(period))), 0.0, values.size()),
          trend_(values.size(), options_.trend_window, jump_for(options_.trend_window), 0.0, values.size()) {}

    /// Refines `trend` from where it is; `season` and `weights` are given anew.
    void run(std::span<const double> values, std::size_t robust_rounds, std::vector<double>& trend, std::vector<double>& season,
             std::vector<double>& weights) {
        values_.assign(values.begin(), values.end());
        for (double& v : values_)
            if (!std::isfinite(v)) v = 0;
        season.assign(values_.size(), 0.0);
        weights = present_;
        for (std::size_t outer = 0;; ++outer) {
            // Once the weights are known the parts only need to be set right.
            const std::size_t inner_rounds = outer == 0 ? std::max<std::size_t>(options_.inner_rounds, 1) : 1;
            for (std::size_t inner = 0; inner < inner_rounds; ++inner) round(trend, season, weights);
            if (outer == robust_rounds) break;
            std::vector<double> residuals(values_.size(), std::numeric_limits<double>::quiet_NaN());
            for (std::size_t i = 0; i < residuals.size(); ++i)
                if (present_[i] > 0) residuals[i] = values_[i] - trend[i] - season[i];
            weights = robust_weights(residuals);
        }
    }

private:
    static StlOptions completed(StlOptions options, std::size_t period) {
        if (options.season_window == 0) options.season_window = 11;
        options.season_window = odd(static_cast<double>(options.season_window));
        if (options.trend_window == 0)
            options.trend_window = odd(1.5 * static_cast<double>(period) / (1 - 1.5 / static_cast<double>(options.season_window)));
        options.trend_window = odd(static_cast<double>(options.trend_window));
        return options;
    }
    [[nodiscard]] detail::LoessPlan cycle_plan(std::size_t cycles) const {
        return {cycles, options_.season_window, jump_for(options_.season_window), -1.0, cycles + 2};
    }

    void round(std::vector<double>& trend, std::vector<double>& season, const std::vector<double>& weights) {
        const std::size_t n = values_.size(), p = period_;
        // Each phase of the period is smoothed along the periods, one period beyond both ends.
        std::vector<double> cycle(n + 2 * p);
        std::vector<double> sub, sub_weights, smooth;
        for (std::size_t phase = 0; phase < p; ++phase) {
            sub.clear();
            sub_weights.clear();
            for (std::size_t i = phase; i < n; i += p) {
                sub.push_back(values_[i] - trend[i]);
                sub_weights.push_back(weights[i]);
            }
            smooth.resize(sub.size() + 2);
            (sub.size() > n / p ? longer_ : shorter_).smooth(sub, sub_weights, smooth);
            for (std::size_t k = 0; k < smooth.size(); ++k) cycle[phase + k * p] = smooth[k];
        }
        // What is slow in it belongs to the trend.
        const auto low = moving_average(moving_average(moving_average(cycle, p), p), 3);
        const std::vector<double> ones(n, 1.0);
        std::vector<double> slow(n), rest(n);
        slow_.smooth(low, ones, slow);
        for (std::size_t i = 0; i < n; ++i) {
            season[i] = cycle[i + p] - slow[i];
            rest[i] = values_[i] - season[i];
        }
        trend_.smooth(rest, weights, trend);
    }

    std::size_t period_;
    StlOptions options_;
    std::vector<double> present_, values_;
    detail::LoessPlan longer_, shorter_, slow_, trend_;
};

void finish(std::span<const double> values, Decomposition& out) {
    const std::size_t n = values.size();
    out.remainder.assign(n, std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < n; ++i) {
        if (!std::isfinite(values[i])) continue;
        double rest = values[i] - out.trend[i];
        for (const auto& season : out.seasonal) rest -= season[i];
        out.remainder[i] = rest;
    }
    out.trend_strength = strength(out.trend, out.remainder);
    out.seasonal_strength.clear();
    for (const auto& season : out.seasonal) out.seasonal_strength.push_back(strength(season, out.remainder));
}

Decomposition trend_only(std::span<const double> values, const StlOptions& options) {
    Decomposition out;
    const std::size_t quarter = values.size() / 4;
    out.trend = loess(values, options.trend_window != 0 ? options.trend_window : odd(static_cast<double>(std::max<std::size_t>(quarter, 7))),
                      options.robust_rounds);
    finish(values, out);
    out.weights = robust_weights(out.remainder);
    return out;
}

}  // namespace

std::vector<double> loess(std::span<const double> values, std::size_t window, std::size_t robust_rounds) {
    std::vector<double> weights = presence(values), known(values.begin(), values.end()), out(values.size());
    for (double& v : known)
        if (!std::isfinite(v)) v = 0;
    window = std::max<std::size_t>(window, 3);
    const detail::LoessPlan plan(known.size(), window, jump_for(window), 0.0, known.size());
    for (std::size_t round = 0;; ++round) {
        plan.smooth(known, weights, out);
        if (round == robust_rounds) return out;
        std::vector<double> residuals(values.size());
        for (std::size_t i = 0; i < residuals.size(); ++i) residuals[i] = values[i] - out[i];
        weights = robust_weights(residuals);
    }
}

std::vector<double> Decomposition::deseasonalized(std::span<const double> values) const {
    std::vector<double> out(values.begin(), values.end());
    for (const auto& season : seasonal)
        for (std::size_t i = 0; i < out.size(); ++i) out[i] -= season[i];
    return out;
}

Decomposition stl(std::span<const double> values, std::size_t period, const StlOptions& options) {
    return mstl(values, std::span(&period, 1), options);
}

Decomposition mstl(std::span<const double> values, std::span<const std::size_t> periods, const StlOptions& options) {
    std::vector<std::size_t> fitting;
    for (const std::size_t p : periods)
        if (p >= 2 && 2 * p <= values.size()) fitting.push_back(p);
    std::ranges::sort(fitting);
    fitting.erase(std::unique(fitting.begin(), fitting.end()), fitting.end());
    if (fitting.empty()) return trend_only(values, options);

    Decomposition out;
    out.periods = fitting;
    out.seasonal.assign(fitting.size(), std::vector<double>(values.size(), 0.0));
    std::vector<double> rest(values.begin(), values.end());
    std::vector<Stl> parts;
    for (std::size_t s = 0; s < fitting.size(); ++s) {
        StlOptions own = options;
        if (own.season_window == 0) own.season_window = 11 + 4 * s;
        parts.emplace_back(values, fitting[s], own);
    }
    const std::size_t rounds = fitting.size() > 1 ? 2 : 1;
    for (std::size_t round = 0; round < rounds; ++round) {
        for (std::size_t s = 0; s < fitting.size(); ++s) {
            auto& season = out.seasonal[s];
            for (std::size_t i = 0; i < rest.size(); ++i) rest[i] += season[i];
            out.trend.assign(values.size(), 0.0);
            // While the other seasons are still in there, outliers cannot be told.
            parts[s].run(rest, round + 1 == rounds ? options.robust_rounds : 0, out.trend, season, out.weights);
            for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= season[i];
        }
    }
    finish(values, out);
    return out;
}

}  // namespace kn::analytics::series
