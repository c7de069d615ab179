#pragma once

#include <memory>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/ports/notifier.hpp"
#include "kubernaut/ports/registry_store.hpp"
#include "kubernaut/sql_store/database.hpp"

namespace kn::sql {

/// All stores over one database.
class SqlStores {
public:
    /// Brings the schema up to date; failed_precondition when it is newer than this binary.
    static Result<std::unique_ptr<SqlStores>> open(std::unique_ptr<SqlDatabase> database, StoreOptions options, async::EventLoop& loop);
    ~SqlStores();
    SqlStores(const SqlStores&) = delete;
    SqlStores& operator=(const SqlStores&) = delete;

    [[nodiscard]] ports::Stores& ports();
    [[nodiscard]] ports::NotificationOutbox& outbox();
    [[nodiscard]] SqlDatabase& database();
    /// Finishes what was accepted; calls after it fail with `unavailable`.
    void stop();

    /// How long finished rows stay. Zero: for ever.
    struct Retention {
        Duration inbox = std::chrono::days{7}, signals = std::chrono::days{90}, history = std::chrono::days{400}, snapshots = std::chrono::days{30};
        Duration notifications = std::chrono::days{30};
    };
    /// Deletes what is older, at most `limit` rows a table; the number deleted. Newest snapshots of living objects and open work always stay. The audit
    /// chain is not cut.
    async::Task<Result<std::int64_t>> retain(Retention retention, int limit, Deadline deadline);
    /// Brings the database's knowledge of its tables up to date. PostgreSQL keeps the plans of prepared statements, and those that were made while the
    /// tables were empty read a whole cluster's rows where one is meant; its own autovacuum notices after a minute or more. Nothing on SQLite.
    async::Task<Result<>> analyze(Deadline deadline);

private:
    struct Parts;
    explicit SqlStores(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace kn::sql
