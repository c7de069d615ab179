#include "audit_chain.hpp"

#include <algorithm>
#include <set>

#include "kubernaut/base/hash.hpp"

namespace kn::sql {
namespace {

constexpr std::int64_t anchor_records = 1000;
constexpr Duration anchor_age = 10min;
constexpr int verify_chunk = 2000;

std::string link_hash(std::string_view previous, std::string_view canonical) { return to_hex(sha256_parts({previous, canonical})); }

std::string canonical_record(const AuditRecord& record) {
    json::Value value = to_json(record);
    value.get_object().erase("prev_hash");
    value.get_object().erase("hash");
    return json::canonical(value);
}

/// What a record is about beside its object: its execution, else its incident. Only for searching: the record itself says it, too.
std::string correlation_of(const AuditRecord& record) {
    const json::Value details(record.details);
    for (const char* name : {"execution", "incident"}) {
        if (const auto found = json::string_at(details, name); !found.empty()) return std::string(found);
    }
    const bool is_id = record.object.starts_with("exe_") || record.object.starts_with("inc_");
    return is_id ? record.object : std::string();
}

}  // namespace

AuditAppend::AuditAppend(std::vector<AuditRecord> records) {
    std::map<std::string, std::vector<AuditRecord>> by_cluster;
    for (auto& record : records) by_cluster[record.cluster.str()].push_back(std::move(record));
    const auto fleet = by_cluster.extract(std::string(fleet_scope));
    for (auto& [cluster, list] : by_cluster) chains_.push_back({cluster, std::move(list), 0});
    if (!fleet.empty()) chains_.push_back({fleet.key(), fleet.mapped(), 0});
}

Result<AuditAppend::Head> AuditAppend::head_of(SqlConnection& connection, std::string_view cluster, const Rows& rows) {
    const auto read = [](const Rows& found) { return Head{found[0].integer(0), found[0].string(1), found[0].integer(2), found[0].integer(3)}; };
    if (!rows.empty()) return read(rows);
    KN_TRY(const Rows made,
           connection.query("INSERT INTO audit_heads (cluster_id, seq, hash, anchored_seq, anchored_at) VALUES ($1, 0, '', 0, 0) "
                            "ON CONFLICT (cluster_id) DO UPDATE SET seq = audit_heads.seq RETURNING seq, hash, anchored_seq, anchored_at",
                            {cluster}));
    return read(made);
}

void AuditAppend::lock_heads(const SqlConnection& connection, Batch& batch) {
    for (Chain& chain : chains_) {
        chain.head =
            batch.add("SELECT seq, hash, anchored_seq, anchored_at FROM audit_heads WHERE cluster_id = $1" + std::string(for_update(connection)),
                      {chain.cluster});
    }
}

AuditAppend::Head AuditAppend::extend(Batch& batch, Head head, const std::vector<AuditRecord>& records) {
    for (const AuditRecord& given : records) {
        AuditRecord record = given;
        record.seq = ++head.seq;
        // Text as the database will keep it, or the hash would not match what is read back.
        record.actor = clean_text(record.actor);
        record.object = clean_text(record.object);
        const std::string canonical = clean_text(canonical_record(record));
        std::string hash = link_hash(head.hash, canonical);
        batch.add(
            "INSERT INTO audit_log (cluster_id, seq, at, actor, object, prev_hash, hash, doc, verb, correlation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            {record.cluster, record.seq, record.at, record.actor, record.object, head.hash, hash, canonical, record.verb, correlation_of(record)});
        head.hash = std::move(hash);
    }
    return head;
}

void AuditAppend::store_head(Batch& batch, const std::string& cluster, const Head& head) {
    batch.add("UPDATE audit_heads SET seq = $2, hash = $3, anchored_seq = $4, anchored_at = $5 WHERE cluster_id = $1",
              {cluster, head.seq, head.hash, head.anchored_seq, head.anchored_at});
}

Result<> AuditAppend::append(SqlConnection& connection, const Batch& locked, Batch& batch) {
    std::vector<AuditRecord> fleet;
    std::optional<Head> fleet_head;
    for (const Chain& chain : chains_) {
        KN_TRY(Head head, head_of(connection, chain.cluster, locked[chain.head]));
        if (chain.cluster == fleet_scope) {
            fleet = chain.records;
            fleet_head = head;
            continue;
        }
        const Instant at = chain.records.back().at;
        head = extend(batch, head, chain.records);
        if (head.anchored_at == 0) head.anchored_at = to_millis(at);
        if (head.seq - head.anchored_seq >= anchor_records || to_millis(at) - head.anchored_at >= anchor_age.count()) {
            AuditRecord anchor{.cluster = ClusterId(std::string(fleet_scope)),
                               .at = at,
                               .actor = "kubernaut",
                               .verb = "audit.anchor",
                               .object = chain.cluster,
                               .reason = "head of the cluster's chain"};
            anchor.details = {{"seq", head.seq}, {"hash", head.hash}};
            fleet.push_back(std::move(anchor));
            head.anchored_seq = head.seq;
            head.anchored_at = to_millis(at);
        }
        store_head(batch, chain.cluster, head);
    }
    if (fleet.empty()) return {};
    if (!fleet_head) {
        // Writing it locks it, whether it is there or not.
        KN_TRY(fleet_head, head_of(connection, fleet_scope, {}));
    }
    store_head(batch, std::string(fleet_scope), extend(batch, *fleet_head, fleet));
    return {};
}

Result<> append_audit(SqlConnection& connection, std::vector<AuditRecord> records) {
    if (records.empty()) return {};
    AuditAppend audit(std::move(records));
    Batch heads, rows;
    audit.lock_heads(connection, heads);
    KN_CHECK(heads.run(connection));
    KN_CHECK(audit.append(connection, heads, rows));
    return rows.run(connection);
}

namespace {

/// What the fleet's chain says of the others: the hash at a seq.
using Anchors = std::map<std::string, std::map<std::int64_t, std::string>>;

class Verifier {
public:
    explicit Verifier(SqlConnection& connection) : connection_(connection) {}

    Result<ports::AuditCheck> run(const std::string& only) {
        KN_TRY(const Rows heads, connection_.query("SELECT cluster_id, seq, hash FROM audit_heads ORDER BY cluster_id"));
        KN_TRY(const Rows chains, connection_.query("SELECT DISTINCT cluster_id FROM audit_log"));
        std::map<std::string, std::pair<std::int64_t, std::string>> known;
        std::set<std::string> clusters;
        for (std::size_t i = 0; i < heads.size(); ++i) {
            known[heads[i].string(0)] = {heads[i].integer(1), heads[i].string(2)};
            clusters.insert(heads[i].string(0));
        }
        for (std::size_t i = 0; i < chains.size(); ++i) clusters.insert(chains[i].string(0));
        // The fleet's chain first: its anchors show a cluster's chain that was cut or vanished together with its head.
        KN_CHECK(walk(std::string(fleet_scope), known[std::string(fleet_scope)], only.empty() || only == fleet_scope));
        for (const auto& [cluster, anchors] : anchors_) clusters.insert(cluster);
        for (const std::string& cluster : clusters) {
            if (cluster != fleet_scope && (only.empty() || only == cluster)) KN_CHECK(walk(cluster, known[cluster], true));
        }
        return check_;
    }

private:
    void broken(const std::string& cluster, std::int64_t seq, std::string_view how) {
        if (!counting_ || !check_.intact) return;
        check_.intact = false;
        check_.first_break = cluster + " seq " + std::to_string(seq) + ": " + std::string(how);
    }

    Result<> walk(const std::string& cluster, const std::pair<std::int64_t, std::string>& head, bool counting) {
        counting_ = counting;
        std::int64_t last = 0;
        std::string hash;
        while (true) {
            KN_TRY(const Rows rows,
                   connection_.query("SELECT seq, at, actor, object, prev_hash, hash, doc FROM audit_log WHERE cluster_id = $1 AND seq > $2 "
                                     "ORDER BY seq LIMIT $3",
                                     {cluster, last, verify_chunk}));
            for (std::size_t i = 0; i < rows.size(); ++i) {
                const auto row = rows[i];
                if (row.integer(0) != last + 1) broken(cluster, last + 1, "missing");
                last = row.integer(0);
                if (counting_) ++check_.records;
                check_link(cluster, row, hash);
                hash = row.string(5);
                check_anchor(cluster, last, hash);
            }
            if (rows.size() < static_cast<std::size_t>(verify_chunk)) break;
        }
        if (head.first != last)
            broken(cluster, std::min(head.first, last) + 1, head.first > last ? "missing at the end" : "not known to the head");
        else if (head.second != hash)
            broken(cluster, last, "the head has another hash");
        if (const auto found = anchors_.find(cluster); found != anchors_.end() && !found->second.empty() && found->second.rbegin()->first > last) {
            broken(cluster, last + 1, "missing at the end (the fleet's chain knows seq " + std::to_string(found->second.rbegin()->first) + ")");
        }
        return {};
    }

    void check_link(const std::string& cluster, const Rows::Row& row, const std::string& previous) {
        const std::int64_t seq = row.integer(0);
        if (row.text(4) != previous) return broken(cluster, seq, "does not follow the record before it");
        if (link_hash(row.text(4), row.text(6)) != row.text(5)) return broken(cluster, seq, "hash differs");
        const auto record = read_document<AuditRecord>(row.text(6), "audit_log");
        if (!record) return broken(cluster, seq, "unreadable");
        if (record->cluster.str() != cluster || record->seq != seq || record->at != from_millis(row.integer(1)) || record->actor != row.text(2) ||
            record->object != row.text(3)) {
            return broken(cluster, seq, "columns differ from the record");
        }
        if (cluster == fleet_scope && record->verb == "audit.anchor") {
            anchors_[record->object][json::int_at(record->details, "seq").value_or(0)] = std::string(json::string_at(record->details, "hash"));
        }
    }

    void check_anchor(const std::string& cluster, std::int64_t seq, const std::string& hash) {
        const auto found = anchors_.find(cluster);
        if (found == anchors_.end()) return;
        const auto anchor = found->second.find(seq);
        if (anchor != found->second.end() && anchor->second != hash) broken(cluster, seq, "the fleet's chain knows another hash");
    }

    SqlConnection& connection_;
    ports::AuditCheck check_;
    Anchors anchors_;
    bool counting_ = true;
};

}  // namespace

Result<ports::AuditCheck> verify_audit(SqlConnection& connection, const std::string& cluster) { return Verifier(connection).run(cluster); }

}  // namespace kn::sql
