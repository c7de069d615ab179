#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kubernaut/decision/evidence.hpp"

namespace kn::decision {

/// How the collector reads one cluster for one collection: live for the target, from a fresh watch cache (else live) for its surroundings.
class ClusterReader {
public:
    ClusterReader(async::Clock& clock, ports::ClusterGateway& gateway, ClusterId cluster, std::shared_ptr<kube::Client> client, Duration cache_age,
                  Duration call_timeout, Deadline deadline)
        : clock_(clock),
          gateway_(gateway),
          cluster_(std::move(cluster)),
          client_(std::move(client)),
          cache_age_(cache_age),
          call_timeout_(call_timeout),
          deadline_(deadline) {}

    /// Live.
    Task<SeenObject> get(kube::Resource resource, std::string ns, std::string name);
    Task<SeenList> list_live(kube::Resource resource, std::string ns, kube::ListOptions options);
    /// From the watch cache when it heard from the server lately, else live.
    Task<SeenList> list(kube::Resource resource, std::string ns);
    /// Only from the watch cache, whatever its age; unknown without one.
    SeenList cached(const kube::Resource& resource, const std::string& ns) const;

    [[nodiscard]] Deadline limit() const { return clock_.deadline_in(call_timeout_).earlier(deadline_); }
    [[nodiscard]] kube::Client& client() { return *client_; }
    [[nodiscard]] async::Clock& clock() { return clock_; }
    [[nodiscard]] const ClusterId& cluster() const { return cluster_; }

private:
    async::Clock& clock_;
    ports::ClusterGateway& gateway_;
    ClusterId cluster_;
    std::shared_ptr<kube::Client> client_;
    Duration cache_age_, call_timeout_;
    Deadline deadline_;
};

/// Pieces of a collection; each fills its part of the snapshot and leaves it unread when it cannot be read.
Task<> read_pods_and_revisions(ClusterReader& reader, EvidenceSnapshot& snapshot);
Task<> read_events(ClusterReader& reader, EvidenceSnapshot& snapshot);
Task<> read_references(ClusterReader& reader, ports::RegistryStore& registry, EvidenceSnapshot& snapshot);
Task<> read_upstreams(ClusterReader& reader, ports::RegistryStore& registry, ports::IncidentStore& incidents, EvidenceSnapshot& snapshot);
Task<> read_access(ClusterReader& reader, ports::RegistryStore& registry, Duration window, EvidenceSnapshot& snapshot);
Task<> read_metrics(ClusterReader& reader, ports::MetricsSource& metrics, EvidenceSnapshot& snapshot);

/// Events in the form of either API group, without their messages.
SeenEvent event_of(const json::Value& event);
/// What matters of a ConfigMap's content, as the change recorder hashes it.
std::string config_hash(const json::Value& config_map);

}  // namespace kn::decision
