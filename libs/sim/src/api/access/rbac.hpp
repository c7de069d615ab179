#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/store.hpp"
#include "kubernaut/sim/api/api_server.hpp"

namespace kn::sim::api {

struct AccessQuestion {
    std::string verb;
    bool resource_request = true;
    std::string group, resource, subresource, ns, name;  ///< subresource "" for the resource itself
    std::string path;                                    ///< for other requests
};

/// Roles and bindings, evaluated against the store. Answers are kept until an RBAC object changes.
class Rbac {
public:
    explicit Rbac(const Store& store) : store_(store) {}
    [[nodiscard]] bool allowed(const Identity& identity, const AccessQuestion& question) const;
    /// What a role grants may only be granted by somebody who holds it: rules of the identity in a namespace, for SelfSubjectRulesReview.
    [[nodiscard]] std::vector<const Value*> rules_for(const Identity& identity, std::string_view ns) const;
    void forget() { answers_.clear(); }

private:
    const Store& store_;
    mutable std::map<std::string, bool, std::less<>> answers_;
};

/// The groups that every authenticated user or service account has besides its own.
Identity with_implied_groups(Identity identity);

/// Roles and bindings that a new cluster has.
std::vector<Value> bootstrap_rbac();

}  // namespace kn::sim::api
