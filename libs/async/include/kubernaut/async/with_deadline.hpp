#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <memory>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/task.hpp"

namespace kn::async {

/// Runs `task`, cancelling it at the deadline: the result then is deadline_exceeded with Applied::maybe, since nobody knows how far it came.
template <class T> Task<Result<T>> with_deadline(Clock& clock, Deadline deadline, Task<Result<T>> task) {
    auto signal = std::make_shared<boost::asio::cancellation_signal>();
    auto expired = std::make_shared<bool>(false);
    Clock::TimerId timer = 0;
    const bool limited = deadline.at != SteadyTime::max();
    if (limited) {
        timer = clock.call_at(deadline.at, [signal, expired] {
            *expired = true;
            signal->emit(boost::asio::cancellation_type::terminal);
        });
    }
    // Cancellation of the caller reaches the inner task through the caller's own slot.
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.slot().is_connected()) {
        state.slot().assign([signal](boost::asio::cancellation_type type) { signal->emit(type); });
    }
    const auto executor = co_await boost::asio::this_coro::executor;
    try {
        auto result = co_await boost::asio::co_spawn(executor, std::move(task),
                                                     boost::asio::bind_cancellation_slot(signal->slot(), boost::asio::use_awaitable));
        if (limited) clock.cancel(timer);
        co_return result;
    } catch (const boost::system::system_error&) {
        if (limited) clock.cancel(timer);
        if (!*expired) throw;
    }
    co_return std::unexpected(Error{.code = ErrorCode::deadline_exceeded, .message = "not finished in time", .applied = Applied::maybe});
}

}  // namespace kn::async
