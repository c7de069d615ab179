#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/patterns/discovery/engine.hpp"

namespace kn::discovery {

/// A measurement that is followed on every cluster.
struct SeriesQuery {
    std::string name;         ///< "volume"
    std::string query;        ///< PromQL; one series a label set
    std::string limit_query;  ///< what the limit is a share of, with the same labels: capacity; "" = the limit is a value
    double limit = 0;         ///< value, or share of limit_query; 0 = none
    Duration step = 5min;
    std::string warn;  ///< name of the signal when the limit will be reached; "" = no warning
    bool operator==(const SeriesQuery&) const = default;
};

/// What fills up in any cluster: volumes, memory, quotas.
std::vector<SeriesQuery> builtin_series();

struct DiscoveryOptions {
    bool enabled = true;
    patterns::EngineOptions engine;
    Duration every = 15min;         ///< from the end of a run to the next
    Duration first_after = 1min;    ///< the first run after the start, when watches have filled
    Duration window = 30 * 24h;     ///< history that is looked at
    Duration horizon = 96h;         ///< limits that are reached within it
    Duration deadline = 60s;        ///< of the computing in one run; beyond it counts and rates stand in
    Duration query_timeout = 5s;    ///< one query of a series
    Duration store_timeout = 5s;    ///< one call of the store
    double least_confidence = 0.8;  ///< of a pattern that warns
    Duration recurrence_lead = 1h;  ///< a recurring failure is announced so long before
    int warnings_per_run = 3;       ///< over all clusters
    int warnings_per_hour = 10;     ///< and in an hour
    Duration again = 24h;           ///< a pattern that warned in vain is silent this long
    int storm_per_minute = 20;      ///< no warnings while so many incidents open in a cluster
    bool warnings = true;
    std::vector<SeriesQuery> series;
    std::size_t most_incidents = 20'000, most_executions = 20'000;  ///< rows in memory, the latest
    std::size_t most_series = 200;                                  ///< of one cluster and query
    std::size_t most_followed = 1000;  ///< over all clusters: at 12 KB each they are the larger part of the discovery's memory
};

}  // namespace kn::discovery
