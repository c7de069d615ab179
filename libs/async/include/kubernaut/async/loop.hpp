#pragma once

#include <functional>
#include <memory>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/task.hpp"

namespace kn::async {

/// The loop thread's executor and its clock. Whoever calls run() is the loop thread.
class EventLoop {
public:
    /// A loop in real time.
    static std::unique_ptr<EventLoop> real();
    /// A loop in virtual time: whenever nothing is ready, time jumps to the next timer. Nothing that runs on it may use other threads.
    static std::unique_ptr<EventLoop> simulated(Instant start);

    virtual ~EventLoop() = default;
    virtual Executor executor() = 0;
    virtual boost::asio::io_context& context() = 0;
    virtual Clock& clock() = 0;
    /// Until stop(). In virtual time also until nothing is left to happen.
    virtual void run() = 0;
    /// Virtual time: runs everything due within `d` and ends there. Real time: runs for `d`.
    virtual void run_for(Duration d) = 0;
    /// Safe from any thread and from signal-driven handlers.
    virtual void stop() = 0;

    /// Runs `task` to its end on this loop and gives its result; for main() and tests. Returns an error when the loop ends before the task.
    template <class T> T block_on(Task<T> task);
    /// Runs ready handlers (and in virtual time, timers) until `done()`; false when nothing is left to run (or, real time, after `limit`).
    virtual bool run_until(const std::function<bool()>& done, Duration limit) = 0;
};

}  // namespace kn::async

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <optional>
#include <stdexcept>

namespace kn::async {

template <class T> T EventLoop::block_on(Task<T> task) {
    constexpr Duration forever = std::chrono::hours{24 * 365};
    bool done = false;
    std::exception_ptr error;
    if constexpr (std::is_void_v<T>) {
        boost::asio::co_spawn(executor(), std::move(task), [&](std::exception_ptr e) { error = e, done = true; });
        if (!run_until([&] { return done; }, forever)) throw std::logic_error("the loop ran dry before the task ended");
        if (error) std::rethrow_exception(error);
    } else {
        std::optional<T> value;
        boost::asio::co_spawn(executor(), std::move(task), [&](std::exception_ptr e, T v) {
            error = e, done = true;
            if (!e) value.emplace(std::move(v));
        });
        if (!run_until([&] { return done; }, forever)) throw std::logic_error("the loop ran dry before the task ended");
        if (error) std::rethrow_exception(error);
        return *std::move(value);
    }
}

}  // namespace kn::async
