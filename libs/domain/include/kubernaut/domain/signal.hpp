#pragma once

#include <map>
#include <optional>
#include <string>

#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"

namespace kn {

/// One alert, Event, watch finding or pattern, normalised.
struct Signal {
    SignalId id;
    ClusterId cluster;  ///< "unknown" when named but not registered: stored and shown, never acted on
    std::string key;    ///< make_signal_key(); equal key = duplicate
    SignalSource source = SignalSource::alertmanager;
    std::string name;      ///< alert name, event reason or finding ("KubePodCrashLooping", "BackOff", "restarts")
    std::string alert_fp;  ///< Alertmanager's fingerprint or the hash of the sorted labels
    SignalStatus status = SignalStatus::firing;
    SignalState state = SignalState::pending;
    Severity severity = Severity::warning;
    Instant starts_at{}, received_at{};
    std::optional<Instant> ends_at;
    bool clock_suspect = false;       ///< starts_at lies in the future: ordered by received_at
    std::optional<ObjectKey> object;  ///< what the labels name, before owner resolution
    std::string container;            ///< when the labels name one
    std::map<std::string, std::string> labels, annotations;
    std::optional<IncidentId> incident;  ///< set when correlated
    std::string error;                   ///< why it is quarantined or ignored
    std::int64_t count = 1;              ///< repeats
    Instant last_seen{};
};

}  // namespace kn
