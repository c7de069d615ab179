#include "controllers/controller.hpp"

#include <algorithm>
#include <cmath>

#include "common/text.hpp"

namespace kn::sim {

Controller::Controller(ControllerContext& context, std::string component, std::string manager, EventRecorder::Form form)
    : context_(context),
      queue_(context.client->clock(), 1s, 100s),
      writer_(context.informers, std::move(manager)),
      component_(component),
      events_(context.client, std::move(component), form) {}

Task<> Controller::run() {
    while (true) {
        const std::string key = co_await queue_.next();
        ++looks_;
        auto done = co_await reconcile(key);
        // The next look must see what this one wrote.
        co_await writer_.settle();
        if (!done) {
            queue_.retry(key);
            continue;
        }
        queue_.forget(key);
        if (*done > Duration::zero()) queue_.add_after(key, *done);
    }
}

void Controller::watch(const kube::Resource& resource, Listener listener) {
    context_.informers.of(resource).subscribe(
        [listener = std::move(listener)](kube::WatchEventType type, const ObjectPtr& object, const ObjectPtr& before) {
            listener(object, before, type == kube::WatchEventType::deleted);
        });
}

void Controller::watch_own(const kube::Resource& resource) {
    watch(resource, [this](const ObjectPtr& now, const ObjectPtr&, bool) { queue_.add(key_of(*now)); });
}

void Controller::watch_owned(const kube::Resource& resource, std::string_view owner_kind) {
    watch(resource, [this, kind = std::string(owner_kind)](const ObjectPtr& now, const ObjectPtr&, bool) {
        const auto owner = kube::controller_of(*now);
        if (owner && owner->kind == kind) queue_.add(std::string(kube::namespace_of(*now)) + "/" + owner->name);
    });
}

const kube::ObjectCache& Controller::cache(const kube::Resource& resource) const { return context_.informers.of(resource); }

ObjectPtr Controller::find(const kube::Resource& resource, std::string_view key) const {
    const auto [ns, name] = split_key(key);
    return cache(resource).find(ns, name);
}

std::vector<ObjectPtr> Controller::owned(const kube::Resource& resource, const Value& owner) const {
    auto out = cache(resource).owned_by(kube::uid_of(owner));
    std::erase_if(out, [&](const ObjectPtr& each) { return !owned_by(*each, kube::uid_of(owner)); });
    return out;
}

void Controller::note(const Value& object, bool warning, std::string reason, std::string message) {
    events_.record({.object = &object, .warning = warning, .reason = std::move(reason), .message = std::move(message)});
}

std::string key_of(const Value& object) { return std::string(kube::namespace_of(object)) + "/" + std::string(kube::name_of(object)); }

std::pair<std::string, std::string> split_key(std::string_view key) {
    const auto slash = key.find('/');
    return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

bool pod_ready(const Value& pod) {
    const auto ready = kube::condition_of(pod, "Ready");
    return ready && ready->status == "True";
}

bool pod_finished(const Value& pod) {
    const auto phase = json::string_at(pod, "status", "phase");
    return phase == "Succeeded" || phase == "Failed";
}

bool pod_active(const Value& pod) { return !pod_finished(pod) && !kube::is_deleting(pod); }

bool pod_available(const Value& pod, Duration min_ready, Instant now, Duration& wait) {
    const auto ready = kube::condition_of(pod, "Ready");
    if (!ready || ready->status != "True") return false;
    if (min_ready <= Duration::zero()) return true;
    const Instant at = ready->last_transition.value_or(now) + min_ready;
    if (at <= now) return true;
    wait = earlier_wait(wait, at - now);
    return false;
}

bool owned_by(const Value& object, std::string_view uid) {
    const auto owner = kube::controller_of(object);
    return owner && owner->uid == uid;
}

std::string seconds_time(Instant at) { return format_rfc3339(std::chrono::floor<std::chrono::seconds>(at)); }

std::int64_t int_or_percent(const Value* value, std::int64_t total, bool round_up, std::int64_t otherwise) {
    if (value == nullptr || value->is_null()) return otherwise;
    if (const auto number = json::to_int(value)) return *number;
    if (!value->is_string()) return otherwise;
    const std::string text(json::view(value->get_string()));
    const double part = std::strtod(text.c_str(), nullptr);
    if (text.empty() || text.back() != '%') return static_cast<std::int64_t>(part);
    const double exact = part * static_cast<double>(total) / 100.0;
    return static_cast<std::int64_t>(round_up ? std::ceil(exact) : std::floor(exact));
}

void set_condition(json::Array& conditions, std::string_view type, std::string_view status, std::string_view reason, std::string_view message,
                   Instant now) {
    for (auto& each : conditions) {
        if (json::string_at(each, "type") != type) continue;
        auto& condition = each.as_object();
        if (json::string_at(each, "status") != status) condition["lastTransitionTime"] = seconds_time(now);
        condition["status"] = status;
        condition["reason"] = reason;
        condition["message"] = message;
        return;
    }
    conditions.push_back(
        json::Object{{"type", type}, {"status", status}, {"lastTransitionTime", seconds_time(now)}, {"reason", reason}, {"message", message}});
}

void remove_condition(json::Array& conditions, std::string_view type) {
    for (auto it = conditions.begin(); it != conditions.end();) {
        it = json::string_at(*it, "type") == type ? conditions.erase(it) : it + 1;
    }
}

json::Object pod_from_template(const Value& pod_template, const kube::Resource& owner_kind, const Value& owner) {
    json::Object metadata{{"namespace", kube::namespace_of(owner)}, {"ownerReferences", json::Array{controller_ref(owner_kind, owner)}}};
    if (const auto* labels = json::at(pod_template, "metadata", "labels")) metadata["labels"] = *labels;
    if (const auto* annotations = json::at(pod_template, "metadata", "annotations")) metadata["annotations"] = *annotations;
    return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", std::move(metadata)}, {"spec", json::object_at(pod_template, "spec")}};
}

std::string random_suffix(RandomSource& random) {
    constexpr std::string_view alphabet = "bcdfghjklmnpqrstvwxz2456789";
    std::string out;
    for (int i = 0; i < 5; ++i) out += alphabet[random.next() % alphabet.size()];
    return out;
}

std::string template_hash(const Value& pod_template) { return safe_encode(fnv1a(json::canonical(pod_template))); }

void sort_for_deletion(std::vector<ObjectPtr>& pods) {
    const auto rank = [](const ObjectPtr& pod) {
        const bool unassigned = json::string_at(*pod, "spec", "nodeName").empty();
        const auto phase = json::string_at(*pod, "status", "phase");
        const int stage = phase == "Pending" ? 0 : phase == "Unknown" ? 1 : 2;
        std::int64_t restarts = 0;
        for (const auto* status : kube::container_statuses(*pod)) restarts += json::int_at(*status, "restartCount").value_or(0);
        const auto created = kube::creation_time(*pod).value_or(Instant{});
        // Smaller is deleted earlier.
        return std::tuple(!unassigned, stage, pod_ready(*pod), -restarts, -to_millis(created), std::string(kube::name_of(*pod)));
    };
    std::ranges::sort(pods, {}, rank);
}

}  // namespace kn::sim
