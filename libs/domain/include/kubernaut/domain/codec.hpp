#pragma once

#include "kubernaut/domain/execution.hpp"
#include "kubernaut/domain/incident.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/domain/signal.hpp"

namespace kn {

// The JSON form of every domain value: what the store keeps in its document column and the API shows. snake_case names, RFC 3339 times,
// absent optionals left out. Reading ignores unknown names and gives defaults for missing ones, so that an older or newer binary reads the same
// row; a wrong type is an error that names the field.
json::Value to_json(const ObjectKey& key);  ///< the string form
json::Value to_json(const ObjectRef& ref);
json::Value to_json(const Signal& signal);
json::Value to_json(const Fact& fact);
json::Value to_json(const Diagnosis& diagnosis);
json::Value to_json(const Plan& plan);
json::Value to_json(const Incident& incident);
json::Value to_json(const Execution& execution);
json::Value to_json(const Step& step);
json::Value to_json(const ActionRecord& record);
json::Value to_json(const AuditRecord& record);
json::Value to_json(const Approval& approval);
json::Value to_json(const Assessment& assessment);
json::Value to_json(const Posterior& posterior);
json::Value to_json(const UntreatedSpell& spell);
json::Value to_json(const Pause& pause);
json::Value to_json(const ClusterRecord& cluster);
json::Value to_json(const ObjectSnapshot& snapshot);

/// from_json<Incident>(value)
template <class T> Result<T> from_json(const json::Value& value);
template <> Result<ObjectRef> from_json(const json::Value& value);
template <> Result<Signal> from_json(const json::Value& value);
template <> Result<Diagnosis> from_json(const json::Value& value);
template <> Result<Plan> from_json(const json::Value& value);
template <> Result<Incident> from_json(const json::Value& value);
template <> Result<Execution> from_json(const json::Value& value);
template <> Result<Step> from_json(const json::Value& value);
template <> Result<ActionRecord> from_json(const json::Value& value);
template <> Result<AuditRecord> from_json(const json::Value& value);
template <> Result<Approval> from_json(const json::Value& value);
template <> Result<Assessment> from_json(const json::Value& value);
template <> Result<Posterior> from_json(const json::Value& value);
template <> Result<UntreatedSpell> from_json(const json::Value& value);
template <> Result<Pause> from_json(const json::Value& value);
template <> Result<ClusterRecord> from_json(const json::Value& value);
template <> Result<ObjectSnapshot> from_json(const json::Value& value);

/// Plan hash: SHA-256 of the canonical JSON without id and hash.
std::string plan_hash(const Plan& plan);

}  // namespace kn
