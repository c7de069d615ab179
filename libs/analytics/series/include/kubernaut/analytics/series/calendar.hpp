#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kn::analytics::series {

enum class CalendarCycle : std::uint8_t { hour_of_day, day_of_week, hour_of_week, day_of_month };

/// Seconds to add to UTC to get local wall-clock time at a UTC instant (seconds since 1970); empty = UTC. Daylight saving is whatever it says.
using UtcOffset = std::function<std::int64_t(std::int64_t)>;

/// A zone's table, as a TZif file holds it: from at[i] on the offset is offset[i]; before at[0] it is `before`.
struct ZoneTable {
    std::int64_t before = 0;
    std::vector<std::int64_t> at;
    std::vector<std::int64_t> offset;
    [[nodiscard]] std::int64_t operator()(std::int64_t utc) const;
};

/// Local wall-clock fields of an instant.
struct LocalTime {
    int hour = 0;          ///< 0..23
    int day_of_week = 0;   ///< 0 = Monday
    int day_of_month = 1;  ///< 1..31
    std::int64_t day = 0;  ///< days since 1970-01-01, local
};
LocalTime local_time(std::int64_t utc_seconds, const UtcOffset& offset);

struct CalendarPattern {
    CalendarCycle cycle = CalendarCycle::hour_of_day;
    double r_squared = 0;         ///< cross-validated share of the variance that the profile explains
    double p_value = 1;           ///< of F over the means of each phase and day, corrected for the cycles tried
    std::vector<double> profile;  ///< mean of each phase minus the whole mean; NaN where never seen
    std::vector<std::size_t> counts;
    std::size_t peak = 0, low = 0;  ///< phases with the largest and smallest profile
};

/// Which calendar cycles repeat, the strongest first: profiles are learned on some days and tested on others (five folds of whole weeks or months
/// in turn), so that "monthly" is the day of the month and not 30 days, and a phase seen once explains nothing. day_of_month is asked of what
/// the week leaves. Only cycles with cross-validated R^2 > 0.02 that were seen at least three times round and p < 0.01 are given. O(n).
/// A straight trend is taken out first. Lengths that differ: none.
std::vector<CalendarPattern> find_calendar_patterns(std::span<const std::int64_t> utc_seconds, std::span<const double> values,
                                                    const UtcOffset& offset = {});

}  // namespace kn::analytics::series
