#pragma once

#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/ports/notifier.hpp"

namespace kn::ports {

/// The wish to take a succeeded execution back: it becomes `compensating` again and the engine carries that out like any other undo.
struct UndoRequest {
    ExecutionId execution;
    std::string reason;
    Instant now{};
};

/// What one look at an execution's effect changes, in one transaction.
struct Judgement {
    Assessment assessment;              ///< with `looks` raised by one
    std::vector<Posterior> posteriors;  ///< that it moved, as they shall be
    std::vector<UntreatedSpell> spells;
    std::vector<AuditRecord> audit;
    std::optional<UndoRequest> undo;
    std::vector<Notification> notices;
    Instant at{};  ///< when it was made; the notices are due from then on
};

struct AssessmentFilter {
    std::string cluster, workflow, fault_class, execution;
    bool done_only = false;
};

/// Assessments and what is learned from them.
class LearningStore {
public:
    virtual ~LearningStore() = default;
    virtual Task<Result<>> schedule(Assessment assessment, Deadline deadline) = 0;
    /// Due and not done, or done and due for the look at recurrence; claimed until `claim_until` so that two replicas do not score one twice.
    virtual Task<Result<std::vector<Assessment>>> claim_due(Instant now, Instant claim_until, int limit, Deadline deadline) = 0;
    /// Stores a judgement once: aborted when another one of the same look is stored, or a sum has moved since it was read. With `undo`: failed_precondition
    /// when the execution did not succeed (reason not_succeeded) or another one holds its target (reason busy), and then nothing is stored.
    virtual Task<Result<>> complete(Judgement judgement, Deadline deadline) = 0;
    virtual Task<Result<PageOf<Assessment>>> assessments(AssessmentFilter filter, Page page, Deadline deadline) = 0;
    /// All scopes' sums for a fault class (or all when "").
    virtual Task<Result<std::vector<Posterior>>> posteriors(std::string fault_class, Deadline deadline) = 0;
    /// Incidents that ended before then and whose untreated time is not learned yet, oldest end first.
    virtual Task<Result<std::vector<Incident>>> unlearned(Instant closed_before, int limit, Deadline deadline) = 0;
    /// Stores what an ended incident shows (nothing, when it says nothing about healing) once, however often this is called.
    virtual Task<Result<>> learn(ClusterId cluster, IncidentId incident, std::optional<UntreatedSpell> spell, Deadline deadline) = 0;
    virtual Task<Result<std::vector<UntreatedSpell>>> spells(std::string fault_class, Environment environment, int limit, Deadline deadline) = 0;
};

}  // namespace kn::ports
