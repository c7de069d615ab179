#pragma once

#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/ports/incident_store.hpp"

namespace kn::ports {

struct AssessmentFilter {
    std::string cluster, workflow, fault_class, execution;
    bool done_only = false;
};

/// Assessments and what is learned from them.
class LearningStore {
public:
    virtual ~LearningStore() = default;
    virtual Task<Result<>> schedule(Assessment assessment, Deadline deadline) = 0;
    /// Due and not done, claimed until `claim_until` so that two replicas do not score one twice.
    virtual Task<Result<std::vector<Assessment>>> claim_due(Instant now, Instant claim_until, int limit, Deadline deadline) = 0;
    /// Stores the assessment (done, or looked at and due again), the posteriors that it moved and the untreated spell that it shows.
    virtual Task<Result<>> complete(Assessment assessment, std::vector<Posterior> posteriors, std::vector<UntreatedSpell> spells,
                                    std::vector<AuditRecord> audit, Deadline deadline) = 0;
    virtual Task<Result<PageOf<Assessment>>> assessments(AssessmentFilter filter, Page page, Deadline deadline) = 0;
    /// All scopes' sums for a fault class (or all when "").
    virtual Task<Result<std::vector<Posterior>>> posteriors(std::string fault_class, Deadline deadline) = 0;
    virtual Task<Result<>> add_spell(UntreatedSpell spell, Deadline deadline) = 0;
    virtual Task<Result<std::vector<UntreatedSpell>>> spells(std::string fault_class, Environment environment, int limit, Deadline deadline) = 0;
};

}  // namespace kn::ports
