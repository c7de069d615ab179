#pragma once

#include <functional>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/patterns/discovery/history.hpp"
#include "kubernaut/patterns/pattern.hpp"

namespace kn::patterns {

/// What all analyzers are given. Every analyzer is pure and deterministic; it holds false discoveries over all the hypotheses it tries
/// (Benjamini, Hochberg 1995) below `false_discovery_rate`.
struct Question {
    const History& history;
    Instant now{};  ///< nothing later is in the history
    double false_discovery_rate = 0.01;
    /// Asked between subjects: an analyzer that is out of time ends with deadline_exceeded. Empty = never.
    std::function<bool()> out_of_time{};
};
using Found = Result<std::vector<Pattern>>;

/// The error of an analyzer that is out of time, if it is.
Result<void> in_time(const Question& question);

Found find_trends(const Question& question);           ///< trend, season, change_point
Found find_exhaustion(const Question& question);       ///< forecast: series with a limit that will be reached
Found find_anomalies(const Question& question);        ///< anomaly: odd stretches of the last day
Found find_recurrences(const Question& question);      ///< incidents that come at an hour, on a weekday, at an interval
Found find_bursts(const Question& question);           ///< many incidents in a short time
Found find_fleet_patterns(const Question& question);   ///< recurrences and bursts that several clusters share
Found find_chains(const Question& question);           ///< one fault class follows another on the same cluster
Found find_families(const Question& question);         ///< executions that are alike, and the workflow that worked best for them
Found find_duration_drifts(const Question& question);  ///< workflows that take longer, or less long, than before
/// Counts and rates, for when the others are off: marked as basic.
Found find_basics(const Question& question);

/// Whether a pattern found at `found_at` came true in what is known by now; nothing when it cannot be told yet.
std::optional<bool> came_true(const Pattern& pattern, Instant found_at, const History& history, Instant now);
/// When a forecast's series first reached its limit after `since`.
std::optional<Instant> reached_at(const Pattern& pattern, Instant since, const History& history);

}  // namespace kn::patterns
