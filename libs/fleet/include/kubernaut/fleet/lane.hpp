#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/kube/transport.hpp"
#include "kubernaut/metrics/registry.hpp"

namespace kn::fleet {

using async::Task;

struct LaneOptions {
    std::size_t concurrency = 4;  ///< calls in flight
    std::size_t queue = 1'000;    ///< callers waiting; beyond it resource_exhausted at once
    double qps = 40, burst = 60;
    Duration breaker_window = 10s, breaker_open = 5s;
    int breaker_calls = 10;  ///< at least this many in the window
    double breaker_share = 0.5;
};

/// One cluster's lane: no cluster waits for another. Bounded concurrency and rate, Retry-After honoured, and a breaker that fails fast while most
/// calls fail. Streams take no permit: they live long and cost little.
class LaneTransport final : public kube::Transport {
public:
    LaneTransport(std::shared_ptr<kube::Transport> inner, async::Clock& clock, LaneOptions options, metrics::Registry& metrics, std::string cluster);
    Task<Result<kube::Response>> send(kube::Request request, Deadline deadline) override;
    Task<Result<std::unique_ptr<kube::Stream>>> open(kube::Request request, Deadline connect_deadline) override;
    [[nodiscard]] bool breaker_open() const;
    /// When this lane last got an answer.
    [[nodiscard]] SteadyTime last_answer() const { return last_answer_; }

private:
    void record(bool failed);
    std::shared_ptr<kube::Transport> inner_;
    async::Clock* clock_;
    LaneOptions options_;
    metrics::Registry& metrics_;
    std::string cluster_;
    async::Semaphore slots_;
    std::size_t waiting_ = 0;
    double tokens_;
    SteadyTime filled_at_;
    SteadyTime hold_until_{};  ///< from Retry-After
    SteadyTime open_until_{};
    SteadyTime last_answer_{};
    std::deque<std::pair<SteadyTime, bool>> results_;
};

}  // namespace kn::fleet
