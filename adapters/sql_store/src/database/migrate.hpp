#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/sql_store/connection.hpp"

namespace kn::sql {

struct Migration {
    int version;
    std::string_view name;
    std::string_view sql;  ///< with the markers that 0001_first.sql explains
};

/// Those in migrations/, by number.
std::span<const Migration> migrations();

/// The statements of a migration in one dialect.
std::vector<std::string> statements_of(const Migration& migration, Dialect dialect);

/// Brings the schema up to the newest migration, in the caller's transaction. failed_precondition when the schema is newer than this binary.
Result<> migrate(SqlConnection& connection, Instant now);

/// PostgreSQL: partitions for this month and the next three, and one for everything else. Nothing to do on SQLite.
Result<> make_partitions(SqlConnection& connection, Instant now);

}  // namespace kn::sql
