#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/domain/enums.hpp"

namespace kn::http_api {

/// A role for a subject, in some clusters and namespaces ("*" or empty = all; a trailing * is a prefix).
struct Binding {
    std::string subject, role;
    std::vector<std::string> clusters, namespaces;
    Risk approve_up_to = Risk::critical;
};

/// Who is asking and what they may do.
class Person {
public:
    Person() = default;
    Person(std::string name, std::vector<Binding> bindings) : name_(std::move(name)), bindings_(std::move(bindings)) {}
    [[nodiscard]] const std::string& name() const { return name_; }
    /// An empty cluster asks "anywhere at all"; an empty namespace (cluster scope) needs a binding for all namespaces unless `any_namespace`.
    [[nodiscard]] bool may(std::string_view permission, std::string_view cluster, std::string_view ns, bool any_namespace = false) const;
    /// Highest risk that this person may approve there; none = may not approve.
    [[nodiscard]] std::optional<Risk> may_approve(std::string_view cluster, std::string_view ns) const;
    /// Highest risk of workflows that this person may start there.
    [[nodiscard]] std::optional<Risk> may_run(std::string_view cluster, std::string_view ns, Environment environment) const;

private:
    std::string name_;
    std::vector<Binding> bindings_;
};

/// The permissions of each role.
const std::map<std::string, std::set<std::string>, std::less<>>& role_permissions();

class AuthTable {
public:
    /// `token` must not be empty.
    void add_token(std::string name, std::string_view token);
    void add_certificate(std::string common_name, std::string name) { certificates_[std::move(common_name)] = std::move(name); }
    void add_binding(Binding binding) { bindings_.push_back(std::move(binding)); }
    /// Everybody on this machine is `name` with role admin: for demo and simulated clusters only.
    void allow_loopback(std::string name) { loopback_ = std::move(name); }

    /// nullopt: no or an unknown credential.
    [[nodiscard]] std::optional<Person> authenticate(std::string_view bearer, std::string_view client_name, bool loopback) const;

private:
    std::vector<std::pair<std::string, Digest>> tokens_;
    std::map<std::string, std::string, std::less<>> certificates_;
    std::vector<Binding> bindings_;
    std::string loopback_;
};

}  // namespace kn::http_api
