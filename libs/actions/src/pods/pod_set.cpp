#include "pods/pod_set.hpp"

#include <algorithm>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/capacity.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

/// web-12 → 12; a name without ordinal sorts last.
std::int64_t ordinal_of(const json::Value& pod) {
    const auto name = kube::name_of(pod);
    const auto dash = name.rfind('-');
    const auto number = dash == std::string_view::npos ? std::nullopt : kube::parse_quantity(name.substr(dash + 1));
    return number ? static_cast<std::int64_t>(*number) : INT64_MAX;
}

bool is_selected(const json::Value& pod, std::string_view select) {
    if (kube::is_deleting(pod) || is_finished(pod)) return false;
    if (select == "all" || select == "largest_memory") return true;
    if (select == "crashing") return is_crashing(pod);
    if (select == "waiting") return waits_with(pod, {});
    if (select == "pull_backoff") return waits_with(pod, {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "RegistryUnavailable"});
    if (select == "crash_backoff") return waits_with(pod, {"CrashLoopBackOff"});
    if (select == "pending") return node_of(pod).empty();
    return !is_ready(pod);  // unready, lowest_broken
}

}  // namespace

json::Value PodSet::to_json() const {
    json::Object made;
    made["object"] = subject.str();
    json::Array list;
    for (const auto& pod : pods) {
        json::Object item;
        item["ns"] = pod.ns, item["name"] = pod.name, item["uid"] = pod.uid, item["node"] = pod.node;
        list.emplace_back(std::move(item));
    }
    made["pods"] = std::move(list);
    if (!owner.empty()) made["owner"] = owner.str(), made["owner_uid"] = owner_uid, made["ready_before"] = ready_before;
    return json::Value(std::move(made));
}

Result<PodSet> PodSet::from_json(const json::Value& stored) {
    if (!stored.is_object()) return fail(ErrorCode::internal, "no pre-image was stored for this action");
    PodSet set;
    KN_TRY(set.subject, ObjectKey::parse(json::string_at(stored, "object")));
    for (const auto& item : json::array_at(stored, "pods")) {
        set.pods.push_back({.ns = std::string(json::string_at(item, "ns")),
                            .name = std::string(json::string_at(item, "name")),
                            .uid = std::string(json::string_at(item, "uid")),
                            .node = std::string(json::string_at(item, "node"))});
    }
    if (const auto owner = json::string_at(stored, "owner"); !owner.empty()) {
        KN_TRY(set.owner, ObjectKey::parse(owner));
        set.owner_uid = json::string_at(stored, "owner_uid");
        set.ready_before = json::int_at(stored, "ready_before").value_or(0);
    }
    return set;
}

std::vector<std::string> PodSet::writes(const ClusterId& cluster) const {
    std::vector<std::string> keys;
    for (const auto& pod : pods) keys.push_back(ObjectKey{.cluster = cluster, .ns = pod.ns, .kind = "Pod", .group = "", .name = pod.name}.str());
    return keys;
}

std::string PodSet::digest(std::string_view verb) const {
    std::vector<std::string> parts{std::string(verb)};
    for (const auto& pod : pods) parts.push_back(pod.uid);
    return to_hex(sha256_parts(parts));
}

std::string PodSet::names() const {
    std::string text;
    for (std::size_t i = 0; i < pods.size(); ++i) {
        if (i == 5) return text + " and " + std::to_string(pods.size() - i) + " more";
        text += (i == 0 ? "" : ", ") + pods[i].name;
    }
    return text;
}

Task<Result<PodSet>> make_pod_set(const ActionContext& context, const Subject& subject, const std::vector<json::Value>& pods, bool managed) {
    PodSet set{.subject = subject.key};
    bool one_owner = true;
    for (const auto& pod : pods) {
        KN_CO_TRY(const auto owners, co_await owners_of(context, pod_subject(context, pod)));
        if (owners.empty()) {
            if (managed) co_return refuse("no_controller", "nobody would make pod " + std::string(kube::name_of(pod)) + " again");
            one_owner = false;
        } else if (set.owner.empty()) {
            set.owner = owners.back().key, set.owner_uid = kube::uid_of(owners.back().live);
        } else if (set.owner != owners.back().key) {
            one_owner = false;
        }
        set.pods.push_back({.ns = std::string(kube::namespace_of(pod)),
                            .name = std::string(kube::name_of(pod)),
                            .uid = std::string(kube::uid_of(pod)),
                            .node = std::string(node_of(pod))});
    }
    if (!one_owner) set.owner = {}, set.owner_uid.clear();
    if (!set.owner.empty()) {
        KN_CO_TRY(set.ready_before, co_await ready_pods_of(context, set.owner, set.owner_uid));
    }
    co_return set;
}

Task<Result<json::Value>> still_there(const ActionContext& context, const PodSet::Item& item) {
    auto pod = co_await context.client->get(kube::resources::pods, item.ns, item.name, call_deadline(context));
    if (!pod && pod.error().code == ErrorCode::not_found) co_return json::Value(nullptr);
    if (pod && (kube::uid_of(*pod) != item.uid || kube::is_deleting(*pod))) co_return json::Value(nullptr);
    co_return pod;
}

Task<Result<bool>> all_gone(const ActionContext& context, const PodSet& set, bool terminating_counts) {
    for (const auto& item : set.pods) {
        const auto pod = co_await context.client->get(kube::resources::pods, item.ns, item.name, call_deadline(context));
        if (!pod && pod.error().code == ErrorCode::not_found) continue;
        if (!pod) co_return fail(pod.error());
        if (kube::uid_of(*pod) != item.uid || (terminating_counts && kube::is_deleting(*pod))) continue;
        co_return false;
    }
    co_return true;
}

Task<Result<std::int64_t>> ready_pods_of(const ActionContext& context, const ObjectKey& owner, std::string uid) {
    const auto subject = co_await read_object(context, owner);
    if (!subject && subject.error().code == ErrorCode::not_found) co_return std::int64_t{0};
    if (!subject) co_return fail(subject.error());
    if (kube::uid_of(subject->live) != uid) co_return std::int64_t{0};
    KN_CO_TRY(const auto pods, co_await pods_of(context, *subject));
    co_return static_cast<std::int64_t>(std::ranges::count_if(pods, is_ready));
}

Task<Result<bool>> replaced(const ActionContext& context, const PodSet& set) {
    KN_CO_TRY(const bool gone, co_await all_gone(context, set, false));
    if (!gone) co_return false;
    if (set.owner.empty()) co_return true;
    const auto owner = co_await read_object(context, set.owner);
    if (!owner && owner.error().code == ErrorCode::not_found) co_return true;  // the workload itself is gone: nothing to wait for
    if (!owner) co_return fail(owner.error());
    KN_CO_TRY(const auto ready, co_await ready_pods_of(context, set.owner, set.owner_uid));
    const auto desired = desired_replicas(*owner);
    co_return ready >= (desired ? std::min(set.ready_before, *desired) : 0);
}

ActionOutcome pod_outcome(const PodSet& set, std::size_t removed, Calls calls) {
    json::Object output;
    output["object"] = set.subject.str();
    output["pods"] = set.pods.size();
    output["removed"] = removed;
    output["names"] = set.names();
    json::Object post;
    post["removed"] = removed;
    return {.output = json::Value(std::move(output)), .post_image = json::Value(std::move(post)), .calls = std::move(calls)};
}

Result<std::vector<json::Value>> pick_pods(const Params& params, const Subject& subject, std::vector<json::Value> pods) {
    if (params.has("pods")) {
        std::vector<json::Value> named;
        for (const auto& name : params.list("pods")) {
            const auto found = std::ranges::find_if(pods, [&](const json::Value& pod) {
                return name == kube::name_of(pod) || name == std::string(kube::namespace_of(pod)) + "/" + std::string(kube::name_of(pod));
            });
            if (found == pods.end()) return refuse("target_changed", "pod " + name + " does not belong to " + subject.key.str());
            named.push_back(*found);
        }
        return named;
    }
    if (subject.key.kind == "Pod") return pods;  // the target itself
    const auto select = params.text("select");
    std::erase_if(pods, [&](const json::Value& pod) { return !is_selected(pod, select); });
    if (select == "largest_memory") {
        std::ranges::sort(pods, {},
                          [](const json::Value& pod) { return std::pair(-need_of(*json::at(pod, "spec")).memory, std::string(kube::name_of(pod))); });
    } else if (subject.key.kind == "StatefulSet") {
        std::ranges::sort(pods, {}, ordinal_of);
    } else {
        std::ranges::sort(pods, {}, [](const json::Value& pod) { return std::string(kube::name_of(pod)); });
    }
    // lowest_broken: an ordered StatefulSet stands still at its lowest broken pod, then at the next: from the lowest up, one at a time.
    const auto max = params.integer("max").value_or(20);
    if (pods.size() > static_cast<std::size_t>(max)) pods.resize(static_cast<std::size_t>(max));
    if (pods.empty()) return refuse("condition_cleared", "no pod of " + subject.key.str() + " is " + select);
    return pods;
}

}  // namespace kn::actions
