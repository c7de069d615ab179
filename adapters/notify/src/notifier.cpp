#include "kubernaut/notify/notifier.hpp"

#include <algorithm>

#include "kubernaut/base/log.hpp"

namespace kn::notify {

ChannelNotifier::ChannelNotifier(async::EventLoop& loop, metrics::Registry& metrics, std::vector<Channel> channels, std::vector<Route> routes)
    : loop_(loop), metrics_(metrics), routes_(std::move(routes)), scope_(loop.executor()) {
    for (Channel& channel : channels) {
        auto queue = std::make_unique<Queue>();
        queue->channel = std::move(channel);
        queues_.push_back(std::move(queue));
    }
}

void ChannelNotifier::start() {
    for (auto& queue : queues_) scope_.spawn("notify " + queue->channel.name, deliver(*queue));
}

async::Task<Result<>> ChannelNotifier::send(ports::Notification notification, Deadline) {
    log::info("notification", {{"kind", notification.kind}, {"cluster", notification.cluster.str()}, {"title", notification.title}, {"key", notification.key}});
    for (auto& queue : queues_) {
        const bool wanted = std::any_of(routes_.begin(), routes_.end(), [&](const Route& route) {
            return route.channel == queue->channel.name && notification.severity >= route.min_severity && (route.kinds.empty() || route.kinds.contains(notification.kind)) &&
                   (route.clusters.empty() || route.clusters.contains(notification.cluster.str()));
        });
        if (!wanted) continue;
        if (queue->waiting.size() >= queue_limit) {
            co_return fail(ErrorCode::resource_exhausted, "channel " + queue->channel.name + " has " + std::to_string(queue_limit) + " messages waiting");
        }
        queue->waiting.push_back(notification);
        queue->ready.notify();
    }
    co_return Result<>{};
}

json::Value ChannelNotifier::body_for(const std::string& type, const ports::Notification& n) {
    if (type == "slack") return json::Object{{"text", "*" + n.title + "*\n" + n.text}};
    return json::Object{{"kind", n.kind}, {"key", n.key}, {"cluster", n.cluster.str()}, {"namespace", n.ns}, {"severity", to_string(n.severity)}, {"title", n.title}, {"text", n.text}};
}

async::Task<> ChannelNotifier::deliver(Queue& queue) {
    async::Clock& clock = loop_.clock();
    std::deque<SteadyTime> sent;
    while (true) {
        if (queue.waiting.empty()) {
            (void)co_await queue.ready.wait(clock, clock.deadline_in(60s));
            continue;
        }
        while (!sent.empty() && sent.front() < clock.steady() - 60s) sent.pop_front();
        if (sent.size() >= per_minute) {
            co_await async::sleep_until(clock, sent.front() + 60s);
            continue;
        }
        const ports::Notification message = queue.waiting.front();
        queue.waiting.pop_front();
        sent.push_back(clock.steady());
        Duration wait = 2s;
        bool delivered = false;
        for (int attempt = 1; attempt <= tries && !delivered; ++attempt) {
            kube::Request request{.method = kube::Method::post, .path = queue.channel.path};
            request.content_type = "application/json";
            request.body = json::dump(body_for(queue.channel.type, message));
            auto answer = co_await queue.channel.transport->send(std::move(request), clock.deadline_in(10s));
            delivered = answer && answer->status < 300;
            // The receiver drops repeats by key, so an answer that was lost costs nothing.
            if (!delivered && attempt < tries) {
                co_await async::sleep_for(clock, wait);
                wait *= 2;
            }
        }
        metrics_.counter("kubernaut_notifications_total", "messages to people", {{"channel", queue.channel.name}, {"result", delivered ? "delivered" : "lost"}}).add();
        if (!delivered) log::error("a notification could not be delivered", {{"channel", queue.channel.name}, {"key", message.key}});
    }
}

}  // namespace kn::notify
