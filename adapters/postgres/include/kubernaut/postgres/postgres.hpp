#pragma once

#include <memory>
#include <string_view>

#include "kubernaut/sql_store/database.hpp"

namespace kn::postgres {

/// `postgres://` or `postgresql://`, with libpq's parameters. `unavailable` when the server does not answer at the opening.
Result<std::unique_ptr<sql::SqlDatabase>> open(std::string_view url, const sql::StoreOptions& options, async::EventLoop& loop);

}  // namespace kn::postgres
