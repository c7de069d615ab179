#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "kubernaut/ports/notifier.hpp"

namespace kn::testing {

/// The outbox without a database; passes the same contract as the stores (adapters/store/tests/outbox_store_test.cpp).
class InMemoryOutbox final : public ports::NotificationOutbox {
public:
    async::Task<Result<>> put(std::vector<ports::Notification> messages, Instant now, Deadline deadline) override;
    async::Task<Result<std::vector<ports::Delivery>>> claim(std::string channel, Instant now, Instant claim_until, int limit,
                                                            Deadline deadline) override;
    async::Task<Result<>> route(ClusterId cluster, std::string key, std::vector<std::string> channels, Instant now, Deadline deadline) override;
    async::Task<Result<>> settle(std::vector<ports::DeliveryResult> results, Instant now, Deadline deadline) override;
    async::Task<Result<std::int64_t>> sent_since(std::string channel, Instant since, Deadline deadline) override;
    async::Task<Result<std::vector<ports::Delivery>>> recent(std::string channel, int limit, Deadline deadline) override;

    /// The next calls fail with `unavailable`, as with a dead database.
    int failures = 0;

private:
    struct Row {
        ports::Delivery delivery;
        Instant claim_until{}, settled_at{};
        std::size_t order = 0;
        std::string sent_as;
    };
    using Key = std::tuple<std::string, std::string, std::string>;  // cluster, key, channel
    bool fails() { return failures > 0 && failures-- > 0; }
    std::map<Key, Row> rows_;
    std::size_t next_ = 0;
};

}  // namespace kn::testing
