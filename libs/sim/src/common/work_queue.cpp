#include "common/work_queue.hpp"

#include <algorithm>

namespace kn::sim {

WorkQueue::~WorkQueue() {
    for (const auto& [key, wait] : waits_) clock_.cancel(wait.timer);
}

void WorkQueue::add(const std::string& key) {
    if (!known_.insert(key).second) return;
    ready_.push_back(key);
    signal_.notify();
}

void WorkQueue::add_after(const std::string& key, Duration after) {
    if (after <= Duration::zero()) return add(key);
    const SteadyTime at = clock_.steady() + after;
    if (const auto found = waits_.find(key); found != waits_.end()) {
        if (found->second.at <= at) return;
        clock_.cancel(found->second.timer);
        waits_.erase(found);
    }
    const auto timer = clock_.call_at(at, [this, key] {
        waits_.erase(key);
        add(key);
    });
    waits_.emplace(key, Wait{timer, at});
}

void WorkQueue::retry(const std::string& key) {
    const int tries = failures_[key]++;
    add_after(key, std::min<Duration>(cap_, base_ * (1LL << std::min(tries, 20))));
}

async::Task<std::string> WorkQueue::next() {
    while (ready_.empty()) co_await signal_.wait(clock_, Deadline::never());
    std::string key = std::move(ready_.front());
    ready_.pop_front();
    // Out of the set before the work begins: a change that comes meanwhile asks for another look.
    known_.erase(key);
    co_return key;
}

}  // namespace kn::sim
