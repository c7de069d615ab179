#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>

#include "kubernaut/sql_store/database.hpp"

struct pg_conn;
struct pg_result;

namespace kn::postgres {

class PostgresSession final : public sql::Session {
public:
    PostgresSession(std::string url, sql::StoreOptions options);
    ~PostgresSession() override;

    [[nodiscard]] sql::Dialect dialect() const override { return sql::Dialect::postgres; }
    Result<std::vector<sql::Rows>> run(std::span<const sql::Statement> statements) override;
    Result<> begin(sql::Access access) override;
    Result<> commit() override;
    void rollback() override;
    Result<> savepoint() override;
    Result<> release_savepoint() override;
    Result<> rollback_to_savepoint() override;
    [[nodiscard]] bool usable() const override { return connection_ != nullptr; }

    Result<> connect();

private:
    using Clock = std::chrono::steady_clock;
    struct Prepared {
        std::string name;
        bool ready = false;  ///< the server has confirmed it; a failed pipeline may have passed over it
    };

    /// Control statements wait for the next round trip.
    void later(const char* control) { pending_.emplace_back(control); }
    /// One pipelined round trip: what is pending, then `statements`.
    Result<std::vector<sql::Rows>> round_trip(std::span<const sql::Statement> statements);
    Result<> send(std::span<const sql::Statement> statements, std::vector<Prepared*>& expected);
    Result<> send_one(const sql::Statement& statement, const std::string& name);
    /// Waits until the next result is there; nullptr ends one statement's results.
    Result<pg_result*> next_result(Clock::time_point end);
    Result<> wait(bool for_write, Clock::time_point end);
    Result<sql::Rows> read_rows(pg_result* result) const;
    Error lost(std::string_view what);
    void close();

    const std::string url_;
    const sql::StoreOptions options_;
    pg_conn* connection_ = nullptr;
    std::unordered_map<std::string, Prepared> statements_;
    std::vector<std::string> pending_;
    bool begun_ = false;  ///< BEGIN has reached the server
    Clock::time_point next_try_{};
    Duration backoff_{0};
};

}  // namespace kn::postgres
