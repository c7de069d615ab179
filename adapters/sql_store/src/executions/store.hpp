#pragma once

#include "database/common.hpp"
#include "kubernaut/ports/execution_store.hpp"

namespace kn::sql {

class SqlExecutionStore final : public ports::ExecutionStore {
public:
    explicit SqlExecutionStore(Context& context) : context_(context) {}
    Task<Result<>> start(ports::StartRequest request, Deadline deadline) override;
    Task<Result<std::vector<ExecutionWithSteps>>> claim(std::string owner, Instant now, Duration lease, int limit, Deadline deadline) override;
    Task<Result<std::vector<ExecutionId>>> renew(std::string owner, Instant until, Deadline deadline) override;
    Task<Result<>> commit(ports::ExecutionCommit commit, Deadline deadline) override;
    Task<Result<>> lock(ClusterId cluster, ExecutionId id, std::int64_t epoch, std::vector<std::string> keys, Instant until,
                        Deadline deadline) override;
    Task<Result<ExecutionWithSteps>> get(ExecutionId id, Deadline deadline) override;
    Task<Result<ports::PageOf<Execution>>> list(ports::ExecutionFilter filter, ports::Page page, Deadline deadline) override;
    Task<Result<std::optional<Instant>>> next_wake(Deadline deadline) override;
    Task<Result<>> request_cancel(ExecutionId id, std::string by, Instant now, Deadline deadline) override;
    Task<Result<>> send_signal(ExecutionId id, std::string name, json::Value payload, Instant now, Deadline deadline) override;
    Task<Result<std::vector<std::pair<std::string, json::Value>>>> signals(ExecutionId id, Deadline deadline) override;
    Task<Result<std::vector<Execution>>> dead_letters(Deadline deadline) override;
    Task<Result<ports::PageOf<ActionRecord>>> actions(ports::ActionFilter filter, ports::Page page, Deadline deadline) override;
    Task<Result<std::vector<std::pair<std::string, ExecutionId>>>> locks(ClusterId cluster, Deadline deadline) override;

private:
    Context& context_;
};

}  // namespace kn::sql
