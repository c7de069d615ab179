#include "executions/store.hpp"

#include <algorithm>

#include "executions/rows.hpp"

namespace kn::sql {
namespace {

using Delivered = std::vector<std::pair<std::string, json::Value>>;

Result<ExecutionWithSteps> read_with_steps(SqlConnection& connection, const ExecutionId& id) {
    KN_TRY(const Rows rows, connection.query("SELECT " + execution_columns + " FROM executions WHERE id = $1", {id}));
    if (rows.empty()) return fail(ErrorCode::not_found, "no execution " + id.str());
    KN_TRY(Execution execution, read_execution(rows[0]));
    KN_TRY(const Rows steps, connection.query(steps_query, {execution.cluster, execution.id}));
    KN_TRY(std::vector<Step> read, read_steps(steps));
    return ExecutionWithSteps{std::move(execution), std::move(read)};
}

/// Changes one unfinished execution found by its id; failed_precondition when it is finished, not_found when there is none.
Result<std::string> update_active(SqlConnection& connection, const ExecutionId& id, const std::string& set, Params params) {
    params.insert(params.begin(), Param(id));
    KN_TRY(const Rows rows,
           connection.query("UPDATE executions SET " + set + " WHERE id = $1 AND is_active = 1 RETURNING cluster_id", std::move(params)));
    if (!rows.empty()) return rows[0].string(0);
    KN_TRY(const Rows there, connection.query("SELECT state FROM executions WHERE id = $1", {id}));
    if (there.empty()) return fail(ErrorCode::not_found, "no execution " + id.str());
    return fail(ErrorCode::failed_precondition, "execution " + id.str() + " is " + there[0].string(0) + " already");
}

Result<> store_signal(SqlConnection& connection, const ExecutionId& id, const std::string& name, const json::Value& payload, Instant now) {
    // A delivery is work: whoever waits for it is woken, and a worker that is just about to wait finds `woken_at` when it commits. The row lock also makes
    // the sequence gapless.
    KN_TRY(const std::string cluster,
           update_active(connection, id, "woken_at = $2, wake_at = CASE WHEN wake_at IS NULL OR wake_at < $2 THEN wake_at ELSE $2 END", {now}));
    KN_CHECK(connection.query(
        "INSERT INTO execution_signals (cluster_id, execution_id, seq, name, at, payload) SELECT $1, $2, coalesce(max(seq), 0) + 1, $3, "
        "CAST($4 AS BIGINT), $5 FROM execution_signals WHERE cluster_id = $1 AND execution_id = $2",
        {cluster, id, name, now, json::dump(payload)}));
    return {};
}

}  // namespace

Task<Result<>> SqlExecutionStore::start(ports::StartRequest request, Deadline deadline) {
    auto work = [request = std::move(request), now = context_.clock.now()](SqlConnection& connection) {
        return apply_start(connection, request, now);
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::vector<ExecutionWithSteps>>> SqlExecutionStore::claim(std::string owner, Instant now, Duration lease, int limit, Deadline deadline) {
    auto work = [=, poison_kills = context_.options.poison_kills](SqlConnection& connection) {
        return apply_claim(connection, owner, now, lease, limit, poison_kills);
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::vector<ExecutionId>>> SqlExecutionStore::renew(std::string owner, Instant until, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<std::vector<ExecutionId>> {
        Batch batch;
        batch.add("UPDATE executions SET lease_until = $2 WHERE owner = $1 AND is_active = 1 AND lease_until IS NOT NULL RETURNING id",
                  {owner, until});
        batch.add(
            "UPDATE locks SET until = $2 WHERE until < $2 AND execution_id IN (SELECT id FROM executions WHERE owner = $1 AND is_active = 1 AND "
            "lease_until IS NOT NULL)",
            {owner, until});
        KN_CHECK(batch.run(connection));
        std::vector<ExecutionId> ids;
        for (std::size_t i = 0; i < batch[0].size(); ++i) ids.emplace_back(batch[0][i].string(0));
        return ids;
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlExecutionStore::commit(ports::ExecutionCommit commit, Deadline deadline) {
    auto work = [commit = std::move(commit)](SqlConnection& connection) { return apply_commit(connection, commit); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlExecutionStore::lock(ClusterId cluster, ExecutionId id, std::int64_t epoch, std::vector<std::string> keys, Instant until,
                                       Deadline deadline) {
    std::ranges::sort(keys);  // one order for every caller, or two would wait for each other
    auto work = [=, now = context_.clock.now()](SqlConnection& connection) -> Result<> {
        KN_TRY(const Rows rows, connection.query("SELECT 1 FROM executions WHERE cluster_id = $1 AND id = $2 AND epoch = $3 AND is_active = 1" +
                                                     std::string(for_update(connection)),
                                                 {cluster, id, epoch}));
        if (rows.empty())
            return fail(ErrorCode::aborted, "execution " + id.str() + " does not belong to epoch " + std::to_string(epoch) + " any more");
        for (const auto& key : keys) KN_CHECK(take_lock(connection, key, cluster, id, until, now));
        return {};
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<ExecutionWithSteps>> SqlExecutionStore::get(ExecutionId id, Deadline deadline) {
    auto work = [id](SqlConnection& connection) { return read_with_steps(connection, id); };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<ports::PageOf<Execution>>> SqlExecutionStore::list(ports::ExecutionFilter filter, ports::Page page, Deadline deadline) {
    auto work = [filter, page](SqlConnection& connection) -> Result<ports::PageOf<Execution>> {
        Select select("SELECT " + execution_columns + " FROM executions");
        if (!filter.cluster.empty()) select.where("cluster_id = ?", filter.cluster);
        if (!filter.incident.empty()) select.where("incident_id = ?", filter.incident);
        if (!filter.workflow.empty()) select.where("workflow = ?", filter.workflow);
        if (!filter.target.empty()) select.where("target = ?", filter.target);
        if (!filter.states.empty()) select.where("? LIKE '%,' || state || ',%'", words_of(filter.states));
        KN_CHECK(select.page(page, "created_at", "id"));
        KN_TRY(const Rows rows, select.run(connection));
        return make_page(read_rows<Execution>(rows, read_execution), page,
                         [](const Execution& execution) { return std::pair(execution.created_at, execution.id.str()); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::optional<Instant>>> SqlExecutionStore::next_wake(Deadline deadline) {
    auto work = [now = context_.clock.now()](SqlConnection& connection) -> Result<std::optional<Instant>> {
        // Work that waits for nothing is due since it was written.
        KN_TRY(const Rows rows,
               connection.query("SELECT min(CASE WHEN state = 'queued' OR cancel_requested = 1 OR wake_at IS NULL THEN updated_at ELSE wake_at END) "
                                "FROM executions WHERE is_active = 1 AND (lease_until IS NULL OR lease_until <= $1) AND (state IN ('queued', "
                                "'running', 'verifying', 'compensating') OR (state = 'paused' AND cancel_requested = 1))",
                                {now}));
        return rows[0].time(0);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<>> SqlExecutionStore::request_cancel(ExecutionId id, std::string by, Instant now, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<> {
        KN_CHECK(update_active(connection, id,
                               "cancel_by = CASE WHEN cancel_requested = 1 THEN cancel_by ELSE $2 END, cancel_requested = 1, updated_at = $3",
                               {by, now}));
        return {};
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlExecutionStore::send_signal(ExecutionId id, std::string name, json::Value payload, Instant now, Deadline deadline) {
    auto work = [=](SqlConnection& connection) { return store_signal(connection, id, name, payload, now); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<Delivered>> SqlExecutionStore::signals(ExecutionId id, Deadline deadline) {
    auto work = [id](SqlConnection& connection) -> Result<Delivered> {
        KN_TRY(const Rows rows,
               connection.query("SELECT s.name, s.payload FROM execution_signals s JOIN executions e ON e.cluster_id = s.cluster_id AND "
                                "e.id = s.execution_id WHERE e.id = $1 ORDER BY s.seq",
                                {id}));
        Delivered out;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            KN_TRY(json::Value payload, json::parse(rows[i].text(1)));
            out.emplace_back(rows[i].string(0), std::move(payload));
        }
        return out;
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<Execution>>> SqlExecutionStore::dead_letters(Deadline deadline) {
    auto work = [](SqlConnection& connection) -> Result<std::vector<Execution>> {
        KN_TRY(
            const Rows rows,
            connection.query("SELECT e.frozen, e.doc, e.state, e.owner, e.epoch, e.lease_until, e.wake_at, e.cancel_requested, e.cancel_by, e.kills, "
                             "e.updated_at, e.cluster_id, e.id, d.reason FROM dead_letters d JOIN executions e ON e.cluster_id = d.cluster_id AND "
                             "e.id = d.id ORDER BY d.at DESC, d.id LIMIT 1000"));
        std::vector<Execution> out;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (auto execution = read_execution(rows[i])) {
                out.push_back(std::move(*execution));
                continue;
            }
            // What cannot be read is still shown, as far as its columns say.
            Execution shell;
            shell.cluster = ClusterId(rows[i].string(11));
            shell.id = ExecutionId(rows[i].string(12));
            shell.state = parse_enum<ExecutionState>(rows[i].text(2)).value_or(ExecutionState::failed);
            shell.updated_at = from_millis(rows[i].integer(10));
            shell.error = "dead letter: " + rows[i].string(13);
            out.push_back(std::move(shell));
        }
        return out;
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<ports::PageOf<ActionRecord>>> SqlExecutionStore::actions(ports::ActionFilter filter, ports::Page page, Deadline deadline) {
    auto work = [filter, page](SqlConnection& connection) -> Result<ports::PageOf<ActionRecord>> {
        Select select("SELECT doc FROM actions");
        if (!filter.cluster.empty()) select.where("cluster_id = ?", filter.cluster);
        if (!filter.target.empty()) select.where("target = ?", filter.target);
        if (!filter.action.empty()) select.where("action = ?", filter.action);
        if (!filter.workflow.empty()) select.where("workflow = ?", filter.workflow);
        if (!filter.fault_class.empty()) select.where("fault_class = ?", filter.fault_class);
        if (!filter.actor.empty()) select.where("actor = ?", filter.actor);
        if (filter.since) select.where("started_at >= ?", *filter.since);
        if (filter.until) select.where("started_at < ?", *filter.until);
        if (filter.mutating_only) select.where("dry_run = 0");
        if (filter.correlation.starts_with("inc_"))
            select.where("execution_id IN (SELECT id FROM executions WHERE incident_id = ?)", filter.correlation);
        else if (filter.correlation.starts_with("act_"))
            select.where("id = ?", filter.correlation);
        else if (!filter.correlation.empty())
            select.where("execution_id = ?", filter.correlation);
        KN_CHECK(select.page(page, "started_at", "id"));
        KN_TRY(const Rows rows, select.run(connection));
        return make_page(read_rows<ActionRecord>(rows, [](const Rows::Row& row) { return read_document<ActionRecord>(row.text(0), "actions"); }),
                         page, [](const ActionRecord& record) { return std::pair(record.started_at, record.id.str()); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<std::pair<std::string, ExecutionId>>>> SqlExecutionStore::locks(ClusterId cluster, Deadline deadline) {
    auto work = [cluster](SqlConnection& connection) -> Result<std::vector<std::pair<std::string, ExecutionId>>> {
        KN_TRY(const Rows rows, connection.query("SELECT object_key, execution_id FROM locks WHERE cluster_id = $1 ORDER BY object_key", {cluster}));
        std::vector<std::pair<std::string, ExecutionId>> out;
        for (std::size_t i = 0; i < rows.size(); ++i) out.emplace_back(rows[i].string(0), ExecutionId(rows[i].string(1)));
        return out;
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

}  // namespace kn::sql
