#include "executions/rows.hpp"

namespace kn::sql {
namespace {

/// Where an execution ends that kills its workers, in the words of its state table.
ExecutionState end_of_poison(ExecutionState state) {
    using enum ExecutionState;
    switch (state) {
        case queued: return refused;
        case paused: return cancelled;
        case compensating: return compensation_failed;
        default: return failed;
    }
}

struct Claimed {
    std::string cluster, id, held;
    ExecutionState state;
    std::int64_t kills = 0;
    bool poison = false;
    std::optional<Execution> execution;
    std::string unreadable;
};

/// Ends the execution and keeps a note of it. Its locks go, its budgets are given back; what it left in the cluster is for a person to judge.
void add_dead_letter(Batch& batch, const Claimed& claimed, Instant now) {
    const std::string reason = claimed.poison ? "killed " + std::to_string(claimed.kills) + " workers" : claimed.unreadable;
    const ExecutionState end = end_of_poison(claimed.state);
    // With the row as it was, so that a replay finds its state and its error again.
    const std::string title =
        claimed.execution ? claimed.execution->plan.workflow + " on " + claimed.execution->plan.target.key.str() : std::string();
    batch.add(
        "INSERT INTO dead_letters (cluster_id, id, kind, reason, at, was, title, doc) SELECT cluster_id, id, 'execution', $3, CAST($4 AS BIGINT), state, $5, doc FROM "
        "executions WHERE cluster_id = $1 AND id = $2 ON CONFLICT (cluster_id, id) DO UPDATE SET reason = excluded.reason, at = excluded.at, was = excluded.was, "
        "doc = excluded.doc",
        {claimed.cluster, claimed.id, reason, now, title});
    std::string doc;
    if (claimed.execution) {
        Execution last = *claimed.execution;
        last.state = end;
        last.error = "dead letter: " + reason;
        last.finished_at = now;
        doc = split(last).doc;
    }
    batch.add(
        "UPDATE executions SET state = $3, is_active = 0, owner = '', lease_until = NULL, wake_at = NULL, held = NULL, updated_at = $4, "
        "doc = CASE WHEN $5 = '' THEN doc ELSE $5 END WHERE cluster_id = $1 AND id = $2",
        {claimed.cluster, claimed.id, end, now, doc});
    batch.add("DELETE FROM locks WHERE execution_id = $1 AND holder_cluster = $2", {claimed.id, claimed.cluster});
    add_budget_release(batch, claimed.held);
    log::error("execution moved to the dead letters", {{"execution", claimed.id}, {"cluster", claimed.cluster}, {"reason", reason}});
}

}  // namespace

Result<std::vector<ExecutionWithSteps>> apply_claim(SqlConnection& connection, const std::string& owner, Instant now, Duration lease, int limit,
                                                    int poison_kills) {
    // A lease that ran out means that its worker died with it (or hung, which is the same to us).
    KN_TRY(
        const Rows rows,
        connection.query(
            "UPDATE executions SET epoch = epoch + 1, owner = $1, kills = kills + CASE WHEN lease_until IS NOT NULL THEN 1 ELSE 0 END, "
            "lease_until = $2, woken_at = NULL WHERE (cluster_id, id) IN (SELECT cluster_id, id FROM executions WHERE is_active = 1 AND (lease_until IS NULL OR "
            "lease_until <= $3) AND (state = 'queued' OR (state IN ('running', 'verifying', 'compensating') AND (wake_at IS NULL OR wake_at <= $3 "
            "OR cancel_requested = 1)) OR (state = 'paused' AND cancel_requested = 1)) ORDER BY created_at LIMIT $4" +
                std::string(skip_locked(connection)) + ") RETURNING " + execution_columns + ", held",
            {owner, now + lease, now, limit}));
    std::vector<Claimed> claimed;
    Batch batch;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto row = rows[i];
        Claimed each{row.string(11), row.string(12), row.string(13), parse_enum<ExecutionState>(row.text(2)).value_or(ExecutionState::failed)};
        each.kills = row.integer(9);
        each.poison = each.kills >= poison_kills;
        if (auto execution = read_execution(row))
            each.execution = std::move(*execution);
        else
            each.unreadable = execution.error().message;
        batch.add(steps_query, {each.cluster, each.id});
        claimed.push_back(std::move(each));
    }
    KN_CHECK(batch.run(connection));
    std::vector<ExecutionWithSteps> out;
    Batch second;
    for (std::size_t i = 0; i < claimed.size(); ++i) {
        Claimed& each = claimed[i];
        std::vector<Step> steps;
        if (each.execution) {
            auto read = read_steps(batch[i]);
            if (read)
                steps = std::move(*read);
            else
                each.unreadable = read.error().message;
        }
        if (each.poison || !each.unreadable.empty()) {
            add_dead_letter(second, each, now);
            continue;
        }
        // The locks live as long as the lease.
        second.add("UPDATE locks SET until = $3 WHERE execution_id = $1 AND holder_cluster = $2 AND until < $3",
                   {each.id, each.cluster, now + lease});
        out.push_back({std::move(*each.execution), std::move(steps)});
    }
    KN_CHECK(second.run(connection));
    return out;
}

}  // namespace kn::sql
