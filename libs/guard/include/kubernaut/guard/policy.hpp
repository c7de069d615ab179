#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/domain/enums.hpp"

namespace kn::guard {

struct BudgetLimit {
    int in_flight = 1, per_hour = 3;
};

/// A time in which nothing above risk none starts.
struct FreezeWindow {
    std::string name, cluster;           ///< cluster "" = all
    std::string ns;                      ///< "" = all
    int weekday = -1;                    ///< 0 = Sunday .. 6; -1 = every day (UTC)
    int from_minute = 0, to_minute = 0;  ///< of the day, UTC; to < from wraps over midnight
};

struct GuardPolicy {
    std::set<std::string> protected_namespaces{"kube-system", "kube-public", "kube-node-lease", "kubernaut-system"};
    bool opt_in = false;  ///< only objects that carry kubernaut.io/mode, or whose namespace does, may be changed
    std::vector<FreezeWindow> freeze;
    Duration cooldown_ok = 5min, cooldown_bad = 10min, cooldown_max = 4h, cooldown_incident = 5min;
    Duration oscillation_window = 120min, oscillation_hold = 30min;
    BudgetLimit object{1, 3}, ns{2, 10}, cluster{5, 30}, fleet{20, 120};
    double min_ready_nodes = 0.51;
    double clusters_ratio = 0.10;  ///< share of clusters that may be worked on at once; at least 1
    int storm_incidents_per_minute = 20;
    Duration storm_cooldown = 10min;  ///< a storm is over when the rate was below half of that for so long
    Duration approval_ttl = 15min;
    double prod_p = 0.90, auto_p = 0.80, min_q10 = 0.6, min_n = 10;
    int breaker_failures = 3;
    Duration breaker_window = 15min, breaker_half_open = 10min;
    int slots_cluster = 4, slots_fleet = 64;
};

}  // namespace kn::guard
