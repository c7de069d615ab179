#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <functional>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/fleet/health_machine.hpp"
#include "kubernaut/fleet/lane.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/notifier.hpp"
#include "kubernaut/ports/registry_store.hpp"
#include "kubernaut/ports/wakeups.hpp"

namespace kn::fleet {

struct FleetOptions {
    Duration probe_every = 1500ms, probe_timeout = 1500ms;
    HealthLimits health{};
    LaneOptions lane{};
    Duration fence_age = 2s;  ///< a uid read this recently need not be read again before a write
    Duration tombstone_age = 30min;
    bool record_changes = true;
    bool owner_lease = true;    ///< hold a Lease in each cluster that may be changed: two installations never change one
    Duration clock_skew = 30s;  ///< beyond it nothing is changed: ages of facts would be wrong
};

/// One cluster to serve.
struct ClusterSource {
    ClusterRecord record;
    std::shared_ptr<kube::Transport> transport;        ///< for calls and watches
    std::shared_ptr<kube::Transport> probe_transport;  ///< new connections, no lane; may be the same
};

/// The fleet: registry, lanes, watches, verdicts, fence. Loop thread only.
class Fleet final : public ports::ClusterGateway {
public:
    /// People are told by the notifier when a cluster is lost, replaced by another or refuses us, when that is over, and when this hub is cut off.
    Fleet(async::EventLoop& loop, RandomSource& random, ports::RegistryStore& registry, ports::Notifier& notifier, ports::LiveFeed& feed,
          metrics::Registry& metrics, FleetOptions options);
    ~Fleet() override;

    /// Registers and starts a cluster. already_exists for a known id.
    Result<> add(ClusterSource source);
    /// From the next decision on; executions under way are asked again before each write.
    void set_mode(const ClusterId& id, Mode mode);
    Task<Result<>> start();
    void stop();
    Task<> join() { return scope_.join(); }

    [[nodiscard]] std::vector<ClusterRecord> clusters() const override;
    [[nodiscard]] std::optional<ClusterRecord> cluster(const ClusterId& id) const override;
    std::shared_ptr<kube::Client> client(const ClusterId& id) override;
    std::shared_ptr<const kube::ObjectCache> cache(const ClusterId& id, const kube::Resource& resource) override;
    std::optional<ObjectRef> tombstone(const ClusterId& id, std::string_view kind, std::string_view ns, std::string_view name) override;
    Task<Result<>> check_fence(const ClusterId& id, Deadline deadline) override;

    [[nodiscard]] bool isolated() const { return suspicion_.isolated(); }
    /// True when every watch of the cluster has its first list.
    [[nodiscard]] bool synced(const ClusterId& id) const;
    /// Called for each cluster when it is registered, before its watches start: the place to subscribe to its caches.
    void on_cluster(std::function<void(const ClusterId&)> hook) { hooks_.push_back(std::move(hook)); }

    /// What is watched in every cluster.
    static const std::vector<const kube::Resource*>& watched();

private:
    struct Member;
    Task<> probe(Member& member);
    Task<> own(Member& member);
    Task<Result<>> learn_identity();
    /// Whether the registered cluster answers, by a reading that is not older than `age`.
    Task<Result<>> check_identity(Member& member, Duration age, Deadline deadline);
    Task<> look_at_fleet();
    void set_verdict(Member& member);
    void tell_verdict(Member& member);
    void tell(ports::Notification notice);
    void start_member(Member& member);
    async::EventLoop& loop_;
    RandomSource& random_;
    ports::RegistryStore& registry_;
    ports::Notifier& notifier_;
    ports::LiveFeed& feed_;
    metrics::Registry& metrics_;
    FleetOptions options_;
    std::map<ClusterId, std::unique_ptr<Member>> members_;
    std::vector<std::function<void(const ClusterId&)>> hooks_;
    SuspicionMachine suspicion_;
    bool started_ = false;
    std::string identity_;  ///< of this installation: the same after every restart on the same store
    async::TaskScope scope_;
};

}  // namespace kn::fleet
