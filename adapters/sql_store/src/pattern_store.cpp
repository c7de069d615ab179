#include "pattern_store.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/base/hash.hpp"

namespace kn::sql {
namespace {

constexpr std::string_view leadership = "patterns";

ClusterId cluster_of(const Pattern& pattern) {
    constexpr std::string_view prefix = "cluster/";
    if (pattern.scope.starts_with(prefix)) return ClusterId(pattern.scope.substr(prefix.size()));
    constexpr std::string_view environment = "environment/";
    if (pattern.scope.starts_with(environment)) return ClusterId("_env/" + pattern.scope.substr(environment.size()));
    return ClusterId(std::string(fleet_scope));
}

std::int64_t standing_of(const Pattern& pattern) { return std::llround(std::clamp(pattern.confidence, 0.0, 1.0) * 1e6); }

Result<> write_commit(SqlConnection& connection, const ports::PatternCommit& commit) {
    KN_TRY(const Rows leader,
           connection.query("SELECT owner, epoch FROM leaders WHERE cluster_id = $1 AND name = $2" + std::string(for_update(connection)),
                            {fleet_scope, leadership}));
    if (leader.empty() || leader[0].text(0) != commit.owner || leader[0].integer(1) != commit.epoch)
        return fail(ErrorCode::aborted, "another hub leads the discovery of patterns by now");
    Batch batch;
    for (const PatternRecord& record : commit.patterns) {
        const Pattern& pattern = record.pattern;
        batch.add(
            "INSERT INTO patterns (cluster_id, id, kind, subject, status, shadow, standing, last_seen, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
            "ON CONFLICT (cluster_id, id) DO UPDATE SET status = excluded.status, shadow = excluded.shadow, standing = excluded.standing, "
            "last_seen = excluded.last_seen, doc = excluded.doc",
            {cluster_of(pattern), pattern.id, pattern.kind, pattern.subject, pattern.status, record.shadow ? 1 : 0, standing_of(pattern),
             pattern.last_seen, document(record)});
    }
    for (const std::string& id : commit.forgotten) batch.add("DELETE FROM patterns WHERE id = $1", {id});
    for (const auto& state : commit.states) {
        batch.add(
            "INSERT INTO pattern_states (cluster_id, key, updated_at, data) VALUES ($1, $2, $3, $4) ON CONFLICT (cluster_id, key) DO UPDATE SET "
            "updated_at = excluded.updated_at, data = excluded.data",
            {state.cluster, state.key, state.updated_at, base64_encode(state.bytes)});
    }
    for (const EarlyWarning& warning : commit.warnings) {
        batch.add(
            "INSERT INTO early_warnings (cluster_id, id, pattern_id, incident_id, outcome, raised_at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7) "
            "ON CONFLICT (cluster_id, id) DO UPDATE SET incident_id = excluded.incident_id, outcome = excluded.outcome, doc = excluded.doc",
            {warning.cluster, warning.id, warning.pattern.id, warning.incident, warning.outcome, warning.raised_at, document(warning)});
    }
    return batch.run(connection);
}

}  // namespace

Task<Result<std::int64_t>> SqlPatternStore::lead(std::string owner, Instant now, Instant until, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<std::int64_t> {
        KN_TRY(const Rows rows,
               connection.query(
                   "INSERT INTO leaders (cluster_id, name, owner, epoch, until) VALUES ($1, $2, $3, 1, $4) ON CONFLICT (cluster_id, name) DO "
                   "UPDATE SET epoch = CASE WHEN leaders.owner = excluded.owner THEN leaders.epoch ELSE leaders.epoch + 1 END, "
                   "owner = excluded.owner, until = excluded.until WHERE leaders.owner = excluded.owner OR leaders.until <= $5 RETURNING epoch",
                   {fleet_scope, leadership, owner, until, now}));
        if (rows.empty())
            return fail(Error{.code = ErrorCode::failed_precondition, .message = "another hub leads the discovery of patterns", .reason = "busy"});
        return rows[0].integer(0);
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlPatternStore::commit(ports::PatternCommit commit, Deadline deadline) {
    auto work = [commit = std::move(commit)](SqlConnection& connection) { return write_commit(connection, commit); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<ports::PageOf<PatternRecord>>> SqlPatternStore::list(ports::PatternFilter filter, ports::Page page, Deadline deadline) {
    auto work = [filter, page](SqlConnection& connection) -> Result<ports::PageOf<PatternRecord>> {
        Select select("SELECT doc FROM patterns");
        select.where("shadow = ?", filter.shadow ? 1 : 0);
        if (!filter.cluster.empty()) select.where("cluster_id = ?", filter.cluster);
        if (!filter.kind.empty()) select.where("kind = ?", filter.kind);
        if (!filter.subject.empty()) select.where("subject = ?", filter.subject);
        if (filter.status.empty())
            select.where("status <> ?", PatternStatus::retired);
        else
            select.where("? LIKE '%,' || status || ',%'", words_of(filter.status));
        KN_CHECK(select.page(page, "standing", "id"));
        KN_TRY(const Rows rows, select.run(connection));
        auto items = read_rows<PatternRecord>(rows, [](const Rows::Row& row) { return read_document<PatternRecord>(row.text(0), "patterns"); });
        return make_page(std::move(items), page,
                         [](const PatternRecord& record) { return std::pair(from_millis(standing_of(record.pattern)), record.pattern.id); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<PatternRecord>> SqlPatternStore::get(std::string id, Deadline deadline) {
    auto work = [id](SqlConnection& connection) -> Result<PatternRecord> {
        KN_TRY(const Rows rows, connection.query("SELECT doc FROM patterns WHERE id = $1", {id}));
        if (rows.empty()) return fail(ErrorCode::not_found, "no such pattern: " + id);
        return read_document<PatternRecord>(rows[0].text(0), "patterns");
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<ports::AnalyzerState>>> SqlPatternStore::states(std::string prefix, Deadline deadline) {
    auto work = [prefix](SqlConnection& connection) -> Result<std::vector<ports::AnalyzerState>> {
        // Keys hold % and _: the prefix is compared, not matched.
        KN_TRY(const Rows rows, connection.query("SELECT cluster_id, key, updated_at, data FROM pattern_states WHERE substr(key, 1, $2) = $1 "
                                                 "ORDER BY cluster_id, key",
                                                 {prefix, static_cast<std::int64_t>(prefix.size())}));
        std::vector<ports::AnalyzerState> out;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            auto decoded = base64_decode(rows[i].text(3));
            if (!decoded.ok) return fail(ErrorCode::internal, "unreadable row of pattern_states: " + rows[i].string(1));
            out.push_back({ClusterId(rows[i].string(0)), rows[i].string(1), std::move(decoded.bytes), from_millis(rows[i].integer(2))});
        }
        return out;
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<ports::PageOf<EarlyWarning>>> SqlPatternStore::warnings(ports::WarningFilter filter, ports::Page page, Deadline deadline) {
    auto work = [filter, page](SqlConnection& connection) -> Result<ports::PageOf<EarlyWarning>> {
        Select select("SELECT doc FROM early_warnings");
        if (!filter.cluster.empty()) select.where("cluster_id = ?", filter.cluster);
        if (!filter.pattern.empty()) select.where("pattern_id = ?", filter.pattern);
        if (!filter.incident.empty()) select.where("incident_id = ?", filter.incident);
        if (!filter.outcomes.empty()) select.where("? LIKE '%,' || outcome || ',%'", words_of(filter.outcomes));
        KN_CHECK(select.page(page, "raised_at", "id"));
        KN_TRY(const Rows rows, select.run(connection));
        auto items = read_rows<EarlyWarning>(rows, [](const Rows::Row& row) { return read_document<EarlyWarning>(row.text(0), "early_warnings"); });
        return make_page(std::move(items), page, [](const EarlyWarning& warning) { return std::pair(warning.raised_at, warning.id); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

}  // namespace kn::sql
