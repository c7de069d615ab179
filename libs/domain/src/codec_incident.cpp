#include "codec_io.hpp"
#include "kubernaut/base/hash.hpp"

namespace kn {

using codec::Is;

template <class Io, Is<Fact> T> void members(Io& io, T& fact) {
    io("name", fact.name);
    io("value", fact.value);
    io("state", fact.state);
    io("source", fact.source);
    io("observed_at", fact.observed_at);
    io("resource_version", fact.resource_version);
}

template <class Io, Is<Candidate> T> void members(Io& io, T& candidate) {
    io("fault_class", candidate.fault_class);
    io("p", candidate.p);
    io("excluded", candidate.excluded);
    io("for_facts", candidate.for_facts);
    io("against_facts", candidate.against_facts);
    io("unknown_facts", candidate.unknown_facts);
    io("why_not", candidate.why_not);
}

template <class Io, Is<Diagnosis> T> void members(Io& io, T& diagnosis) {
    io("fault_class", diagnosis.fault_class);
    io("p", diagnosis.p);
    io("margin", diagnosis.margin);
    io("candidates", diagnosis.candidates);
    io("facts", diagnosis.facts);
    io("made_at", diagnosis.made_at);
}

template <class Io, Is<Plan::Alternative> T> void members(Io& io, T& alternative) {
    io("workflow", alternative.workflow);
    io("rank_score", alternative.rank_score);
    io("why_not", alternative.why_not);
}

template <class Io, Is<Plan> T> void members(Io& io, T& plan) {
    io("id", plan.id);
    io("workflow", plan.workflow);
    io("version", plan.version);
    io("fault_class", plan.fault_class);
    io("target", plan.target);
    io("params", plan.params);
    io("risk", plan.risk);
    io("p", plan.p);
    io("rank_score", plan.rank_score);
    io("posterior_version", plan.posterior_version);
    io("reasons", plan.reasons);
    io("alternatives", plan.alternatives);
    io("hash", plan.hash);
}

template <class Io, Is<StoryEntry> T> void members(Io& io, T& entry) {
    io("at", entry.at);
    io("kind", entry.kind);
    io("text", entry.text);
}

template <class Io, Is<Incident> T> void members(Io& io, T& incident) {
    io("id", incident.id);
    io("cluster", incident.cluster);
    io("environment", incident.environment);
    io("target", incident.target);
    io("resolution", incident.resolution);
    io("correlation_key", incident.correlation_key);
    io("incident_key", incident.incident_key);
    io("fault_class", incident.fault_class);
    io("p", incident.p);
    io("state", incident.state);
    io("outcome", incident.outcome);
    io("severity", incident.severity);
    io("alert_name", incident.alert_name);
    io("signals_firing", incident.signals_firing);
    io("signals_total", incident.signals_total);
    io("diagnosis", incident.diagnosis);
    io("plan", incident.plan);
    io("execution", incident.execution);
    io("tried", incident.tried);
    io("cause", incident.cause);
    io("previous", incident.previous);
    io("state_reason", incident.state_reason);
    io("hold_until", incident.hold_until);
    io("opened_at", incident.opened_at);
    io("updated_at", incident.updated_at);
    io("next_look_at", incident.next_look_at);
    io("closed_at", incident.closed_at);
    io("evidence_gone_since", incident.evidence_gone_since);
    io("story", incident.story);
    io("version", incident.version);
}

json::Value to_json(const Fact& fact) { return codec::encode(fact); }
KN_DOCUMENT(Diagnosis, "diagnosis")
KN_DOCUMENT(Plan, "plan")
KN_DOCUMENT(Incident, "incident")

std::string plan_hash(const Plan& plan) {
    json::Value value = to_json(plan);
    value.get_object().erase("id");
    value.get_object().erase("hash");
    return to_hex(sha256(json::canonical(value)));
}

}  // namespace kn
