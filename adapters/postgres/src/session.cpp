#include "session.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "kubernaut/base/log.hpp"

namespace kn::postgres {
namespace {

constexpr Duration connect_timeout = 3s;
constexpr Duration lock_timeout = 400ms;  // shorter than PostgreSQL's own deadlock check: a circle of two replicas ends sooner
constexpr Duration backoff_first = 100ms, backoff_most = 5s;
constexpr Duration answer_grace = 1s;  // beyond statement_timeout, which the server keeps itself
constexpr std::size_t statements_kept = 512;

std::string first_line(const char* message) {
    const std::string_view text = message == nullptr ? "" : message;
    return std::string(text.substr(0, text.find('\n')));
}

/// PostgreSQL's SQLSTATE (appendix A of its manual) in our words.
ErrorCode code_of(std::string_view state) {
    if (state == "23505") return ErrorCode::already_exists;
    if (state == "40001" || state == "40P01" || state == "55P03") return ErrorCode::aborted;
    if (state == "57014") return ErrorCode::deadline_exceeded;
    if (state == "28P01" || state == "28000") return ErrorCode::unauthenticated;
    if (state == "42501") return ErrorCode::permission_denied;
    if (state == "53300" || state == "25006") return ErrorCode::unavailable;
    const std::string_view family = state.substr(0, 2);
    if (family == "53" || family == "54") return ErrorCode::resource_exhausted;
    if (family == "57" || family == "58" || family == "08") return ErrorCode::unavailable;
    if (family == "22") return ErrorCode::invalid_argument;
    return ErrorCode::internal;
}

bool worth_another_try(std::string_view state) { return state == "40001" || state == "40P01" || state == "55P03"; }

Error error_of(PGresult* result) {
    const char* found = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string_view state = found == nullptr ? "" : found;
    const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    Error error{
        .code = code_of(state),
        .message = "PostgreSQL: " + first_line(primary != nullptr ? primary : PQresultErrorMessage(result)) + " (" + std::string(state) + ")"};
    if (worth_another_try(state)) error.reason = sql::retry_transaction;
    return error;
}

}  // namespace

PostgresSession::PostgresSession(std::string url, sql::StoreOptions options) : url_(std::move(url)), options_(options) {}
PostgresSession::~PostgresSession() { close(); }

void PostgresSession::close() {
    if (connection_ != nullptr) PQfinish(connection_);
    connection_ = nullptr;
    statements_.clear();
    pending_.clear();
    begun_ = false;
}

Error PostgresSession::lost(std::string_view what) {
    Error error{.code = ErrorCode::unavailable, .message = "PostgreSQL: " + std::string(what), .retry_after = 1s};
    close();
    return error;
}

Result<> PostgresSession::connect() {
    if (connection_ != nullptr) return {};
    if (Clock::now() < next_try_) {
        return fail(Error{.code = ErrorCode::unavailable, .message = "PostgreSQL is not reachable", .retry_after = 1s});
    }
    const std::string timeout = std::to_string(std::chrono::ceil<std::chrono::seconds>(connect_timeout).count());
    // Every query of ours has its index. A plan that was made while a table was small or never analysed would go on reading all of it.
    const std::string settings = "-c statement_timeout=" + std::to_string(options_.query_timeout.count()) +
                                 " -c lock_timeout=" + std::to_string(lock_timeout.count()) +
                                 " -c enable_seqscan=off -c idle_in_transaction_session_timeout=30000 -c timezone=UTC -c client_min_messages=warning";
    const std::string silence = std::to_string((options_.query_timeout + answer_grace).count());
    const std::array names = {
        "dbname", "application_name", "connect_timeout", "options", "client_encoding", "tcp_user_timeout", static_cast<const char*>(nullptr)};
    const std::array values = {
        url_.c_str(), "kubernaut", timeout.c_str(), settings.c_str(), "UTF8", silence.c_str(), static_cast<const char*>(nullptr)};
    connection_ = PQconnectdbParams(names.data(), values.data(), 1);
    if (PQstatus(connection_) == CONNECTION_OK && PQsetnonblocking(connection_, 1) == 0 && PQenterPipelineMode(connection_) == 1) {
        backoff_ = Duration{0};
        return {};
    }
    backoff_ = backoff_ == Duration{0} ? backoff_first : std::min(backoff_ * 2, backoff_most);
    next_try_ = Clock::now() + backoff_;
    Error error = lost("cannot connect: " + first_line(PQerrorMessage(connection_)));
    log::warning("database not reachable", {{"why", error.message}});
    return fail(std::move(error));
}

Result<> PostgresSession::begin(sql::Access access) {
    KN_CHECK(connect());
    pending_.clear();
    begun_ = false;
    later(access == sql::Access::write ? "BEGIN ISOLATION LEVEL READ COMMITTED" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    return {};
}

Result<> PostgresSession::savepoint() {
    later("SAVEPOINT closure");
    return {};
}

Result<> PostgresSession::release_savepoint() {
    later("RELEASE SAVEPOINT closure");
    return {};
}

Result<> PostgresSession::rollback_to_savepoint() {
    // The savepoint may never have reached the server: then there is nothing to undo.
    if (!pending_.empty() && pending_.back() == "SAVEPOINT closure") {
        pending_.pop_back();
        return {};
    }
    later("ROLLBACK TO SAVEPOINT closure");
    later("RELEASE SAVEPOINT closure");
    return {};
}

Result<> PostgresSession::commit() {
    if (!begun_) {
        pending_.clear();
        return {};
    }
    // Savepoint control that still waits goes with the COMMIT. What is lost from here on may have been committed.
    later("COMMIT");
    auto done = round_trip({});
    begun_ = false;
    if (done) return {};
    Error error = std::move(done).error();
    if (connection_ == nullptr) error.applied = Applied::maybe;
    return fail(error.with_context("committing"));
}

void PostgresSession::rollback() {
    pending_.clear();
    if (connection_ == nullptr || !begun_) return;
    begun_ = false;
    later("ROLLBACK");
    if (!round_trip({}) && connection_ != nullptr) close();
}

Result<std::vector<sql::Rows>> PostgresSession::run(std::span<const sql::Statement> statements) {
    if (connection_ == nullptr)
        return fail(Error{.code = ErrorCode::unavailable, .message = "PostgreSQL: the connection is lost", .retry_after = 1s});
    return round_trip(statements);
}

Result<> PostgresSession::wait(bool for_write, Clock::time_point end) {
    pollfd poll_for{.fd = PQsocket(connection_), .events = static_cast<short>(POLLIN | (for_write ? POLLOUT : 0)), .revents = 0};
    while (true) {
        const auto left = std::chrono::ceil<Duration>(end - Clock::now()).count();
        const int ready = left <= 0 ? 0 : ::poll(&poll_for, 1, static_cast<int>(left));
        if (ready > 0) return {};
        if (ready < 0 && errno == EINTR) continue;
        return fail(lost("the server does not answer"));
    }
}

Result<> PostgresSession::send_one(const sql::Statement& statement, const std::string& name) {
    const std::size_t count = statement.params.size();
    std::vector<std::string> numbers(count);  // kept until sent: libpq copies then
    std::vector<const char*> values(count);
    std::vector<int> lengths(count), formats(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto& value = statement.params[i].value();
        if (const auto* number = std::get_if<std::int64_t>(&value)) {
            numbers[i] = std::to_string(*number);
            values[i] = numbers[i].c_str();
        } else if (const auto* real = std::get_if<double>(&value)) {
            std::array<char, 40> text{};
            std::snprintf(text.data(), text.size(), "%.17g", *real);
            numbers[i] = text.data();
            values[i] = numbers[i].c_str();
        } else if (const auto* text = std::get_if<std::string>(&value)) {
            values[i] = text->c_str();
        } else if (const auto* bytes = std::get_if<sql::Bytes>(&value)) {
            values[i] = bytes->data.data();
            lengths[i] = static_cast<int>(bytes->data.size());
            formats[i] = 1;
        }
    }
    if (PQsendQueryPrepared(connection_, name.c_str(), static_cast<int>(count), values.data(), lengths.data(), formats.data(), 0) != 1) {
        return fail(lost("cannot send: " + first_line(PQerrorMessage(connection_))));
    }
    return {};
}

Result<> PostgresSession::send(std::span<const sql::Statement> statements, std::vector<Prepared*>& expected) {
    const auto prepare = [this, &expected](const std::string& sql) -> Result<Prepared*> {
        auto [found, added] = statements_.try_emplace(sql);
        Prepared& prepared = found->second;
        if (added) prepared.name = "s" + std::to_string(statements_.size());
        if (!prepared.ready) {
            if (PQsendPrepare(connection_, prepared.name.c_str(), sql.c_str(), 0, nullptr) != 1)
                return fail(lost(first_line(PQerrorMessage(connection_))));
            expected.push_back(&prepared);
            prepared.ready = true;  // taken back below when the pipeline fails
        }
        return &prepared;
    };
    for (const std::string& control : pending_) {
        KN_TRY(Prepared* const prepared, prepare(control));
        KN_CHECK(send_one({}, prepared->name));
        expected.push_back(nullptr);
    }
    for (const sql::Statement& statement : statements) {
        KN_TRY(Prepared* const prepared, prepare(statement.sql));
        KN_CHECK(send_one(statement, prepared->name));
        expected.push_back(nullptr);
    }
    if (PQpipelineSync(connection_) != 1) return fail(lost("cannot send: " + first_line(PQerrorMessage(connection_))));
    return {};
}

Result<pg_result*> PostgresSession::next_result(Clock::time_point end) {
    while (true) {
        const int unsent = PQflush(connection_);
        if (unsent < 0 || PQconsumeInput(connection_) != 1) return fail(lost(first_line(PQerrorMessage(connection_))));
        if (PQisBusy(connection_) == 0) return PQgetResult(connection_);
        KN_CHECK(wait(unsent == 1, end));
    }
}

Result<sql::Rows> PostgresSession::read_rows(pg_result* result) const {
    const int columns = PQnfields(result), count = PQntuples(result);
    sql::Rows rows(static_cast<std::size_t>(columns));
    for (int row = 0; row < count; ++row) {
        for (int column = 0; column < columns; ++column) {
            if (PQgetisnull(result, row, column) != 0)
                rows.push(std::nullopt);
            else
                rows.push(std::string(PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column))));
        }
    }
    return rows;
}

Result<std::vector<sql::Rows>> PostgresSession::round_trip(std::span<const sql::Statement> statements) {
    if (statements_.size() > statements_kept) {
        // Names are never used twice on a connection, so the cache simply starts anew with another connection.
        return fail(lost("too many different statements on one connection"));
    }
    std::vector<Prepared*> expected;
    const std::size_t controls = pending_.size();
    KN_CHECK(send(statements, expected));
    const bool begins = controls > 0 && pending_.front().starts_with("BEGIN");
    const bool commits = controls > 0 && pending_.back() == "COMMIT";
    pending_.clear();
    std::vector<sql::Rows> results;
    results.reserve(statements.size());
    std::optional<Error> error;
    std::size_t executed = 0;
    for (Prepared* const preparing : expected) {
        const auto end = Clock::now() + options_.query_timeout + answer_grace;
        KN_TRY(PGresult* const result, next_result(end));
        switch (PQresultStatus(result)) {
            case PGRES_TUPLES_OK:
            case PGRES_COMMAND_OK:
                if (preparing == nullptr && ++executed > controls) {
                    KN_TRY(sql::Rows rows, read_rows(result));
                    results.push_back(std::move(rows));
                }
                if (begins && executed == 1) begun_ = true;
                // PostgreSQL answers COMMIT of a failed transaction with a cheerful ROLLBACK.
                if (commits && preparing == nullptr && executed == controls && std::string_view(PQcmdStatus(result)) != "COMMIT") {
                    error = Error{.code = ErrorCode::internal, .message = "PostgreSQL: the transaction had failed and was rolled back"};
                }
                break;
            case PGRES_PIPELINE_ABORTED:
                if (preparing != nullptr) preparing->ready = false;
                break;
            default:
                if (preparing != nullptr) preparing->ready = false;
                if (!error) error = error_of(result);
        }
        PQclear(result);
        // A statement's results end with a null.
        KN_TRY(PGresult* const null, next_result(end));
        if (null != nullptr) {
            PQclear(null);
            return fail(lost("an unexpected result"));
        }
    }
    KN_TRY(PGresult* const sync, next_result(Clock::now() + options_.query_timeout + answer_grace));
    const bool in_step = PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
    PQclear(sync);
    if (!in_step || PQstatus(connection_) != CONNECTION_OK) return fail(lost(error ? error->message : "the connection is lost"));
    if (error) {
        // A server that goes down says so before it closes the connection.
        if (error->code == ErrorCode::unavailable) return fail(lost(error->message));
        return fail(std::move(*error));
    }
    return results;
}

}  // namespace kn::postgres
