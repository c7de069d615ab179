#pragma once

#include "database/common.hpp"
#include "kubernaut/ports/notifier.hpp"

namespace kn::sql {

class SqlOutboxStore final : public ports::NotificationOutbox {
public:
    explicit SqlOutboxStore(Context& context) : context_(context) {}
    Task<Result<>> put(std::vector<ports::Notification> messages, Instant now, Deadline deadline) override;
    Task<Result<std::vector<ports::Delivery>>> claim(std::string channel, Instant now, Instant claim_until, int limit, Deadline deadline) override;
    Task<Result<>> route(ClusterId cluster, std::string key, std::vector<std::string> channels, Instant now, Deadline deadline) override;
    Task<Result<>> settle(std::vector<ports::DeliveryResult> results, Instant now, Deadline deadline) override;
    Task<Result<std::int64_t>> sent_since(std::string channel, Instant since, Deadline deadline) override;
    Task<Result<std::vector<ports::Delivery>>> recent(std::string channel, int limit, Deadline deadline) override;

private:
    Context& context_;
};

/// Messages that go with another transaction.
void add_notices(Batch& batch, const std::vector<ports::Notification>& messages, Instant now);
json::Value message_json(const ports::Notification& message);

}  // namespace kn::sql
