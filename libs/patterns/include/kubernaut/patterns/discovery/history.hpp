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

struct SeriesRow {
    std::string name, cluster, environment;
    std::vector<double> times, values;  ///< seconds since 1970, ascending
    std::optional<double> limit{};      ///< a value that must not be reached
};

struct History {
    std::vector<IncidentRow> incidents;
    std::vector<ExecutionRow> executions;
    std::vector<SeriesRow> series;

    /// Only what was known then.
    [[nodiscard]] History until(Instant then) const;
};

}  // namespace kn::patterns
