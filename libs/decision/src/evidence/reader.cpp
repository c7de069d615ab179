#include "evidence/reader.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "evidence/hints.hpp"
#include "evidence/model.hpp"
#include "evidence/template_diff.hpp"
#include "has.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/selector.hpp"

namespace kn::decision {
namespace r = kube::resources;
using json::string_at;
using json::Value;

Task<SeenObject> ClusterReader::get(kube::Resource resource, std::string ns, std::string name) {
    SeenObject out;
    out.source = "live:" + resource.plural;
    auto object = co_await client_->get(resource, ns, name, limit());
    out.at = clock_.now();
    if (object) {
        out.seen = Seen::present;
        out.object = *std::move(object);
    } else if (object.error().code == ErrorCode::not_found) {
        out.seen = Seen::absent;
    }
    co_return out;
}

Task<SeenList> ClusterReader::list_live(kube::Resource resource, std::string ns, kube::ListOptions options) {
    SeenList out;
    out.source = "live:" + resource.plural;
    auto list = co_await client_->list(resource, ns, std::move(options), limit());
    out.at = clock_.now();
    if (!list) co_return out;
    out.known = true;
    out.items.reserve(list->items.size());
    for (auto& item : list->items) out.items.push_back(std::make_shared<const Value>(std::move(item)));
    co_return out;
}

Task<SeenList> ClusterReader::list(kube::Resource resource, std::string ns) {
    if (const auto cache = gateway_.cache(cluster_, resource);
        cache != nullptr && cache->synced() && clock_.now() - cache->last_heard() <= cache_age_) {
        co_return cached(resource, ns);
    }
    co_return co_await list_live(std::move(resource), std::move(ns), {});
}

SeenList ClusterReader::cached(const kube::Resource& resource, const std::string& ns) const {
    SeenList out;
    out.source = "watch:" + resource.plural;
    const auto cache = gateway_.cache(cluster_, resource);
    if (cache == nullptr || !cache->synced()) return out;
    out.known = true;
    out.at = cache->last_heard();
    out.items = cache->list(ns);
    return out;
}

namespace {

void keep_owned(SeenList& list, const std::set<std::string, std::less<>>& uids) {
    std::erase_if(list.items, [&](const kube::ObjectPtr& object) {
        const auto owner = kube::controller_of(*object);
        return !owner || !uids.contains(owner->uid);
    });
}

}  // namespace

Task<> read_pods_and_revisions(ClusterReader& reader, EvidenceSnapshot& snapshot) {
    const auto& target = snapshot.target.key;
    const auto& object = snapshot.object.object;
    const bool present = snapshot.object.seen == Seen::present;
    if (target.kind == "Pod") {
        snapshot.pods.source = snapshot.object.source;
        snapshot.pods.at = snapshot.object.at;
        snapshot.pods.known = snapshot.object.seen != Seen::unreadable;
        if (present) snapshot.pods.items.push_back(std::make_shared<const Value>(object));
        co_return;
    }
    if (target.kind == "Node") {
        snapshot.pods = co_await reader.list_live(r::pods, "", {.field_selector = "spec.nodeName=" + target.name});
        co_return;
    }
    if (!present) co_return;
    if (target.kind == "Namespace") {
        snapshot.pods = co_await reader.list_live(r::pods, target.name, {});
        co_return;
    }
    if (target.kind == "PersistentVolumeClaim") {
        snapshot.pods = co_await reader.list(r::pods, target.ns);
        std::erase_if(snapshot.pods.items, [&](const kube::ObjectPtr& pod) {
            const auto* spec = json::at(*pod, "spec");
            const auto claims = spec == nullptr ? std::vector<std::string>{} : claims_of(*spec);
            return std::ranges::find(claims, target.name) == claims.end();
        });
        co_return;
    }
    if (target.kind == "Service") co_return;
    const auto* selector = json::at(object, "spec", "selector");
    const bool owns_pods = target.kind == "Deployment" || target.kind == "StatefulSet" || target.kind == "DaemonSet" || target.kind == "ReplicaSet" ||
                           target.kind == "Job" || target.kind == "Rollout";
    if (!owns_pods && target.kind != "PodDisruptionBudget") co_return;
    if (selector == nullptr || !selector->is_object()) co_return;
    const kube::ListOptions options{.label_selector = kube::to_query(*selector)};
    snapshot.pods = co_await reader.list_live(r::pods, target.ns, options);
    if (target.kind == "PodDisruptionBudget") co_return;
    std::set<std::string, std::less<>> uids{std::string{kube::uid_of(object)}};
    if (target.kind == "Deployment" || target.kind == "Rollout") {
        snapshot.revisions = co_await reader.list_live(r::replica_sets, target.ns, options);
        keep_owned(snapshot.revisions, uids);
        std::set<std::string, std::less<>> sets;
        for (const auto& item : snapshot.revisions.items) sets.emplace(kube::uid_of(*item));
        if (snapshot.revisions.known) keep_owned(snapshot.pods, sets);
    } else {
        if (target.kind == "StatefulSet" || target.kind == "DaemonSet") {
            snapshot.revisions = co_await reader.list_live(r::controller_revisions, target.ns, {});
            keep_owned(snapshot.revisions, uids);
        }
        keep_owned(snapshot.pods, uids);
    }
}

SeenEvent event_of(const Value& event) {
    SeenEvent out;
    const bool modern = json::at(event, "regarding") != nullptr;
    const auto* about = modern ? json::at(event, "regarding") : json::at(event, "involvedObject");
    out.reason = string_at(event, "reason");
    out.warning = string_at(event, "type") == "Warning";
    if (about != nullptr) {
        out.kind = string_at(*about, "kind");
        out.ns = string_at(*about, "namespace");
        out.name = string_at(*about, "name");
        out.uid = string_at(*about, "uid");
    }
    out.reporter = modern ? string_at(event, "reportingController") : string_at(event, "source", "component");
    out.count = json::int_at(event, "series", "count").value_or(json::int_at(event, modern ? "deprecatedCount" : "count").value_or(1));
    const auto made = kube::creation_time(event);
    auto first = kube::time_at(event, modern ? "deprecatedFirstTimestamp" : "firstTimestamp");
    if (!first) first = kube::time_at(event, "eventTime");
    auto last = kube::time_at(event, "series", "lastObservedTime");
    if (!last) last = kube::time_at(event, modern ? "deprecatedLastTimestamp" : "lastTimestamp");
    if (!last) last = kube::time_at(event, "eventTime");
    out.first = first ? *first : made.value_or(Instant{});
    out.last = last ? *last : made.value_or(out.first);
    out.hint = hint_of(string_at(event, modern ? "note" : "message"));
    return out;
}

Task<> read_events(ClusterReader& reader, EvidenceSnapshot& snapshot) {
    const auto& target = snapshot.target.key;
    const bool on_node = target.kind == "Node";
    if (target.kind == "Namespace") co_return;
    SeenList list = co_await reader.list(r::events, on_node ? "" : target.ns);
    if (!list.known) list = co_await reader.list_live(r::events_core, on_node ? "" : target.ns, {});
    snapshot.events_known = list.known;
    std::set<std::string, std::less<>> uids{snapshot.target.uid, std::string{kube::uid_of(snapshot.object.object)}};
    std::set<std::pair<std::string, std::string>> names{{target.kind, target.name}};
    for (const auto& pod : snapshot.pods.items) uids.emplace(kube::uid_of(*pod)), names.emplace("Pod", kube::name_of(*pod));
    for (const auto& revision : snapshot.revisions.items) uids.emplace(kube::uid_of(*revision));
    for (const auto& pod : snapshot.pods.items) {
        const auto* spec = json::at(*pod, "spec");
        if (spec == nullptr) continue;
        for (const auto& claim : claims_of(*spec)) names.emplace("PersistentVolumeClaim", claim);
    }
    uids.erase("");
    for (const auto& item : list.items) {
        auto event = event_of(*item);
        const bool ours =
            (!event.uid.empty() && uids.contains(event.uid)) ||
            ((event.uid.empty() || event.kind == "PersistentVolumeClaim" || event.kind == "Node") && names.contains({event.kind, event.name}));
        if (ours) snapshot.events.push_back(std::move(event));
    }
    std::ranges::sort(snapshot.events, [](const SeenEvent& a, const SeenEvent& b) {
        return std::tie(a.first, a.kind, a.name, a.reason, a.uid, a.hint) < std::tie(b.first, b.kind, b.name, b.reason, b.uid, b.hint);
    });
}

std::string config_hash(const Value& config_map) {
    json::Object part;
    for (const auto* key : {"data", "binaryData"}) {
        if (const auto* value = json::at(config_map, key)) part[key] = *value;
    }
    return to_hex(sha256(json::canonical(part)));
}

namespace {

void read_written(const Value& object, SeenReference& ref) {
    for (const Value& entry : json::array_at(object, "metadata", "managedFields")) {
        const auto at = kube::time_at(entry, "time");
        if (!at || (ref.written_at && *at < *ref.written_at)) continue;
        ref.written_at = at;
        ref.manager = string_at(entry, "manager");
    }
}

// Registry hosts of a Secret's docker configuration; the value itself is dropped here.
void read_registry_hosts(const Value& secret, SeenReference& ref) {
    const bool modern = ref.type == "kubernetes.io/dockerconfigjson";
    const auto encoded = string_at(secret, "data", modern ? ".dockerconfigjson" : ".dockercfg");
    if (encoded.empty()) {
        ref.registry_config_readable = false;
        return;
    }
    const auto decoded = base64_decode(encoded);
    const auto config = decoded.ok ? json::parse(decoded.bytes) : Result<Value>(fail(ErrorCode::invalid_argument, "not base64"));
    if (!config) {
        ref.registry_config_readable = false;
        return;
    }
    for (const auto& member : modern ? json::object_at(*config, "auths") : json::object_at(*config)) ref.registry_hosts.emplace_back(member.key());
}

}  // namespace

Task<> read_references(ClusterReader& reader, ports::RegistryStore& registry, EvidenceSnapshot& snapshot) {
    if (snapshot.object.seen != Seen::present) co_return;
    const auto* pod_template = template_of(snapshot.object.object);
    const auto* spec = pod_template == nullptr ? nullptr : json::at(*pod_template, "spec");
    if (spec == nullptr || json::at(*spec, "containers") == nullptr) co_return;
    auto references = references_of(*spec);
    // Pull Secrets that the ServiceAccount brings stand in the pods only.
    for (const auto& pod : snapshot.pods.items) {
        for (const Value& pull : json::array_at(*pod, "spec", "imagePullSecrets")) {
            const auto name = string_at(pull, "name");
            const bool there = std::ranges::any_of(references, [&](const ConfigReference& c) { return c.kind == "Secret" && c.name == name; });
            if (!name.empty() && !there) references.push_back({.kind = "Secret", .name = std::string{name}, .optional = true, .image_pull = true});
        }
    }
    std::ranges::sort(references);
    // What the revision before the newest referred to.
    std::map<std::pair<std::string, std::string>, std::vector<std::string>> before;
    bool has_before = false;
    {
        const auto model = model_of(snapshot, {});
        const auto* old = model.newest > 0 ? model.revisions[static_cast<std::size_t>(model.newest) - 1].pod_template : nullptr;
        if (old != nullptr) {
            has_before = true;
            if (const auto* old_spec = json::at(*old, "spec")) {
                for (const auto& ref : references_of(*old_spec)) before.emplace(std::pair(ref.kind, ref.name), ref.keys);
            }
        }
    }
    for (const auto& reference : references) {
        SeenReference ref;
        ref.kind = reference.kind;
        ref.name = reference.name;
        ref.optional = reference.optional;
        ref.image_pull = reference.image_pull;
        ref.keys_used = reference.keys;
        const auto was = before.find({reference.kind, reference.name});
        ref.newly_referenced = has_before && was == before.end();
        if (was != before.end()) {
            std::ranges::copy_if(reference.keys, std::back_inserter(ref.keys_new), [&](const std::string& key) { return !has(was->second, key); });
        }
        const bool config_map = reference.kind == "ConfigMap";
        const auto& ns = snapshot.target.key.ns;
        const auto found = co_await reader.get(config_map ? r::config_maps : r::secrets, ns, reference.name);
        ref.seen = found.seen;
        if (found.seen == Seen::present) {
            ref.uid = kube::uid_of(found.object);
            ref.type = string_at(found.object, "type");
            ref.immutable = json::bool_at(found.object, "immutable").value_or(false);
            ref.created_at = kube::creation_time(found.object);
            read_written(found.object, ref);
            for (const auto& member : json::object_at(found.object, "data")) ref.keys.emplace_back(member.key());
            for (const auto& member : json::object_at(found.object, "binaryData")) ref.keys.emplace_back(member.key());
            std::ranges::sort(ref.keys);
            if (config_map)
                ref.hash = config_hash(found.object);
            else if (ref.image_pull)
                read_registry_hosts(found.object, ref);
        }
        if (config_map) {
            auto history = co_await registry.snapshots({reader.cluster(), ns, "ConfigMap", "", reference.name},
                                                       snapshot.taken_at - std::chrono::hours{24 * 30}, 8, reader.limit());
            if (history) ref.history = *std::move(history);
        }
        snapshot.references.push_back(std::move(ref));
    }
}

}  // namespace kn::decision
