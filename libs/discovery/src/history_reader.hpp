#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/discovery/options.hpp"
#include "kubernaut/patterns/discovery/history.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/ports/learning_store.hpp"
#include "kubernaut/ports/registry_store.hpp"
#include "kubernaut/ports/signal_store.hpp"

namespace kn::discovery {

using async::Task;

/// The facts of a case as flat columns: words and numbers. Names, hashes and images tell one case from another and nothing else, so texts are taken only when
/// they are short words; what varies too much is left out later, where the whole table is seen.
void flatten_facts(const json::Object& facts, patterns::ExecutionRow& row);

/// "shop/Deployment/web"; "Node/n1" for what belongs to no namespace.
std::string subject_of(const ObjectKey& key);

/// The rows of the history store in memory, kept up to date by reading what is new and what was not finished at the last look.
class HistoryReader {
public:
    HistoryReader(async::EventLoop& loop, ports::Stores stores) : loop_(loop), stores_(stores) {}

    /// Reads what has changed. On an error what was known stays, and the next call goes on.
    Task<Result<>> refresh(DiscoveryOptions options);
    /// Incidents that early warnings opened: they are no history of failures until something else speaks of them as well.
    void mark_forecast(const std::string& incident, bool forecast_only);

    /// All that is known, without series.
    [[nodiscard]] patterns::History history() const;
    [[nodiscard]] std::size_t incidents() const { return incidents_.size(); }
    [[nodiscard]] std::size_t executions() const { return executions_.size(); }

private:
    struct Kept {
        patterns::ExecutionRow row;
        bool judged = false;  ///< `succeeded` is final
    };
    Task<Result<>> read_incidents(DiscoveryOptions options, Instant now);
    Task<Result<>> read_executions(DiscoveryOptions options, Instant now);
    Task<Result<>> read_verdicts(DiscoveryOptions options, Instant now);
    Task<Result<bool>> forecast_only(Incident incident, Deadline deadline);

    async::EventLoop& loop_;
    ports::Stores stores_;
    std::map<std::string, patterns::IncidentRow> incidents_;  // by id, hence by time
    std::map<std::string, Kept> executions_;
    std::set<std::string> forecasts_;
    std::optional<Instant> incidents_from_, executions_from_, verdicts_from_;  // everything older is known and finished
};

}  // namespace kn::discovery
