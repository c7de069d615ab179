#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/execution.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/ports/incident_store.hpp"

namespace kn::ports {

/// Why a start was refused by what is stored: reason is a gate's word (busy, cooldown, budget_object, budget_namespace, budget_cluster, budget_fleet).
struct StartRequest {
    Execution execution;             ///< state queued
    std::vector<std::string> locks;  ///< ObjectKey strings, taken in key order; node actions add the pool lock
    Instant locks_until{};
    struct Cooldown {
        std::string key;  ///< "cluster/ns/kind/name action" or "incident <key>"
        Instant until{};
    };
    std::vector<Cooldown> cooldowns;  ///< each must be free; set by this call
    struct Budget {
        std::string scope;   ///< object key, "cluster/ns", cluster, "_fleet"
        std::string reason;  ///< word when it is used up
        int in_flight = 1, per_hour = 3;
    };
    std::vector<Budget> budgets;
    std::vector<AuditRecord> audit;
    std::optional<Incident> incident;  ///< written in the same transaction (optimistic version)
};

/// One turn of a workflow driver, in one transaction. aborted when the epoch is not the stored one: another worker owns the execution now.
struct ExecutionCommit {
    Execution execution;                ///< with the epoch that was claimed
    std::vector<Step> steps;            ///< inserted or replaced by path + attempt
    std::vector<ActionRecord> actions;  ///< inserted or replaced by id
    std::vector<AuditRecord> audit;
    bool release_locks = false;                     ///< at a terminal state; also ends the lease
    std::vector<StartRequest::Cooldown> cooldowns;  ///< set or prolonged
    std::optional<Assessment> assessment;           ///< inserted
    std::vector<Notification> notices;              ///< put into the outbox
};

struct ExecutionFilter {
    std::string cluster, incident, workflow, target;
    std::vector<ExecutionState> states;
};

struct ActionFilter {
    std::string cluster, target, action, workflow, fault_class, actor;
    std::optional<Instant> since;
    bool mutating_only = false;
    std::optional<Instant> until;  ///< not included
    std::string correlation;       ///< an incident, execution or action id
};

class ExecutionStore {
public:
    virtual ~ExecutionStore() = default;
    /// Locks, cooldowns, budgets, execution and incident in one transaction. failed_precondition with `reason` when a lock, cooldown or budget says no.
    /// already_exists when the (derived) execution id is there: the caller crashed after starting it.
    virtual Task<Result<>> start(StartRequest request, Deadline deadline) = 0;
    /// Executions that have work now (queued; or running, verifying, compensating with wake_at due or none, or cancel requested) and no live lease, each with
    /// epoch + 1 and a lease to `owner`. A lease that ran out counts one kill.
    virtual Task<Result<std::vector<ExecutionWithSteps>>> claim(std::string owner, Instant now, Duration lease, int limit, Deadline deadline) = 0;
    /// Prolongs the leases of `owner`; the ids that are still its own.
    virtual Task<Result<std::vector<ExecutionId>>> renew(std::string owner, Instant until, Deadline deadline) = 0;
    virtual Task<Result<>> commit(ExecutionCommit commit, Deadline deadline) = 0;
    /// Locks on more objects, for a step that writes beyond its target; all or none. They live and end as those of the start do. failed_precondition with
    /// reason busy when another execution holds one, aborted when the epoch is not the stored one.
    virtual Task<Result<>> lock(ClusterId cluster, ExecutionId id, std::int64_t epoch, std::vector<std::string> keys, Instant until,
                                Deadline deadline) = 0;
    virtual Task<Result<ExecutionWithSteps>> get(ExecutionId id, Deadline deadline) = 0;
    virtual Task<Result<PageOf<Execution>>> list(ExecutionFilter filter, Page page, Deadline deadline) = 0;
    /// Earliest wake_at of executions without a live lease; for the driver's timer.
    virtual Task<Result<std::optional<Instant>>> next_wake(Deadline deadline) = 0;
    /// Sets cancel_requested; failed_precondition when terminal.
    virtual Task<Result<>> request_cancel(ExecutionId id, std::string by, Instant now, Deadline deadline) = 0;
    /// Delivers a named signal to waiting steps ("cause.resolved", "approved"); stored so that it cannot be lost.
    virtual Task<Result<>> send_signal(ExecutionId id, std::string name, json::Value payload, Instant now, Deadline deadline) = 0;
    virtual Task<Result<std::vector<std::pair<std::string, json::Value>>>> signals(ExecutionId id, Deadline deadline) = 0;
    /// Executions moved to dead letters (3 kills or unreadable).
    virtual Task<Result<std::vector<Execution>>> dead_letters(Deadline deadline) = 0;

    /// History, newest first.
    virtual Task<Result<PageOf<ActionRecord>>> actions(ActionFilter filter, Page page, Deadline deadline) = 0;
    /// Locks held now, for `describe` and the busy gate: (object key, execution id).
    virtual Task<Result<std::vector<std::pair<std::string, ExecutionId>>>> locks(ClusterId cluster, Deadline deadline) = 0;
};

}  // namespace kn::ports
