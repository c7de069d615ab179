#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"

namespace kn::ports {

struct Notification {
    std::string kind;  ///< incident_opened, incident_escalated, incident_resolved, approval_asked, execution_done, execution_failed, ...
    std::string key;   ///< incident + kind + version: the receiver may drop repeats
    ClusterId cluster;
    std::string ns, title, text;
    Severity severity = Severity::info;
};

class Notifier {
public:
    virtual ~Notifier() = default;
    /// Returns once the message is accepted for delivery; never blocks a remediation on a channel.
    virtual async::Task<Result<>> send(Notification notification, Deadline deadline) = 0;
};

enum class DeliveryState : std::uint8_t { waiting, delivered, dropped, dead };

/// One message on its way to one channel; to channel "" until it is known which channels want it.
struct Delivery {
    Notification message;
    std::string channel;
    DeliveryState state = DeliveryState::waiting;
    int tries = 0;
    Instant created_at{}, due_at{};
    std::string last_error;
};

/// What became of one try.
struct DeliveryResult {
    ClusterId cluster;
    std::string key, channel;
    DeliveryState state = DeliveryState::delivered;  ///< waiting: try again at `due_at`
    Instant due_at{};
    std::string error;
    std::string sent_as;  ///< what it went out in: its own key, or that of a digest
};

/// Messages to people that are stored before anybody tries to deliver them: at least once, across restarts and replicas.
/// A message is (cluster, key): putting it again changes nothing, whatever became of it.
class NotificationOutbox {
public:
    virtual ~NotificationOutbox() = default;
    /// New messages, not routed yet.
    virtual async::Task<Result<>> put(std::vector<Notification> messages, Instant now, Deadline deadline) = 0;
    /// Waiting and due, oldest first, not claimed by another until `claim_until`. Channel "" = those that are not routed.
    virtual async::Task<Result<std::vector<Delivery>>> claim(std::string channel, Instant now, Instant claim_until, int limit, Deadline deadline) = 0;
    /// Puts a message that is not routed on its channels; none = nobody wants it. One transaction.
    virtual async::Task<Result<>> route(ClusterId cluster, std::string key, std::vector<std::string> channels, Instant now, Deadline deadline) = 0;
    /// Stores results; `dead` also makes a dead letter. A result for what is not waiting any more changes nothing.
    virtual async::Task<Result<>> settle(std::vector<DeliveryResult> results, Instant now, Deadline deadline) = 0;
    /// How many were sent on a channel since then; what went out together counts once.
    virtual async::Task<Result<std::int64_t>> sent_since(std::string channel, Instant since, Deadline deadline) = 0;
    /// Newest first; channel "" = all.
    virtual async::Task<Result<std::vector<Delivery>>> recent(std::string channel, int limit, Deadline deadline) = 0;
};

}  // namespace kn::ports

namespace kn {

KN_ENUM_NAMES(ports::DeliveryState, 4, {waiting, "waiting"}, {delivered, "delivered"}, {dropped, "dropped"}, {dead, "dead"});

}  // namespace kn
