#include <algorithm>
#include <array>

#include "executions/rows.hpp"
#include "outbox_store.hpp"

namespace kn::sql {
namespace {

/// A mutating step comes into these states only by a stored intent.
bool needs_intent(const Step& step) {
    using enum StepState;
    return step.mutating && (step.state == in_flight || step.state == ambiguous || step.state == succeeded);
}

/// The states that a step may come from, for every state and with or without the need of an intent: worked out once.
const std::string& words_before_step(const Step& step) {
    using enum StepState;
    static const auto table = [] {
        std::array<std::array<std::string, 2>, EnumNames<StepState>::entries.size()> words;
        for (const auto& [to, name] : EnumNames<StepState>::entries) {
            for (const bool intent : {false, true}) {
                words[static_cast<std::size_t>(to)][intent ? 1 : 0] = words_where<StepState>(
                    [&](StepState from) { return !(intent && (from == pending || from == ready || from == waiting)) && may_reach(from, to); });
            }
        }
        return words;
    }();
    return table[static_cast<std::size_t>(step.state)][needs_intent(step) ? 1 : 0];
}

std::size_t add_step(Batch& batch, const ClusterId& cluster, const Step& step) {
    const std::string set = " SET state = excluded.state, started_at = excluded.started_at, doc = excluded.doc";
    Params values = {cluster, step.execution, step.path, step.attempt, step.state, step.started_at, document(step), words_before_step(step)};
    if (needs_intent(step)) {
        return batch.add(
            "UPDATE steps SET state = $5, started_at = $6, doc = $7 WHERE cluster_id = $1 AND execution_id = $2 AND path = $3 AND attempt = $4 "
            "AND $8 LIKE '%,' || state || ',%' RETURNING 1",
            std::move(values));
    }
    return batch.add(
        "INSERT INTO steps (cluster_id, execution_id, path, attempt, state, started_at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (cluster_id, execution_id, path, attempt) DO UPDATE" +
            set + " WHERE $8 LIKE '%,' || steps.state || ',%' RETURNING 1",
        std::move(values));
}

void add_action(Batch& batch, const ActionRecord& record) {
    batch.add(
        "INSERT INTO actions (cluster_id, id, id_at, started_at, execution_id, action, workflow, fault_class, actor, target, dry_run, outcome, doc) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (cluster_id, id, id_at) DO UPDATE SET "
        "started_at = excluded.started_at, dry_run = excluded.dry_run, outcome = excluded.outcome, doc = excluded.doc",
        {record.cluster, record.id, id_time(record.id.str()), record.started_at, record.execution, record.action, record.workflow, record.fault_class,
         record.requested_by, record.target.key.str(), record.dry_run, record.outcome, document(record)});
}

/// The states from which `to` can be reached: one commit may carry the machine through several, such as queued → running → verifying → succeeded.
std::string states_before(ExecutionState to) {
    std::vector<ExecutionState> reach{to};
    for (std::size_t i = 0; i < reach.size(); ++i) {
        for (const auto& [from, name] : EnumNames<ExecutionState>::entries) {
            if (may_change(from, reach[i]) && std::ranges::find(reach, from) == reach.end()) reach.push_back(from);
        }
    }
    return words_of(reach);
}

std::size_t add_execution(Batch& batch, const ports::ExecutionCommit& commit, const ExecutionDocs& docs) {
    const Execution& execution = commit.execution;
    const bool terminal = is_terminal(execution.state);
    const bool keeps_lease = execution.lease_until && !terminal && !commit.release_locks;
    // A worker that brings steps to their end is not what kills workers.
    const bool progress = std::ranges::any_of(commit.steps, [](const Step& step) { return is_terminal(step.state); });
    // An absent parameter has no type of its own in PostgreSQL, hence the casts.
    return batch.add(
        "UPDATE executions SET state = $4, is_active = $5, owner = $6, lease_until = CASE WHEN $7 = 0 THEN NULL WHEN lease_until IS NOT NULL AND "
        "lease_until > $8 THEN lease_until ELSE $8 END, wake_at = CASE WHEN woken_at IS NULL OR CAST($9 AS BIGINT) IS NULL OR CAST($9 AS BIGINT) <= woken_at THEN CAST($9 AS BIGINT) "
        "ELSE woken_at END, cancel_requested = CASE WHEN cancel_requested = 1 THEN 1 ELSE $10 END, "
        "cancel_by = CASE WHEN cancel_requested = 1 THEN cancel_by ELSE $11 END, kills = CASE WHEN $12 = 1 THEN 0 ELSE kills END, updated_at = $13, "
        "dry_run = $14, doc = $15 WHERE cluster_id = $1 AND id = $2 AND epoch = $3 AND $16 LIKE '%,' || state || ',%' RETURNING frozen_hash, held",
        {execution.cluster, execution.id, execution.epoch, execution.state, !terminal, keeps_lease ? execution.owner : std::string(), keeps_lease,
         execution.lease_until, execution.wake_at, execution.cancel_requested, execution.cancel_by, progress, execution.updated_at, execution.dry_run,
         docs.doc, states_before(execution.state)});
}

std::unexpected<Error> illegal(const std::string& what, std::string_view from, std::string_view to) {
    Error error{.code = ErrorCode::failed_precondition, .message = what + " is " + std::string(from) + " and cannot become " + std::string(to)};
    error.reason = "illegal_transition";
    return fail(std::move(error));
}

Result<> why_not_execution(SqlConnection& connection, const Execution& execution) {
    KN_TRY(const Rows rows,
           connection.query("SELECT epoch, state FROM executions WHERE cluster_id = $1 AND id = $2", {execution.cluster, execution.id}));
    const std::string name = "execution " + execution.id.str();
    if (rows.empty()) return fail(ErrorCode::not_found, "no " + name);
    if (rows[0].integer(0) != execution.epoch) {
        Error error{.code = ErrorCode::aborted,
                    .message = name + " belongs to epoch " + rows[0].string(0) + " now, not to " + std::to_string(execution.epoch)};
        error.reason = "fenced";
        return fail(std::move(error));
    }
    return illegal(name, rows[0].text(1), to_string(execution.state));
}

Result<> why_not_step(SqlConnection& connection, const ClusterId& cluster, const Step& step) {
    KN_TRY(const Rows rows, connection.query("SELECT state FROM steps WHERE cluster_id = $1 AND execution_id = $2 AND path = $3 AND attempt = $4",
                                             {cluster, step.execution, step.path, step.attempt}));
    const std::string name = "step " + step.path + " of " + step.execution.str();
    return illegal(name, rows.empty() ? "new (a change needs a stored intent first)" : rows[0].text(0), to_string(step.state));
}

}  // namespace

Result<> apply_commit(SqlConnection& connection, const ports::ExecutionCommit& commit) {
    const Execution& execution = commit.execution;
    const ExecutionDocs docs = split(execution);
    Batch first;
    const std::size_t updated = add_execution(first, commit, docs);
    std::vector<std::pair<std::size_t, const Step*>> steps;
    for (const Step& step : commit.steps) steps.emplace_back(add_step(first, execution.cluster, step), &step);
    for (const ActionRecord& record : commit.actions) add_action(first, record);
    for (const auto& cooldown : commit.cooldowns) {
        first.add(
            "INSERT INTO cooldowns (cluster_id, key, until) VALUES ($1, $2, $3) ON CONFLICT (cluster_id, key) DO UPDATE SET until = excluded.until "
            "WHERE cooldowns.until < excluded.until",
            {execution.cluster, cooldown.key, cooldown.until});
    }
    if (commit.release_locks) first.add("DELETE FROM locks WHERE execution_id = $1 AND holder_cluster = $2", {execution.id, execution.cluster});
    if (commit.assessment) add_assessment(first, *commit.assessment);
    add_notices(first, commit.notices, execution.updated_at);
    AuditAppend audit(commit.audit);
    audit.lock_heads(connection, first);
    KN_CHECK(first.run(connection));
    if (first[updated].empty()) return why_not_execution(connection, execution);
    for (const auto& [index, step] : steps) {
        if (step->execution != execution.id) return fail(ErrorCode::invalid_argument, "step " + step->path + " belongs to another execution");
        if (first[index].empty()) return why_not_step(connection, execution.cluster, *step);
    }
    Batch second;
    const auto row = first[updated][0];
    if (row.text(0) != docs.frozen_hash) {
        second.add("UPDATE executions SET frozen = $3, frozen_hash = $4, workflow = $5, target = $6 WHERE cluster_id = $1 AND id = $2",
                   {execution.cluster, execution.id, docs.frozen, docs.frozen_hash, execution.plan.workflow, execution.plan.target.key.str()});
    }
    if (is_terminal(execution.state) && !row.is_null(1)) {
        add_budget_release(second, row.string(1));
        second.add("UPDATE executions SET held = NULL WHERE cluster_id = $1 AND id = $2", {execution.cluster, execution.id});
    }
    KN_CHECK(audit.append(connection, first, second));
    return second.run(connection);
}

}  // namespace kn::sql
