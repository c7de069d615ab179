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
    std::string cluster, actor, object;
    std::optional<Instant> since;
};

struct AuditCheck {
    std::int64_t records = 0;
    bool intact = true;
    std::string first_break;            ///< "eu1 seq 17: hash differs"
};

/// Clusters, pauses, object snapshots and the audit chain.
class RegistryStore {
public:
    virtual ~RegistryStore() = default;
    virtual Task<Result<>> put_cluster(ClusterRecord cluster, Deadline deadline) = 0;
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
};

}  // namespace kn::ports
