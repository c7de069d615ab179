#pragma once

#include "database/common.hpp"
#include "kubernaut/ports/incident_store.hpp"

namespace kn::sql {

class SqlIncidentStore final : public ports::IncidentStore {
public:
    explicit SqlIncidentStore(Context& context) : context_(context) {}
    Task<Result<>> commit(ports::IncidentCommit commit, Deadline deadline) override;
    Task<Result<Incident>> get(ClusterId cluster, IncidentId id, Deadline deadline) override;
    Task<Result<Incident>> find(IncidentId id, Deadline deadline) override;
    Task<Result<std::vector<Incident>>> by_correlation(ClusterId cluster, std::string correlation_key, Instant closed_since,
                                                       Deadline deadline) override;
    Task<Result<std::vector<Incident>>> by_key(ClusterId cluster, std::string incident_key, Instant closed_since, Deadline deadline) override;
    Task<Result<std::vector<Incident>>> open_of(ClusterId cluster, std::string target, Deadline deadline) override;
    Task<Result<std::vector<Incident>>> due(Instant now, int limit, Deadline deadline) override;
    Task<Result<ports::PageOf<Incident>>> list(ports::IncidentFilter filter, ports::Page page, Deadline deadline) override;
    Task<Result<std::int64_t>> opened_since(std::string cluster, Instant since, Deadline deadline) override;
    Task<Result<std::vector<Approval>>> approvals(std::string cluster, std::optional<ApprovalState> state, Deadline deadline) override;
    Task<Result<Approval>> approval(ApprovalId id, Deadline deadline) override;
    Task<Result<Approval>> vote(ApprovalId id, Approval::Vote vote, Deadline deadline) override;

private:
    Context& context_;
};

/// Writes an incident under its optimistic version: the row then has version + 1.
class IncidentWrite {
public:
    explicit IncidentWrite(const Incident& incident) : incident_(incident) {}
    void add_to(Batch& batch);
    /// already_exists, aborted (the version moved), not_found, or failed_precondition with reason `illegal_transition`.
    Result<> check(SqlConnection& connection, const Batch& batch) const;

private:
    const Incident& incident_;
    std::size_t index_ = 0;
};

}  // namespace kn::sql
