#include "kubernaut/fleet/change_recorder.hpp"

#include <algorithm>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::fleet {
namespace {

/// The newest write by anybody that touched more than status, from managedFields.
struct LastWrite {
    std::optional<Instant> at;
    std::string manager;
};
LastWrite last_write(const json::Value& object) {
    LastWrite last;
    for (const auto& entry : json::array_at(object, "metadata", "managedFields")) {
        if (!json::string_at(entry, "subresource").empty()) continue;
        const auto at = kube::time_at(entry, "time");
        if (at && (!last.at || *at >= *last.at)) {
            last.at = at;
            last.manager = json::string_at(entry, "manager");
        }
    }
    return last;
}

}  // namespace

ChangeRecorder::ChangeRecorder(ClusterId cluster, ports::RegistryStore& registry, async::Clock& clock)
    : cluster_(std::move(cluster)), registry_(registry), clock_(clock) {}

json::Value ChangeRecorder::recorded_part(const kube::Resource& resource, const json::Value& object) {
    json::Object part;
    const auto keep = [&](std::string_view key) {
        if (const auto* value = json::at(object, key)) part[key] = *value;
    };
    const std::string& kind = resource.kind;
    if (kind == "ConfigMap") {
        keep("data");
        keep("binaryData");
    } else if (kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet") {
        if (const auto* value = json::at(object, "spec", "template")) part["template"] = *value;
    } else if (kind == "Role" || kind == "ClusterRole") {
        keep("rules");
    } else if (kind == "RoleBinding" || kind == "ClusterRoleBinding") {
        keep("roleRef");
        keep("subjects");
    } else if (kind == "Service") {
        if (const auto* value = json::at(object, "spec", "selector")) part["selector"] = *value;
        if (const auto* value = json::at(object, "spec", "ports")) part["ports"] = *value;
    } else if (kind == "NetworkPolicy" || kind == "PodDisruptionBudget" || kind == "ResourceQuota" || kind == "HorizontalPodAutoscaler") {
        keep("spec");
    } else {
        return nullptr;
    }
    return part;
}

ObjectSnapshot ChangeRecorder::snapshot_of(const ClusterId& cluster, const kube::Resource& resource, const json::Value& object, Instant seen) {
    ObjectSnapshot snapshot;
    snapshot.key = ObjectKey{cluster, std::string(kube::namespace_of(object)), resource.kind, resource.group, std::string(kube::name_of(object))};
    snapshot.uid = kube::uid_of(object);
    snapshot.spec = recorded_part(resource, object);
    snapshot.hash = to_hex(sha256(json::canonical(snapshot.spec)));
    const LastWrite last = last_write(object);
    snapshot.manager = last.manager;
    // The server's own time of the write says when it changed even if we were not there; a time in our future is the other clock's error.
    snapshot.taken_at = std::min(seen, last.at.value_or(kube::creation_time(object).value_or(seen)));
    return snapshot;
}

void ChangeRecorder::observe(kube::ObjectCache& cache) {
    const kube::Resource resource = cache.resource();
    cache.subscribe([this, resource](kube::WatchEventType type, const kube::ObjectPtr& object, const kube::ObjectPtr& before) {
        if (recorded_part(resource, *object).is_null()) return;
        ObjectSnapshot snapshot = snapshot_of(cluster_, resource, *object, clock_.now());
        if (type == kube::WatchEventType::deleted) {
            snapshot.deleted_at = snapshot.taken_at = clock_.now();
            snapshot.hash = "deleted";
        } else if (before != nullptr && snapshot_of(cluster_, resource, *before, clock_.now()).hash == snapshot.hash) {
            return;
        }
        if (waiting_.size() >= max_waiting) {
            log::warning("object snapshots wait too long for the store: the oldest are dropped", {{"cluster", cluster_.str()}});
            waiting_.erase(waiting_.begin(), waiting_.begin() + batch_size);
        }
        waiting_.push_back(std::move(snapshot));
        ready_.notify();
    });
}

async::Task<> ChangeRecorder::run() {
    while (true) {
        if (waiting_.empty()) {
            (void)co_await ready_.wait(clock_, clock_.deadline_in(60s));
            continue;
        }
        const std::size_t count = std::min(waiting_.size(), batch_size);
        std::vector<ObjectSnapshot> batch(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
        auto written = co_await registry_.put_snapshots(batch, clock_.deadline_in(5s));
        if (!written) {
            log::warning("object snapshots could not be stored; trying again", {{"cluster", cluster_.str()}, {"error", written.error().describe()}});
            waiting_.insert(waiting_.begin(), batch.begin(), batch.end());
            co_await async::sleep_for(clock_, 1s);
        }
    }
}

}  // namespace kn::fleet
