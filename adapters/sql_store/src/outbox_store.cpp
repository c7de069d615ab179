#include "outbox_store.hpp"

#include <algorithm>

namespace kn::sql {
namespace {

using ports::Delivery;
using ports::DeliveryResult;
using ports::DeliveryState;
using ports::Notification;

const std::string delivery_columns = "doc, channel, state, tries, created_at, due_at, error";

Result<Delivery> read_delivery(const Rows::Row& row) {
    auto doc = json::parse(row.text(0));
    if (!doc || !doc->is_object()) return fail(ErrorCode::internal, "unreadable row of notifications");
    const auto text = [&](const char* name) { return std::string(json::string_at(*doc, name)); };
    Delivery out;
    out.message = {.kind = text("kind"),
                   .key = text("key"),
                   .cluster = ClusterId(text("cluster")),
                   .ns = text("namespace"),
                   .title = text("title"),
                   .text = text("text"),
                   .severity = parse_enum<Severity>(text("severity")).value_or(Severity::info)};
    out.channel = row.string(1);
    out.state = parse_enum<DeliveryState>(row.text(2)).value_or(DeliveryState::waiting);
    out.tries = static_cast<int>(row.integer(3));
    out.created_at = from_millis(row.integer(4));
    out.due_at = from_millis(row.integer(5));
    out.last_error = row.string(6);
    return out;
}

/// The same message on the same channel has the same id, whoever makes it.
std::string delivery_id(const std::string& cluster, const std::string& key, const std::string& channel, Instant created) {
    return derive_id("ntf_", created, {cluster, key, channel});
}

Result<> apply_route(SqlConnection& connection, const std::string& cluster, const std::string& key, const std::vector<std::string>& channels,
                     Instant now) {
    // The row without a channel stays, settled: it is what makes a message that is put again a repeat.
    KN_TRY(
        const Rows rows,
        connection.query("UPDATE notifications SET state = $3, settled_at = $4, claim_until = 0 WHERE cluster_id = $1 AND key = $2 AND channel = '' "
                         "AND state = 'waiting' RETURNING doc, created_at",
                         {cluster, key, channels.empty() ? DeliveryState::dropped : DeliveryState::delivered, now}));
    if (rows.empty()) return {};
    const Instant created = from_millis(rows[0].integer(1));
    Batch batch;
    for (const std::string& channel : channels) {
        batch.add(
            "INSERT INTO notifications (cluster_id, key, channel, id, state, tries, created_at, due_at, claim_until, settled_at, error, doc) VALUES "
            "($1, $2, $3, $4, 'waiting', 0, $5, $6, 0, NULL, '', $7) ON CONFLICT (cluster_id, key, channel) DO NOTHING",
            {cluster, key, channel, delivery_id(cluster, key, channel, created), created, now, rows[0].text(0)});
    }
    return batch.run(connection);
}

Result<> apply_results(SqlConnection& connection, std::vector<DeliveryResult> results, Instant now) {
    std::ranges::sort(results, {}, [](const DeliveryResult& r) { return std::tie(r.cluster, r.key, r.channel); });
    Batch first;
    std::vector<std::size_t> rows;
    for (const DeliveryResult& result : results) {
        const bool again = result.state == DeliveryState::waiting;
        rows.push_back(first.add(
            "UPDATE notifications SET state = $4, tries = tries + 1, due_at = $5, claim_until = 0, settled_at = CAST($6 AS BIGINT), error = $7, sent_as = $8 "
            "WHERE cluster_id = $1 AND key = $2 AND channel = $3 AND state = 'waiting' RETURNING id, doc",
            {result.cluster, result.key, result.channel, result.state, again ? result.due_at : now, again ? std::nullopt : std::optional(now),
             result.error, result.sent_as}));
    }
    KN_CHECK(first.run(connection));
    Batch second;
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (results[i].state != DeliveryState::dead || first[rows[i]].empty()) continue;
        const auto row = first[rows[i]][0];
        const auto doc = json::parse(row.text(1));
        const std::string title = results[i].channel + ": " + (doc ? std::string(json::string_at(*doc, "title")) : results[i].key);
        second.add(
            "INSERT INTO dead_letters (cluster_id, id, kind, reason, at, was, title, doc) VALUES ($1, $2, 'notification', $3, $4, 'waiting', $5, $6) "
            "ON CONFLICT (cluster_id, id) DO UPDATE SET reason = excluded.reason, at = excluded.at",
            {results[i].cluster, row.text(0), results[i].error, now, title, row.text(1)});
    }
    return second.run(connection);
}

}  // namespace

json::Value message_json(const Notification& n) {
    return json::Object{{"kind", n.kind},   {"key", n.key},  {"cluster", n.cluster.str()}, {"namespace", n.ns}, {"severity", to_string(n.severity)},
                        {"title", n.title}, {"text", n.text}};
}

void add_notices(Batch& batch, const std::vector<Notification>& messages, Instant now) {
    for (const Notification& message : messages) {
        const std::string cluster = message.cluster.str().empty() ? std::string(fleet_scope) : message.cluster.str();
        batch.add(
            "INSERT INTO notifications (cluster_id, key, channel, id, state, tries, created_at, due_at, claim_until, settled_at, error, doc) VALUES "
            "($1, $2, '', $3, 'waiting', 0, $4, $4, 0, NULL, '', $5) ON CONFLICT (cluster_id, key, channel) DO NOTHING",
            {cluster, message.key, delivery_id(cluster, message.key, "", now), now, json::dump(message_json(message))});
    }
}

Task<Result<>> SqlOutboxStore::put(std::vector<Notification> messages, Instant now, Deadline deadline) {
    auto work = [messages = std::move(messages), now](SqlConnection& connection) -> Result<> {
        Batch batch;
        add_notices(batch, messages, now);
        return batch.run(connection);
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::vector<Delivery>>> SqlOutboxStore::claim(std::string channel, Instant now, Instant claim_until, int limit, Deadline deadline) {
    // Mostly there is nothing to do, and a look must not cost a write.
    auto look = [=](SqlConnection& connection) -> Result<bool> {
        KN_TRY(const Rows rows,
               connection.query("SELECT 1 FROM notifications WHERE channel = $1 AND state = 'waiting' AND due_at <= $2 AND claim_until <= $2 LIMIT 1",
                                {channel, now}));
        return !rows.empty();
    };
    KN_CO_TRY(const bool any, co_await context_.database.read(std::move(look), deadline));
    if (!any) co_return std::vector<Delivery>{};
    auto work = [=](SqlConnection& connection) -> Result<std::vector<Delivery>> {
        KN_TRY(
            const Rows rows,
            connection.query("UPDATE notifications SET claim_until = $3 WHERE (cluster_id, key, channel) IN (SELECT cluster_id, key, channel FROM "
                             "notifications WHERE channel = $1 AND state = 'waiting' AND due_at <= $2 AND claim_until <= $2 ORDER BY created_at, id "
                             "LIMIT $4" +
                                 std::string(skip_locked(connection)) + ") RETURNING " + delivery_columns,
                             {channel, now, claim_until, limit}));
        auto out = read_rows<Delivery>(rows, read_delivery);
        std::ranges::sort(out, {}, [](const Delivery& d) { return std::tie(d.created_at, d.message.key); });
        return out;
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlOutboxStore::route(ClusterId cluster, std::string key, std::vector<std::string> channels, Instant now, Deadline deadline) {
    std::ranges::sort(channels);
    channels.erase(std::unique(channels.begin(), channels.end()), channels.end());
    if (cluster.str().empty()) cluster = ClusterId(std::string(fleet_scope));
    auto work = [cluster = cluster.str(), key, channels, now](SqlConnection& connection) {
        return apply_route(connection, cluster, key, channels, now);
    };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<>> SqlOutboxStore::settle(std::vector<DeliveryResult> results, Instant now, Deadline deadline) {
    for (auto& result : results) {
        if (result.cluster.str().empty()) result.cluster = ClusterId(std::string(fleet_scope));
    }
    auto work = [results = std::move(results), now](SqlConnection& connection) { return apply_results(connection, results, now); };
    co_return co_await context_.database.write(std::move(work), deadline);
}

Task<Result<std::int64_t>> SqlOutboxStore::sent_since(std::string channel, Instant since, Deadline deadline) {
    auto work = [channel, since](SqlConnection& connection) -> Result<std::int64_t> {
        KN_TRY(const Rows rows,
               connection.query("SELECT count(DISTINCT sent_as) FROM notifications WHERE channel = $1 AND state = 'delivered' AND settled_at > $2",
                                {channel, since}));
        return rows[0].integer(0);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

Task<Result<std::vector<Delivery>>> SqlOutboxStore::recent(std::string channel, int limit, Deadline deadline) {
    auto work = [channel, limit](SqlConnection& connection) -> Result<std::vector<Delivery>> {
        Select select("SELECT " + delivery_columns + " FROM notifications");
        if (!channel.empty())
            select.where("channel = ?", channel);
        else
            select.where("NOT (channel = '' AND state = 'delivered')");
        select.order(" ORDER BY created_at DESC, id DESC");
        select.limit(limit);
        KN_TRY(const Rows rows, select.run(connection));
        return read_rows<Delivery>(rows, read_delivery);
    };
    co_return co_await context_.database.read(std::move(work), deadline);
}

}  // namespace kn::sql
