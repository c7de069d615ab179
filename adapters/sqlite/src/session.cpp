#include "session.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>

#include "kubernaut/base/log.hpp"

namespace kn::sqlite {
namespace {

constexpr int checked_every = 20'000;  // virtual machine steps between two looks at the clock
constexpr std::size_t statements_kept = 256;

ErrorCode code_of(int rc) {
    switch (rc & 0xff) {
        case SQLITE_CONSTRAINT: return ErrorCode::already_exists;
        case SQLITE_FULL:
        case SQLITE_NOMEM:
        case SQLITE_TOOBIG: return ErrorCode::resource_exhausted;
        case SQLITE_INTERRUPT: return ErrorCode::deadline_exceeded;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_READONLY:
        case SQLITE_PERM: return ErrorCode::unavailable;
        default: return ErrorCode::internal;
    }
}

std::unexpected<Error> failure(sqlite3* db, int rc, std::string_view what) {
    return fail(code_of(rc), "SQLite: " + std::string(what) + ": " + (db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(rc)));
}

/// `$1` is a name to SQLite, `?1` a number.
std::string numbered(const std::string& sql) {
    std::string out = sql;
    for (std::size_t i = 0; i + 1 < out.size(); ++i) {
        if (out[i] == '$' && std::isdigit(static_cast<unsigned char>(out[i + 1])) != 0) out[i] = '?';
    }
    return out;
}

int bind(sqlite3_stmt* statement, int index, const sql::Param::Value& value) {
    // The values live until the statement is reset, so nothing is copied.
    struct Visitor {
        sqlite3_stmt* statement;
        int index;
        int operator()(std::monostate) const { return sqlite3_bind_null(statement, index); }
        int operator()(std::int64_t number) const { return sqlite3_bind_int64(statement, index, number); }
        int operator()(double number) const { return sqlite3_bind_double(statement, index, number); }
        int operator()(const std::string& text) const {
            return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
        }
        int operator()(const sql::Bytes& bytes) const {
            return sqlite3_bind_blob64(statement, index, bytes.data.data(), bytes.data.size(), SQLITE_STATIC);
        }
    };
    return std::visit(Visitor{statement, index}, value);
}

/// Before SQLite makes the file: readable by its owner alone. SQLite gives the WAL the same mode.
Result<> make_private(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(ErrorCode::unavailable, "cannot open " + path + ": " + std::strerror(errno));
    struct stat info{};
    const bool others = fstat(fd, &info) == 0 && (info.st_mode & 077) != 0;
    if (others && fchmod(fd, 0600) != 0) log::warning("the database can be read by others", {{"path", path}});
    ::close(fd);
    return {};
}

}  // namespace

Result<std::shared_ptr<FileLock>> FileLock::take(const std::string& database_path) {
    const std::string path = database_path + ".lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(ErrorCode::unavailable, "cannot open " + path + ": " + std::strerror(errno));
    auto lock = std::make_shared<FileLock>(fd);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return fail(ErrorCode::failed_precondition,
                    database_path + " is in use by another process (SQLite serves one; use PostgreSQL for several replicas)");
    }
    return lock;
}

FileLock::~FileLock() { ::close(fd_); }

SqliteSession::SqliteSession(sqlite3* db, Role role, Duration timeout, std::shared_ptr<FileLock> lock)
    : db_(db), role_(role), timeout_(timeout), lock_(std::move(lock)) {}

SqliteSession::~SqliteSession() {
    for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    if (role_ == Role::writer) sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    sqlite3_close_v2(db_);
}

Result<std::unique_ptr<SqliteSession>> SqliteSession::open(const std::string& path, Role role, const sql::StoreOptions& options,
                                                           std::shared_ptr<FileLock> lock) {
    if (role == Role::writer) KN_CHECK(make_private(path));
    sqlite3* db = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int rc = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
    std::unique_ptr<SqliteSession> session(new SqliteSession(db, role, options.query_timeout, std::move(lock)));
    if (rc != SQLITE_OK) return failure(db, rc, "cannot open " + path);
    KN_CHECK(session->configure());
    return session;
}

Result<> SqliteSession::configure() {
    sqlite3_busy_timeout(db_, static_cast<int>(timeout_.count()));
    KN_CHECK(execute("PRAGMA mmap_size = 0"));
    KN_CHECK(execute("PRAGMA temp_store = MEMORY"));
    KN_CHECK(execute("PRAGMA cache_size = -8000"));
    KN_CHECK(execute("PRAGMA trusted_schema = OFF"));
    if (role_ == Role::memory) return {};
    KN_CHECK(execute("PRAGMA journal_mode = WAL"));
    KN_CHECK(execute("PRAGMA synchronous = FULL"));
    KN_CHECK(execute("PRAGMA wal_autocheckpoint = " + std::string(role_ == Role::writer ? "2000" : "0")));
    if (role_ == Role::reader) KN_CHECK(execute("PRAGMA query_only = ON"));
    // Virtual time has no use for a wall-clock limit; threads do.
    sqlite3_progress_handler(db_, checked_every, &SqliteSession::check_time, this);
    return {};
}

int SqliteSession::check_time(void* self) {
    const auto& session = *static_cast<SqliteSession*>(self);
    return session.in_transaction_ && std::chrono::steady_clock::now() > session.statement_end_ ? 1 : 0;
}

Result<> SqliteSession::execute(const std::string& sql) {
    const int rc = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
    if (rc != SQLITE_OK) return failure(db_, rc, sql);
    return {};
}

Result<sqlite3_stmt*> SqliteSession::prepared(const std::string& sql) {
    if (const auto found = statements_.find(sql); found != statements_.end()) return found->second;
    if (statements_.size() >= statements_kept) {
        for (const auto& [text, statement] : statements_) sqlite3_finalize(statement);
        statements_.clear();
    }
    const std::string text = numbered(sql);
    sqlite3_stmt* statement = nullptr;
    const int rc = sqlite3_prepare_v3(db_, text.c_str(), static_cast<int>(text.size()), SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (rc != SQLITE_OK) return failure(db_, rc, sql);
    statements_.emplace(sql, statement);
    return statement;
}

Result<sql::Rows> SqliteSession::run_one(const sql::Statement& statement) {
    statement_end_ = std::chrono::steady_clock::now() + timeout_;
    KN_TRY(sqlite3_stmt* const prepared_statement, prepared(statement.sql));
    struct Reset {
        sqlite3_stmt* statement;
        ~Reset() {
            sqlite3_reset(statement);
            sqlite3_clear_bindings(statement);
        }
    } const reset{prepared_statement};
    for (std::size_t i = 0; i < statement.params.size(); ++i) {
        const int rc = bind(prepared_statement, static_cast<int>(i + 1), statement.params[i].value());
        if (rc != SQLITE_OK) return failure(db_, rc, statement.sql);
    }
    const int columns = sqlite3_column_count(prepared_statement);
    sql::Rows rows(static_cast<std::size_t>(columns));
    while (true) {
        const int rc = sqlite3_step(prepared_statement);
        if (rc == SQLITE_DONE) return rows;
        if (rc != SQLITE_ROW) return failure(db_, rc, statement.sql);
        for (int i = 0; i < columns; ++i) {
            if (sqlite3_column_type(prepared_statement, i) == SQLITE_NULL) {
                rows.push(std::nullopt);
                continue;
            }
            const auto* bytes = static_cast<const char*>(sqlite3_column_blob(prepared_statement, i));
            rows.push(std::string(bytes == nullptr ? "" : bytes, static_cast<std::size_t>(sqlite3_column_bytes(prepared_statement, i))));
        }
    }
}

Result<std::vector<sql::Rows>> SqliteSession::run(std::span<const sql::Statement> statements) {
    std::vector<sql::Rows> results;
    results.reserve(statements.size());
    for (const sql::Statement& statement : statements) {
        KN_TRY(sql::Rows rows, run_one(statement));
        results.push_back(std::move(rows));
    }
    return results;
}

Result<> SqliteSession::begin(sql::Access access) {
    KN_CHECK(execute(access == sql::Access::write ? "BEGIN IMMEDIATE" : "BEGIN"));
    in_transaction_ = true;
    return {};
}

Result<> SqliteSession::commit() {
    in_transaction_ = false;
    return execute("COMMIT");
}

void SqliteSession::rollback() {
    in_transaction_ = false;
    if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<> SqliteSession::rollback_to_savepoint() {
    KN_CHECK(execute("ROLLBACK TO closure"));
    return execute("RELEASE closure");
}

bool SqliteSession::usable() const {
    // A full disk or an I/O error may have ended the whole transaction behind our back.
    return !in_transaction_ || sqlite3_get_autocommit(db_) == 0;
}

}  // namespace kn::sqlite
