#pragma once

#include <map>
#include <string>

#include "core/subject.hpp"

namespace kn::actions {

/// The controller has seen the newest template, and every replica runs it and is available.
bool is_rolled_out(const Subject& workload);

/// Since when, by the monotonic clock, something has looked the same. A memory only: whoever restarts waits anew.
class QuietWatch {
public:
    /// True when `state` has been reported without a break for at least `quiet`. An empty state breaks it.
    bool lasts(const std::string& key, const std::string& state, SteadyTime now, Duration quiet);
    void forget(const std::string& key) { entries_.erase(key); }

private:
    struct Entry {
        std::string state;
        SteadyTime since, seen;
    };
    std::map<std::string, Entry> entries_;
};

/// Rolled out, and since `quiet` no container restarted and no pod was replaced.
Task<Result<bool>> is_settled(const ActionContext& context, QuietWatch& watch, const Subject& workload, Duration quiet);

}  // namespace kn::actions
