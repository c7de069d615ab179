#include "common/event_recorder.hpp"

#include <cstdio>

#include "common/text.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim {
namespace {

constexpr std::size_t max_queue = 5000;  // beyond it the oldest are dropped: Events are best effort everywhere
constexpr double burst = 25, refill_seconds = 300;

}  // namespace

EventRecorder::EventRecorder(std::shared_ptr<kube::Client> client, std::string component, Form form)
    : client_(std::move(client)), component_(std::move(component)), form_(form) {
    // Two components may speak of one object in the same millisecond: their names must differ.
    sequence_ = fnv1a(component_) % 900'000;
}

void EventRecorder::record(const Event& event) {
    const auto& object = *event.object;
    const Instant now = client_->clock().now();
    const std::string uid(kube::uid_of(object));
    Bucket& bucket = buckets_.try_emplace(uid + "/" + event.host, Bucket{burst, now}).first->second;
    bucket.tokens = std::min(burst, bucket.tokens + std::chrono::duration<double>(now - bucket.at).count() / refill_seconds);
    bucket.at = now;
    if (bucket.tokens < 1) return;
    bucket.tokens -= 1;

    const std::string object_ns(kube::namespace_of(object));
    const std::string ns = object_ns.empty() ? "default" : object_ns;
    json::Object regarding{{"kind", kube::kind_of(object)},
                           {"name", kube::name_of(object)},
                           {"uid", uid},
                           {"apiVersion", kube::api_version_of(object)},
                           {"resourceVersion", kube::resource_version_of(object)}};
    if (!object_ns.empty()) regarding["namespace"] = object_ns;
    if (!event.field_path.empty()) {
        regarding["fieldPath"] = event.field_path;
        regarding.erase("resourceVersion");
    }
    char suffix[32];
    std::snprintf(suffix, sizeof suffix, "%llx",
                  static_cast<unsigned long long>(to_millis(now) * 1'000'000 + static_cast<std::int64_t>(++sequence_ % 1'000'000)));
    json::Object metadata{{"name", std::string(kube::name_of(object)) + "." + suffix}, {"namespace", ns}};
    json::Object body{{"metadata", std::move(metadata)}, {"reason", event.reason}, {"type", event.warning ? "Warning" : "Normal"}};
    if (form_ == Form::core) {
        json::Object source{{"component", component_}};
        if (!event.host.empty()) source["host"] = event.host;
        body["apiVersion"] = "v1";
        body["kind"] = "Event";
        body["involvedObject"] = std::move(regarding);
        body["message"] = event.message;
        body["source"] = std::move(source);
        body["firstTimestamp"] = format_rfc3339(std::chrono::floor<std::chrono::seconds>(now));
        body["lastTimestamp"] = format_rfc3339(std::chrono::floor<std::chrono::seconds>(now));
        body["count"] = 1;
        body["eventTime"] = nullptr;
        body["reportingComponent"] = component_;
        body["reportingInstance"] = event.host;
    } else {
        body["apiVersion"] = "events.k8s.io/v1";
        body["kind"] = "Event";
        body["regarding"] = std::move(regarding);
        body["note"] = event.message;
        body["action"] = event.action;
        body["eventTime"] = format_micro_time(now);
        body["reportingController"] = component_;
        body["reportingInstance"] = component_ + "-0";
    }
    if (queue_.size() >= max_queue) queue_.pop_front();
    queue_.push_back({uid + "|" + event.field_path + "|" + event.reason + "|" + event.message, ns, std::move(body)});
    signal_.notify();
}

void EventRecorder::forget_old(Instant now) {
    if (known_.size() > 4096) std::erase_if(known_, [&](const auto& entry) { return now - entry.second.last > 1h; });
    if (buckets_.size() > 4096) std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.at > 2h; });
}

async::Task<> EventRecorder::write(Item item) {
    const auto& resource = form_ == Form::core ? kube::resources::events_core : kube::resources::events;
    const Instant now = client_->clock().now();
    const kube::WriteOptions options{.field_manager = component_, .field_validation = "Warn"};
    if (const auto found = known_.find(item.key); found != known_.end()) {
        const int count = found->second.count + 1;
        json::Object patch;
        if (form_ == Form::core) {
            patch = {{"count", count}, {"lastTimestamp", format_rfc3339(std::chrono::floor<std::chrono::seconds>(now))}};
        } else {
            patch["series"] = json::Object{{"count", count}, {"lastObservedTime", format_micro_time(now)}};
        }
        auto done = co_await client_->patch(resource, found->second.ns, found->second.name, kube::PatchType::merge, patch, {.write = options},
                                            client_->clock().deadline_in(10s));
        if (done) {
            if (const auto again = known_.find(item.key); again != known_.end()) again->second.count = count, again->second.last = now;
            co_return;
        }
        known_.erase(item.key);
        if (done.error().code != ErrorCode::not_found) co_return;
    }
    const std::string name(kube::name_of(item.object));
    auto made = co_await client_->create(resource, item.ns, std::move(item.object), options, client_->clock().deadline_in(10s));
    if (made) known_[item.key] = Known{item.ns, name, 1, now};
    forget_old(now);
}

async::Task<> EventRecorder::run() {
    while (true) {
        while (queue_.empty()) co_await signal_.wait(client_->clock(), Deadline::never());
        Item item = std::move(queue_.front());
        queue_.pop_front();
        co_await write(std::move(item));
    }
}

}  // namespace kn::sim
