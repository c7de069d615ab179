#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/notify/courier.hpp"
#include "kubernaut/ports/notifier.hpp"

namespace kn::notify {

struct Channel {
    std::string name;
    std::shared_ptr<Courier> courier;
};
struct Route {
    std::string channel;
    std::set<std::string> kinds, clusters, namespaces;  ///< empty = all
    Severity min_severity = Severity::info;
};
/// The channels whose routes want a message, in order of their names. Pure.
std::vector<std::string> channels_for(const std::vector<Route>& routes, const ports::Notification& message);

struct NotifyOptions {
    int tries = 5;
    Duration first_wait = 2s;     ///< doubled after every failed try
    std::size_t per_minute = 30;  ///< messages a channel; what is more waits `digest` and goes out as one
    Duration digest = 60s;
    std::size_t digest_most = 200;
    Duration try_timeout = 10s, claim = 90s, look_every = 1s;
};

/// Messages to people, stored before anybody tries to deliver them. send() returns when the message is in the outbox; from there this process or, after its end, the
/// next one routes it and delivers it: at least once, five tries, then a dead letter. Messages that other transactions put into the outbox go the same way.
class ChannelNotifier final : public ports::Notifier {
public:
    /// Without an outbox nothing is delivered: every message is a log line only, and channels are refused.
    ChannelNotifier(async::EventLoop& loop, metrics::Registry& metrics, ports::NotificationOutbox* outbox, std::vector<Channel> channels,
                    std::vector<Route> routes, NotifyOptions options = {});
    async::Task<Result<>> send(ports::Notification notification, Deadline deadline) override;
    void start();
    void stop();
    async::Task<> join() { return scope_.join(); }
    /// Other channels and routes from now on. What is being delivered is finished by the old ones; what waits on a channel whose name stays goes to the new one.
    void replace(std::vector<Channel> channels, std::vector<Route> routes);

    /// One pass, for tests: routes what is new; delivers what is due on a channel, at most its minute's rest. How many were taken.
    async::Task<Result<std::size_t>> route_once();
    async::Task<Result<std::size_t>> deliver_once(std::size_t channel);

private:
    struct Line {
        Channel channel;
        std::optional<Instant> digest_at;  ///< the minute is used up: everything that waits goes out together then
        async::Signal ready;
        bool retired = false;  ///< replaced: its loop ends after what it does now
    };
    async::Task<> route_loop();
    void add_lines(std::vector<Channel> channels);
    async::Task<Result<std::size_t>> deliver_on(std::shared_ptr<Line> line);
    async::Task<> deliver_loop(std::shared_ptr<Line> line);
    async::Task<Result<>> hand_over(Line& line, std::vector<ports::Delivery> batch);
    [[nodiscard]] ports::DeliveryResult result_of(const ports::Delivery& delivery, const std::string& channel, const Result<>& answer) const;
    void count(const std::string& channel, const char* result, std::size_t n = 1);

    async::EventLoop& loop_;
    metrics::Registry& metrics_;
    ports::NotificationOutbox* outbox_;
    std::vector<std::shared_ptr<Line>> lines_;
    bool started_ = false;
    std::vector<Route> routes_;
    NotifyOptions options_;
    async::Signal put_;
    async::TaskScope scope_;
};

}  // namespace kn::notify
