#pragma once

#include "database/common.hpp"
#include "kubernaut/ports/pattern_store.hpp"

namespace kn::sql {

class SqlPatternStore final : public ports::PatternStore {
public:
    explicit SqlPatternStore(Context& context) : context_(context) {}
    Task<Result<std::int64_t>> lead(std::string owner, Instant now, Instant until, Deadline deadline) override;
    Task<Result<>> commit(ports::PatternCommit commit, Deadline deadline) override;
    Task<Result<ports::PageOf<PatternRecord>>> list(ports::PatternFilter filter, ports::Page page, Deadline deadline) override;
    Task<Result<PatternRecord>> get(std::string id, Deadline deadline) override;
    Task<Result<std::vector<ports::AnalyzerState>>> states(std::string prefix, Deadline deadline) override;
    Task<Result<ports::PageOf<EarlyWarning>>> warnings(ports::WarningFilter filter, ports::Page page, Deadline deadline) override;

private:
    Context& context_;
};

}  // namespace kn::sql
