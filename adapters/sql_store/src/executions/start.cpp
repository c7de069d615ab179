#include <algorithm>
#include <charconv>
#include <map>

#include "executions/rows.hpp"

namespace kn::sql {
namespace {

constexpr std::int64_t minutes_kept = 60;

std::unexpected<Error> refused(std::string reason, std::string message) {
    Error error{.code = ErrorCode::failed_precondition, .message = std::move(message)};
    error.reason = std::move(reason);
    return fail(std::move(error));
}

/// "minute:count ...": starts by minute. An hour slides by whole minutes, so that a start counts for sixty minutes and up to one more.
class StartCounts {
public:
    StartCounts(std::string_view text, std::int64_t minute) : minute_(minute) {
        while (!text.empty()) {
            const auto space = std::min(text.find(' '), text.size());
            const std::string_view entry = text.substr(0, space);
            text.remove_prefix(std::min(space + 1, text.size()));
            std::int64_t at = 0, count = 0;
            const auto colon = entry.find(':');
            if (colon == std::string_view::npos) continue;
            std::from_chars(entry.data(), entry.data() + colon, at);
            std::from_chars(entry.data() + colon + 1, entry.data() + entry.size(), count);
            if (at >= minute - minutes_kept) counts_[at] += count;
        }
    }
    [[nodiscard]] std::int64_t total() const {
        std::int64_t sum = 0;
        for (const auto& [minute, count] : counts_) sum += count;
        return sum;
    }
    [[nodiscard]] std::string with_one_more() const {
        auto counts = counts_;
        ++counts[minute_];
        std::string out;
        for (const auto& [minute, count] : counts) out += (out.empty() ? "" : " ") + std::to_string(minute) + ":" + std::to_string(count);
        return out;
    }

private:
    std::int64_t minute_;
    std::map<std::int64_t, std::int64_t> counts_;
};

std::size_t add_insert(Batch& batch, const Execution& execution, const std::string& held) {
    const ExecutionDocs docs = split(execution);
    return batch.add(
        "INSERT INTO executions (cluster_id, id, incident_id, workflow, target, state, is_active, dry_run, owner, epoch, lease_until, wake_at, "
        "cancel_requested, cancel_by, kills, created_at, updated_at, held, frozen_hash, frozen, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
        "$10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) ON CONFLICT (cluster_id, id) DO NOTHING RETURNING 1",
        {execution.cluster,
         execution.id,
         execution.incident,
         execution.plan.workflow,
         execution.plan.target.key.str(),
         execution.state,
         !is_terminal(execution.state),
         execution.dry_run,
         execution.owner,
         execution.epoch,
         execution.lease_until,
         execution.wake_at,
         execution.cancel_requested,
         execution.cancel_by,
         execution.kills,
         execution.created_at,
         execution.updated_at,
         held,
         docs.frozen_hash,
         docs.frozen,
         docs.doc});
}

/// Free is: nobody's, our own, or run out while its holder is not at work any more. A lock outlives its time as long as the execution that holds it is
/// unfinished: its worker may have died in the middle of a change.
std::size_t add_lock(Batch& batch, const std::string& key, const ClusterId& cluster, const ExecutionId& execution, Instant until, Instant now) {
    return batch.add(
        "INSERT INTO locks (cluster_id, object_key, execution_id, holder_cluster, until) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (cluster_id, object_key) DO UPDATE SET execution_id = excluded.execution_id, holder_cluster = excluded.holder_cluster, "
        "until = excluded.until WHERE locks.execution_id = excluded.execution_id OR (locks.until <= $6 AND NOT EXISTS (SELECT 1 FROM executions e "
        "WHERE e.cluster_id = locks.holder_cluster AND e.id = locks.execution_id AND e.is_active = 1)) RETURNING 1",
        {cluster_of_key(key), key, execution, cluster, until, now});
}

std::size_t add_cooldown(Batch& batch, const ClusterId& cluster, const ports::StartRequest::Cooldown& cooldown, Instant now) {
    return batch.add(
        "INSERT INTO cooldowns (cluster_id, key, until) VALUES ($1, $2, $3) ON CONFLICT (cluster_id, key) DO UPDATE SET until = excluded.until "
        "WHERE cooldowns.until <= $4 RETURNING 1",
        {cluster, cooldown.key, cooldown.until, now});
}

/// What a budget's row says, with its row lock taken: two starts on one budget come one after the other.
struct BudgetUse {
    std::int64_t in_flight = 0;
    std::string starts;
};

std::size_t add_budget(const SqlConnection& connection, Batch& batch, const ports::StartRequest::Budget& budget) {
    return batch.add("SELECT in_flight, starts FROM budgets WHERE cluster_id = $1 AND scope = $2" + std::string(for_update(connection)),
                     {cluster_of_key(budget.scope), budget.scope});
}

Result<BudgetUse> use_of(SqlConnection& connection, const ports::StartRequest::Budget& budget, const Rows& rows) {
    if (!rows.empty()) return BudgetUse{rows[0].integer(0), rows[0].string(1)};
    // The first start on this scope, unless another one is first.
    KN_TRY(const Rows made,
           connection.query("INSERT INTO budgets (cluster_id, scope, in_flight, starts) VALUES ($1, $2, 0, '') ON CONFLICT (cluster_id, scope) DO "
                            "UPDATE SET in_flight = budgets.in_flight RETURNING in_flight, starts",
                            {cluster_of_key(budget.scope), budget.scope}));
    return BudgetUse{made[0].integer(0), made[0].string(1)};
}

Result<std::string> lock_holder(SqlConnection& connection, const std::string& key) {
    KN_TRY(const Rows rows, connection.query("SELECT execution_id FROM locks WHERE cluster_id = $1 AND object_key = $2", {cluster_of_key(key), key}));
    return rows.empty() ? std::string("another execution") : rows[0].string(0);
}

template <class T, class Key> std::vector<T> sorted_by(std::vector<T> list, Key key) {
    std::ranges::sort(list, {}, key);
    return list;
}

}  // namespace

Result<> apply_start(SqlConnection& connection, const ports::StartRequest& request, Instant now) {
    const Execution& execution = request.execution;
    // One order of rows for every caller: execution, locks, cooldowns and budgets by key, incident, audit heads.
    auto locks = sorted_by(request.locks, std::identity{});
    locks.erase(std::unique(locks.begin(), locks.end()), locks.end());
    const auto cooldowns = sorted_by(request.cooldowns, &ports::StartRequest::Cooldown::key);
    const auto budgets = sorted_by(request.budgets, &ports::StartRequest::Budget::scope);
    json::Array held;
    for (const auto& budget : budgets) held.emplace_back(budget.scope);

    Batch first;
    const std::size_t inserted = add_insert(first, execution, json::dump(held));
    std::vector<std::size_t> lock_rows, cooldown_rows, budget_rows;
    for (const auto& key : locks) lock_rows.push_back(add_lock(first, key, execution.cluster, execution.id, request.locks_until, now));
    for (const auto& cooldown : cooldowns) cooldown_rows.push_back(add_cooldown(first, execution.cluster, cooldown, now));
    for (const auto& budget : budgets) budget_rows.push_back(add_budget(connection, first, budget));
    std::optional<IncidentWrite> incident;
    if (request.incident) incident.emplace(*request.incident).add_to(first);
    AuditAppend audit(request.audit);
    audit.lock_heads(connection, first);
    KN_CHECK(first.run(connection));

    if (first[inserted].empty()) return fail(ErrorCode::already_exists, "execution " + execution.id.str() + " exists already");
    for (std::size_t i = 0; i < locks.size(); ++i) {
        if (!first[lock_rows[i]].empty()) continue;
        KN_TRY(const std::string holder, lock_holder(connection, locks[i]));
        return refused("busy", locks[i] + " is held by " + holder);
    }
    for (std::size_t i = 0; i < cooldowns.size(); ++i) {
        if (first[cooldown_rows[i]].empty()) return refused("cooldown", cooldowns[i].key + " is cooling down");
    }
    const std::int64_t minute = to_millis(now) / 60'000;
    Batch second;
    for (std::size_t i = 0; i < budgets.size(); ++i) {
        const auto& budget = budgets[i];
        KN_TRY(const BudgetUse use, use_of(connection, budget, first[budget_rows[i]]));
        if (use.in_flight >= budget.in_flight) {
            return refused(budget.reason, budget.scope + " has " + std::to_string(use.in_flight) + " of " + std::to_string(budget.in_flight) +
                                              " executions in flight");
        }
        const StartCounts starts(use.starts, minute);
        if (starts.total() >= budget.per_hour) {
            return refused(budget.reason, budget.scope + " has had " + std::to_string(starts.total()) + " of " + std::to_string(budget.per_hour) +
                                              " starts in this hour");
        }
        second.add("UPDATE budgets SET in_flight = in_flight + 1, starts = $3 WHERE cluster_id = $1 AND scope = $2",
                   {cluster_of_key(budget.scope), budget.scope, starts.with_one_more()});
    }
    if (incident) KN_CHECK(incident->check(connection, first));
    KN_CHECK(audit.append(connection, first, second));
    return second.run(connection);
}

Result<> take_lock(SqlConnection& connection, const std::string& key, const ClusterId& cluster, const ExecutionId& execution, Instant until,
                   Instant now) {
    Batch batch;
    const std::size_t row = add_lock(batch, key, cluster, execution, until, now);
    KN_CHECK(batch.run(connection));
    if (!batch[row].empty()) return {};
    KN_TRY(const std::string holder, lock_holder(connection, key));
    return refused("busy", key + " is held by " + holder);
}

Result<> apply_undo(SqlConnection& connection, const ports::UndoRequest& undo) {
    KN_TRY(const Rows rows,
           connection.query("SELECT cluster_id, state, dry_run, target, doc FROM executions WHERE id = $1" + std::string(for_update(connection)),
                            {undo.execution}));
    if (rows.empty()) return fail(ErrorCode::not_found, "no execution " + undo.execution.str());
    const auto row = rows[0];
    const auto state = parse_enum<ExecutionState>(row.text(1));
    if (state != ExecutionState::succeeded || row.integer(2) != 0) {
        return refused("not_succeeded", "execution " + undo.execution.str() + " is " + row.string(1) + (row.integer(2) != 0 ? " as a dry run" : "") +
                                            ": there is nothing to take back");
    }
    const ClusterId cluster(row.string(0));
    KN_CHECK(take_lock(connection, row.string(3), cluster, undo.execution, undo.now + 60s, undo.now));
    auto doc = json::parse(row.text(4));
    if (!doc || !doc->is_object()) return fail(ErrorCode::internal, "execution " + undo.execution.str() + " is unreadable");
    auto& object = doc->get_object();
    object["state"] = to_string(ExecutionState::compensating);
    object["error"] = boost::json::string_view(undo.reason);
    object["reason"] = "worse";
    object.erase("finished_at");
    KN_CHECK(connection.query(
        "UPDATE executions SET state = 'compensating', is_active = 1, owner = '', lease_until = NULL, wake_at = NULL, kills = 0, updated_at = $3, "
        "doc = $4 WHERE cluster_id = $1 AND id = $2",
        {cluster, undo.execution, undo.now, json::dump(*doc)}));
    return {};
}

void add_budget_release(Batch& batch, const std::string& held) {
    const auto scopes = json::parse(held);
    if (!scopes || !scopes->is_array()) return;
    for (const auto& scope : scopes->get_array()) {
        if (!scope.is_string()) continue;
        const std::string_view name = json::view(scope.get_string());
        batch.add("UPDATE budgets SET in_flight = in_flight - 1 WHERE cluster_id = $1 AND scope = $2 AND in_flight > 0",
                  {cluster_of_key(name), name});
    }
}

}  // namespace kn::sql
