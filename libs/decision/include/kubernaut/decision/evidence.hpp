#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/decision/options.hpp"
#include "kubernaut/domain/incident.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/ports/registry_store.hpp"

namespace kn::decision {

using async::Task;
using ports::IncidentStore;

/// Was the thing read? `absent` is knowledge (404), `unreadable` is not.
enum class Seen : std::uint8_t { unreadable, absent, present };

struct SeenObject {
    Seen seen = Seen::unreadable;
    json::Value object;
    std::string source;  ///< "live:deployments", "watch:nodes"
    Instant at{};
};

struct SeenList {
    bool known = false;
    std::vector<kube::ObjectPtr> items;
    std::string source;
    Instant at{};
};

/// An Event without its message: reason, who it is about, how often, when; and a hint from the closed table of message tokens.
struct SeenEvent {
    std::string reason, kind, ns, name, uid, reporter;
    bool warning = false;
    std::int64_t count = 1;
    Instant first{}, last{};
    std::string hint;  ///< "not_found", "unauthorized", "insufficient_cpu", ... or ""
};

/// A ConfigMap or Secret that the target's pods use. Of Secrets: type, key names and registry hosts, never a value.
struct SeenReference {
    std::string kind, name;  ///< ConfigMap, Secret
    bool optional = false, image_pull = false, needed_to_start = false;
    std::vector<std::string> keys_used;  ///< keys that the template names
    Seen seen = Seen::unreadable;
    std::string uid, type, hash;  ///< hash of the content as it is now
    bool immutable = false;
    std::vector<std::string> keys;
    std::vector<std::string> registry_hosts;
    bool registry_config_readable = true;           ///< the .dockerconfigjson could be parsed
    std::optional<Instant> created_at, written_at;  ///< written_at: newest managedFields time
    std::string manager;
    std::vector<ObjectSnapshot> history;  ///< newest first; of ConfigMaps with content
    bool newly_referenced = false;        ///< the newest revision refers to it and the one before did not
    std::vector<std::string> keys_new{};  ///< of keys_used, those that the revision before did not use
};

/// A Service that the target depends on.
struct SeenUpstream {
    std::string ns, service, why;  ///< why: "annotation", "env DB_HOST"
    Seen seen = Seen::unreadable;
    bool has_selector = false;
    std::optional<int> ready_endpoints;
    std::optional<Instant> down_since;   ///< when its last ready pod was lost, as far as its pods tell
    std::optional<ObjectKey> workload;   ///< behind it
    std::optional<IncidentId> incident;  ///< an open one on that workload
    std::optional<Instant> incident_opened;
    bool stable = false;   ///< at least one pod ready that did not crash in the last 5 minutes
    bool deleted = false;  ///< Service or workload was there before and is gone
};

/// A deleted or narrowed Role or binding of the target's ServiceAccount, and what it may do now.
struct SeenAccess {
    std::string kind, ns, name;  ///< RoleBinding, ClusterRoleBinding
    std::string snapshot_hash;
    json::Value before;  ///< the whole object as it can be made again
    Instant changed_at{};
    bool deleted = false, wildcard = false, role_exists = false;
    std::string verb, resource;  ///< one right that it gave
    std::optional<bool> allowed_now;
};

struct SeenSeries {
    std::string name;     ///< template name: "memory_working_set", "volume_used_ratio"
    std::string subject;  ///< "pod/container", claim name
    std::vector<ports::Sample> samples;
};

/// What was read about one target and its surroundings. Facts are pure functions of this.
struct EvidenceSnapshot {
    ObjectRef target;
    Instant taken_at{};
    SeenObject object;
    SeenObject ns_object;
    std::vector<SeenObject> owners;  ///< controllers above the target, nearest first
    SeenList pods;                   ///< of the target
    SeenList revisions;              ///< ReplicaSets or ControllerRevisions of the target
    std::vector<SeenEvent> events;   ///< about the target, its pods, revisions and claims
    bool events_known = false;
    std::vector<SeenReference> references;
    std::vector<SeenUpstream> upstreams;
    bool upstreams_known = false;
    std::vector<SeenAccess> access;
    bool access_known = false;
    SeenList nodes, leases, all_pods;
    SeenList pdbs, hpas, claims, volumes, storage_classes, quotas, limit_ranges, services, endpoint_slices;
    SeenList ns_pods;                     ///< all of the namespace
    SeenList ns_workloads;                ///< Deployments, StatefulSets, DaemonSets of the namespace
    SeenList release_secrets;             ///< helm.sh/release.v1 Secrets: metadata only
    std::vector<ObjectSnapshot> history;  ///< of the target itself, newest first
    bool history_known = false;
    std::vector<SeenSeries> series;
    bool metrics_known = false;
    /// Counts of what was done to the target lately, from the execution store: "raise-memory" → 1 in 24 h.
    std::map<std::string, int> done_24h;
    std::vector<std::string> open_neighbours;  ///< incident targets open in the cluster
};

/// Reads a target and its surroundings live. One collection costs 5..20 calls in the cluster's own lane; what cannot be read stays unreadable.
/// No state but its references; loop thread only.
class EvidenceCollector {
public:
    EvidenceCollector(async::Clock& clock, ports::ClusterGateway& gateway, ports::RegistryStore& registry, ports::IncidentStore& incidents,
                      ports::MetricsSource* metrics, DecisionOptions options);
    void set_options(DecisionOptions options) { options_ = std::move(options); }

    /// unavailable when the target itself could not be read; a target that is gone (404) is a snapshot with object.seen == absent.
    Task<Result<EvidenceSnapshot>> collect(ObjectRef target, Deadline deadline);

private:
    struct Reader;
    async::Clock& clock_;
    ports::ClusterGateway& gateway_;
    ports::RegistryStore& registry_;
    ports::IncidentStore& incidents_;
    ports::MetricsSource* metrics_;
    DecisionOptions options_;
};

}  // namespace kn::decision
