#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kubernaut/async/task.hpp"

namespace kn::async {

/// A few threads for blocking or CPU-heavy work. stop() finishes what was accepted; jobs posted later are dropped.
class ThreadPool {
public:
    ThreadPool(std::string name, std::size_t threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    void post(std::move_only_function<void()> job);
    void stop();

private:
    struct State;
    std::shared_ptr<State> state_;
};

/// Runs `work` on the pool and comes back to the loop with its value. `work` must not throw. The job runs to its end even when the waiting
/// coroutine is cancelled, so it must own what it uses.
template <class Work> auto run_on(ThreadPool& pool, Work work) -> Task<std::invoke_result_t<Work&>> {
    using Value = std::invoke_result_t<Work&>;
    const auto executor = co_await boost::asio::this_coro::executor;
    auto slot = std::make_shared<std::optional<Value>>();
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
        [&pool, executor, slot, job = std::move(work)](auto handler) mutable {
            auto guard = boost::asio::make_work_guard(executor);
            pool.post([slot, job = std::move(job), handler = std::move(handler), guard = std::move(guard), executor]() mutable {
                slot->emplace(job());
                boost::asio::post(executor, [handler = std::move(handler), guard = std::move(guard)]() mutable { std::move(handler)(); });
            });
        },
        boost::asio::use_awaitable);
    co_return std::move(**slot);
}

}  // namespace kn::async
