#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/signal.hpp"

namespace kn::sim {

/// Names of objects to look at: each at most once, in order of arrival, with waits and back-off per name. One consumer. Loop thread only.
class WorkQueue {
public:
    WorkQueue(async::Clock& clock, Duration backoff_base, Duration backoff_cap) : clock_(clock), base_(backoff_base), cap_(backoff_cap) {}
    ~WorkQueue();
    WorkQueue(const WorkQueue&) = delete;
    WorkQueue& operator=(const WorkQueue&) = delete;

    void add(const std::string& key);
    /// An earlier wait for the same key wins.
    void add_after(const std::string& key, Duration after);
    /// After a failure: waits longer each time until forget().
    void retry(const std::string& key);
    void forget(const std::string& key) { failures_.erase(key); }
    async::Task<std::string> next();
    [[nodiscard]] bool empty() const { return ready_.empty(); }

private:
    struct Wait {
        async::Clock::TimerId timer;
        SteadyTime at;
    };
    async::Clock& clock_;
    Duration base_, cap_;
    async::Signal signal_;
    std::deque<std::string> ready_;
    std::set<std::string> known_;
    std::map<std::string, Wait> waits_;
    std::map<std::string, int> failures_;
};

}  // namespace kn::sim
