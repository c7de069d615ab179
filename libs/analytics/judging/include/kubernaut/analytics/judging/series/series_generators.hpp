#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kn::analytics::judging {

/// What is put into a made-up series of hourly values. Sizes are in deviations of its noise; 0: not there.
struct PlantedParts {
    double daily = 0, weekly = 0, monthly = 0;  ///< half the swing of a cycle; monthly: the first three days of each month stand out by so much
    double trend = 0;                           ///< from the first value to the last
    double step = 0;                            ///< of the level, in the middle of the series
    double memory = 0;                          ///< lag-one autocorrelation of the noise
};

/// Hourly values from 2025-01-06 (a Monday), 00:00 UTC; cycles have peaks and shapes of their own, drawn from the seed.
struct PlantedSeries {
    std::vector<std::int64_t> seconds;
    std::vector<double> values;
    std::size_t step_at = 0;  ///< the first value of the new level
};
PlantedSeries planted_series(std::size_t days, const PlantedParts& parts, std::uint64_t seed);

/// Failures of one thing over `days`, seconds since 1970, ascending.
struct PlantedEvents {
    double random_a_day = 0.5;  ///< at any time
    bool nightly = false;       ///< one at about the same minute of the day, missed one day in ten
    bool weekly = false;        ///< the same on one weekday
    std::size_t burst = 0;      ///< so many within twenty minutes, once
};
std::vector<double> planted_events(std::size_t days, const PlantedEvents& parts, std::uint64_t seed);

}  // namespace kn::analytics::judging
