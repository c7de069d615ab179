#pragma once

#include <string>
#include <string_view>

#include "kubernaut/domain/incident.hpp"
#include "kubernaut/domain/records.hpp"

namespace kn::decision {

/// Moves an incident to another state, telling why.
inline void move_to(Incident& incident, IncidentState state, Instant now, std::string reason, std::string text) {
    incident.state = state;
    incident.state_reason = std::move(reason);
    incident.updated_at = now;
    if (is_terminal(state)) incident.closed_at = now;
    tell(incident, now, "state", std::string{to_string(state)} + (text.empty() ? "" : ": " + text));
}

inline AuditRecord audit_of(const Incident& incident, Instant now, std::string verb) {
    AuditRecord record;
    record.cluster = incident.cluster;
    record.at = now;
    record.actor = "kubernaut";
    record.verb = std::move(verb);
    record.object = incident.target.key.str();
    record.reason = incident.state_reason;
    record.details = json::Object{{"incident", incident.id.str()}, {"state", to_string(incident.state)}, {"fault_class", incident.fault_class}};
    return record;
}

/// The family of an incident before it is diagnosed: one per target and sort of trouble, so that every signal of one cause meets in one incident.
std::string family_of(std::string_view target_kind, std::string_view meant);

}  // namespace kn::decision
