#pragma once

#include <memory>
#include <string_view>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/sql_store/stores.hpp"

namespace kn {

/// Opens the database that the URL names and brings its schema up to date; blocks while it does.
/// URLs: `sqlite:///path`, `sqlite::memory:`, `postgres://user@host/database?sslmode=...`.
/// Errors: invalid_argument (URL), failed_precondition (newer schema; SQLite file in use by another process), unavailable.
Result<std::unique_ptr<sql::SqlStores>> open_store(std::string_view url, sql::StoreOptions options, async::EventLoop& loop);

}  // namespace kn
