#pragma once

#include <map>
#include <string>
#include <vector>

#include "database/common.hpp"
#include "kubernaut/ports/registry_store.hpp"

namespace kn::sql {

/// Appends records to their clusters' hash chains, in the transaction that they record. hash = SHA-256 over the length-prefixed previous hash and the
/// record's canonical JSON (with seq, without the hashes). Two round trips, both shared with what the caller does anyway:
///
///     AuditAppend audit(std::move(records));
///     audit.lock_heads(c, first);  first.run(c);  audit.append(c, first, second);  second.run(c);
///
/// Every 1,000 records or ten minutes the fleet's own chain takes the head of a cluster's chain (one round trip more), so that a chain that vanished shows.
class AuditAppend {
public:
    explicit AuditAppend(std::vector<AuditRecord> records);
    void lock_heads(const SqlConnection& connection, Batch& batch);
    Result<> append(SqlConnection& connection, const Batch& locked, Batch& batch);

private:
    struct Chain {
        std::string cluster;
        std::vector<AuditRecord> records;
        std::size_t head = 0;  ///< index in the batch
    };
    struct Head {
        std::int64_t seq = 0;
        std::string hash;
        std::int64_t anchored_seq = 0, anchored_at = 0;
    };
    Head extend(Batch& batch, Head head, const std::vector<AuditRecord>& records);
    static void store_head(Batch& batch, const std::string& cluster, const Head& head);

    /// The head that was read and locked, or a new one for a chain that begins.
    static Result<Head> head_of(SqlConnection& connection, std::string_view cluster, const Rows& rows);

    std::vector<Chain> chains_;  ///< by cluster, the fleet's own last: one order of locks everywhere
};

/// Appends and runs both batches.
Result<> append_audit(SqlConnection& connection, std::vector<AuditRecord> records);

/// Walks one cluster's chain, or all when `cluster` is "".
Result<ports::AuditCheck> verify_audit(SqlConnection& connection, const std::string& cluster);

}  // namespace kn::sql
