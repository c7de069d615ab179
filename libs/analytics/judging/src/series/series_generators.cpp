#include "kubernaut/analytics/judging/series/series_generators.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/series/calendar.hpp"

namespace kn::analytics::judging {
namespace {
constexpr std::int64_t monday = 1'736'121'600;  // 2025-01-06 00:00 UTC
constexpr double day = 86'400, hour = 3600;
}  // namespace

PlantedSeries planted_series(std::size_t days, const PlantedParts& parts, std::uint64_t seed) {
    Rng random(seed);
    const std::size_t n = 24 * days;
    PlantedSeries out{.seconds = {}, .values = {}, .step_at = n / 2};
    const double level = 50 + 100 * random.uniform(), scale = std::exp(2 * random.normal());
    const double turn = 2 * std::numbers::pi;
    const double daily_phase = turn * random.uniform(), weekly_phase = turn * random.uniform();
    // A second harmonic bends the shape, so that it is no plain sine.
    const double bend = 0.4 * random.uniform();
    double noise = random.normal();
    for (std::size_t i = 0; i < n; ++i) {
        const std::int64_t at = monday + static_cast<std::int64_t>(i) * 3600;
        const double t = static_cast<double>(i), angle = turn * t / 24 + daily_phase;
        double v = parts.daily * (std::sin(angle) + bend * std::sin(2 * angle + 1)) + parts.weekly * std::sin(turn * t / 168 + weekly_phase);
        if (parts.monthly != 0 && series::local_time(at, {}).day_of_month <= 3) v += parts.monthly;
        v += parts.trend * t / static_cast<double>(n) + (i >= out.step_at ? parts.step : 0);
        noise = parts.memory * noise + std::sqrt(1 - parts.memory * parts.memory) * random.normal();
        out.seconds.push_back(at);
        out.values.push_back(level + scale * (v + noise));
    }
    return out;
}

std::vector<double> planted_events(std::size_t days, const PlantedEvents& parts, std::uint64_t seed) {
    Rng random(seed);
    std::vector<double> out;
    const double span = static_cast<double>(days) * day, begin = static_cast<double>(monday);
    const double at = day * random.uniform(), burst_at = (span - hour) * random.uniform();
    const auto weekday = random.below(7);
    const auto expected = static_cast<std::size_t>(parts.random_a_day * static_cast<double>(days) + random.uniform());
    for (std::size_t i = 0; i < expected; ++i) out.push_back(begin + span * random.uniform());
    for (std::size_t d = 0; d < days; ++d) {
        const bool due = parts.nightly || (parts.weekly && d % 7 == weekday);
        if (due && random.uniform() < 0.9) out.push_back(begin + static_cast<double>(d) * day + at + 300 * random.normal());
    }
    for (std::size_t i = 0; i < parts.burst; ++i) out.push_back(begin + burst_at + 1200 * random.uniform());
    std::ranges::sort(out);
    return out;
}

}  // namespace kn::analytics::judging
