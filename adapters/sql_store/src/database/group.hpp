#pragma once

#include <span>
#include <vector>

#include "kubernaut/sql_store/database.hpp"

namespace kn::sql {

/// One closure as one transaction, run again after a serialization failure, a deadlock or a connection that was lost before the commit was sent.
Result<> run_transaction(Session& session, Access access, const Closure& closure);

/// Several writes as one transaction and one fsync, each in a savepoint of its own: a failing one takes nothing back from the others. Results in order.
std::vector<Result<>> run_group(Session& session, std::span<const Closure* const> closures);

}  // namespace kn::sql
