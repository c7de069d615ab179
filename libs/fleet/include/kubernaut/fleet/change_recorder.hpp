#pragma once

#include <memory>
#include <vector>

#include "kubernaut/async/signal.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/ports/registry_store.hpp"

namespace kn::fleet {

/// Turns watch events of the objects that faults come from (pod templates, ConfigMaps, roles and bindings, selectors, policies) into snapshots in the
/// store. Of a Secret only hash and key names would be kept; Secrets are not watched at all.
class ChangeRecorder {
public:
    ChangeRecorder(ClusterId cluster, ports::RegistryStore& registry, async::Clock& clock);
    void observe(kube::ObjectCache& cache);
    /// Writes what was observed, in batches, until cancelled.
    async::Task<> run();

    /// The part of an object whose change can break something, or null when its kind is not recorded. Pure.
    static json::Value recorded_part(const kube::Resource& resource, const json::Value& object);
    static ObjectSnapshot snapshot_of(const ClusterId& cluster, const kube::Resource& resource, const json::Value& object, Instant seen);

private:
    static constexpr std::size_t batch_size = 256;
    static constexpr std::size_t max_waiting = 100'000;  ///< beyond it the oldest are dropped with a log line: memory is bounded
    ClusterId cluster_;
    ports::RegistryStore& registry_;
    async::Clock& clock_;
    async::Signal ready_;
    std::vector<ObjectSnapshot> waiting_;
};

}  // namespace kn::fleet
