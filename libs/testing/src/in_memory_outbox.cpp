#include "kubernaut/testing/in_memory_outbox.hpp"

#include <algorithm>
#include <set>

namespace kn::testing {

using ports::Delivery;
using ports::DeliveryState;

namespace {
std::unexpected<Error> dead_store() { return fail(ErrorCode::unavailable, "the store does not answer"); }
std::string scope_of(const ClusterId& cluster) { return cluster.str().empty() ? std::string("_fleet") : cluster.str(); }
}  // namespace

async::Task<Result<>> InMemoryOutbox::put(std::vector<ports::Notification> messages, Instant now, Deadline) {
    if (fails()) co_return dead_store();
    for (auto& message : messages) {
        const Key key{scope_of(message.cluster), message.key, ""};
        if (rows_.contains(key)) continue;
        rows_[key] = {.delivery = {.message = std::move(message), .channel = "", .created_at = now, .due_at = now}, .order = next_++};
    }
    co_return Result<>{};
}

async::Task<Result<std::vector<Delivery>>> InMemoryOutbox::claim(std::string channel, Instant now, Instant claim_until, int limit, Deadline) {
    if (fails()) co_return dead_store();
    std::vector<Row*> due;
    for (auto& [key, row] : rows_) {
        const auto& d = row.delivery;
        if (d.channel == channel && d.state == DeliveryState::waiting && d.due_at <= now && row.claim_until <= now) due.push_back(&row);
    }
    std::ranges::sort(due, {}, [](const Row* row) { return std::tie(row->delivery.created_at, row->order); });
    std::vector<Delivery> out;
    for (Row* row : due) {
        if (std::ssize(out) >= limit) break;
        row->claim_until = claim_until;
        out.push_back(row->delivery);
    }
    co_return out;
}

async::Task<Result<>> InMemoryOutbox::route(ClusterId cluster, std::string key, std::vector<std::string> channels, Instant now, Deadline) {
    if (fails()) co_return dead_store();
    const auto found = rows_.find(Key{scope_of(cluster), key, ""});
    if (found == rows_.end() || found->second.delivery.state != DeliveryState::waiting) co_return Result<>{};
    found->second.delivery.state = channels.empty() ? DeliveryState::dropped : DeliveryState::delivered;
    for (const auto& channel : channels) {
        Delivery copy = found->second.delivery;
        copy.channel = channel;
        copy.state = DeliveryState::waiting;
        copy.due_at = now;
        rows_.try_emplace(Key{scope_of(cluster), key, channel}, Row{.delivery = std::move(copy), .order = next_++});
    }
    co_return Result<>{};
}

async::Task<Result<>> InMemoryOutbox::settle(std::vector<ports::DeliveryResult> results, Instant now, Deadline) {
    if (fails()) co_return dead_store();
    for (const auto& result : results) {
        const auto found = rows_.find(Key{scope_of(result.cluster), result.key, result.channel});
        if (found == rows_.end() || found->second.delivery.state != DeliveryState::waiting) continue;
        auto& row = found->second;
        row.delivery.state = result.state;
        ++row.delivery.tries;
        row.delivery.due_at = result.state == DeliveryState::waiting ? result.due_at : now;
        row.delivery.last_error = result.error;
        row.claim_until = {};
        row.sent_as = result.sent_as;
        if (result.state != DeliveryState::waiting) row.settled_at = now;
    }
    co_return Result<>{};
}

async::Task<Result<std::int64_t>> InMemoryOutbox::sent_since(std::string channel, Instant since, Deadline) {
    if (fails()) co_return dead_store();
    std::set<std::string> sent;
    for (const auto& [key, row] : rows_) {
        if (row.delivery.channel == channel && row.delivery.state == DeliveryState::delivered && row.settled_at > since) sent.insert(row.sent_as);
    }
    co_return std::ssize(sent);
}

async::Task<Result<std::vector<Delivery>>> InMemoryOutbox::recent(std::string channel, int limit, Deadline) {
    if (fails()) co_return dead_store();
    std::vector<const Row*> found;
    for (const auto& [key, row] : rows_) {
        const auto& d = row.delivery;
        if (channel.empty() ? !(d.channel.empty() && d.state == DeliveryState::delivered) : d.channel == channel) found.push_back(&row);
    }
    std::ranges::sort(found, std::greater{}, [](const Row* row) { return std::tie(row->delivery.created_at, row->order); });
    std::vector<Delivery> out;
    for (const Row* row : found) {
        if (std::ssize(out) < limit) out.push_back(row->delivery);
    }
    co_return out;
}

}  // namespace kn::testing
