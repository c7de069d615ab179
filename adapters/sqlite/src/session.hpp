#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>

#include "kubernaut/sql_store/database.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace kn::sqlite {

/// The lock file of a database: held as long as this lives, gone with the process.
class FileLock {
public:
    static Result<std::shared_ptr<FileLock>> take(const std::string& database_path);
    explicit FileLock(int fd) : fd_(fd) {}
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

private:
    int fd_;
};

enum class Role { memory, writer, reader };

class SqliteSession final : public sql::Session {
public:
    static Result<std::unique_ptr<SqliteSession>> open(const std::string& path, Role role, const sql::StoreOptions& options,
                                                       std::shared_ptr<FileLock> lock);
    ~SqliteSession() override;

    [[nodiscard]] sql::Dialect dialect() const override { return sql::Dialect::sqlite; }
    Result<std::vector<sql::Rows>> run(std::span<const sql::Statement> statements) override;
    Result<> begin(sql::Access access) override;
    Result<> commit() override;
    void rollback() override;
    Result<> savepoint() override { return execute("SAVEPOINT closure"); }
    Result<> release_savepoint() override { return execute("RELEASE closure"); }
    Result<> rollback_to_savepoint() override;
    [[nodiscard]] bool usable() const override;

private:
    SqliteSession(sqlite3* db, Role role, Duration timeout, std::shared_ptr<FileLock> lock);
    Result<> configure();
    Result<> execute(const std::string& sql);
    Result<sqlite3_stmt*> prepared(const std::string& sql);
    Result<sql::Rows> run_one(const sql::Statement& statement);
    static int check_time(void* self);

    sqlite3* db_;
    const Role role_;
    const Duration timeout_;
    std::chrono::steady_clock::time_point statement_end_{};
    bool in_transaction_ = false;
    std::shared_ptr<FileLock> lock_;
    std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace kn::sqlite
