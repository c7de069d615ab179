#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::patterns {

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
std::string_view to_string(PatternKind kind);

enum class PatternStatus : std::uint8_t {
    candidate,  ///< seen, not yet borne out
    active,     ///< seen again, or its prediction came true
    retired,    ///< no longer seen, or its predictions fail
};
std::string_view to_string(PatternStatus status);

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

std::string pattern_id(PatternKind kind, std::string_view scope, std::string_view subject, std::string_view key);
json::Value to_json(const Pattern& pattern);

}  // namespace kn::patterns
