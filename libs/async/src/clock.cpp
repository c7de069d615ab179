#include "kubernaut/async/clock.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unordered_map>

namespace kn::async {

namespace {

/// One wait: the timer and the cancellation slot race for the handler.
struct Sleeper {
    std::move_only_function<void(boost::system::error_code)> handler;
    Executor executor;
    boost::asio::cancellation_slot slot;
    Clock::TimerId timer = 0;
    void finish(boost::system::error_code ec) {
        if (!handler) return;
        if (slot.is_connected()) slot.clear();
        auto go = std::move(handler);
        handler = {};
        std::move(go)(ec);
    }
};

}  // namespace

Task<> sleep_until(Clock& clock, SteadyTime at) {
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void(boost::system::error_code)>(
        [&clock, at](auto handler) {
            auto sleeper = std::make_shared<Sleeper>();
            sleeper->executor = boost::asio::get_associated_executor(handler);
            sleeper->slot = boost::asio::get_associated_cancellation_slot(handler);
            sleeper->handler = std::move(handler);
            sleeper->timer = clock.call_at(at, [sleeper] { sleeper->finish({}); });
            if (sleeper->slot.is_connected()) {
                sleeper->slot.assign([sleeper, &clock](boost::asio::cancellation_type) {
                    clock.cancel(sleeper->timer);
                    boost::asio::post(sleeper->executor, [sleeper] { sleeper->finish(boost::asio::error::operation_aborted); });
                });
            }
        },
        boost::asio::use_awaitable);
}

Task<> sleep_for(Clock& clock, Duration d) { return sleep_until(clock, clock.steady() + d); }

Task<> yield() { co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable); }

struct SystemClock::Timers {
    boost::asio::io_context& context;
    std::unordered_map<TimerId, std::unique_ptr<boost::asio::steady_timer>> active;
    TimerId last = 0;
};

SystemClock::SystemClock(boost::asio::io_context& context) : timers_(std::make_shared<Timers>(context)) {}
SystemClock::~SystemClock() = default;

Instant SystemClock::now() const { return std::chrono::floor<Duration>(std::chrono::system_clock::now()); }
SteadyTime SystemClock::steady() const { return std::chrono::steady_clock::now(); }

Clock::TimerId SystemClock::call_at(SteadyTime at, std::move_only_function<void()> action) {
    const TimerId id = ++timers_->last;
    auto timer = std::make_unique<boost::asio::steady_timer>(timers_->context);
    timer->expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(at));
    timer->async_wait([weak = std::weak_ptr(timers_), id, action = std::move(action)](boost::system::error_code) mutable {
        const auto timers = weak.lock();
        if (timers == nullptr || timers->active.erase(id) == 0) return;
        action();
    });
    timers_->active.emplace(id, std::move(timer));
    return id;
}

bool SystemClock::cancel(TimerId id) {
    // Erasing destroys the timer, whose handler then finds its id gone and does nothing.
    return timers_->active.erase(id) > 0;
}

Clock::TimerId VirtualClock::call_at(SteadyTime at, std::move_only_function<void()> action) {
    const TimerId id = ++last_id_;
    at = std::max(at, steady_);
    timers_.emplace(std::pair(at, id), std::move(action));
    times_.emplace(id, at);
    return id;
}

bool VirtualClock::cancel(TimerId id) {
    const auto found = times_.find(id);
    if (found == times_.end()) return false;
    timers_.erase({found->second, id});
    times_.erase(found);
    return true;
}

SteadyTime VirtualClock::next() const { return timers_.empty() ? SteadyTime::max() : timers_.begin()->first.first; }

bool VirtualClock::run_next(SteadyTime limit) {
    if (timers_.empty() || timers_.begin()->first.first > limit) {
        if (limit != SteadyTime::max()) steady_ = std::max(steady_, limit);
        return false;
    }
    auto node = timers_.extract(timers_.begin());
    times_.erase(node.key().second);
    steady_ = node.key().first;
    node.mapped()();
    return true;
}

}  // namespace kn::async
