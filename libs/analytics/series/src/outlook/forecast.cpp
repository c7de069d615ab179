#include "kubernaut/analytics/series/forecast.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/decomposition.hpp"
#include "kubernaut/analytics/series/fft.hpp"
#include "kubernaut/analytics/series/regular.hpp"
#include "kubernaut/analytics/series/trend.hpp"
#include "outlook/smoothing.hpp"

namespace kn::analytics::series {
namespace {
using detail::Fitted;
using detail::SeasonKind;
using detail::SmoothingTask;

/// Does the series repeat with this period? Autocorrelation at it against its standard error, one-sided 5 % (as Theta's authors do).
bool repeats(std::span<const double> y, std::size_t period) {
    if (period < 2 || y.size() < 3 * period) return false;
    const auto r = autocorrelation(y, period);
    double sum = 0;
    for (std::size_t k = 1; k < period; ++k) sum += r[k] * r[k];
    return r[period] > 1.645 * std::sqrt((1 + 2 * sum) / static_cast<double>(y.size()));
}

/// One season taken out as factors or terms; the phase of place i is i modulo period.
struct Deseasonalized {
    std::vector<double> values;
    std::vector<double> indexes{0.0};
    bool multiplicative = false;
    [[nodiscard]] double put_back(double v, std::size_t place) const {
        const double index = indexes[place % indexes.size()];
        return multiplicative ? v * index : v + index;
    }
};

Deseasonalized deseasonalize(std::span<const double> y, std::size_t period) {
    Deseasonalized out;
    out.values.assign(y.begin(), y.end());
    if (period < 2) return out;
    out.multiplicative = *std::ranges::min_element(y) > 0;
    out.indexes = detail::seasonal_indexes(y, period, out.multiplicative);
    if (out.multiplicative && *std::ranges::min_element(out.indexes) < 0.01) {
        out.multiplicative = false;
        out.indexes = detail::seasonal_indexes(y, period, false);
    }
    for (std::size_t i = 0; i < y.size(); ++i) out.values[i] = out.multiplicative ? y[i] / out.indexes[i % period] : y[i] - out.indexes[i % period];
    return out;
}

/// Long enough to fit members without its end.
bool is_long(std::size_t n, std::size_t period) { return period > 1 && n >= 4 * period && n >= 200; }

Fitted best_ets(const SmoothingTask& task) {
    const auto fit = [&](bool trend, bool damped) {
        Fitted one = detail::fit_ets(task, trend, damped, SeasonKind::none, 1);
        one.model = !trend ? "ets(A,N,N)" : damped ? "ets(A,Ad,N)" : "ets(A,A,N)";
        return one;
    };
    if (!task.known.empty()) return fit(task.known.front().model != "ets(A,N,N)", task.known.front().model == "ets(A,Ad,N)");
    Fitted best = fit(false, false);
    if (task.values.size() >= 6)
        for (const bool damped : {false, true})
            if (Fitted one = fit(true, damped); one.criterion < best.criterion) best = std::move(one);
    return best;
}

/// Both members on a series without season, given back with it.
template <class PutBack> void add_without_season(std::vector<Fitted>& members, const SmoothingTask& task, PutBack&& put_back) {
    SmoothingTask second = task;
    if (!task.known.empty()) second.known = task.known.subspan(1);
    for (Fitted member : {detail::fit_theta(task), best_ets(second)}) {
        for (std::size_t o = 0; o < member.paths.size(); ++o)
            for (std::size_t h = 0; h < task.horizon; ++h) member.paths[o][h] = put_back(member.paths[o][h], task.origins[o], h);
        members.push_back(std::move(member));
    }
}

/// On the values; on their logarithms, where a season grows with the level; and on what changed since the longest season's last round, where the
/// season itself moves.
void add_autoregressions(std::vector<Fitted>& members, const SmoothingTask& task, std::span<const std::size_t> periods) {
    const auto y = task.values;
    members.push_back(detail::fit_autoregression(task, periods));
    // Near 0 logarithms would make the smallest values matter most.
    constexpr double far_from_zero = 0.01;
    if (const double least = *std::ranges::min_element(y); least > 0 && least >= far_from_zero * median(y)) {
        std::vector<double> logs(y.begin(), y.end());
        for (double& v : logs) v = std::log(v);
        Fitted one = detail::fit_autoregression({logs, task.horizon, task.origins}, periods);
        for (auto& path : one.paths)
            for (double& v : path) v = std::exp(v);
        one.model = "autoregression of logarithms";
        members.push_back(std::move(one));
    }
    const std::size_t p = periods.back();
    std::vector<double> changes(y.size(), 0);
    for (std::size_t i = p; i < y.size(); ++i) changes[i] = y[i] - y[i - p];
    Fitted one = detail::fit_autoregression({changes, task.horizon, task.origins}, periods);
    for (std::size_t o = 0; o < one.paths.size(); ++o)
        for (std::size_t h = 0; h < task.horizon; ++h) {
            const std::size_t at = task.origins[o] + h;
            if (h >= p)
                one.paths[o][h] += one.paths[o][h - p];
            else if (at >= p)
                one.paths[o][h] += y[at - p];
        }
    one.model = "autoregression of seasonal changes";
    members.push_back(std::move(one));
}

/// `many`: with the members that need a long series.
std::vector<Fitted> fit_members(const SmoothingTask& task, std::span<const std::size_t> periods, bool many) {
    std::vector<Fitted> members;
    const auto y = task.values;
    const std::size_t period = periods.empty() ? 1 : periods.back();
    const Deseasonalized plain = deseasonalize(y, period);
    add_without_season(members, {plain.values, task.horizon, task.origins, task.known},
                       [&](double v, std::size_t o, std::size_t h) { return plain.put_back(v, o + h); });
    if (period < 2) return members;
    // Members stand in the same order every time, so the known one is at the same place.
    const auto from_known = [&] {
        SmoothingTask one = task;
        if (!task.known.empty()) one.known = task.known.subspan(members.size());
        return one;
    };
    members.push_back(detail::fit_ets(from_known(), true, true, SeasonKind::additive, period));
    members.back().model = "holt-winters";
    if (!many) return members;
    members.push_back(detail::fit_ets(from_known(), false, false, SeasonKind::additive, period));
    members.back().model = "seasonal level";
    add_autoregressions(members, task, periods);
    Fitted naive{.model = "seasonal naive"};
    for (const std::size_t o : task.origins) {
        auto& path = naive.paths.emplace_back(task.horizon);
        for (std::size_t h = 0; h < task.horizon; ++h) path[h] = y[(o >= period ? o - period : 0) + h % period];
    }
    members.push_back(std::move(naive));
    return members;
}

/// Long series (many periods, many points) can spare their end: members are fitted without it and weighed by how they do on it. In short ones
/// that is too noisy, and fixed weights (Theta twice) do better.
struct Trial {
    std::vector<Fitted> members;  ///< fitted without the end; empty for short series
    std::vector<double> weights;  ///< inverse squares of their mean absolute errors on it
};
Trial try_members(std::span<const double> y, std::size_t horizon, std::span<const std::size_t> periods) {
    Trial out;
    if (!is_long(y.size(), periods.empty() ? 1 : periods.back())) return out;
    const std::size_t held = std::min(std::max(horizon, periods.front()), y.size() / 5), kept = y.size() - held;
    const std::size_t origin[] = {kept};
    out.members = fit_members({y.subspan(0, kept), held, origin}, periods, true);
    double best = std::numeric_limits<double>::infinity();
    for (const auto& member : out.members) {
        double error = 0;
        for (std::size_t h = 0; h < held; ++h) error += std::abs(y[kept + h] - member.paths[0][h]);
        out.weights.push_back(error);
        best = std::min(best, error);
    }
    for (double& w : out.weights) w = best > 0 ? (best / w) * (best / w) : (w > 0 ? 0.0 : 1.0);
    return out;
}

/// Weighted median (the middle of the two where the half falls between).
std::vector<double> combination(const std::vector<Fitted>& members, const std::vector<double>& weights, std::size_t origin, std::size_t horizon) {
    std::vector<double> out(horizon);
    std::vector<std::pair<double, double>> column(members.size());
    double total = 0;
    for (const double w : weights) total += w;
    for (std::size_t h = 0; h < horizon; ++h) {
        for (std::size_t m = 0; m < members.size(); ++m) column[m] = {members[m].paths[origin][h], weights[m]};
        std::ranges::sort(column);
        double below = 0;
        for (std::size_t m = 0; m < column.size(); ++m) {
            below += column[m].second;
            if (below < total / 2 - 1e-12 * total) continue;
            out[h] = below > total / 2 + 1e-12 * total || m + 1 == column.size() ? column[m].first : (column[m].first + column[m + 1].first) / 2;
            break;
        }
    }
    return out;
}

std::size_t period_of(const std::vector<std::size_t>& periods) { return periods.empty() ? 1 : periods.back(); }

/// A robust line through the deseasonalized series, hung on the level of the last tenth; empty when it explains less than 80 %.
Fitted straight_line(std::span<const double> y, std::size_t horizon, std::span<const std::size_t> origins, std::size_t period) {
    Fitted out{.model = "straight line"};
    const Deseasonalized plain = deseasonalize(y, period);
    std::vector<double> places(y.size());
    for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<double>(i);
    const Trend trend = fit_trend(places, plain.values);
    constexpr double explains = 0.8;
    if (!trend.enough || trend.r_squared < explains) return out;
    std::vector<double> rest(plain.values);
    for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= trend.slope * places[i];
    for (const std::size_t origin : origins) {
        const std::size_t recent = std::clamp<std::size_t>(y.size() / 10, 3, origin);
        const double level = median(std::span(rest).subspan(origin - recent, recent));
        auto& path = out.paths.emplace_back(horizon);
        for (std::size_t h = 0; h < horizon; ++h) path[h] = plain.put_back(level + trend.slope * static_cast<double>(origin + h), origin + h);
    }
    return out;
}

}  // namespace

Result<Forecast> forecast(std::span<const double> all, const ForecastOptions& options) {
    if (options.horizon == 0) return fail(ErrorCode::invalid_argument, "a forecast needs a horizon of at least one step");
    if (!(options.coverage > 0 && options.coverage < 1)) return fail(ErrorCode::invalid_argument, "coverage must lie between 0 and 1");
    const auto used = all.size() > options.history ? all.subspan(all.size() - options.history) : all;
    Forecast out;
    out.points = count_finite(used);
    if (out.points < 3) return fail(ErrorCode::failed_precondition, "a forecast needs at least three known values");
    const std::vector<double> y = fill_missing(used);
    const std::size_t n = y.size();

    std::vector<std::size_t> periods(options.periods);
    std::ranges::sort(periods);
    periods.erase(std::unique(periods.begin(), periods.end()), periods.end());
    std::erase_if(periods, [&](std::size_t p) { return !repeats(y, p); });
    out.periods = periods;

    // Past origins whose errors give the interval: spread over the later half.
    std::vector<std::size_t> origins;
    // As many as tell the errors of a step; what all steps together cost is bounded.
    const std::size_t most_origins = std::clamp<std::size_t>(6000 / options.horizon, 20, 60);
    const std::size_t first = std::max<std::size_t>({3, n / 2, periods.empty() ? 0 : std::min(n - 1, 2 * periods.back())});
    const std::size_t stride = std::max<std::size_t>(1, (n - std::min(first, n)) / most_origins);
    for (std::size_t o = n; o >= first && o > 2; o -= std::min(stride, o)) origins.push_back(o);
    if (origins.empty()) origins.push_back(n);
    std::ranges::reverse(origins);

    const std::size_t steps = options.horizon, last = origins.size() - 1;
    const Trial trial = try_members(y, steps, periods);
    std::vector<Fitted> members = fit_members({y, steps, origins, trial.members}, periods, !trial.members.empty());
    std::vector<double> weights = trial.weights;
    if (weights.size() != members.size()) {
        weights.assign(members.size(), 1.0);
        weights[0] = 2;
    }
    if (options.follow_trend) {
        if (auto straight = straight_line(y, steps, origins, period_of(periods)); !straight.paths.empty()) {
            // Outweighs all others together, so it is the median.
            double total = 1;
            for (const double w : weights) total += w;
            weights.push_back(total);
            members.push_back(std::move(straight));
        }
    }
    const auto combined = [&](std::size_t origin) { return combination(members, weights, origin, steps); };
    out.values = combined(last);
    for (const auto& member : members) out.members.push_back({member.model, member.paths[last]});

    // Squared errors of the combination at past origins, one sum a step.
    std::vector<double> squares(steps, 0.0), counts(steps, 0.0);
    for (std::size_t o = 0; o < last; ++o) {
        const auto path = combined(o);
        for (std::size_t h = 0; h < steps && origins[o] + h < n; ++h) {
            const double error = y[origins[o] + h] - path[h];
            squares[h] += error * error;
            counts[h] += 1;
        }
    }
    // Errors at past origins are too small: the parameters and the seasons had seen those values. The term is that of the final prediction error
    // for about a dozen fitted numbers.
    const double size = static_cast<double>(n), fitted = 11.5;
    const double optimism = std::sqrt((size + fitted) / std::max(size - fitted, 3.0));
    double width = 0;
    double last_known = 0;
    for (std::size_t h = 0; h < steps; ++h) {
        if (counts[h] >= 3) {
            width = std::max(width, std::sqrt(squares[h] / counts[h]));
            last_known = static_cast<double>(h + 1);
        }
        const double grown = last_known > 0 ? width * std::sqrt(static_cast<double>(h + 1) / last_known) : mad(y);
        out.deviation.push_back(optimism * grown);
    }
    return with_coverage(std::move(out), options.coverage);
}

Forecast with_coverage(Forecast forecast, double coverage) {
    if (!(coverage > 0 && coverage < 1)) return forecast;
    const double z = normal_quantile(0.5 + coverage / 2);
    forecast.lower = forecast.upper = forecast.values;
    for (std::size_t h = 0; h < forecast.deviation.size(); ++h) {
        forecast.lower[h] -= z * forecast.deviation[h];
        forecast.upper[h] += z * forecast.deviation[h];
    }
    return forecast;
}

Exhaustion time_to_exhaustion(const Forecast& forecast, double last_value, double limit, bool rising, double coverage) {
    const auto reached = [&](const std::vector<double>& path) -> std::optional<double> {
        double before = last_value;
        const double sign = rising ? 1 : -1;
        if (sign * (last_value - limit) >= 0) return 0.0;
        for (std::size_t h = 0; h < path.size(); ++h) {
            if (sign * (path[h] - limit) >= 0) {
                const double share = path[h] != before ? std::clamp((limit - before) / (path[h] - before), 0.0, 1.0) : 1;
                return static_cast<double>(h) + share;
            }
            before = path[h];
        }
        return std::nullopt;
    };
    Exhaustion out;
    out.expected = reached(forecast.values);
    out.earliest = reached(rising ? forecast.upper : forecast.lower);
    out.latest = reached(rising ? forecast.lower : forecast.upper);
    const double z = normal_quantile(0.5 + coverage / 2);
    for (std::size_t h = 0; h < forecast.values.size(); ++h) {
        const double deviation = (forecast.upper[h] - forecast.lower[h]) / (2 * z);
        const double distance = rising ? limit - forecast.values[h] : forecast.values[h] - limit;
        const double chance = deviation > 0 ? normal_tail(distance / deviation) : (distance <= 0 ? 1.0 : 0.0);
        out.chance = std::max(out.chance, chance);
    }
    return out;
}

}  // namespace kn::analytics::series
