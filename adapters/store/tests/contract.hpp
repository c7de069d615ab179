#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/ports/learning_store.hpp"
#include "kubernaut/ports/registry_store.hpp"
#include "kubernaut/ports/signal_store.hpp"
#include "kubernaut/store/open_store.hpp"
#include "kubernaut/testing/postgres_server.hpp"
#include "kubernaut/testing/temp_dir.hpp"

// The contract of the store ports: the same tests over every database.
namespace kn::store_test {

inline const Instant t0 = from_millis(1'790'000'000'000);
inline const ClusterId eu1{"eu1"}, us1{"us1"};

inline std::uint64_t seed(const char* test) {
    const char* fixed = std::getenv("KN_SEED");
    const std::uint64_t value = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
    std::cout << test << ": KN_SEED=" << value << '\n';
    return value;
}

/// The test program's one PostgreSQL server; the message when there is none.
inline Result<testing::PostgresServer*> postgres_server() {
    static Result<std::unique_ptr<testing::PostgresServer>> server = testing::PostgresServer::start();
    if (!server) return fail(server.error());
    return server->get();
}

class Database {
public:
    explicit Database(std::string kind) : kind_(std::move(kind)) {}
    /// A fresh, empty one; not_found when PostgreSQL is not installed.
    Result<> prepare() {
        if (kind_ == "memory") url_ = "sqlite::memory:";
        if (kind_ == "sqlite") url_ = "sqlite://" + dir_.path() + "/store.db";
        if (kind_ != "postgres") return {};
        // One database for all tests, emptied in between: making a new one takes a second.
        KN_TRY(testing::PostgresServer* const server, postgres_server());
        static const auto made = server->create_database("contract");
        KN_TRY(url_, made);
        KN_TRY(const std::string emptied,
               server->psql("contract",
                            "DO 'DECLARE names TEXT; BEGIN SELECT string_agg(quote_ident(tablename), '','') INTO names FROM "
                            "pg_tables WHERE schemaname = ''public'' AND tablename <> ''schema_migrations''; IF names IS NOT "
                            "NULL THEN EXECUTE ''TRUNCATE '' || names; DELETE FROM schema_migrations WHERE version > 9000; "
                            "END IF; END'"));
        static_cast<void>(emptied);
        return {};
    }
    /// Before another prepare(), while nothing is open.
    void clear() {
        if (kind_ != "sqlite") return;
        for (const char* end : {"", "-wal", "-shm"}) (void)std::remove((dir_.path() + "/store.db" + end).c_str());
    }
    [[nodiscard]] const std::string& url() const { return url_; }
    [[nodiscard]] const std::string& kind() const { return kind_; }
    [[nodiscard]] bool durable() const { return kind_ != "memory"; }

private:
    std::string kind_, url_;
    testing::TempDir dir_;
};

class StoreContract : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        log::configure(log::Level::off, log::Format::text);
        const auto ready = database_.prepare();
        if (!ready && ready.error().code == ErrorCode::not_found) GTEST_SKIP() << ready.error().message;
        ASSERT_TRUE(ready) << ready.error().describe();
        reopen();
    }
    void TearDown() override { stores_.reset(); }

    void reopen() {
        stores_.reset();
        auto opened = open_store(database_.url(), options_, *loop_);
        ASSERT_TRUE(opened) << opened.error().describe();
        stores_ = std::move(*opened);
    }
    template <class T> T run(async::Task<T> task) { return loop_->block_on(std::move(task)); }
    /// The value, or a test failure that tells why there is none.
    template <class T> T must(async::Task<Result<T>> task) {
        auto result = run(std::move(task));
        if (!result) ADD_FAILURE() << result.error().describe();
        if constexpr (std::is_void_v<T>)
            return;
        else
            return result ? std::move(*result) : T{};
    }
    template <class T> Error error_of(async::Task<Result<T>> task) {
        auto result = run(std::move(task));
        if (result) {
            ADD_FAILURE() << "should have failed";
            return {};
        }
        return result.error();
    }
    /// A statement behind the stores' back.
    void tamper(const std::string& sql) {
        const auto done = run(stores_->database().run(
            sql::Access::write,
            [sql](sql::SqlConnection& connection) -> Result<> {
                KN_CHECK(connection.query(sql));
                return {};
            },
            soon()));
        ASSERT_TRUE(done) << done.error().describe();
    }
    Deadline soon() { return loop_->clock().deadline_in(20s); }
    ports::SignalStore& signals() { return stores_->ports().signals; }
    ports::IncidentStore& incidents() { return stores_->ports().incidents; }
    ports::ExecutionStore& executions() { return stores_->ports().executions; }
    ports::LearningStore& learning() { return stores_->ports().learning; }
    ports::RegistryStore& registry() { return stores_->ports().registry; }

    Database database_{GetParam()};
    sql::StoreOptions options_;
    std::unique_ptr<async::EventLoop> loop_ = async::EventLoop::real();
    std::unique_ptr<sql::SqlStores> stores_;
};

#define KN_EVERY_STORE(Suite) \
    INSTANTIATE_TEST_SUITE_P(On, Suite, ::testing::Values("memory", "sqlite", "postgres"), [](const auto& test) { return std::string(test.param); })

// Builders: complete values, changed where a test needs it.

inline std::string id(std::string_view prefix, int n, Instant at = t0) { return derive_id(prefix, at, {std::to_string(n)}); }

inline Signal a_signal(int n, ClusterId cluster = eu1) {
    Signal signal;
    signal.id = SignalId(id("sig_", n));
    signal.cluster = std::move(cluster);
    signal.name = "KubePodCrashLooping";
    signal.alert_fp = "fp" + std::to_string(n);
    signal.starts_at = t0 + Duration{n};
    signal.received_at = signal.last_seen = t0 + 1s;
    signal.key = make_signal_key(signal.cluster, "alertmanager", signal.alert_fp, signal.starts_at, "firing");
    signal.labels = {{"namespace", "shop"}, {"pod", "cart-" + std::to_string(n)}, {"alertname", signal.name}};
    return signal;
}

inline ObjectKey an_object(const std::string& name, ClusterId cluster = eu1) { return {std::move(cluster), "shop", "Deployment", "apps", name}; }

inline Incident an_incident(int n, ClusterId cluster = eu1) {
    Incident incident;
    incident.id = IncidentId(id("inc_", n));
    incident.cluster = std::move(cluster);
    incident.target.key = an_object("cart" + std::to_string(n), incident.cluster);
    incident.correlation_key = make_correlation_key(incident.target.key, "crashloop");
    incident.opened_at = incident.updated_at = incident.next_look_at = t0 + Duration{n};
    return incident;
}

inline AuditRecord a_record(int n, ClusterId cluster = eu1) {
    AuditRecord record;
    record.cluster = std::move(cluster);
    record.at = t0 + Duration{n};
    record.actor = "kubernaut";
    record.verb = "execution.start";
    record.object = "cart" + std::to_string(n);
    record.details = {{"n", n}, {"p", 0.25}};
    return record;
}

inline Execution an_execution(int n, ClusterId cluster = eu1) {
    Execution execution;
    execution.id = ExecutionId(id("exe_", n));
    execution.cluster = std::move(cluster);
    execution.plan.workflow = "rollback-deployment";
    execution.plan.target.key = an_object("cart" + std::to_string(n), execution.cluster);
    execution.definition = json::Value(json::Object{{"id", "rollback-deployment"}, {"steps", json::Array{"a", "b"}}});
    execution.context = {{"env", "prod"}};
    execution.state = ExecutionState::queued;
    execution.requested_by = "kubernaut";
    execution.created_at = execution.updated_at = t0 + Duration{n};
    return execution;
}

inline ports::StartRequest a_start(int n, ClusterId cluster = eu1) {
    ports::StartRequest request;
    request.execution = an_execution(n, cluster);
    request.locks = {request.execution.plan.target.key.str()};
    request.locks_until = t0 + 1000h * 24;
    return request;
}

inline Step a_step(const Execution& execution, std::string path, StepState state, int attempt = 1) {
    Step step;
    step.execution = execution.id;
    step.path = path;
    step.id = std::move(path);
    step.kind = "action";
    step.state = state;
    step.attempt = attempt;
    return step;
}

}  // namespace kn::store_test
