#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kubernaut/analytics/series/calendar.hpp"

namespace kn::analytics::series {

// Times of events, seconds, ascending (ties allowed). Times that go back: no answer (empty).

/// A time in which events came much denser than else.
struct Burst {
    std::size_t first = 0, last = 0;  ///< places of its first and last event
    double begin = 0, end = 0;        ///< their times
    double expected = 0;              ///< events that the usual rate gives in that time
    double p_value = 1;               ///< Poisson tail, corrected for the places where a burst could have been
};
/// Kleinberg's two-state automaton (2002): the usual rate, and `factor` times it; entering the second costs log(n). States by Viterbi, O(n); then each
/// burst is tested and kept with p < `significance`. Fewer than 8 events: none.
std::vector<Burst> find_bursts(std::span<const double> times, double factor = 4, double significance = 0.01);

enum class RecurrenceKind : std::uint8_t { hour_of_day, hour_of_week, interval };

/// Events that come back at a time that can be named.
struct Recurrence {
    RecurrenceKind kind = RecurrenceKind::hour_of_day;
    std::size_t events = 0;
    double period = 0;      ///< seconds: a day, a week, or the usual distance
    double phase = 0;       ///< seconds after local midnight or Monday's midnight; for intervals 0
    double spread = 0;      ///< seconds: half the width of the window
    double hit_rate = 0;    ///< share of the rounds in the observed time whose window holds an event
    double p_value = 1;     ///< against times without a phase, corrected for the tests made here
    double next_begin = 0;  ///< next expected window after `now`, UTC seconds
    double next_expected = 0;
    double next_end = 0;
};

/// Tests of the phase on the day and on the week (Rayleigh; events of one clump in a round count once, so that one bad night is no pattern) and of
/// the regularity of distances (Greenwood). At least 5 rounds with events. The pattern that predicts best comes first (by hit rate, then p).
/// p < `significance` only. O(n log n). `offset` as in calendar.hpp: a job at 03:00 local stays one job through daylight saving.
std::vector<Recurrence> find_recurrences(std::span<const double> times, double now, const UtcOffset& offset = {}, double significance = 0.001);

struct DurationChange {
    std::size_t index = 0;  ///< the first run of the new regime
    double before = 0;      ///< median durations
    double after = 0;
    double ratio = 1;    ///< after / before
    double p_value = 1;  ///< Welch's t on log durations
    [[nodiscard]] bool regression() const { return ratio > 1; }
};
/// Where runs of one thing got slower or faster for good: segments of log durations, neighbours compared by a t-test (as Hunter does: Fleming et al.
/// 2023), kept when the medians differ by at least `least_change` (0.05 = 5 %) with p < 0.001. Durations not positive are left out (the index counts all).
std::vector<DurationChange> find_duration_changes(std::span<const double> durations, double least_change = 0.05);

}  // namespace kn::analytics::series
