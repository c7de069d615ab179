#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/incident.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/domain/signal.hpp"
#include "kubernaut/ports/notifier.hpp"

namespace kn::ports {

using async::Task;

struct Page {
    int limit = 50;
    std::string cursor;  ///< opaque; from the page before
};
template <class T> struct PageOf {
    std::vector<T> items;  ///< newest first
    std::string next;      ///< "" at the end
};

struct IncidentFilter {
    std::string cluster, ns, fault_class, target;  ///< "" = any; target is an ObjectKey string
    std::vector<IncidentState> states;             ///< empty = any
    bool open_only = false;
};

/// Everything that one decision changes, in one transaction.
struct IncidentCommit {
    std::vector<Incident>
        incidents;                ///< version 0 = new (already_exists when the id is there), else the version that was read (aborted when it moved)
    std::vector<Signal> signals;  ///< state, incident and error are written
    std::vector<Approval> approvals;  ///< inserted or replaced
    std::vector<AuditRecord> audit;
    std::vector<Notification> notices;  ///< put into the outbox: nobody can die between the change and its telling
};

class IncidentStore {
public:
    virtual ~IncidentStore() = default;
    virtual Task<Result<>> commit(IncidentCommit commit, Deadline deadline) = 0;
    virtual Task<Result<Incident>> get(ClusterId cluster, IncidentId id, Deadline deadline) = 0;
    /// By id alone, for the API.
    virtual Task<Result<Incident>> find(IncidentId id, Deadline deadline) = 0;
    /// Not terminal, or closed at most `closed_within` ago.
    virtual Task<Result<std::vector<Incident>>> by_correlation(ClusterId cluster, std::string correlation_key, Instant closed_since,
                                                               Deadline deadline) = 0;
    virtual Task<Result<std::vector<Incident>>> by_key(ClusterId cluster, std::string incident_key, Instant closed_since, Deadline deadline) = 0;
    /// Not terminal, of the target or of any target in the cluster when `target` is "".
    virtual Task<Result<std::vector<Incident>>> open_of(ClusterId cluster, std::string target, Deadline deadline) = 0;
    /// Not terminal and next_look_at <= now, oldest look first.
    virtual Task<Result<std::vector<Incident>>> due(Instant now, int limit, Deadline deadline) = 0;
    virtual Task<Result<PageOf<Incident>>> list(IncidentFilter filter, Page page, Deadline deadline) = 0;
    /// Incidents opened since then, for the storm gate and flapping.
    virtual Task<Result<std::int64_t>> opened_since(std::string cluster, Instant since, Deadline deadline) = 0;

    virtual Task<Result<std::vector<Approval>>> approvals(std::string cluster, std::optional<ApprovalState> state, Deadline deadline) = 0;
    virtual Task<Result<Approval>> approval(ApprovalId id, Deadline deadline) = 0;
    /// Adds a vote and settles the state; failed_precondition when it is settled already, permission_denied for a second vote of one person.
    virtual Task<Result<Approval>> vote(ApprovalId id, Approval::Vote vote, Deadline deadline) = 0;
};

}  // namespace kn::ports
