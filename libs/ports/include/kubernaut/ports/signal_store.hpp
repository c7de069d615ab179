#pragma once

#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/signal.hpp"

namespace kn::ports {

using async::Task;

struct AcceptedBatch {
    int accepted = 0, duplicates = 0, quarantined = 0;
    std::string receipt;  ///< id of the raw batch
};

struct RawBatch {
    std::string source;  ///< who sent it, for people
    std::string bytes;   ///< the body as it came
    Instant received_at{};
};

struct InboxLevel {
    std::int64_t pending = 0, bytes = 0;
    std::optional<Instant> oldest;
};

/// The durable inbox.
class SignalStore {
public:
    virtual ~SignalStore() = default;
    /// One transaction: the raw batch, every signal under its key, and quarantined ones (state quarantined, with `error`). An equal key is a duplicate:
    /// its count and last_seen move. When this returns a value, everything is durable. resource_exhausted when the inbox is over its limit.
    virtual Task<Result<AcceptedBatch>> accept(RawBatch raw, std::vector<Signal> signals, Deadline deadline) = 0;
    /// Pending signals in order of arrival.
    virtual Task<Result<std::vector<Signal>>> pending(int limit, Deadline deadline) = 0;
    virtual Task<Result<InboxLevel>> level(Deadline deadline) = 0;
    virtual Task<Result<std::vector<Signal>>> of_incident(ClusterId cluster, IncidentId incident, int limit, Deadline deadline) = 0;
    /// Firing signals that share cluster + alert_fp (the twins of a resolved notice).
    virtual Task<Result<std::vector<Signal>>> by_fingerprint(ClusterId cluster, std::string alert_fp, Instant since, Deadline deadline) = 0;
    /// Newest first; `state` "" = all.
    virtual Task<Result<std::vector<Signal>>> recent(std::string cluster, std::string state, int limit, Deadline deadline) = 0;
};

}  // namespace kn::ports
