#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/sql_store/connection.hpp"

namespace kn::sql {

struct StoreOptions {
    Duration query_timeout = 2s;     ///< one statement
    std::size_t pool_max = 16;       ///< PostgreSQL connections; one of them writes
    Duration pool_wait = 250ms;      ///< a read that gets no connection in this time is refused: resource_exhausted
    std::size_t queue_max = 10'000;  ///< writes that wait for their commit; beyond: resource_exhausted
    std::size_t group_max = 64;      ///< writes in one commit
    std::int64_t inbox_rows = 100'000, inbox_bytes = 512LL << 20U;
    int poison_kills = 3;  ///< workers that die with one execution, no step ended in between: a dead letter
    /// Closures run on the caller's thread, at once: for virtual time. Always so for sqlite::memory:.
    bool on_loop_thread = false;
};

enum class Access : std::uint8_t { read, write };

/// One transaction's work. May run more than once (a deadlock, a lost connection before the commit), so it must not use up what it captured.
using Closure = std::function<Result<>(SqlConnection&)>;

/// A database as the stores see it: every call is one closure is one transaction.
class SqlDatabase {
public:
    virtual ~SqlDatabase() = default;
    /// A value: committed (write) or read. An error: nothing has changed, unless it says Applied::maybe.
    virtual async::Task<Result<>> run(Access access, Closure closure, Deadline deadline) = 0;
    /// The same on the calling thread, for opening and migrations; not beside run().
    virtual Result<> run_now(Access access, const Closure& closure) = 0;
    /// Finishes what was accepted and ends the threads; may be called twice.
    virtual void stop() = 0;

    template <class Work> auto write(Work work, Deadline deadline) -> async::Task<std::invoke_result_t<Work&, SqlConnection&>> {
        return with_value<Work>(Access::write, std::move(work), deadline);
    }
    template <class Work> auto read(Work work, Deadline deadline) -> async::Task<std::invoke_result_t<Work&, SqlConnection&>> {
        return with_value<Work>(Access::read, std::move(work), deadline);
    }

private:
    template <class Work, class Value> struct Job {
        Work work;
        std::optional<Value> value;
    };
    template <class Work> auto with_value(Access access, Work work, Deadline deadline) -> async::Task<std::invoke_result_t<Work&, SqlConnection&>> {
        using Value = typename std::invoke_result_t<Work&, SqlConnection&>::value_type;
        if constexpr (std::is_void_v<Value>) {
            auto job = std::make_shared<Job<Work, char>>(std::move(work));
            co_return co_await run(access, Closure([job](SqlConnection& connection) { return job->work(connection); }), deadline);
        } else {
            auto job = std::make_shared<Job<Work, Value>>(std::move(work));
            Closure closure = [job](SqlConnection& connection) -> Result<> {
                KN_TRY(job->value, job->work(connection));
                return {};
            };
            KN_CO_CHECK(co_await run(access, std::move(closure), deadline));
            co_return std::move(*job->value);
        }
    }
};

/// A connection with its transaction control: what an adapter implements.
class Session : public SqlConnection {
public:
    /// Reconnects first when needed.
    virtual Result<> begin(Access access) = 0;
    virtual Result<> commit() = 0;
    virtual void rollback() = 0;
    /// Inside a group: a failing closure undoes only its own work.
    virtual Result<> savepoint() = 0;
    virtual Result<> release_savepoint() = 0;
    virtual Result<> rollback_to_savepoint() = 0;
    /// False once the connection, or the transaction as a whole, is lost.
    [[nodiscard]] virtual bool usable() const = 0;
};

/// Everything on the calling thread, one session.
std::unique_ptr<SqlDatabase> make_inline_database(std::unique_ptr<Session> session);

/// One writer thread with group commit, and a thread for every reader session.
std::unique_ptr<SqlDatabase> make_threaded_database(async::EventLoop& loop, StoreOptions options, std::unique_ptr<Session> writer,
                                                    std::vector<std::unique_ptr<Session>> readers);

}  // namespace kn::sql
