#pragma once

#include "database/common.hpp"
#include "kubernaut/ports/signal_store.hpp"

namespace kn::sql {

class SqlSignalStore final : public ports::SignalStore {
public:
    explicit SqlSignalStore(Context& context) : context_(context), level_(std::make_shared<Level>()) {}
    Task<Result<ports::AcceptedBatch>> accept(ports::RawBatch raw, std::vector<Signal> signals, Deadline deadline) override;
    Task<Result<std::vector<Signal>>> pending(int limit, Deadline deadline) override;
    Task<Result<ports::InboxLevel>> level(Deadline deadline) override;
    Task<Result<std::vector<Signal>>> of_incident(ClusterId cluster, IncidentId incident, int limit, Deadline deadline) override;
    Task<Result<std::vector<Signal>>> by_fingerprint(ClusterId cluster, std::string alert_fp, Instant since, Deadline deadline) override;
    Task<Result<std::vector<Signal>>> recent(std::string cluster, std::string state, int limit, Deadline deadline) override;

private:
    /// Counting the inbox costs more than accepting a batch, so between two counts the accepted are added up. Used by the writer alone.
    struct Level {
        std::int64_t rows = 0, bytes = 0;
        std::int64_t last_arrival = 0;
        std::optional<SteadyTime> counted_at;
    };
    static Result<> check_level(SqlConnection& connection, Level& level, const StoreOptions& options, SteadyTime now);

    Context& context_;
    std::shared_ptr<Level> level_;
};

/// What IncidentCommit writes of a signal.
void add_signal_update(Batch& batch, const Signal& signal);

}  // namespace kn::sql
