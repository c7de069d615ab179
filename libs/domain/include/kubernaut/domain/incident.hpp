#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/domain/diagnosis.hpp"
#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/domain/plan.hpp"

namespace kn {

/// One line of the story that `why` and the page tell.
struct StoryEntry {
    Instant at{};
    std::string kind;  ///< seen, diagnosed, decided, not_chosen, guard, approval, done, verified, assessed, state, error
    std::string text;
};

/// One target, one cluster, one episode.
struct Incident {
    IncidentId id;
    ClusterId cluster;
    Environment environment = Environment::unknown;
    ObjectRef target;  ///< the owner of the trouble
    Resolution resolution = Resolution::unresolved;
    std::string correlation_key;  ///< cluster, target, family (or alert family before diagnosis)
    std::string incident_key;     ///< cluster, target, class; "" before diagnosis
    std::string fault_class;
    double p = 0;
    IncidentState state = IncidentState::open;
    Outcome outcome = Outcome::none;
    Severity severity = Severity::warning;
    std::string alert_name;  ///< of the first signal
    std::int64_t signals_firing = 0, signals_total = 0;
    std::optional<Diagnosis> diagnosis;
    std::optional<Plan> plan;              ///< the current one
    std::optional<ExecutionId> execution;  ///< the current or last one
    std::vector<std::string> tried;        ///< workflows already tried in this episode
    std::optional<IncidentId> cause;       ///< linked: the incident that explains this one
    std::optional<IncidentId> previous;    ///< an earlier episode under the same key
    std::string state_reason;              ///< why it is held, escalated, suppressed; a gate's reason word where one decided
    std::optional<Instant> hold_until;
    Instant opened_at{}, updated_at{}, next_look_at{};
    std::optional<Instant> closed_at, evidence_gone_since;
    std::vector<StoryEntry> story;  ///< bounded: the oldest entries are dropped beyond 200
    std::int64_t version = 0;       ///< optimistic lock: a store refuses a write over another version
};

void tell(Incident& incident, Instant at, std::string kind, std::string text);

}  // namespace kn
