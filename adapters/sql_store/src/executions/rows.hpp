#pragma once

#include "audit_chain.hpp"
#include "database/common.hpp"
#include "incident_store.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/learning_store.hpp"

namespace kn::sql {

/// What is written once (plan, definition, context: kilobytes) stands apart from what every turn rewrites (a few hundred bytes).
struct ExecutionDocs {
    std::string frozen, frozen_hash, doc;
};
ExecutionDocs split(const Execution& execution);

/// The columns that read_execution() wants, in order.
extern const std::string execution_columns;
/// The columns outrank the document: claims, renewals and cancels write only them.
Result<Execution> read_execution(const Rows::Row& row);
Result<std::vector<Step>> read_steps(const Rows& rows);
extern const std::string steps_query;  ///< $1 cluster, $2 execution

/// The cluster that an object key, budget scope or cooldown key begins with.
std::string_view cluster_of_key(std::string_view key);

/// One turn's writes; `commit` outlives it.
Result<> apply_commit(SqlConnection& connection, const ports::ExecutionCommit& commit);
Result<> apply_start(SqlConnection& connection, const ports::StartRequest& request, Instant now);
Result<std::vector<ExecutionWithSteps>> apply_claim(SqlConnection& connection, const std::string& owner, Instant now, Duration lease, int limit,
                                                    int poison_kills);

/// A succeeded execution becomes `compensating` and waits for a worker; its target is locked for it again.
Result<> apply_undo(SqlConnection& connection, const ports::UndoRequest& undo);

/// Takes the lock of `key` for an execution that is stored already; refused (busy) when another one holds it.
Result<> take_lock(SqlConnection& connection, const std::string& key, const ClusterId& cluster, const ExecutionId& execution, Instant until,
                   Instant now);

/// Gives back what an execution holds in the budgets, when `held` (its column) says so.
void add_budget_release(Batch& batch, const std::string& held);

void add_assessment(Batch& batch, const Assessment& assessment);

}  // namespace kn::sql
