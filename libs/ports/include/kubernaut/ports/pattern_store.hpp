#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/pattern.hpp"
#include "kubernaut/ports/incident_store.hpp"

namespace kn::ports {

/// Where an analyzer stands: opaque bytes, so that it goes on where it stopped in constant memory.
struct AnalyzerState {
    ClusterId cluster;  ///< `_fleet` for what belongs to none
    std::string key;    ///< "analyzer/recurrence", "stream/kubelet_volume_stats_used_bytes{...}"
    std::string bytes;
    Instant updated_at{};
};

/// What one run of the discovery changes, in one transaction.
struct PatternCommit {
    std::string owner;  ///< who leads, with the epoch that lead() gave: aborted when another one leads by now
    std::int64_t epoch = 0;
    std::vector<PatternRecord> patterns;  ///< inserted or replaced by id
    std::vector<std::string> forgotten;   ///< ids of patterns that are deleted; their warnings stay
    std::vector<AnalyzerState> states;    ///< inserted or replaced by cluster and key
    std::vector<EarlyWarning> warnings;   ///< inserted or replaced by id
};

struct PatternFilter {
    std::string cluster;  ///< "_fleet" = those of the whole fleet; "" = any
    std::string kind, subject;
    std::vector<PatternStatus> status;  ///< empty = all but retired
    bool shadow = false;                ///< those of analyzers in shadow, instead of the others
};

struct WarningFilter {
    std::string cluster, pattern, incident;
    std::vector<WarningOutcome> outcomes;  ///< empty = any
};

/// Patterns, where their analyzers stand, and the early warnings that came of them.
class PatternStore {
public:
    virtual ~PatternStore() = default;
    /// One discovery at a time over all replicas: the epoch (raised whenever the leader changes) while nobody else's turn runs; failed_precondition with
    /// reason busy otherwise. Renewed by calling it again.
    virtual Task<Result<std::int64_t>> lead(std::string owner, Instant now, Instant until, Deadline deadline) = 0;
    virtual Task<Result<>> commit(PatternCommit commit, Deadline deadline) = 0;
    /// Most confident first.
    virtual Task<Result<PageOf<PatternRecord>>> list(PatternFilter filter, Page page, Deadline deadline) = 0;
    virtual Task<Result<PatternRecord>> get(std::string id, Deadline deadline) = 0;
    /// Those whose key begins with `prefix`, by cluster and key.
    virtual Task<Result<std::vector<AnalyzerState>>> states(std::string prefix, Deadline deadline) = 0;
    /// Newest first.
    virtual Task<Result<PageOf<EarlyWarning>>> warnings(WarningFilter filter, Page page, Deadline deadline) = 0;
};

}  // namespace kn::ports
