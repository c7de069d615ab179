#pragma once

#include "database/common.hpp"
#include "kubernaut/ports/registry_store.hpp"

namespace kn::sql {

class SqlRegistryStore final : public ports::RegistryStore {
public:
    explicit SqlRegistryStore(Context& context) : context_(context) {}
    Task<Result<>> put_cluster(ClusterRecord cluster, Deadline deadline) override;
    Task<Result<std::string>> bind_uid(ClusterId id, std::string uid, Deadline deadline) override;
    Task<Result<std::vector<ClusterRecord>>> clusters(Deadline deadline) override;
    Task<Result<>> set_pause(Pause pause, AuditRecord audit, Deadline deadline) override;
    Task<Result<>> clear_pause(ClusterId cluster, std::string ns, AuditRecord audit, Deadline deadline) override;
    Task<Result<std::vector<Pause>>> pauses(Deadline deadline) override;
    Task<Result<>> put_snapshots(std::vector<ObjectSnapshot> snapshots, Deadline deadline) override;
    Task<Result<std::vector<ObjectSnapshot>>> snapshots(ObjectKey key, Instant since, int limit, Deadline deadline) override;
    Task<Result<std::vector<ObjectSnapshot>>> changes(ClusterId cluster, std::string ns, Instant since, int limit, Deadline deadline) override;
    Task<Result<ports::PageOf<ports::DeadLetter>>> dead_letters(ports::DeadLetterFilter filter, ports::Page page, Deadline deadline) override;
    Task<Result<ports::DeadLetter>> dead_letter(std::string id, Deadline deadline) override;
    Task<Result<std::vector<std::pair<ports::DeadLetterFilter, std::int64_t>>>> dead_letter_counts(Deadline deadline) override;
    Task<Result<>> replay_dead_letter(std::string id, AuditRecord audit, Instant now, Deadline deadline) override;
    Task<Result<>> purge_dead_letter(std::string id, AuditRecord audit, Deadline deadline) override;
    Task<Result<>> append_audit(std::vector<AuditRecord> records, Deadline deadline) override;
    Task<Result<ports::PageOf<AuditRecord>>> audit(ports::AuditFilter filter, ports::Page page, Deadline deadline) override;
    Task<Result<ports::AuditCheck>> verify_audit(std::string cluster, Deadline deadline) override;
    Task<Result<std::int64_t>> acquire_lease(std::string role, std::string owner, Instant now, Duration ttl, Deadline deadline) override;
    Task<Result<>> ready(Deadline deadline) override;

private:
    Context& context_;
};

}  // namespace kn::sql
