#include "database/migrate.hpp"

#include <array>

#include "kubernaut/base/log.hpp"

namespace kn::sql {
namespace {

constexpr std::array partitioned = {std::string_view("inbox"), std::string_view("actions"), std::string_view("audit_log")};
constexpr std::string_view migration_lock = "SELECT pg_advisory_xact_lock(5577006791947779410)";

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

std::string in_dialect(std::string text, Dialect dialect) {
    const bool postgres = dialect == Dialect::postgres;
    replace_all(text, "{int}", postgres ? "BIGINT" : "INTEGER");
    replace_all(text, "{real}", postgres ? "DOUBLE PRECISION" : "REAL");
    replace_all(text, "{blob}", postgres ? "BYTEA" : "BLOB");
    replace_all(text, "{strict}", postgres ? "" : "STRICT");
    for (auto at = text.find("{by_month("); at != std::string::npos; at = text.find("{by_month(")) {
        const auto end = text.find(")}", at);
        const std::string column = text.substr(at + 10, end - at - 10);
        text.replace(at, end + 2 - at, postgres ? " PARTITION BY RANGE (" + column + ")" : "");
    }
    return text;
}

std::string without_comments(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        out += line.substr(0, line.find("--"));
        out += '\n';
        at = end + 1;
    }
    return out;
}

}  // namespace

std::vector<std::string> statements_of(const Migration& migration, Dialect dialect) {
    const std::string text = in_dialect(without_comments(migration.sql), dialect);
    std::vector<std::string> statements;
    for (std::size_t at = 0;;) {
        const auto end = text.find(";\n", at);
        if (end == std::string::npos) break;
        const auto start = text.find_first_not_of(" \n", at);
        statements.push_back(text.substr(start, end - start));
        at = end + 2;
    }
    return statements;
}

Result<> migrate(SqlConnection& connection, Instant now) {
    if (connection.dialect() == Dialect::postgres) KN_CHECK(connection.query(std::string(migration_lock)));
    KN_CHECK(
        connection.query(in_dialect("CREATE TABLE IF NOT EXISTS schema_migrations (version {int} NOT NULL PRIMARY KEY, name TEXT NOT NULL, "
                                    "applied_at {int} NOT NULL) {strict}",
                                    connection.dialect())));
    KN_TRY(const Rows found, connection.query("SELECT coalesce(max(version), 0) FROM schema_migrations"));
    const std::int64_t current = found[0].integer(0);
    const auto all = migrations();
    const std::int64_t newest = all.empty() ? 0 : all.back().version;
    if (current > newest) {
        return fail(ErrorCode::failed_precondition, "the database has schema " + std::to_string(current) + ", this kubernaut knows up to " +
                                                        std::to_string(newest) + ": run the newer version (a schema is never taken back)");
    }
    for (const Migration& migration : all) {
        if (migration.version <= current) continue;
        for (const std::string& statement : statements_of(migration, connection.dialect())) {
            if (auto done = connection.query(statement); !done) return fail(done.error().with_context("migration " + std::string(migration.name)));
        }
        KN_CHECK(connection.query("INSERT INTO schema_migrations (version, name, applied_at) VALUES ($1, $2, $3)",
                                  {migration.version, migration.name, now}));
        log::info("schema migrated", {{"migration", migration.name}});
    }
    return {};
}

Result<> make_partitions(SqlConnection& connection, Instant now) {
    if (connection.dialect() != Dialect::postgres) return {};
    KN_CHECK(connection.query(std::string(migration_lock)));
    const std::chrono::year_month_day today{std::chrono::floor<std::chrono::days>(now)};
    for (const std::string_view table : partitioned) {
        const std::string name(table);
        KN_CHECK(connection.query("CREATE TABLE IF NOT EXISTS " + name + "_rest PARTITION OF " + name + " DEFAULT"));
        for (int ahead = 0; ahead <= 3; ++ahead) {
            const std::chrono::year_month month = today.year() / today.month() + std::chrono::months{ahead};
            const std::chrono::year_month after = month + std::chrono::months{1};
            const auto start = [](std::chrono::year_month m) { return std::to_string(to_millis(std::chrono::sys_days{m / std::chrono::day{1}})); };
            const std::string number = std::to_string(static_cast<unsigned>(month.month()));
            const std::string partition = name + "_" + std::to_string(static_cast<int>(month.year())) + "_" + (number.size() < 2 ? "0" : "") + number;
            // Rows of that month that went to the rest (a clock that ran ahead) would make this fail for ever: they stay there, and so does the month.
            const std::string column = table == "actions" ? "id_at" : table == "inbox" ? "received_at" : "at";
            KN_TRY(const Rows strays, connection.query("SELECT 1 FROM " + name + "_rest WHERE " + column + " >= " + start(month) + " AND " + column +
                                                       " < " + start(after) + " LIMIT 1"));
            KN_TRY(const Rows there, connection.query("SELECT 1 WHERE to_regclass($1) IS NOT NULL", {partition}));
            if (!strays.empty() || !there.empty()) continue;
            KN_CHECK(connection.query("CREATE TABLE " + partition + " PARTITION OF " + name + " FOR VALUES FROM (" + start(month) + ") TO (" +
                                      start(after) + ")"));
        }
    }
    return {};
}

}  // namespace kn::sql
