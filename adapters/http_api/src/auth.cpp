#include "kubernaut/http_api/auth.hpp"

#include <openssl/crypto.h>

#include <algorithm>

namespace kn::http_api {
namespace {

bool selects(const std::vector<std::string>& selectors, std::string_view value) {
    if (selectors.empty()) return true;
    return std::any_of(selectors.begin(), selectors.end(), [&](const std::string& selector) {
        if (!selector.empty() && selector.back() == '*') return value.starts_with(std::string_view(selector).substr(0, selector.size() - 1));
        return selector == value;
    });
}

bool all_of_them(const std::vector<std::string>& selectors) {
    return selectors.empty() || std::find(selectors.begin(), selectors.end(), "*") != selectors.end();
}

bool covers(const Binding& binding, std::string_view cluster, std::string_view ns, bool any_namespace) {
    if (!cluster.empty() && !selects(binding.clusters, cluster)) return false;
    if (any_namespace) return true;
    return ns.empty() ? all_of_them(binding.namespaces) : selects(binding.namespaces, ns);
}

}  // namespace

const std::map<std::string, std::set<std::string>, std::less<>>& role_permissions() {
    static const std::map<std::string, std::set<std::string>, std::less<>> table = [] {
        const std::set<std::string> viewer{"incident.view", "execution.view", "history.view", "pattern.view", "cluster.view"};
        const auto plus = [](std::set<std::string> base, std::initializer_list<const char*> more) {
            base.insert(more.begin(), more.end());
            return base;
        };
        std::map<std::string, std::set<std::string>, std::less<>> roles;
        roles["viewer"] = viewer;
        roles["operator"] = plus(viewer, {"incident.ack", "execution.start", "execution.cancel", "execution.pause", "action.run", "pause.set"});
        roles["approver"] = plus(viewer, {"approval.grant"});
        roles["developer"] = plus(viewer, {"workflow.edit", "workflow.simulate", "model.train", "action.run", "execution.start"});
        roles["cluster_admin"] = plus(roles["operator"], {"approval.grant", "cluster.manage", "config.edit", "secret.use"});
        roles["auditor"] = {"audit.view", "audit.verify", "audit.export", "config.view", "history.view"};
        roles["admin"] = plus(roles["cluster_admin"], {"audit.view", "audit.verify", "audit.export", "config.view", "user.manage", "pause.fleet",
                                                       "workflow.edit", "workflow.simulate", "model.train", "dead_letter.manage"});
        return roles;
    }();
    return table;
}

bool Person::may(std::string_view permission, std::string_view cluster, std::string_view ns, bool any_namespace) const {
    return std::any_of(bindings_.begin(), bindings_.end(), [&](const Binding& binding) {
        const auto role = role_permissions().find(binding.role);
        return role != role_permissions().end() && role->second.contains(std::string(permission)) && covers(binding, cluster, ns, any_namespace);
    });
}

std::optional<Risk> Person::may_approve(std::string_view cluster, std::string_view ns) const {
    std::optional<Risk> highest;
    for (const Binding& binding : bindings_) {
        if (!covers(binding, cluster, ns, false)) continue;
        Risk limit = Risk::none;
        if (binding.role == "approver")
            limit = binding.approve_up_to;
        else if (binding.role == "cluster_admin")
            limit = std::min(binding.approve_up_to, Risk::high);
        else if (binding.role == "admin")
            limit = Risk::critical;
        else
            continue;
        highest = std::max(highest.value_or(Risk::none), limit);
    }
    return highest;
}

std::optional<Risk> Person::may_run(std::string_view cluster, std::string_view ns, Environment environment) const {
    std::optional<Risk> highest;
    for (const Binding& binding : bindings_) {
        if (!covers(binding, cluster, ns, false)) continue;
        Risk limit = Risk::none;
        if (binding.role == "operator")
            limit = Risk::medium;
        else if (binding.role == "cluster_admin")
            limit = Risk::high;
        else if (binding.role == "admin")
            limit = Risk::critical;
        else if (binding.role == "developer" && environment == Environment::dev)
            limit = Risk::medium;
        else
            continue;
        highest = std::max(highest.value_or(Risk::none), limit);
    }
    return highest;
}

void AuthTable::add_token(std::string name, std::string_view token) { tokens_.emplace_back(std::move(name), sha256(token)); }

std::optional<Person> AuthTable::authenticate(std::string_view bearer, std::string_view client_name, bool loopback) const {
    std::string name;
    if (!bearer.empty()) {
        // Only digests are kept, all are compared, and in constant time.
        const Digest given = sha256(bearer);
        for (const auto& [each, digest] : tokens_) {
            if (CRYPTO_memcmp(digest.data(), given.data(), digest.size()) == 0) name = each;
        }
        if (name.empty()) return std::nullopt;
    } else if (!client_name.empty()) {
        const auto found = certificates_.find(client_name);
        if (found == certificates_.end()) return std::nullopt;
        name = found->second;
    } else if (loopback && !loopback_.empty()) {
        return Person(loopback_, {Binding{.subject = loopback_, .role = "admin"}});
    } else {
        return std::nullopt;
    }
    std::vector<Binding> own;
    for (const Binding& binding : bindings_) {
        if (binding.subject == name) own.push_back(binding);
    }
    return Person(name, std::move(own));
}

}  // namespace kn::http_api
