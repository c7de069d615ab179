#pragma once

#include <memory>
#include <string_view>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/task.hpp"

namespace kn::async {

/// Owner of background tasks. The last member of its owner: its destructor cancels and requires that join() was awaited or that the loop
/// does not run any more. A task that ends by an exception other than cancellation is a bug: it is logged and the process aborts.
class TaskScope {
public:
    explicit TaskScope(Executor executor);
    ~TaskScope();
    TaskScope(const TaskScope&) = delete;
    TaskScope& operator=(const TaskScope&) = delete;

    /// Refused (the task is dropped) after cancel(). `name` is for the log.
    void spawn(std::string_view name, Task<> task);
    /// Asks every task to unwind; may be called twice.
    void cancel();
    /// Waits until every task has ended.
    Task<> join();
    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] bool cancelled() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

/// True inside a catch block when the exception in flight is cancellation.
bool is_cancellation(const std::exception& error);

}  // namespace kn::async
