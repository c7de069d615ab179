#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/ports/incident_store.hpp"

namespace kn::ports {

struct AuditFilter {
    std::string cluster, actor, object, verb;
    std::string correlation;  ///< an incident or execution id: what was recorded about it (and, for an incident, about its executions)
    std::optional<Instant> since, until;
};

struct AuditCheck {
    std::int64_t records = 0;
    bool intact = true;
    std::string first_break;  ///< "eu1 seq 17: hash differs"
};

/// Work that was taken out of service because nobody could carry it on.
struct DeadLetter {
    ClusterId cluster;
    std::string id;    ///< of the execution or notification
    std::string kind;  ///< execution or notification
    std::string title, reason;
    Instant at{};
    json::Value details;  ///< in the single view only
};

struct DeadLetterFilter {
    std::string cluster, kind;  ///< "" = any
};

/// Clusters, pauses, object snapshots, dead letters and the audit chain.
class RegistryStore {
public:
    virtual ~RegistryStore() = default;
    virtual Task<Result<>> put_cluster(ClusterRecord cluster, Deadline deadline) = 0;
    /// Binds a uid to a cluster whose record has none (the record is made where there is none) and answers the one that is bound: the first caller's, for ever.
    virtual Task<Result<std::string>> bind_uid(ClusterId id, std::string uid, Deadline deadline) = 0;
    virtual Task<Result<std::vector<ClusterRecord>>> clusters(Deadline deadline) = 0;

    virtual Task<Result<>> set_pause(Pause pause, AuditRecord audit, Deadline deadline) = 0;
    virtual Task<Result<>> clear_pause(ClusterId cluster, std::string ns, AuditRecord audit, Deadline deadline) = 0;
    virtual Task<Result<std::vector<Pause>>> pauses(Deadline deadline) = 0;

    /// Keeps a snapshot when its hash differs from the newest one of the object.
    virtual Task<Result<>> put_snapshots(std::vector<ObjectSnapshot> snapshots, Deadline deadline) = 0;
    /// Newest first.
    virtual Task<Result<std::vector<ObjectSnapshot>>> snapshots(ObjectKey key, Instant since, int limit, Deadline deadline) = 0;
    /// All objects of a namespace that changed (or were deleted) since then, newest first.
    virtual Task<Result<std::vector<ObjectSnapshot>>> changes(ClusterId cluster, std::string ns, Instant since, int limit, Deadline deadline) = 0;

    /// Newest first.
    virtual Task<Result<PageOf<DeadLetter>>> dead_letters(DeadLetterFilter filter, Page page, Deadline deadline) = 0;
    virtual Task<Result<DeadLetter>> dead_letter(std::string id, Deadline deadline) = 0;
    /// By (cluster, kind).
    virtual Task<Result<std::vector<std::pair<DeadLetterFilter, std::int64_t>>>> dead_letter_counts(Deadline deadline) = 0;
    /// Puts the work back where it was: an execution goes on in the state in which it was taken out, with its steps and intents, so that what was under
    /// way is read back before anything is sent again; a notification gets all its tries anew. failed_precondition (reason busy) while another execution
    /// holds the target.
    virtual Task<Result<>> replay_dead_letter(std::string id, AuditRecord audit, Instant now, Deadline deadline) = 0;
    /// Forgets the letter; the history of the execution stays.
    virtual Task<Result<>> purge_dead_letter(std::string id, AuditRecord audit, Deadline deadline) = 0;

    virtual Task<Result<>> append_audit(std::vector<AuditRecord> records, Deadline deadline) = 0;
    virtual Task<Result<PageOf<AuditRecord>>> audit(AuditFilter filter, Page page, Deadline deadline) = 0;
    /// Walks every chain (or one cluster's).
    virtual Task<Result<AuditCheck>> verify_audit(std::string cluster, Deadline deadline) = 0;

    /// The lease of a role ("serve", "decide"): the epoch when `owner` holds it now, failed_precondition when another does.
    virtual Task<Result<std::int64_t>> acquire_lease(std::string role, std::string owner, Instant now, Duration ttl, Deadline deadline) = 0;
    /// True when the store can be written and its schema is current.
    virtual Task<Result<>> ready(Deadline deadline) = 0;
};

/// All stores over one database.
struct Stores {
    class SignalStore& signals;
    class IncidentStore& incidents;
    class ExecutionStore& executions;
    class LearningStore& learning;
    RegistryStore& registry;
    class PatternStore& patterns;
};

}  // namespace kn::ports
