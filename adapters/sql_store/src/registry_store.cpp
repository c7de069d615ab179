#include "registry_store.hpp"

#include <algorithm>
#include <map>

#include "audit_chain.hpp"
#include "database/migrate.hpp"
#include "dead_letters.hpp"

namespace kn::sql {
namespace {

Instant seen_at(const ObjectSnapshot& snapshot) { return snapshot.deleted_at.value_or(snapshot.taken_at); }

/// The newest row of an object, as far as it decides whether a snapshot says something new.
struct Newest {
    std::int64_t seq = 0;
    std::string hash;
    bool deleted = false;
};

Result<> store_snapshots(SqlConnection& connection, const std::vector<ObjectSnapshot>& snapshots) {
    std::map<ObjectKey, std::size_t> asked;
    Batch newest_rows;
    for (const ObjectSnapshot& snapshot : snapshots) {
        if (asked.contains(snapshot.key)) continue;
        asked[snapshot.key] =
            newest_rows.add("SELECT seq, hash, is_deleted FROM object_snapshots WHERE cluster_id = $1 AND object_key = $2 ORDER BY seq DESC LIMIT 1",
                            {snapshot.key.cluster, snapshot.key.str()});
    }
    KN_CHECK(newest_rows.run(connection));
    std::map<ObjectKey, Newest> newest;
    for (const auto& [key, index] : asked) {
        const Rows& rows = newest_rows[index];
        if (!rows.empty()) newest[key] = {rows[0].integer(0), rows[0].string(1), rows[0].integer(2) != 0};
    }
    Batch inserts;
    for (const ObjectSnapshot& snapshot : snapshots) {
        Newest& last = newest[snapshot.key];
        const bool deleted = snapshot.deleted_at.has_value();
        if (last.seq > 0 && last.deleted == deleted && (deleted || last.hash == snapshot.hash)) continue;
        last = {last.seq + 1, snapshot.hash, deleted};
        inserts.add(
            "INSERT INTO object_snapshots (cluster_id, object_key, seq, ns, hash, is_deleted, seen_at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            {snapshot.key.cluster, snapshot.key.str(), last.seq, snapshot.key.ns, snapshot.hash, deleted, seen_at(snapshot), document(snapshot)});
    }
    return inserts.run(connection);
}

std::vector<ObjectSnapshot> read_snapshots(const Rows& rows) {
    return read_rows<ObjectSnapshot>(rows, [](const Rows::Row& row) { return read_document<ObjectSnapshot>(row.text(0), "object_snapshots"); });
}

Result<AuditRecord> read_audit(const Rows::Row& row) {
    KN_TRY(AuditRecord record, read_document<AuditRecord>(row.text(0), "audit_log"));
    record.prev_hash = row.string(1);
    record.hash = row.string(2);
    return record;
}

/// Unique and in order of (cluster, seq), so that a page's cursor finds its place among records of one millisecond.
std::string audit_position(const AuditRecord& record) {
    const std::string digits = std::to_string(record.seq);
    return record.cluster.str() + "/" + std::string(20 - std::min<std::size_t>(20, digits.size()), '0') + digits;
}

}  // namespace

Task<Result<>> SqlRegistryStore::put_cluster(ClusterRecord cluster, Deadline deadline) {
    auto work = [cluster = std::move(cluster)](SqlConnection& connection) -> Result<> {
        KN_CHECK(connection.query("INSERT INTO clusters (cluster_id, doc) VALUES ($1, $2) ON CONFLICT (cluster_id) DO UPDATE SET doc = excluded.doc",
                                  {cluster.id, document(cluster)}));
        return {};
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::string>> SqlRegistryStore::bind_uid(ClusterId id, std::string uid, Deadline deadline) {
    auto work = [id = std::move(id), uid = std::move(uid)](SqlConnection& connection) -> Result<std::string> {
        // The update that changes nothing locks the row, so that of two callers at once one comes second and sees what the first has bound.
        KN_CHECK(connection.query("INSERT INTO clusters (cluster_id, doc) VALUES ($1, $2) ON CONFLICT (cluster_id) DO UPDATE SET doc = clusters.doc",
                                  {id, document(ClusterRecord{.id = id})}));
        KN_TRY(const Rows rows, connection.query("SELECT doc FROM clusters WHERE cluster_id = $1", {id}));
        KN_TRY(auto record, read_document<ClusterRecord>(rows[0].text(0), "clusters"));
        if (!record.uid.empty()) return record.uid;
        record.uid = uid;
        KN_CHECK(connection.query("UPDATE clusters SET doc = $2 WHERE cluster_id = $1", {id, document(record)}));
        return uid;
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::vector<ClusterRecord>>> SqlRegistryStore::clusters(Deadline deadline) {
    auto work = [](SqlConnection& connection) -> Result<std::vector<ClusterRecord>> {
        KN_TRY(const Rows rows, connection.query("SELECT doc FROM clusters ORDER BY cluster_id"));
        return read_rows<ClusterRecord>(rows, [](const Rows::Row& row) { return read_document<ClusterRecord>(row.text(0), "clusters"); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<>> SqlRegistryStore::set_pause(Pause pause, AuditRecord audit, Deadline deadline) {
    auto work = [pause = std::move(pause), audit = std::move(audit)](SqlConnection& connection) -> Result<> {
        KN_CHECK(connection.query(
            "INSERT INTO pauses (cluster_id, ns, doc) VALUES ($1, $2, $3) ON CONFLICT (cluster_id, ns) DO UPDATE SET doc = excluded.doc",
            {pause.cluster, pause.ns, document(pause)}));
        return sql::append_audit(connection, {audit});
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlRegistryStore::clear_pause(ClusterId cluster, std::string ns, AuditRecord audit, Deadline deadline) {
    auto work = [cluster, ns, audit = std::move(audit)](SqlConnection& connection) -> Result<> {
        KN_TRY(const Rows rows, connection.query("DELETE FROM pauses WHERE cluster_id = $1 AND ns = $2 RETURNING 1", {cluster, ns}));
        if (rows.empty()) return fail(ErrorCode::not_found, cluster.str() + (ns.empty() ? "" : "/" + ns) + " is not paused");
        return sql::append_audit(connection, {audit});
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::vector<Pause>>> SqlRegistryStore::pauses(Deadline deadline) {
    auto work = [](SqlConnection& connection) -> Result<std::vector<Pause>> {
        KN_TRY(const Rows rows, connection.query("SELECT doc FROM pauses ORDER BY cluster_id, ns"));
        std::vector<Pause> out;
        // A pause that cannot be read must not look like no pause.
        for (std::size_t i = 0; i < rows.size(); ++i) {
            KN_TRY(Pause pause, read_document<Pause>(rows[i].text(0), "pauses"));
            out.push_back(std::move(pause));
        }
        return out;
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<>> SqlRegistryStore::put_snapshots(std::vector<ObjectSnapshot> snapshots, Deadline deadline) {
    auto work = [snapshots = std::move(snapshots)](SqlConnection& connection) { return store_snapshots(connection, snapshots); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::vector<ObjectSnapshot>>> SqlRegistryStore::snapshots(ObjectKey key, Instant since, int limit, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<std::vector<ObjectSnapshot>> {
        KN_TRY(const Rows rows,
               connection.query(
                   "SELECT doc FROM object_snapshots WHERE cluster_id = $1 AND object_key = $2 AND seen_at >= $3 ORDER BY seq DESC LIMIT $4",
                   {key.cluster, key.str(), since, limit}));
        return read_snapshots(rows);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<ObjectSnapshot>>> SqlRegistryStore::changes(ClusterId cluster, std::string ns, Instant since, int limit, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<std::vector<ObjectSnapshot>> {
        KN_TRY(const Rows rows,
               connection.query("SELECT doc FROM object_snapshots WHERE cluster_id = $1 AND ns = $2 AND seen_at >= $3 ORDER BY seen_at DESC, "
                                "object_key, seq DESC LIMIT $4",
                                {cluster, ns, since, limit}));
        return read_snapshots(rows);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<ports::PageOf<ports::DeadLetter>>> SqlRegistryStore::dead_letters(ports::DeadLetterFilter filter, ports::Page page, Deadline deadline) {
    auto work = [filter, page](SqlConnection& connection) { return list_dead_letters(connection, filter, page); };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<ports::DeadLetter>> SqlRegistryStore::dead_letter(std::string id, Deadline deadline) {
    auto work = [id](SqlConnection& connection) { return read_dead_letter(connection, id); };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<std::pair<ports::DeadLetterFilter, std::int64_t>>>> SqlRegistryStore::dead_letter_counts(Deadline deadline) {
    auto work = [](SqlConnection& connection) -> Result<std::vector<std::pair<ports::DeadLetterFilter, std::int64_t>>> {
        KN_TRY(const Rows rows,
               connection.query("SELECT cluster_id, kind, count(*) FROM dead_letters GROUP BY cluster_id, kind ORDER BY cluster_id, kind"));
        std::vector<std::pair<ports::DeadLetterFilter, std::int64_t>> out;
        for (std::size_t i = 0; i < rows.size(); ++i)
            out.emplace_back(ports::DeadLetterFilter{rows[i].string(0), rows[i].string(1)}, rows[i].integer(2));
        return out;
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<>> SqlRegistryStore::replay_dead_letter(std::string id, AuditRecord audit, Instant now, Deadline deadline) {
    auto work = [id, audit = std::move(audit), now](SqlConnection& connection) { return sql::replay_dead_letter(connection, id, audit, now); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlRegistryStore::purge_dead_letter(std::string id, AuditRecord audit, Deadline deadline) {
    auto work = [id, audit = std::move(audit)](SqlConnection& connection) { return sql::purge_dead_letter(connection, id, audit); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlRegistryStore::append_audit(std::vector<AuditRecord> records, Deadline deadline) {
    auto work = [records = std::move(records)](SqlConnection& connection) { return sql::append_audit(connection, records); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<ports::PageOf<AuditRecord>>> SqlRegistryStore::audit(ports::AuditFilter filter, ports::Page page, Deadline deadline) {
    auto work = [filter, page](SqlConnection& connection) -> Result<ports::PageOf<AuditRecord>> {
        // "cluster/seq with leading zeros": lower seqs sort first as text, too.
        const std::string position = connection.dialect() == Dialect::postgres
                                         ? "(cluster_id || '/' || lpad(CAST(seq AS TEXT), 20, '0')) COLLATE \"C\""
                                         : "(cluster_id || '/' || substr('00000000000000000000' || seq, -20))";
        Select select("SELECT doc, prev_hash, hash FROM audit_log");
        if (!filter.cluster.empty()) select.where("cluster_id = ?", filter.cluster);
        if (!filter.actor.empty()) select.where("actor = ?", filter.actor);
        if (!filter.object.empty()) select.where("object = ?", filter.object);
        if (!filter.verb.empty()) select.where("verb = ?", filter.verb);
        if (!filter.correlation.empty()) {
            select.where("(correlation = ? OR correlation IN (SELECT id FROM executions WHERE incident_id = ?))", filter.correlation);
        }
        if (filter.since) select.where("at >= ?", *filter.since);
        if (filter.until) select.where("at < ?", *filter.until);
        KN_CHECK(select.page(page, "at", position));
        KN_TRY(const Rows rows, select.run(connection));
        return make_page(read_rows<AuditRecord>(rows, read_audit), page,
                         [](const AuditRecord& record) { return std::pair(record.at, audit_position(record)); });
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<ports::AuditCheck>> SqlRegistryStore::verify_audit(std::string cluster, Deadline deadline) {
    auto work = [cluster](SqlConnection& connection) { return sql::verify_audit(connection, cluster); };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::int64_t>> SqlRegistryStore::acquire_lease(std::string role, std::string owner, Instant now, Duration ttl, Deadline deadline) {
    auto work = [=](SqlConnection& connection) -> Result<std::int64_t> {
        // The same owner keeps its epoch as long as it comes in time; whoever comes after a gap, even itself, gets the next one.
        KN_TRY(
            const Rows rows,
            connection.query(
                "INSERT INTO leases (cluster_id, role, owner, epoch, until) VALUES ('_fleet', $1, $2, 1, $3) ON CONFLICT (cluster_id, role) DO UPDATE "
                "SET epoch = CASE WHEN leases.owner = excluded.owner AND leases.until > $4 THEN leases.epoch ELSE leases.epoch + 1 END, "
                "owner = excluded.owner, until = excluded.until WHERE leases.owner = excluded.owner OR leases.until <= $4 RETURNING epoch",
                {role, owner, now + ttl, now}));
        if (!rows.empty()) return rows[0].integer(0);
        KN_TRY(const Rows holder, connection.query("SELECT owner FROM leases WHERE cluster_id = '_fleet' AND role = $1", {role}));
        return fail(ErrorCode::failed_precondition,
                    "the lease \"" + role + "\" is held by " + (holder.empty() ? std::string("another") : holder[0].string(0)));
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlRegistryStore::ready(Deadline deadline) {
    auto work = [now = context_.clock.now()](SqlConnection& connection) -> Result<> {
        Batch batch;
        const std::size_t schema = batch.add("SELECT coalesce(max(version), 0) FROM schema_migrations", {});
        batch.add("INSERT INTO health (cluster_id, at) VALUES ('_fleet', $1) ON CONFLICT (cluster_id) DO UPDATE SET at = excluded.at", {now});
        KN_CHECK(batch.run(connection));
        const std::int64_t newest = migrations().back().version;
        if (batch[schema][0].integer(0) == newest) return {};
        return fail(ErrorCode::failed_precondition,
                    "the schema is " + batch[schema][0].string(0) + ", this kubernaut needs " + std::to_string(newest));
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

}  // namespace kn::sql
