#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/time.hpp"

namespace boost::asio {
class io_context;
}

namespace kn::async {

/// Time as a port. All members are called from the loop thread, and callbacks run there.
class Clock {
public:
    using TimerId = std::uint64_t;
    virtual ~Clock() = default;
    [[nodiscard]] virtual Instant now() const = 0;
    [[nodiscard]] virtual SteadyTime steady() const = 0;
    /// Runs `action` on the loop at or after `at`, never before, never inside this call.
    virtual TimerId call_at(SteadyTime at, std::move_only_function<void()> action) = 0;
    /// True when the action will not run any more.
    virtual bool cancel(TimerId id) = 0;

    [[nodiscard]] Deadline deadline_in(Duration d) const { return Deadline{steady() + d}; }
};

/// Waits without blocking the loop. Cancelled: throws operation_aborted (see README).
Task<> sleep_until(Clock& clock, SteadyTime at);
Task<> sleep_for(Clock& clock, Duration d);
/// Lets everything that is ready run first.
Task<> yield();

class SystemClock final : public Clock {
public:
    explicit SystemClock(boost::asio::io_context& context);
    ~SystemClock() override;
    [[nodiscard]] Instant now() const override;
    [[nodiscard]] SteadyTime steady() const override;
    TimerId call_at(SteadyTime at, std::move_only_function<void()> action) override;
    bool cancel(TimerId id) override;

private:
    struct Timers;
    std::shared_ptr<Timers> timers_;
};

/// Time that moves only when told to. `now` and `steady` move together.
class VirtualClock final : public Clock {
public:
    explicit VirtualClock(Instant start) : start_(start) {}
    [[nodiscard]] Instant now() const override { return start_ + std::chrono::floor<Duration>(steady_.time_since_epoch()); }
    [[nodiscard]] SteadyTime steady() const override { return steady_; }
    TimerId call_at(SteadyTime at, std::move_only_function<void()> action) override;
    bool cancel(TimerId id) override;

    /// The next timer's time, or SteadyTime::max().
    [[nodiscard]] SteadyTime next() const;
    /// Moves to the next timer that is due at or before `limit` and runs it; false when there is none (time then is `limit`, if finite).
    bool run_next(SteadyTime limit = SteadyTime::max());

private:
    Instant start_;
    SteadyTime steady_{};
    TimerId last_id_ = 0;
    std::map<std::pair<SteadyTime, TimerId>, std::move_only_function<void()>> timers_;
    std::map<TimerId, SteadyTime> times_;
};

}  // namespace kn::async
