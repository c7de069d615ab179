#include "kubernaut/sql_store/stores.hpp"

#include "database/common.hpp"
#include "database/migrate.hpp"
#include "executions/store.hpp"
#include "incident_store.hpp"
#include "learning_store.hpp"
#include "outbox_store.hpp"
#include "pattern_store.hpp"
#include "registry_store.hpp"
#include "signal_store.hpp"

namespace kn::sql {
namespace {

constexpr std::uint64_t simulation_seed = 0x6b75626572;

std::unique_ptr<RandomSource> random_for(const StoreOptions& options) {
    // Virtual time wants the same run twice.
    if (options.on_loop_thread) return std::make_unique<SeededRandom>(simulation_seed);
    return std::make_unique<SystemRandom>();
}

}  // namespace

struct SqlStores::Parts {
    Parts(std::unique_ptr<SqlDatabase> d, StoreOptions options, async::EventLoop& loop)
        : database(std::move(d)), random(random_for(options)), context{*database, options, loop.clock(), *random} {}

    std::unique_ptr<SqlDatabase> database;
    std::unique_ptr<RandomSource> random;
    Context context;
    SqlSignalStore signals{context};
    SqlIncidentStore incidents{context};
    SqlExecutionStore executions{context};
    SqlLearningStore learning{context};
    SqlRegistryStore registry{context};
    SqlOutboxStore outbox{context};
    SqlPatternStore patterns{context};
    ports::Stores stores{signals, incidents, executions, learning, registry, patterns};
};

SqlStores::SqlStores(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
SqlStores::~SqlStores() { stop(); }

Result<std::unique_ptr<SqlStores>> SqlStores::open(std::unique_ptr<SqlDatabase> database, StoreOptions options, async::EventLoop& loop) {
    const Instant now = loop.clock().now();
    KN_CHECK(database->run_now(Access::write, [now](SqlConnection& connection) -> Result<> {
        KN_CHECK(migrate(connection, now));
        return make_partitions(connection, now);
    }));
    return std::unique_ptr<SqlStores>(new SqlStores(std::make_unique<Parts>(std::move(database), options, loop)));
}

ports::Stores& SqlStores::ports() { return parts_->stores; }
ports::NotificationOutbox& SqlStores::outbox() { return parts_->outbox; }
SqlDatabase& SqlStores::database() { return *parts_->database; }
void SqlStores::stop() { parts_->database->stop(); }

namespace {

/// What hangs on executions goes with them.
Result<std::int64_t> delete_executions(SqlConnection& connection, Instant before, int limit) {
    KN_TRY(const Rows gone,
           connection.query("DELETE FROM executions WHERE (cluster_id, id) IN (SELECT cluster_id, id FROM executions WHERE updated_at < $1 AND "
                            "is_active = 0 LIMIT $2) RETURNING cluster_id, id",
                            {before, limit}));
    Batch batch;
    for (std::size_t i = 0; i < gone.size(); ++i) {
        for (const char* table : {"steps", "execution_signals"}) {
            batch.add("DELETE FROM " + std::string(table) + " WHERE cluster_id = $1 AND execution_id = $2", {gone[i].text(0), gone[i].text(1)});
        }
    }
    KN_CHECK(batch.run(connection));
    return static_cast<std::int64_t>(gone.size());
}

Result<std::int64_t> delete_old(SqlConnection& connection, const SqlStores::Retention& keep, Instant now, int limit) {
    struct Rule {
        std::string table, key, condition;
        Duration age;
    };
    const Rule rules[] = {
        {"inbox", "cluster_id, received_at, id", "received_at < $1", keep.inbox},
        {"signals", "cluster_id, signal_key", "last_seen < $1 AND state <> 'pending'", keep.signals},
        {"incidents", "cluster_id, id", "closed_at < $1 AND is_open = 0", keep.history},
        {"approvals", "cluster_id, id", "expires_at < $1 AND state <> 'pending'", keep.history},
        {"actions", "cluster_id, id, id_at", "started_at < $1", keep.history},
        {"assessments", "cluster_id, id", "done_at < $1", keep.history},
        {"notifications", "cluster_id, key, channel", "created_at < $1", keep.notifications},
        {"dead_letters", "cluster_id, id", "at < $1", keep.notifications},
        {"patterns", "cluster_id, id", "last_seen < $1", keep.history},
        {"pattern_states", "cluster_id, key", "updated_at < $1", keep.history},
        {"early_warnings", "cluster_id, id", "raised_at < $1 AND outcome <> 'open'", keep.history},
        {"cooldowns", "cluster_id, key", "until < $1", Duration{1}},
        {"object_snapshots", "cluster_id, object_key, seq",
         "seen_at < $1 AND seq < (SELECT max(s.seq) FROM object_snapshots s WHERE s.cluster_id = object_snapshots.cluster_id AND s.object_key = "
         "object_snapshots.object_key)",
         keep.snapshots},
    };
    std::int64_t deleted = 0;
    for (const Rule& rule : rules) {
        if (rule.age == Duration::zero()) continue;
        KN_TRY(const Rows rows, connection.query("DELETE FROM " + rule.table + " WHERE (" + rule.key + ") IN (SELECT " + rule.key + " FROM " +
                                                     rule.table + " WHERE " + rule.condition + " LIMIT $2) RETURNING 1",
                                                 {now - rule.age, limit}));
        deleted += static_cast<std::int64_t>(rows.size());
    }
    if (keep.history != Duration::zero()) {
        KN_TRY(const std::int64_t executions, delete_executions(connection, now - keep.history, limit));
        deleted += executions;
    }
    // At the end of a round: the months to come.
    if (deleted == 0) KN_CHECK(make_partitions(connection, now));
    return deleted;
}

}  // namespace

async::Task<Result<std::int64_t>> SqlStores::retain(Retention retention, int limit, Deadline deadline) {
    auto work = [retention, limit, now = parts_->context.clock.now()](SqlConnection& connection) {
        return delete_old(connection, retention, now, limit);
    };
    co_return co_await parts_->database->write(std::move(work), deadline);
}

async::Task<Result<>> SqlStores::analyze(Deadline deadline) {
    auto work = [](SqlConnection& connection) -> Result<> {
        if (connection.dialect() != Dialect::postgres) return {};
        for (const char* table :
             {"executions", "steps", "actions", "locks", "cooldowns", "budgets", "incidents", "signals", "inbox", "approvals", "assessments"}) {
            KN_CHECK(connection.query(std::string("ANALYZE ") + table, {}));
        }
        return {};
    };
    co_return co_await parts_->database->write(std::move(work), deadline);
}

}  // namespace kn::sql
