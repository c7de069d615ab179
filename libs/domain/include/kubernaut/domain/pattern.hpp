#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/json/json.hpp"

namespace kn {

enum class PatternKind : std::uint8_t {
    trend,
    change_point,
    season,
    forecast,
    burst,
    recurrence,
    correlation,
    chain,
    family,
    anomaly,
    duration,
    rate
};
KN_ENUM_NAMES(PatternKind, 12, {trend, "trend"}, {change_point, "change_point"}, {season, "season"}, {forecast, "forecast"}, {burst, "burst"},
              {recurrence, "recurrence"}, {correlation, "correlation"}, {chain, "chain"}, {family, "family"}, {anomaly, "anomaly"},
              {duration, "duration"}, {rate, "rate"});

enum class PatternStatus : std::uint8_t {
    candidate,  ///< "new": seen, not yet borne out
    active,     ///< "confirmed": seen again, or its prediction came true
    fading,     ///< not seen lately, or its last predictions failed
    retired,    ///< no longer seen, or its predictions mostly fail
};
KN_ENUM_NAMES(PatternStatus, 4, {candidate, "new"}, {active, "confirmed"}, {fading, "fading"}, {retired, "retired"});

/// Who found it, and how.
struct Provenance {
    std::string analyzer;
    int version = 1;
    bool basic = false;  ///< counts and rates only: the analyzer is off, broken or short of time
    bool operator==(const Provenance&) const = default;
};

struct TimeWindow {
    Instant from{}, to{};
    bool operator==(const TimeWindow&) const = default;
};

/// Something regular in the history, as a claim that later data can confirm or refute.
struct Pattern {
    std::string id;  ///< 16 hex digits of kind, scope, subject and key: the same pattern found again has the same
    PatternKind kind{};
    std::string scope;        ///< "cluster/prod-1", "environment/production", "fleet"
    std::string subject;      ///< what it is about: a workload, a fault class, a series, a workflow
    std::string key{};        ///< tells patterns of one kind and subject apart: "daily", "node.NotReady -> pod.Pending"
    std::string claim;        ///< one sentence
    double confidence = 0;    ///< probability that the claim holds on later data
    bool calibrated = false;  ///< from at least 200 checked predictions; else a lower bound (Wilson)
    double raw = 0;           ///< the analyzer's own strength, before calibration, in [0, 1]
    std::size_t support = 0;  ///< observations it rests on
    Instant first_seen{}, last_seen{};
    std::optional<TimeWindow> next_expected{};
    std::vector<std::string> evidence{};  ///< ids of incidents or executions, at most 20, the latest
    PatternStatus status = PatternStatus::candidate;
    Provenance provenance{};
    json::Object detail{};  ///< numbers of its kind
};

/// What is remembered of a pattern from run to run.
struct PatternRecord {
    Pattern pattern;
    bool shadow = false;  ///< computed and checked, not shown
    int missed = 0, confirmed = 0, refuted = 0, runs = 0;
    int failed_in_row = 0;                 ///< its last checks
    Instant predicted_at{};                ///< its present prediction was made then
    std::optional<TimeWindow> promised{};  ///< and this is what was said; it stands until it is checked
    Instant updated_at{};
};

/// What an early warning turned out to be.
enum class WarningOutcome : std::uint8_t {
    open,         ///< its time has not come
    came_true,    ///< what it foretold happened
    averted,      ///< something was done about it before: nobody knows, and it counts for nothing
    false_alarm,  ///< its time is over and nothing happened
    unknown,      ///< its time is over and what happened cannot be seen
};
KN_ENUM_NAMES(WarningOutcome, 5, {open, "open"}, {came_true, "came_true"}, {averted, "averted"}, {false_alarm, "false_alarm"}, {unknown, "unknown"});

/// A pattern that was sent through the intake as a signal, ahead of any alert.
struct EarlyWarning {
    std::string id;  ///< wrn_...
    ClusterId cluster;
    Pattern pattern;         ///< as it was when the warning was raised
    std::string name;        ///< of the signal: "VolumeRunwayShort", "RecurrenceExpected"
    std::string target;      ///< object key that its labels named; "" = none
    std::string signal_key;  ///< of the firing signal
    std::string alert_fp;
    std::string incident;  ///< that it opened or joined; "" until correlated
    Instant raised_at{}, expected_at{};
    TimeWindow window{};  ///< the event is expected in it
    WarningOutcome outcome = WarningOutcome::open;
    std::optional<Instant> judged_at, happened_at;
    std::string note;  ///< why it was judged so
    [[nodiscard]] std::optional<double> lead_seconds() const {
        if (!happened_at) return std::nullopt;
        return std::chrono::duration<double>(*happened_at - raised_at).count();
    }
};

/// The names of its JSON are those of the API.
json::Value to_json(const Pattern& pattern);
json::Value to_json(const PatternRecord& record);
json::Value to_json(const EarlyWarning& warning);
template <class T> Result<T> from_json(const json::Value& value);
template <> Result<Pattern> from_json(const json::Value& value);
template <> Result<PatternRecord> from_json(const json::Value& value);
template <> Result<EarlyWarning> from_json(const json::Value& value);

}  // namespace kn
