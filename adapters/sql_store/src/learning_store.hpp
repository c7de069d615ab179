#pragma once

#include "database/common.hpp"
#include "kubernaut/ports/learning_store.hpp"

namespace kn::sql {

class SqlLearningStore final : public ports::LearningStore {
public:
    explicit SqlLearningStore(Context& context) : context_(context) {}
    Task<Result<>> schedule(Assessment assessment, Deadline deadline) override;
    Task<Result<std::vector<Assessment>>> claim_due(Instant now, Instant claim_until, int limit, Deadline deadline) override;
    Task<Result<>> complete(ports::Judgement judgement, Deadline deadline) override;
    Task<Result<ports::PageOf<Assessment>>> assessments(ports::AssessmentFilter filter, ports::Page page, Deadline deadline) override;
    Task<Result<std::vector<Posterior>>> posteriors(std::string fault_class, Deadline deadline) override;
    Task<Result<std::vector<Incident>>> unlearned(Instant closed_before, int limit, Deadline deadline) override;
    Task<Result<>> learn(ClusterId cluster, IncidentId incident, std::optional<UntreatedSpell> spell, Deadline deadline) override;
    Task<Result<std::vector<UntreatedSpell>>> spells(std::string fault_class, Environment environment, int limit, Deadline deadline) override;

private:
    Context& context_;
};

}  // namespace kn::sql
