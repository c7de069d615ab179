#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::async {

/// "Something changed, look again." Level-triggered with a memory of one: a notify() without a waiter wakes the next wait().
/// Loop thread only. The owner must outlive its waiters.
class Signal {
public:
    Signal();
    ~Signal();
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;
    /// Wakes all waiters; with none, the next wait() returns at once.
    void notify();
    /// True when notified, false at the deadline.
    Task<bool> wait(Clock& clock, Deadline deadline);

private:
    struct State;
    std::shared_ptr<State> state_;
};

/// Bounded concurrency with waiting in order of arrival.
class Semaphore {
public:
    explicit Semaphore(std::size_t permits);
    ~Semaphore();
    class Permit {
    public:
        Permit() = default;
        explicit Permit(std::shared_ptr<void> hold) : hold_(std::move(hold)) {}

    private:
        std::shared_ptr<void> hold_;
    };
    /// deadline_exceeded when no permit came in time; the permit is given back when it is destroyed.
    Task<Result<Permit>> acquire(Clock& clock, Deadline deadline);
    [[nodiscard]] std::size_t free() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace kn::async
