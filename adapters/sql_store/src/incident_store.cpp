#include "incident_store.hpp"

#include <algorithm>

#include "audit_chain.hpp"
#include "outbox_store.hpp"
#include "signal_store.hpp"

namespace kn::sql {
namespace {

Result<Incident> read_incident(const Rows::Row& row) { return read_document<Incident>(row.text(0), "incidents"); }
std::vector<Incident> read_incidents(const Rows& rows) { return read_rows<Incident>(rows, read_incident); }
Result<Approval> read_approval(const Rows::Row& row) { return read_document<Approval>(row.text(0), "approvals"); }

Result<Incident> only_incident(const Rows& rows, const IncidentId& id) {
    if (rows.empty()) return fail(ErrorCode::not_found, "no incident " + id.str());
    return read_incident(rows[0]);
}

std::size_t add_approval(Batch& batch, const Approval& approval) {
    // A settled approval is replaced by nothing but itself: a vote may have come between reading and writing.
    return batch.add(
        "INSERT INTO approvals (cluster_id, id, incident_id, state, asked_at, expires_at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (cluster_id, id) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at, doc = excluded.doc "
        "WHERE approvals.state = 'pending' OR approvals.state = excluded.state RETURNING 1",
        {approval.cluster, approval.id, approval.incident, approval.state, approval.asked_at, approval.expires_at, document(approval)});
}

Result<> apply(SqlConnection& connection, const ports::IncidentCommit& commit) {
    Batch first;
    std::vector<IncidentWrite> writes;
    writes.reserve(commit.incidents.size());
    // One order of rows for everybody, so that two replicas do not lock each other out.
    std::vector<const Incident*> ordered;
    for (const Incident& incident : commit.incidents) ordered.push_back(&incident);
    std::ranges::sort(ordered, {}, [](const Incident* incident) { return std::pair(incident->cluster, incident->id); });
    for (const Incident* incident : ordered) writes.emplace_back(*incident).add_to(first);
    for (const Signal& signal : commit.signals) add_signal_update(first, signal);
    std::vector<std::pair<std::size_t, const Approval*>> approvals;
    for (const Approval& approval : commit.approvals) approvals.emplace_back(add_approval(first, approval), &approval);
    if (!commit.incidents.empty()) add_notices(first, commit.notices, commit.incidents.front().updated_at);
    AuditAppend audit(commit.audit);
    audit.lock_heads(connection, first);
    KN_CHECK(first.run(connection));
    for (const IncidentWrite& write : writes) KN_CHECK(write.check(connection, first));
    for (const auto& [index, approval] : approvals) {
        if (first[index].empty()) return fail(ErrorCode::aborted, "approval " + approval->id.str() + " is settled already");
    }
    Batch second;
    KN_CHECK(audit.append(connection, first, second));
    return second.run(connection);
}

/// Rows of one key that are open, or closed not before `closed_since`; newest first.
Task<Result<std::vector<Incident>>> by_column(Context& context, std::string column, ClusterId cluster, std::string key, Instant closed_since,
                                              Deadline deadline) {
    auto work = [column, cluster, key, closed_since](SqlConnection& connection) -> Result<std::vector<Incident>> {
        KN_TRY(const Rows rows, connection.query("SELECT doc FROM incidents WHERE cluster_id = $1 AND " + column +
                                                     " = $2 AND (is_open = 1 OR closed_at >= $3) ORDER BY opened_at DESC, id DESC",
                                                 {cluster, key, closed_since}));
        return read_incidents(rows);
    };
    co_return co_await context.database.read(std::move(work), deadline);
}

/// The state that a vote brings: one rejection ends it, enough different people grant it.
ApprovalState settle(const Approval& approval) {
    const auto granted = std::ranges::count_if(approval.votes, &Approval::Vote::granted);
    if (granted < std::ssize(approval.votes)) return ApprovalState::rejected;
    return granted >= approval.needed ? ApprovalState::granted : ApprovalState::pending;
}

Result<Approval> apply_vote(SqlConnection& connection, const ApprovalId& id, const Approval::Vote& vote) {
    KN_TRY(const Rows rows, connection.query("SELECT doc FROM approvals WHERE id = $1" + std::string(for_update(connection)), {id}));
    if (rows.empty()) return fail(ErrorCode::not_found, "no approval " + id.str());
    KN_TRY(Approval approval, read_approval(rows[0]));
    if (approval.state != ApprovalState::pending) {
        return fail(ErrorCode::failed_precondition, "approval " + id.str() + " is " + std::string(to_string(approval.state)) + " already");
    }
    if (vote.at >= approval.expires_at)
        return fail(ErrorCode::failed_precondition, "approval " + id.str() + " expired at " + format_rfc3339(approval.expires_at));
    if (std::ranges::any_of(approval.votes, [&](const Approval::Vote& other) { return other.by == vote.by; })) {
        return fail(ErrorCode::permission_denied, vote.by + " has voted already");
    }
    approval.votes.push_back(vote);
    approval.state = settle(approval);
    KN_CHECK(connection.query("UPDATE approvals SET state = $3, doc = $4 WHERE cluster_id = $1 AND id = $2",
                              {approval.cluster, approval.id, approval.state, document(approval)}));
    return approval;
}

}  // namespace

void IncidentWrite::add_to(Batch& batch) {
    Incident next = incident_;
    ++next.version;
    const bool open = !is_terminal(next.state);
    const std::optional<Instant> closed = open ? std::nullopt : std::optional(next.closed_at.value_or(next.updated_at));
    const Params values = {next.cluster,
                           next.id,
                           next.version,
                           next.state,
                           open,
                           next.severity,
                           next.fault_class,
                           next.target.key.ns,
                           next.target.key.str(),
                           next.correlation_key,
                           next.incident_key,
                           next.opened_at,
                           next.updated_at,
                           closed,
                           next.next_look_at,
                           document(next)};
    if (incident_.version == 0) {
        index_ = batch.add(
            "INSERT INTO incidents (cluster_id, id, version, state, is_open, severity, fault_class, ns, target, correlation_key, incident_key, "
            "opened_at, updated_at, closed_at, next_look_at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) "
            "ON CONFLICT (cluster_id, id) DO NOTHING RETURNING 1",
            values);
        return;
    }
    Params update = values;
    update.emplace_back(incident_.version);
    update.emplace_back(words_before(next.state));
    index_ = batch.add(
        "UPDATE incidents SET version = $3, state = $4, is_open = $5, severity = $6, fault_class = $7, ns = $8, target = $9, "
        "correlation_key = $10, incident_key = $11, opened_at = $12, updated_at = $13, closed_at = $14, next_look_at = $15, doc = $16, "
        "learned = CASE WHEN CAST($5 AS BIGINT) = 1 THEN 0 ELSE learned END "
        "WHERE cluster_id = $1 AND id = $2 AND version = $17 AND $18 LIKE '%,' || state || ',%' RETURNING 1",
        std::move(update));
}

Result<> IncidentWrite::check(SqlConnection& connection, const Batch& batch) const {
    if (!batch[index_].empty()) return {};
    const std::string name = "incident " + incident_.id.str();
    if (incident_.version == 0) return fail(ErrorCode::already_exists, name + " exists already");
    KN_TRY(const Rows rows,
           connection.query("SELECT version, state FROM incidents WHERE cluster_id = $1 AND id = $2", {incident_.cluster, incident_.id}));
    if (rows.empty()) return fail(ErrorCode::not_found, "no " + name);
    if (rows[0].integer(0) != incident_.version) {
        return fail(ErrorCode::aborted,
                    name + " has moved on to version " + rows[0].string(0) + " since version " + std::to_string(incident_.version));
    }
    Error error{.code = ErrorCode::failed_precondition,
                .message = name + " is " + rows[0].string(1) + " and cannot become " + std::string(to_string(incident_.state))};
    error.reason = "illegal_transition";
    return fail(std::move(error));
}

Task<Result<>> SqlIncidentStore::commit(ports::IncidentCommit commit, Deadline deadline) {
    auto work = [commit = std::move(commit)](SqlConnection& connection) { return apply(connection, commit); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<Incident>> SqlIncidentStore::get(ClusterId cluster, IncidentId id, Deadline deadline) {
    auto work = [cluster, id](SqlConnection& connection) -> Result<Incident> {
        KN_TRY(const Rows rows, connection.query("SELECT doc FROM incidents WHERE cluster_id = $1 AND id = $2", {cluster, id}));
        return only_incident(rows, id);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<Incident>> SqlIncidentStore::find(IncidentId id, Deadline deadline) {
    auto work = [id](SqlConnection& connection) -> Result<Incident> {
        KN_TRY(const Rows rows, connection.query("SELECT doc FROM incidents WHERE id = $1", {id}));
        return only_incident(rows, id);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<Incident>>> SqlIncidentStore::by_correlation(ClusterId cluster, std::string correlation_key, Instant closed_since,
                                                                     Deadline deadline) {
    return by_column(context_, "correlation_key", std::move(cluster), std::move(correlation_key), closed_since, deadline);
}

Task<Result<std::vector<Incident>>> SqlIncidentStore::by_key(ClusterId cluster, std::string incident_key, Instant closed_since, Deadline deadline) {
    return by_column(context_, "incident_key", std::move(cluster), std::move(incident_key), closed_since, deadline);
}

Task<Result<std::vector<Incident>>> SqlIncidentStore::open_of(ClusterId cluster, std::string target, Deadline deadline) {
    auto work = [cluster, target](SqlConnection& connection) -> Result<std::vector<Incident>> {
        Select select("SELECT doc FROM incidents");
        select.where("is_open = 1");
        select.where("cluster_id = ?", cluster);
        if (!target.empty()) select.where("target = ?", target);
        select.order(" ORDER BY opened_at, id");
        KN_TRY(const Rows rows, select.run(connection));
        return read_incidents(rows);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<Incident>>> SqlIncidentStore::due(Instant now, int limit, Deadline deadline) {
    auto work = [now, limit](SqlConnection& connection) -> Result<std::vector<Incident>> {
        KN_TRY(
            const Rows rows,
            connection.query("SELECT doc FROM incidents WHERE is_open = 1 AND next_look_at <= $1 ORDER BY next_look_at, id LIMIT $2", {now, limit}));
        return read_incidents(rows);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<ports::PageOf<Incident>>> SqlIncidentStore::list(ports::IncidentFilter filter, ports::Page page, Deadline deadline) {
    auto work = [filter, page](SqlConnection& connection) -> Result<ports::PageOf<Incident>> {
        Select select("SELECT doc FROM incidents");
        if (filter.open_only) select.where("is_open = 1");
        if (!filter.cluster.empty()) select.where("cluster_id = ?", filter.cluster);
        if (!filter.ns.empty()) select.where("ns = ?", filter.ns);
        if (!filter.fault_class.empty()) select.where("fault_class = ?", filter.fault_class);
        if (!filter.target.empty()) select.where("target = ?", filter.target);
        if (!filter.states.empty()) select.where("? LIKE '%,' || state || ',%'", words_of(filter.states));
        KN_CHECK(select.page(page, "opened_at", "id"));
        KN_TRY(const Rows rows, select.run(connection));
        return make_page(read_incidents(rows), page, [](const Incident& incident) { return std::pair(incident.opened_at, incident.id.str()); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::int64_t>> SqlIncidentStore::opened_since(std::string cluster, Instant since, Deadline deadline) {
    auto work = [cluster, since](SqlConnection& connection) -> Result<std::int64_t> {
        Select select("SELECT count(*) FROM incidents");
        select.where("opened_at >= ?", since);
        if (!cluster.empty()) select.where("cluster_id = ?", cluster);
        KN_TRY(const Rows rows, select.run(connection));
        return rows[0].integer(0);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<Approval>>> SqlIncidentStore::approvals(std::string cluster, std::optional<ApprovalState> state, Deadline deadline) {
    auto work = [cluster, state](SqlConnection& connection) -> Result<std::vector<Approval>> {
        Select select("SELECT doc FROM approvals");
        if (!cluster.empty()) select.where("cluster_id = ?", cluster);
        if (state) select.where("state = ?", *state);
        select.order(" ORDER BY asked_at DESC, id DESC");
        select.limit(1000);
        KN_TRY(const Rows rows, select.run(connection));
        return read_rows<Approval>(rows, read_approval);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<Approval>> SqlIncidentStore::approval(ApprovalId id, Deadline deadline) {
    auto work = [id](SqlConnection& connection) -> Result<Approval> {
        KN_TRY(const Rows rows, connection.query("SELECT doc FROM approvals WHERE id = $1", {id}));
        if (rows.empty()) return fail(ErrorCode::not_found, "no approval " + id.str());
        return read_approval(rows[0]);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<Approval>> SqlIncidentStore::vote(ApprovalId id, Approval::Vote vote, Deadline deadline) {
    auto work = [id, vote = std::move(vote)](SqlConnection& connection) { return apply_vote(connection, id, vote); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

}  // namespace kn::sql
