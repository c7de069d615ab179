#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "kubernaut/base/result.hpp"
#include "kubernaut/base/strong_id.hpp"
#include "kubernaut/base/time.hpp"

namespace kn {

using ClusterId = StrongId<struct ClusterTag>;
using SignalId = StrongId<struct SignalTag>;
using IncidentId = StrongId<struct IncidentTag>;
using PlanId = StrongId<struct PlanTag>;
using ExecutionId = StrongId<struct ExecutionTag>;
using ActionId = StrongId<struct ActionTag>;
using ApprovalId = StrongId<struct ApprovalTag>;
using AssessmentId = StrongId<struct AssessmentTag>;

/// Names an object in a cluster: `eu1/shop/Deployment.apps/cart`, `_` for no namespace. Every map key, lock, budget, cooldown and row that
/// speaks of an object begins with the cluster.
struct ObjectKey {
    ClusterId cluster;
    std::string ns;     ///< "" for cluster-scoped
    std::string kind;   ///< "Deployment"
    std::string group;  ///< "apps", "" for core
    std::string name;

    [[nodiscard]] std::string kind_group() const { return group.empty() ? kind : kind + "." + group; }
    [[nodiscard]] std::string str() const;
    static Result<ObjectKey> parse(std::string_view text);
    [[nodiscard]] bool empty() const { return kind.empty(); }
    auto operator<=>(const ObjectKey&) const = default;
};

/// An object as it was read: effects compare uid, history joins by key.
struct ObjectRef {
    ObjectKey key;
    std::string uid;
    std::string resource_version{};
    Instant observed_at{};
    bool operator==(const ObjectRef&) const = default;
};

/// DNS label of at most 63 characters; `_fleet` and `_env/x` are reserved for sums over clusters.
Result<ClusterId> parse_cluster_id(std::string_view text);

/// A fault's family: the text before the first dot of its class.
std::string_view fault_family(std::string_view fault_class);

/// Lower-case hex SHA-256 identities of domain objects.
std::string make_signal_key(const ClusterId& cluster, std::string_view source, std::string_view alert_fp, Instant starts_at, std::string_view status);
std::string make_correlation_key(const ObjectKey& target, std::string_view family);
std::string make_incident_key(const ObjectKey& target, std::string_view fault_class);

}  // namespace kn
