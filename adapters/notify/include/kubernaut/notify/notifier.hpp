#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/transport.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/ports/notifier.hpp"

namespace kn::notify {

struct Channel {
    std::string name, type;                           ///< webhook or slack
    std::string path = "/";                           ///< of the URL
    std::shared_ptr<kube::Transport> transport;       ///< to the URL's host
};
struct Route {
    std::string channel;
    std::set<std::string> kinds, clusters;            ///< empty = all
    Severity min_severity = Severity::info;
};

/// Logs every notification and delivers it to the channels whose routes match. A message that was accepted is tried five times; then it is
/// counted and logged as lost.
class ChannelNotifier final : public ports::Notifier {
public:
    static constexpr int tries = 5;
    static constexpr std::size_t queue_limit = 10'000, per_minute = 30;

    ChannelNotifier(async::EventLoop& loop, metrics::Registry& metrics, std::vector<Channel> channels, std::vector<Route> routes);
    async::Task<Result<>> send(ports::Notification notification, Deadline deadline) override;
    void start();
    void stop() { scope_.cancel(); }
    async::Task<> join() { return scope_.join(); }

    /// The body for a channel's type. Pure.
    static json::Value body_for(const std::string& type, const ports::Notification& notification);

private:
    struct Queue {
        Channel channel;
        std::deque<ports::Notification> waiting;
        async::Signal ready;
    };
    async::Task<> deliver(Queue& queue);
    async::EventLoop& loop_;
    metrics::Registry& metrics_;
    std::vector<std::unique_ptr<Queue>> queues_;
    std::vector<Route> routes_;
    async::TaskScope scope_;
};

}  // namespace kn::notify
