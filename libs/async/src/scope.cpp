#include "kubernaut/async/scope.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <cstdlib>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "kubernaut/async/signal.hpp"
#include "kubernaut/base/log.hpp"

namespace kn::async {

bool is_cancellation(const std::exception& error) {
    const auto* system = dynamic_cast<const boost::system::system_error*>(&error);
    return system != nullptr && system->code() == boost::asio::error::operation_aborted;
}

struct TaskScope::State {
    struct Entry {
        std::string name;
        boost::asio::cancellation_signal signal;
        bool ended = false;
    };
    explicit State(Executor e) : executor(std::move(e)) {}
    Executor executor;
    std::list<std::shared_ptr<Entry>> tasks;
    std::vector<std::shared_ptr<std::move_only_function<void()>>> joiners;
    bool cancelled = false;

    void ended(const std::shared_ptr<Entry>& entry) {
        entry->ended = true;
        tasks.remove(entry);
        if (!tasks.empty()) return;
        auto waiting = std::exchange(joiners, {});
        for (auto& joiner : waiting) (*joiner)();
    }
};

TaskScope::TaskScope(Executor executor) : state_(std::make_shared<State>(std::move(executor))) {}
TaskScope::~TaskScope() { cancel(); }

void TaskScope::spawn(std::string_view name, Task<> task) {
    if (state_->cancelled) return;
    auto entry = std::make_shared<State::Entry>();
    entry->name = name;
    state_->tasks.push_back(entry);
    boost::asio::co_spawn(state_->executor, std::move(task),
                          boost::asio::bind_cancellation_slot(entry->signal.slot(), [state = state_, entry](std::exception_ptr error) {
                              if (error) {
                                  try {
                                      std::rethrow_exception(error);
                                  } catch (const std::exception& e) {
                                      if (!is_cancellation(e)) {
                                          log::error("a background task ended by an exception: this is a bug",
                                                     {{"task", entry->name}, {"what", e.what()}});
                                          std::abort();
                                      }
                                  }
                              }
                              state->ended(entry);
                          }));
}

void TaskScope::cancel() {
    state_->cancelled = true;
    const auto tasks = state_->tasks;
    for (const auto& entry : tasks) {
        // Posted, because emit() may resume the task inside this call.
        boost::asio::post(state_->executor, [state = state_, entry] {
            if (!entry->ended) entry->signal.emit(boost::asio::cancellation_type::terminal);
        });
    }
}

Task<> TaskScope::join() {
    const auto state = state_;
    if (state->tasks.empty()) co_return;
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
        [state](auto handler) {
            auto shared = std::make_shared<decltype(handler)>(std::move(handler));
            state->joiners.push_back(std::make_shared<std::move_only_function<void()>>([shared] { std::move (*shared)(); }));
        },
        boost::asio::use_awaitable);
}

std::size_t TaskScope::size() const { return state_->tasks.size(); }
bool TaskScope::cancelled() const { return state_->cancelled; }

}  // namespace kn::async
