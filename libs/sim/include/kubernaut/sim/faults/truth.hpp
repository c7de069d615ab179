#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/client.hpp"

namespace kn::sim {

/// What stands in the cluster, as read by the simulator itself: "Kind.group/ns/name" → the part that belongs to its owner (spec, data, rules, labels),
/// without what controllers and kubelets write. Two equal snapshots mean that nobody changed anything.
struct StateSnapshot {
    std::map<std::string, json::Value, std::less<>> objects;  ///< the owned part
    std::map<std::string, std::string, std::less<>> pods;     ///< "ns/name" → uid and restarts, "Kind/ns/owner" prefixed
    static async::Task<Result<StateSnapshot>> read(std::shared_ptr<kube::Client> client, Deadline deadline);
};

struct Violation {
    std::string object;  ///< "Deployment.apps/shop/cart"
    std::string what;    ///< "changed: /spec/replicas 3 → 5", "deleted", "created", "pods restarted"
};

/// Every difference between the snapshots outside `allowed` ("Kind.group/ns/name", "Kind.group/ns/*", "ns/*").
std::vector<Violation> untouched(const StateSnapshot& before, const StateSnapshot& after, const std::set<std::string, std::less<>>& allowed);

/// The truth about one injected fault, from the simulator's own state.
struct Verdict {
    bool cured = false;
    std::optional<Instant> cured_at;    ///< first of the uninterrupted looks that found it cured
    std::vector<std::string> missing;   ///< what is not as it should be, in words
    std::vector<Violation> violations;  ///< what was touched and must not have been
    [[nodiscard]] bool harmful() const { return !violations.empty(); }
};

}  // namespace kn::sim
