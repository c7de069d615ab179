#include "signal_store.hpp"

#include <algorithm>
#include <numeric>

namespace kn::sql {
namespace {

constexpr Duration recount_after = 1s;
const std::string columns = "doc, state, incident_id, error, count, last_seen";

Result<Signal> read_signal(const Rows::Row& row) {
    KN_TRY(Signal signal, read_document<Signal>(row.text(0), "signals"));
    signal.state = parse_enum<SignalState>(row.text(1)).value_or(signal.state);
    signal.incident = row.is_null(2) ? std::nullopt : std::optional(IncidentId(row.string(2)));
    signal.error = row.string(3);
    signal.count = row.integer(4);
    signal.last_seen = from_millis(row.integer(5));
    return signal;
}

std::vector<Signal> read_signals(const Rows& rows) { return read_rows<Signal>(rows, read_signal); }

Result<ports::InboxLevel> count_inbox(SqlConnection& connection) {
    KN_TRY(const Rows rows, connection.query("SELECT count(*), coalesce(sum(size), 0) FROM signals WHERE state = 'pending'"));
    ports::InboxLevel level{rows[0].integer(0), rows[0].integer(1), std::nullopt};
    KN_TRY(const Rows oldest, connection.query("SELECT received_at FROM signals WHERE state = 'pending' ORDER BY arrival LIMIT 1"));
    if (!oldest.empty()) level.oldest = oldest[0].time(0);
    return level;
}

/// A batch of one cluster belongs to it, a mixed one to the fleet.
std::string cluster_of(const std::vector<Signal>& signals) {
    for (const Signal& signal : signals) {
        if (signal.cluster != signals.front().cluster) return std::string(fleet_scope);
    }
    return signals.empty() ? std::string(fleet_scope) : signals.front().cluster.str();
}

}  // namespace

void add_signal_update(Batch& batch, const Signal& signal) {
    batch.add("UPDATE signals SET state = $3, incident_id = $4, error = $5 WHERE cluster_id = $1 AND signal_key = $2",
              {signal.cluster, signal.key, signal.state, signal.incident, signal.error});
}

Result<> SqlSignalStore::check_level(SqlConnection& connection, Level& level, const StoreOptions& options, SteadyTime now) {
    const auto full = [&] { return level.rows >= options.inbox_rows || level.bytes >= options.inbox_bytes; };
    const bool stale = !level.counted_at || now - *level.counted_at >= recount_after;
    if (!stale && !full()) return {};
    KN_TRY(const ports::InboxLevel counted, count_inbox(connection));
    level.rows = counted.pending;
    level.bytes = counted.bytes;
    level.counted_at = now;
    if (!full()) return {};
    return std::unexpected(Error{
        .code = ErrorCode::resource_exhausted,
        .message = "the inbox is full: " + std::to_string(level.rows) + " signals of " + std::to_string(level.bytes) + " bytes wait for correlation",
        .reason = "inbox_full",
        .retry_after = 5s});
}

Task<Result<ports::AcceptedBatch>> SqlSignalStore::accept(ports::RawBatch raw, std::vector<Signal> signals, Deadline deadline) {
    std::vector<std::string> docs;
    docs.reserve(signals.size());
    for (const Signal& signal : signals) docs.push_back(document(signal));
    const std::string receipt = derive_id("bat_", raw.received_at, {raw.source, raw.bytes});
    auto work = [raw = std::move(raw), signals = std::move(signals), docs = std::move(docs), receipt, level = level_, options = context_.options,
                 now = context_.clock.steady()](SqlConnection& connection) -> Result<ports::AcceptedBatch> {
        KN_CHECK(check_level(connection, *level, options, now));
        const std::int64_t first = std::max(level->last_arrival, to_millis(raw.received_at) << 12U);
        // Written in order of their keys: two replicas that get the same batch then never wait for each other in a circle.
        std::vector<std::size_t> order(signals.size()), index(signals.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::sort(order, {}, [&](std::size_t i) {
            return std::tuple<std::string_view, std::string_view, std::size_t>(signals[i].cluster.str(), signals[i].key, i);
        });
        Batch batch;
        for (const std::size_t i : order) {
            const Signal& signal = signals[i];
            index[i] = batch.add(
                "INSERT INTO signals (cluster_id, signal_key, id, arrival, state, status, alert_fp, incident_id, error, count, received_at, last_seen, "
                "size, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (cluster_id, signal_key) DO UPDATE SET "
                "count = signals.count + 1, last_seen = CASE WHEN excluded.last_seen > signals.last_seen THEN excluded.last_seen ELSE "
                "signals.last_seen END RETURNING arrival",
                {signal.cluster, signal.key, signal.id, first + 1 + static_cast<std::int64_t>(i), signal.state, signal.status, signal.alert_fp,
                 signal.incident, signal.error, signal.count, signal.received_at, std::max(signal.last_seen, signal.received_at), docs[i].size(),
                 docs[i]});
        }
        KN_CHECK(batch.run(connection));
        ports::AcceptedBatch out{.receipt = receipt};
        std::int64_t bytes = 0, waiting = 0;
        for (std::size_t i = 0; i < signals.size(); ++i) {
            const bool added = batch[index[i]][0].integer(0) == first + 1 + static_cast<std::int64_t>(i);
            if (!added)
                ++out.duplicates;
            else if (signals[i].state == SignalState::quarantined)
                ++out.quarantined;
            else
                ++out.accepted;
            if (added && signals[i].state == SignalState::pending) ++waiting, bytes += static_cast<std::int64_t>(docs[i].size());
        }
        // Senders repeat what still fires for as long as it fires: the body of a mere repeat says nothing new and is not kept.
        const bool fresh = out.accepted + out.quarantined > 0 || signals.empty();
        KN_CHECK(connection.query(
            "INSERT INTO inbox (cluster_id, received_at, id, source, size, body) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            {cluster_of(signals), raw.received_at, receipt, raw.source, raw.bytes.size(), fresh ? Param(Bytes{raw.bytes}) : Param(nullptr)}));
        level->rows += waiting;
        level->bytes += bytes;
        level->last_arrival = first + static_cast<std::int64_t>(signals.size());
        return out;
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::vector<Signal>>> SqlSignalStore::pending(int limit, Deadline deadline) {
    auto work = [limit](SqlConnection& connection) -> Result<std::vector<Signal>> {
        KN_TRY(const Rows rows, connection.query("SELECT " + columns + " FROM signals WHERE state = 'pending' ORDER BY arrival LIMIT $1", {limit}));
        return read_signals(rows);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<ports::InboxLevel>> SqlSignalStore::level(Deadline deadline) { co_return co_await context_.database.read(&count_inbox, deadline); }

Task<Result<std::vector<Signal>>> SqlSignalStore::of_incident(ClusterId cluster, IncidentId incident, int limit, Deadline deadline) {
    auto work = [cluster, incident, limit](SqlConnection& connection) -> Result<std::vector<Signal>> {
        KN_TRY(const Rows rows,
               connection.query("SELECT " + columns + " FROM signals WHERE cluster_id = $1 AND incident_id = $2 ORDER BY arrival DESC LIMIT $3",
                                {cluster, incident, limit}));
        return read_signals(rows);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<Signal>>> SqlSignalStore::by_fingerprint(ClusterId cluster, std::string alert_fp, Instant since, Deadline deadline) {
    auto work = [cluster, alert_fp, since](SqlConnection& connection) -> Result<std::vector<Signal>> {
        KN_TRY(const Rows rows, connection.query("SELECT " + columns +
                                                     " FROM signals WHERE cluster_id = $1 AND alert_fp = $2 AND status = 'firing' AND "
                                                     "last_seen >= $3 ORDER BY arrival DESC",
                                                 {cluster, alert_fp, since}));
        return read_signals(rows);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<Signal>>> SqlSignalStore::recent(std::string cluster, std::string state, int limit, Deadline deadline) {
    auto work = [cluster, state, limit](SqlConnection& connection) -> Result<std::vector<Signal>> {
        Select select("SELECT " + columns + " FROM signals");
        if (!cluster.empty()) select.where("cluster_id = ?", cluster);
        if (!state.empty()) select.where("state = ?", state);
        select.order(" ORDER BY arrival DESC");
        select.limit(limit);
        KN_TRY(const Rows rows, select.run(connection));
        return read_signals(rows);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

}  // namespace kn::sql
