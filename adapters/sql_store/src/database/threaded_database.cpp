#include <pthread.h>

#include <atomic>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "database/group.hpp"
#include "kubernaut/sql_store/database.hpp"

namespace kn::sql {
namespace {

/// One call on its way. `state` is the only thing both sides touch at once: whoever moves it away from `queued` decides what happens to the call.
struct Call {
    enum State : std::uint8_t { queued, running, abandoned };
    Access access = Access::read;
    Closure closure;
    std::atomic<State> state = queued;
    Result<> result;

    // Loop thread only.
    async::Clock* clock = nullptr;
    async::Clock::TimerId timer = 0;
    Deadline deadline;
    boost::asio::cancellation_slot slot;
    std::move_only_function<void(boost::system::error_code, Result<>)> handler;

    bool leave_queue() {
        State expected = queued;
        return state.compare_exchange_strong(expected, abandoned);
    }
    bool start() {
        State expected = queued;
        return state.compare_exchange_strong(expected, running);
    }
    void finish(boost::system::error_code ec, Result<> outcome) {
        if (!handler) return;
        if (timer != 0) clock->cancel(timer);
        if (slot.is_connected()) slot.clear();
        auto go = std::exchange(handler, nullptr);
        go(ec, std::move(outcome));
    }
};
using CallPtr = std::shared_ptr<Call>;

/// A queue and the threads that empty it. The session of a thread is used by no other.
class Lane {
public:
    Lane(async::Executor executor, std::size_t limit, std::size_t group) : executor_(std::move(executor)), limit_(limit), group_(group) {}
    ~Lane() { stop(); }

    void start(std::string name, std::unique_ptr<Session> session) {
        sessions_.push_back(std::move(session));
        threads_.emplace_back([this, own = sessions_.back().get()] { work(*own); });
        pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
    }
    Result<> push(CallPtr call) {
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) return fail(ErrorCode::unavailable, "the store is closing");
            if (calls_.size() >= limit_) {
                return std::unexpected(Error{.code = ErrorCode::resource_exhausted, .message = "the store's queue is full", .retry_after = 1s});
            }
            calls_.push_back(std::move(call));
        }
        ready_.notify_one();
        return {};
    }
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        ready_.notify_all();
        for (auto& thread : threads_) thread.join();
        threads_.clear();
        sessions_.clear();
    }
    Session& session() { return *sessions_.front(); }

private:
    void work(Session& session) {
        while (true) {
            std::vector<CallPtr> group = take();
            if (group.empty()) return;
            std::vector<Result<>> results;
            if (group_ > 1) {
                std::vector<const Closure*> closures;
                closures.reserve(group.size());
                for (const auto& call : group) closures.push_back(&call->closure);
                results = run_group(session, closures);
            } else {
                results.push_back(run_transaction(session, group.front()->access, group.front()->closure));
            }
            for (std::size_t i = 0; i < group.size(); ++i) group[i]->result = std::move(results[i]);
            boost::asio::post(executor_, [done = std::move(group)] {
                for (const auto& call : done) call->finish({}, std::move(call->result));
            });
        }
    }
    /// Waits for calls and takes as many as one commit may hold; empty when the lane has stopped and nothing is left.
    std::vector<CallPtr> take() {
        std::vector<CallPtr> taken;
        std::unique_lock lock(mutex_);
        while (taken.empty()) {
            ready_.wait(lock, [this] { return stopping_ || !calls_.empty(); });
            if (calls_.empty()) return taken;
            while (!calls_.empty() && taken.size() < group_) {
                CallPtr call = std::move(calls_.front());
                calls_.pop_front();
                if (call->start()) taken.push_back(std::move(call));
            }
        }
        return taken;
    }

    async::Executor executor_;
    const std::size_t limit_, group_;
    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<CallPtr> calls_;
    bool stopping_ = false;
    std::vector<std::unique_ptr<Session>> sessions_;
    std::vector<std::thread> threads_;
};

Error waited_too_long(const Call& call) {
    if (call.deadline.passed(call.clock->steady())) return Error{.code = ErrorCode::deadline_exceeded, .message = "the store did not answer in time"};
    return Error{.code = ErrorCode::resource_exhausted, .message = "no free database connection", .retry_after = 1s};
}

/// At the end of the wait in the queue the call is taken out; a running one is waited for until its deadline, and then nobody knows how it ends.
void arm(const CallPtr& call, SteadyTime at) {
    if (at == SteadyTime::max()) return;
    call->timer = call->clock->call_at(at, [call] {
        call->timer = 0;
        if (call->leave_queue()) {
            call->finish({}, std::unexpected(waited_too_long(*call)));
        } else if (call->deadline.passed(call->clock->steady())) {
            const Applied applied = call->access == Access::write ? Applied::maybe : Applied::no;
            call->finish(
                {}, std::unexpected(Error{.code = ErrorCode::deadline_exceeded, .message = "the store did not answer in time", .applied = applied}));
        } else {
            arm(call, call->deadline.at);
        }
    });
}

class ThreadedDatabase final : public SqlDatabase {
public:
    ThreadedDatabase(async::EventLoop& loop, StoreOptions options, std::unique_ptr<Session> writer, std::vector<std::unique_ptr<Session>> readers)
        : loop_(loop),
          options_(options),
          writes_(loop.executor(), options.queue_max, std::max<std::size_t>(2, options.group_max)),
          reads_(loop.executor(), options.queue_max, 1),
          writer_(std::move(writer)),
          readers_(std::move(readers)) {}
    ~ThreadedDatabase() override { stop(); }

    async::Task<Result<>> run(Access access, Closure closure, Deadline deadline) override {
        if (!started_) start();
        auto call = std::make_shared<Call>();
        call->access = access;
        call->closure = std::move(closure);
        call->deadline = deadline;
        call->clock = &loop_.clock();
        return submit(std::move(call));
    }
    Result<> run_now(Access access, const Closure& closure) override {
        if (started_ || !writer_) return fail(ErrorCode::failed_precondition, "the store's threads run already");
        return run_transaction(*writer_, access, closure);
    }
    void stop() override {
        started_ = true;
        reads_.stop();
        writes_.stop();
        writer_.reset();
        readers_.clear();
    }

private:
    void start() {
        started_ = true;
        writes_.start("kn-store-write", std::move(writer_));
        for (auto& reader : readers_) reads_.start("kn-store-read", std::move(reader));
        readers_.clear();
    }
    async::Task<Result<>> submit(CallPtr call) {
        co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void(boost::system::error_code, Result<>)>(
            [this, call](auto handler) {
                auto guard = boost::asio::make_work_guard(boost::asio::get_associated_executor(handler, loop_.executor()));
                call->slot = boost::asio::get_associated_cancellation_slot(handler);
                call->handler = [handler = std::move(handler), guard = std::move(guard)](boost::system::error_code ec, Result<> outcome) mutable {
                    boost::asio::post(guard.get_executor(), [handler = std::move(handler), ec, outcome = std::move(outcome)]() mutable {
                        std::move(handler)(ec, std::move(outcome));
                    });
                };
                if (auto pushed = (call->access == Access::write ? writes_ : reads_).push(call); !pushed) {
                    call->finish({}, std::move(pushed));
                    return;
                }
                SteadyTime at = call->deadline.at;
                if (call->access == Access::read) at = std::min(at, SteadyTime(call->clock->steady() + options_.pool_wait));
                arm(call, at);
                if (call->slot.is_connected()) {
                    call->slot.assign([weak = std::weak_ptr(call), executor = loop_.executor()](boost::asio::cancellation_type) {
                        if (const auto held = weak.lock()) {
                            held->leave_queue();
                            boost::asio::post(executor, [held] { held->finish(boost::asio::error::operation_aborted, {}); });
                        }
                    });
                }
            },
            boost::asio::use_awaitable);
    }

    async::EventLoop& loop_;
    const StoreOptions options_;
    Lane writes_, reads_;
    std::unique_ptr<Session> writer_;
    std::vector<std::unique_ptr<Session>> readers_;
    bool started_ = false;
};

}  // namespace

std::unique_ptr<SqlDatabase> make_threaded_database(async::EventLoop& loop, StoreOptions options, std::unique_ptr<Session> writer,
                                                    std::vector<std::unique_ptr<Session>> readers) {
    return std::make_unique<ThreadedDatabase>(loop, options, std::move(writer), std::move(readers));
}

}  // namespace kn::sql
