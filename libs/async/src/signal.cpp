#include "kubernaut/async/signal.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <list>

namespace kn::async {
namespace {

/// One waiter: whichever of notify, deadline and cancellation comes first takes the handler.
struct Waiter {
    std::move_only_function<void(boost::system::error_code, bool)> handler;
    Executor executor;
    boost::asio::cancellation_slot slot;
    Clock* clock = nullptr;
    Clock::TimerId timer = 0;
    bool done = false;

    void finish(boost::system::error_code ec, bool notified) {
        if (done) return;
        done = true;
        if (timer != 0) clock->cancel(timer);
        if (slot.is_connected()) slot.clear();
        boost::asio::post(executor, [go = std::move(handler), ec, notified]() mutable { std::move(go)(ec, notified); });
    }
};

using Waiters = std::list<std::shared_ptr<Waiter>>;

Task<bool> enqueue(Waiters& waiters, Clock& clock, Deadline deadline) {
    co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void(boost::system::error_code, bool)>(
        [&waiters, &clock, deadline](auto handler) {
            auto waiter = std::make_shared<Waiter>();
            waiter->executor = boost::asio::get_associated_executor(handler);
            waiter->slot = boost::asio::get_associated_cancellation_slot(handler);
            waiter->handler = std::move(handler);
            waiter->clock = &clock;
            waiters.remove_if([](const auto& w) { return w->done; });
            waiters.push_back(waiter);
            if (deadline.at != SteadyTime::max()) waiter->timer = clock.call_at(deadline.at, [waiter] { waiter->finish({}, false); });
            if (waiter->slot.is_connected()) {
                // Weak: the handler owns the slot's storage, and the list owns the waiter.
                waiter->slot.assign([weak = std::weak_ptr(waiter)](boost::asio::cancellation_type) {
                    if (const auto held = weak.lock()) {
                        boost::asio::post(held->executor, [held] { held->finish(boost::asio::error::operation_aborted, false); });
                    }
                });
            }
        },
        boost::asio::use_awaitable);
}

}  // namespace

struct Signal::State {
    Waiters waiters;
    bool pending = false;
};

Signal::Signal() : state_(std::make_shared<State>()) {}
Signal::~Signal() = default;

void Signal::notify() {
    bool woke = false;
    for (const auto& waiter : std::exchange(state_->waiters, {})) {
        woke = woke || !waiter->done;
        waiter->finish({}, true);
    }
    if (!woke) state_->pending = true;
}

Task<bool> Signal::wait(Clock& clock, Deadline deadline) {
    const auto state = state_;
    if (std::exchange(state->pending, false)) co_return true;
    if (deadline.passed(clock.steady())) co_return false;
    co_return co_await enqueue(state->waiters, clock, deadline);
}

struct Semaphore::State {
    std::size_t free;
    Waiters waiters;

    /// Hands a permit to the first live waiter, or puts it back.
    void release() {
        while (!waiters.empty()) {
            const auto waiter = waiters.front();
            waiters.pop_front();
            if (waiter->done) continue;
            waiter->finish({}, true);
            return;
        }
        ++free;
    }
};

Semaphore::Semaphore(std::size_t permits) : state_(std::make_shared<State>(permits)) {}
Semaphore::~Semaphore() = default;

Task<Result<Semaphore::Permit>> Semaphore::acquire(Clock& clock, Deadline deadline) {
    const auto state = state_;
    if (state->free > 0) {
        --state->free;
    } else if (!co_await enqueue(state->waiters, clock, deadline)) {
        co_return fail(ErrorCode::deadline_exceeded, "no free slot in time");
    }
    co_return Permit(std::shared_ptr<void>(nullptr, [state](void*) { state->release(); }));
}

std::size_t Semaphore::free() const { return state_->free; }

}  // namespace kn::async
