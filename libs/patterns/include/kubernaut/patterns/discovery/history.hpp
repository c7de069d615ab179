#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kubernaut/base/time.hpp"

namespace kn::patterns {

// What discovery reads: plain rows, so that it knows no store.

struct IncidentRow {
    std::string id, cluster, environment, fault_class;
    std::string subject;  ///< "shop/Deployment/web"
    Instant opened{};
};

struct ExecutionRow {
    std::string id, cluster, environment, workflow, fault_class, subject;
    Instant started{};
    double seconds = 0;      ///< how long it took
    bool succeeded = false;  ///< and was found effective
    std::string failed_step{};
    std::vector<std::pair<std::string, std::string>> traits{};  ///< node pool, image, ...
    std::vector<std::pair<std::string, double>> numbers{};      ///< memory at start, ...
};

/// A value that a streaming detector called odd when it came.
struct OddValue {
    double at = 0, value = 0, expected = 0, p_value = 1;
    std::string sign;  ///< what made it surprising
};

struct SeriesRow {
    std::string name, cluster, environment;
    std::vector<double> times, values;           ///< seconds since 1970, ascending
    std::optional<double> limit{};               ///< a value that must not be reached
    double horizon = 0;                          ///< seconds ahead that a limit is looked for; 0 = by the series' own length
    std::optional<std::vector<OddValue>> odd{};  ///< when a streaming detector follows it: nobody has to look at the whole series again
    std::vector<std::pair<std::string, std::string>> labels{};  ///< what it is about: namespace, persistentvolumeclaim, ...
};

struct History {
    std::vector<IncidentRow> incidents;
    std::vector<ExecutionRow> executions;
    std::vector<SeriesRow> series;

    /// Only what was known then.
    [[nodiscard]] History until(Instant then) const;
};

}  // namespace kn::patterns
