#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/discovery/options.hpp"
#include "kubernaut/domain/pattern.hpp"
#include "kubernaut/domain/signal.hpp"
#include "kubernaut/patterns/discovery/history.hpp"

namespace kn::discovery {

/// The signal name of a recurring failure that is due.
inline constexpr std::string_view recurrence_signal = "RecurrenceExpected";

/// Whether a pattern foretells something that people and workflows should know of now, and then what: no id, not raised yet. Pure.
std::optional<EarlyWarning> warning_of(const PatternRecord& record, const DiscoveryOptions& options, Instant now);

/// Labels by which the intake finds the object: of the series, or of the subject "job.failed at batch/CronJob/export".
std::map<std::string, std::string> labels_of(const Pattern& pattern);

/// The signal of a warning; the same for the same warning, so that a repeat is a duplicate. Marked as a forecast in name, label and text.
Signal signal_of(const EarlyWarning& warning, SignalStatus status, Instant now);

/// What is known of a warning when it is judged.
struct WarningEvidence {
    std::optional<Instant> alerted_at;  ///< another source spoke of its incident
    std::optional<Instant> acted_at;    ///< an execution of its incident first changed something
    bool series_known_through = false;  ///< a series: it was seen until the window's end
};
/// Judges an open warning by what is known now; false when its time has not come. Pure.
bool judge(EarlyWarning& warning, const WarningEvidence& evidence, const patterns::History& history, Instant now);

}  // namespace kn::discovery
