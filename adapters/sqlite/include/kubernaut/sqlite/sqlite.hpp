#pragma once

#include <memory>
#include <string>

#include "kubernaut/sql_store/database.hpp"

namespace kn::sqlite {

inline constexpr std::string_view scheme = "sqlite:";

/// `sqlite:///path` (absolute), `sqlite://path` or `sqlite:path` (relative), `sqlite::memory:`. failed_precondition when another process has it open.
Result<std::unique_ptr<sql::SqlDatabase>> open(std::string_view url, const sql::StoreOptions& options, async::EventLoop& loop);

}  // namespace kn::sqlite
