#include "kubernaut/notify/notifier.hpp"

#include <algorithm>

#include "kubernaut/base/log.hpp"

namespace kn::notify {
namespace {

constexpr Duration store_timeout = 5s;
constexpr int at_once = 5;  // of one claim, so that slow tries end before it does

}  // namespace

std::vector<std::string> channels_for(const std::vector<Route>& routes, const ports::Notification& message) {
    std::set<std::string> names;
    const auto has = [](const std::set<std::string>& wanted, const std::string& word) { return wanted.empty() || wanted.contains(word); };
    for (const Route& route : routes) {
        if (message.severity >= route.min_severity && has(route.kinds, message.kind) && has(route.clusters, message.cluster.str()) &&
            has(route.namespaces, message.ns)) {
            names.insert(route.channel);
        }
    }
    return {names.begin(), names.end()};
}

ChannelNotifier::ChannelNotifier(async::EventLoop& loop, metrics::Registry& metrics, ports::NotificationOutbox* outbox, std::vector<Channel> channels,
                                 std::vector<Route> routes, NotifyOptions options)
    : loop_(loop), metrics_(metrics), outbox_(outbox), routes_(std::move(routes)), options_(options), scope_(loop.executor()) {
    add_lines(std::move(channels));
}

void ChannelNotifier::add_lines(std::vector<Channel> channels) {
    if (outbox_ == nullptr && !channels.empty()) {
        log::error("notifications have channels but no outbox: nothing will be delivered", {{"channels", channels.size()}});
        return;
    }
    for (Channel& channel : channels) {
        auto line = std::make_shared<Line>();
        line->channel = std::move(channel);
        lines_.push_back(std::move(line));
    }
}

void ChannelNotifier::replace(std::vector<Channel> channels, std::vector<Route> routes) {
    for (auto& line : lines_) {
        line->retired = true;
        line->ready.notify();
        if (!started_) line->channel.courier->stop();
    }
    lines_.clear();
    add_lines(std::move(channels));
    routes_ = std::move(routes);
    if (!started_) return;
    for (auto& line : lines_) scope_.spawn("notify " + line->channel.name, deliver_loop(line));
}

void ChannelNotifier::start() {
    if (outbox_ == nullptr) return;
    scope_.spawn("notify", route_loop());
    started_ = true;
    for (auto& line : lines_) scope_.spawn("notify " + line->channel.name, deliver_loop(line));
}

void ChannelNotifier::stop() {
    scope_.cancel();
    for (auto& line : lines_) line->channel.courier->stop();
}

async::Task<Result<>> ChannelNotifier::send(ports::Notification notification, Deadline deadline) {
    if (outbox_ == nullptr) {
        log::info("notification",
                  {{"kind", notification.kind}, {"cluster", notification.cluster.str()}, {"title", notification.title}, {"key", notification.key}});
        co_return Result<>{};
    }
    std::vector<ports::Notification> one;
    one.push_back(std::move(notification));
    KN_CO_CHECK(co_await outbox_->put(std::move(one), loop_.clock().now(), deadline));
    put_.notify();
    co_return Result<>{};
}

async::Task<Result<std::size_t>> ChannelNotifier::route_once() {
    async::Clock& clock = loop_.clock();
    const Instant now = clock.now();
    KN_CO_TRY(const auto fresh, co_await outbox_->claim("", now, now + options_.claim, 100, clock.deadline_in(store_timeout)));
    for (const ports::Delivery& each : fresh) {
        const auto& message = each.message;
        std::vector<std::string> wanted = channels_for(routes_, message);
        std::erase_if(wanted, [this](const std::string& name) {
            return std::ranges::none_of(lines_, [&](const auto& line) { return line->channel.name == name; });
        });
        log::info("notification", {{"kind", message.kind},
                                   {"cluster", message.cluster.str()},
                                   {"title", message.title},
                                   {"key", message.key},
                                   {"channels", wanted.size()}});
        KN_CO_CHECK(co_await outbox_->route(message.cluster, message.key, wanted, clock.now(), clock.deadline_in(store_timeout)));
        for (auto& line : lines_) {
            if (std::ranges::find(wanted, line->channel.name) != wanted.end()) line->ready.notify();
        }
    }
    co_return fresh.size();
}

async::Task<> ChannelNotifier::route_loop() {
    async::Clock& clock = loop_.clock();
    while (true) {
        const auto routed = co_await route_once();
        if (!routed) log::warning("new notifications could not be read", {{"error", routed.error().describe()}});
        if (routed && *routed >= 100) continue;
        (void)co_await put_.wait(clock, clock.deadline_in(routed ? options_.look_every : 5 * options_.look_every));
    }
}

async::Task<Result<std::size_t>> ChannelNotifier::deliver_once(std::size_t channel) { return deliver_on(lines_[channel]); }

async::Task<Result<std::size_t>> ChannelNotifier::deliver_on(std::shared_ptr<Line> held) {
    Line& line = *held;
    async::Clock& clock = loop_.clock();
    const Instant now = clock.now();
    const std::string& name = line.channel.name;
    if (line.digest_at && now < *line.digest_at) co_return std::size_t{0};
    if (line.digest_at) {
        KN_CO_TRY(auto all,
                  co_await outbox_->claim(name, now, now + options_.claim, static_cast<int>(options_.digest_most), clock.deadline_in(store_timeout)));
        const std::size_t taken = all.size();
        // More than one digest holds waits for the next one.
        if (taken >= options_.digest_most)
            line.digest_at = now + options_.digest;
        else
            line.digest_at.reset();
        if (taken > 0) KN_CO_CHECK(co_await hand_over(line, std::move(all)));
        co_return taken;
    }
    // What went out in the last minute is in the store: a restart does not open the gates.
    KN_CO_TRY(const auto sent, co_await outbox_->sent_since(name, now - 60s, clock.deadline_in(store_timeout)));
    if (sent >= static_cast<std::int64_t>(options_.per_minute)) {
        line.digest_at = now + options_.digest;
        co_return std::size_t{0};
    }
    const int room = static_cast<int>(std::min<std::int64_t>(static_cast<std::int64_t>(options_.per_minute) - sent, at_once));
    KN_CO_TRY(auto due, co_await outbox_->claim(name, now, now + options_.claim, room, clock.deadline_in(store_timeout)));
    for (ports::Delivery& each : due) {
        std::vector<ports::Delivery> one;
        one.push_back(std::move(each));
        KN_CO_CHECK(co_await hand_over(line, std::move(one)));
    }
    co_return due.size();
}

async::Task<> ChannelNotifier::deliver_loop(std::shared_ptr<Line> line) {
    async::Clock& clock = loop_.clock();
    while (!line->retired) {
        const auto taken = co_await deliver_on(line);
        if (!taken)
            log::warning("notifications could not be read or settled", {{"channel", line->channel.name}, {"error", taken.error().describe()}});
        if (taken && *taken > 0) continue;
        (void)co_await line->ready.wait(clock, clock.deadline_in(taken ? options_.look_every : 5 * options_.look_every));
    }
    line->channel.courier->stop();
}

ports::DeliveryResult ChannelNotifier::result_of(const ports::Delivery& delivery, const std::string& channel, const Result<>& answer) const {
    const Instant now = loop_.clock().now();
    ports::DeliveryResult result{.cluster = delivery.message.cluster,
                                 .key = delivery.message.key,
                                 .channel = channel,
                                 .state = ports::DeliveryState::delivered,
                                 .due_at = now,
                                 .error = {}};
    if (answer) return result;
    result.error = answer.error().describe();
    if (delivery.tries + 1 >= options_.tries) {
        result.state = ports::DeliveryState::dead;
        return result;
    }
    Duration wait = options_.first_wait;
    for (int i = 0; i < delivery.tries; ++i) wait *= 2;
    result.state = ports::DeliveryState::waiting;
    result.due_at = now + std::max(wait, answer.error().retry_after.value_or(Duration{0}));
    return result;
}

/// One try with one message or a digest, and its result into the store. When the process ends in between, the claim runs out and the message goes out again: the
/// receiver knows it by its key.
async::Task<Result<>> ChannelNotifier::hand_over(Line& line, std::vector<ports::Delivery> batch) {
    async::Clock& clock = loop_.clock();
    const std::string& name = line.channel.name;
    Envelope envelope{.messages = {}, .key = batch.front().message.key, .at = clock.now()};
    for (const ports::Delivery& each : batch) envelope.messages.push_back(each.message);
    if (batch.size() > 1) envelope.key += "/digest";
    const std::string sent_as = envelope.key;
    const Result<> answer = co_await line.channel.courier->deliver(std::move(envelope), clock.deadline_in(options_.try_timeout));
    std::vector<ports::DeliveryResult> results;
    std::vector<ports::Notification> about_dead;
    for (const ports::Delivery& each : batch) {
        results.push_back(result_of(each, name, answer));
        results.back().sent_as = sent_as;
        if (results.back().state != ports::DeliveryState::dead) continue;
        log::error("a notification could not be delivered and is a dead letter now",
                   {{"channel", name}, {"key", each.message.key}, {"error", results.back().error}});
        // Others shall hear of it, but not of that again, or two broken channels would never come to rest.
        if (each.message.kind == "dead_letter") continue;
        about_dead.push_back({.kind = "dead_letter",
                              .key = each.message.key + "/" + name + "/dead_letter",
                              .cluster = each.message.cluster,
                              .ns = each.message.ns,
                              .title = "channel " + name + " does not take messages",
                              .text = "\"" + each.message.title + "\" was not delivered: " + results.back().error,
                              .severity = Severity::warning});
    }
    if (answer)
        count(name, batch.size() > 1 ? "digest" : "delivered", batch.size());
    else {
        log::warning(
            "a notification was not taken",
            {{"channel", name}, {"key", batch.front().message.key}, {"tries", batch.front().tries + 1}, {"error", answer.error().describe()}});
        const auto dead = static_cast<std::size_t>(std::ranges::count(results, ports::DeliveryState::dead, &ports::DeliveryResult::state));
        count(name, "retried", results.size() - dead);
        count(name, "lost", dead);
    }
    KN_CO_CHECK(co_await outbox_->settle(std::move(results), clock.now(), clock.deadline_in(store_timeout)));
    if (!about_dead.empty()) {
        KN_CO_CHECK(co_await outbox_->put(std::move(about_dead), clock.now(), clock.deadline_in(store_timeout)));
        put_.notify();
    }
    co_return Result<>{};
}

void ChannelNotifier::count(const std::string& channel, const char* result, std::size_t n) {
    if (n > 0)
        metrics_.counter("kubernaut_notifications_total", "messages to people", {{"channel", channel}, {"result", result}})
            .add(static_cast<double>(n));
}

}  // namespace kn::notify
