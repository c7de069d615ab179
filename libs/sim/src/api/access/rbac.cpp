#include "api/access/rbac.hpp"

#include <algorithm>

#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

constexpr std::string_view service_account_prefix = "system:serviceaccount:";

bool lists(const Value& rule, std::string_view field, std::string_view wanted) {
    return std::ranges::any_of(json::array_at(rule, field), [wanted](const Value& v) {
        const auto* text = v.if_string();
        return text != nullptr && (json::view(*text) == "*" || json::view(*text) == wanted);
    });
}

bool lists_exactly(const Value& rule, std::string_view field, std::string_view wanted) {
    return std::ranges::any_of(json::array_at(rule, field),
                               [wanted](const Value& v) { return v.is_string() && json::view(v.get_string()) == wanted; });
}

bool path_allowed(const Value& rule, std::string_view path) {
    return std::ranges::any_of(json::array_at(rule, "nonResourceURLs"), [path](const Value& v) {
        const auto* text = v.if_string();
        if (text == nullptr) return false;
        const auto pattern = json::view(*text);
        if (pattern == "*" || pattern == path) return true;
        return pattern.ends_with('*') && path.starts_with(pattern.substr(0, pattern.size() - 1));
    });
}

bool rule_allows(const Value& rule, const AccessQuestion& question) {
    if (!lists(rule, "verbs", question.verb)) return false;
    if (!question.resource_request) return path_allowed(rule, question.path);
    if (!lists(rule, "apiGroups", question.group)) return false;
    const auto full = question.subresource.empty() ? question.resource : question.resource + "/" + question.subresource;
    const bool resource =
        lists(rule, "resources", full) || (!question.subresource.empty() && lists_exactly(rule, "resources", "*/" + question.subresource));
    if (!resource) return false;
    const auto& names = json::array_at(rule, "resourceNames");
    return names.empty() || (!question.name.empty() && lists_exactly(rule, "resourceNames", question.name));
}

bool subject_is(const Value& subject, const Identity& identity, std::string_view binding_ns) {
    const auto kind = json::string_at(subject, "kind");
    const auto name = json::string_at(subject, "name");
    if (kind == "User") return identity.user == name;
    if (kind == "Group") return std::ranges::find(identity.groups, name) != identity.groups.end();
    if (kind != "ServiceAccount") return false;
    auto ns = json::string_at(subject, "namespace");
    if (ns.empty()) ns = binding_ns;
    return identity.user == std::string(service_account_prefix) + std::string(ns) + ":" + std::string(name);
}

/// Calls `visit` with every rule that bindings of this collection give the identity until it returns true.
template <class Visit>
bool each_rule(const Store& store, std::string_view bindings, std::string_view ns, const Identity& identity, const Visit& visit) {
    const auto* collection = store.find(bindings);
    if (collection == nullptr) return false;
    for (const auto& [key, binding] : collection->objects()) {
        if (key.first != ns) continue;
        const auto& subjects = json::array_at(binding->value(), "subjects");
        if (std::ranges::none_of(subjects, [&](const Value& s) { return subject_is(s, identity, ns); })) continue;
        const bool cluster_role = json::string_at(binding->value(), "roleRef", "kind") == "ClusterRole";
        const auto* roles = store.find(cluster_role ? "clusterroles.rbac.authorization.k8s.io" : "roles.rbac.authorization.k8s.io");
        const auto role =
            roles == nullptr ? nullptr : roles->find(cluster_role ? std::string_view{} : ns, json::string_at(binding->value(), "roleRef", "name"));
        if (!role) continue;
        for (const Value& rule : json::array_at(role->value(), "rules")) {
            if (visit(rule)) return true;
        }
    }
    return false;
}

constexpr std::string_view cluster_bindings = "clusterrolebindings.rbac.authorization.k8s.io";
constexpr std::string_view role_bindings = "rolebindings.rbac.authorization.k8s.io";

bool is_master(const Identity& identity) { return std::ranges::find(identity.groups, "system:masters") != identity.groups.end(); }

}  // namespace

bool Rbac::allowed(const Identity& identity, const AccessQuestion& question) const {
    if (is_master(identity)) return true;
    std::string key = identity.user;
    for (const auto& group : identity.groups) key += "\n" + group;
    for (const auto* part :
         {&question.verb, &question.group, &question.resource, &question.subresource, &question.ns, &question.name, &question.path}) {
        key += "\t" + *part;
    }
    if (const auto found = answers_.find(key); found != answers_.end()) return found->second;
    const auto allows = [&question](const Value& rule) { return rule_allows(rule, question); };
    bool answer = each_rule(store_, cluster_bindings, {}, identity, allows);
    if (!answer && question.resource_request && !question.ns.empty()) answer = each_rule(store_, role_bindings, question.ns, identity, allows);
    if (answers_.size() > 20'000) answers_.clear();
    answers_.emplace(std::move(key), answer);
    return answer;
}

std::vector<const Value*> Rbac::rules_for(const Identity& identity, std::string_view ns) const {
    std::vector<const Value*> out;
    const auto take = [&out](const Value& rule) {
        out.push_back(&rule);
        return false;
    };
    each_rule(store_, cluster_bindings, {}, identity, take);
    if (!ns.empty()) each_rule(store_, role_bindings, ns, identity, take);
    return out;
}

Identity with_implied_groups(Identity identity) {
    const auto add = [&identity](std::string group) {
        if (std::ranges::find(identity.groups, group) == identity.groups.end()) identity.groups.push_back(std::move(group));
    };
    if (identity.user == "system:anonymous") {
        add("system:unauthenticated");
        return identity;
    }
    if (identity.user.starts_with(service_account_prefix)) {
        const auto rest = std::string_view(identity.user).substr(service_account_prefix.size());
        add("system:serviceaccounts");
        add("system:serviceaccounts:" + std::string(rest.substr(0, rest.find(':'))));
    }
    add("system:authenticated");
    return identity;
}

namespace {

json::Array texts(std::initializer_list<std::string_view> list) {
    json::Array out;
    for (const auto text : list) out.emplace_back(text);
    return out;
}

Value rule(std::initializer_list<std::string_view> groups, std::initializer_list<std::string_view> resources,
           std::initializer_list<std::string_view> verbs) {
    return json::Object{{"apiGroups", texts(groups)}, {"resources", texts(resources)}, {"verbs", texts(verbs)}};
}

Value urls(std::initializer_list<std::string_view> paths, std::initializer_list<std::string_view> verbs) {
    return json::Object{{"nonResourceURLs", texts(paths)}, {"verbs", texts(verbs)}};
}

Value cluster_role(std::string_view name, json::Array rules) {
    return json::Object{{"kind", "ClusterRole"},
                        {"apiVersion", "rbac.authorization.k8s.io/v1"},
                        {"metadata", json::Object{{"name", name}, {"labels", json::Object{{"kubernetes.io/bootstrapping", "rbac-defaults"}}}}},
                        {"rules", std::move(rules)}};
}

Value cluster_binding(std::string_view name, std::string_view role, std::initializer_list<std::pair<std::string_view, std::string_view>> subjects) {
    json::Array list;
    for (const auto& [kind, subject] : subjects) {
        list.push_back(json::Object{{"kind", kind}, {"apiGroup", "rbac.authorization.k8s.io"}, {"name", subject}});
    }
    return json::Object{{"kind", "ClusterRoleBinding"},
                        {"apiVersion", "rbac.authorization.k8s.io/v1"},
                        {"metadata", json::Object{{"name", name}, {"labels", json::Object{{"kubernetes.io/bootstrapping", "rbac-defaults"}}}}},
                        {"subjects", std::move(list)},
                        {"roleRef", json::Object{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", role}}}};
}

}  // namespace

std::vector<Value> bootstrap_rbac() {
    const std::initializer_list<std::string_view> read = {"get", "list", "watch"};
    const std::initializer_list<std::string_view> write = {"create", "delete", "deletecollection", "patch", "update"};
    const std::initializer_list<std::string_view> core_view = {"configmaps",
                                                               "endpoints",
                                                               "events",
                                                               "limitranges",
                                                               "namespaces",
                                                               "namespaces/status",
                                                               "persistentvolumeclaims",
                                                               "persistentvolumeclaims/status",
                                                               "pods",
                                                               "pods/log",
                                                               "pods/status",
                                                               "replicationcontrollers",
                                                               "replicationcontrollers/scale",
                                                               "replicationcontrollers/status",
                                                               "resourcequotas",
                                                               "resourcequotas/status",
                                                               "serviceaccounts",
                                                               "services",
                                                               "services/status"};
    const std::initializer_list<std::string_view> apps = {"controllerrevisions", "daemonsets",         "daemonsets/status",  "deployments",
                                                          "deployments/scale",   "deployments/status", "replicasets",        "replicasets/scale",
                                                          "replicasets/status",  "statefulsets",       "statefulsets/scale", "statefulsets/status"};
    const std::initializer_list<std::string_view> batch = {"cronjobs", "cronjobs/status", "jobs", "jobs/status"};
    const std::initializer_list<std::string_view> net = {"ingresses", "ingresses/status", "networkpolicies"};
    const auto view = [&](json::Array rules) {
        rules.push_back(rule({""}, core_view, read));
        rules.push_back(rule({"apps"}, apps, read));
        rules.push_back(rule({"batch"}, batch, read));
        rules.push_back(rule({"autoscaling"}, {"horizontalpodautoscalers", "horizontalpodautoscalers/status"}, read));
        rules.push_back(rule({"policy"}, {"poddisruptionbudgets", "poddisruptionbudgets/status"}, read));
        rules.push_back(rule({"networking.k8s.io"}, net, read));
        rules.push_back(rule({"discovery.k8s.io"}, {"endpointslices"}, read));
        return rules;
    };
    const auto edit = [&](json::Array rules) {
        rules = view(std::move(rules));
        rules.push_back(rule({""}, {"secrets"}, read));
        rules.push_back(rule({""},
                             {"configmaps", "events", "persistentvolumeclaims", "pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy",
                              "pods/eviction", "replicationcontrollers", "replicationcontrollers/scale", "secrets", "serviceaccounts",
                              "serviceaccounts/token", "services", "services/proxy"},
                             write));
        rules.push_back(rule({"apps"},
                             {"daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets", "replicasets/scale",
                              "statefulsets", "statefulsets/scale"},
                             write));
        rules.push_back(rule({"batch"}, {"cronjobs", "jobs"}, write));
        rules.push_back(rule({"autoscaling"}, {"horizontalpodautoscalers"}, write));
        rules.push_back(rule({"policy"}, {"poddisruptionbudgets"}, write));
        rules.push_back(rule({"networking.k8s.io"}, {"ingresses", "networkpolicies"}, write));
        return rules;
    };
    json::Array admin = edit({});
    admin.push_back(rule({"rbac.authorization.k8s.io"}, {"rolebindings", "roles"},
                         {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}));
    admin.push_back(rule({"authorization.k8s.io"}, {"localsubjectaccessreviews"}, {"create"}));

    std::vector<Value> out;
    out.push_back(cluster_role("cluster-admin", {rule({"*"}, {"*"}, {"*"}), urls({"*"}, {"*"})}));
    out.push_back(cluster_role("admin", std::move(admin)));
    out.push_back(cluster_role("edit", edit({})));
    out.push_back(cluster_role("view", view({})));
    out.push_back(
        cluster_role("system:basic-user", {rule({"authorization.k8s.io"}, {"selfsubjectaccessreviews", "selfsubjectrulesreviews"}, {"create"}),
                                           rule({"authentication.k8s.io"}, {"selfsubjectreviews"}, {"create"})}));
    out.push_back(cluster_role(
        "system:discovery",
        {urls({"/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"}, {"get"})}));
    out.push_back(cluster_role("system:public-info-viewer", {urls({"/healthz", "/livez", "/readyz", "/version", "/version/"}, {"get"})}));
    // The real ones list every resource; the components are ours here and may do what they need.
    out.push_back(cluster_role("system:kube-controller-manager", {rule({"*"}, {"*"}, {"*"}), urls({"*"}, {"*"})}));
    out.push_back(
        cluster_role("system:kube-scheduler", {rule({"*"}, {"*"}, {"get", "list", "watch"}), rule({""}, {"bindings", "pods/binding"}, {"create"}),
                                               rule({""}, {"pods/status"}, {"patch", "update"}), rule({""}, {"pods"}, {"delete"}),
                                               rule({"", "events.k8s.io"}, {"events"}, {"create", "patch", "update"}),
                                               rule({"coordination.k8s.io"}, {"leases"}, {"create", "get", "update"})}));
    out.push_back(cluster_role(
        "system:node",
        {rule({"*"}, {"*"}, {"get", "list", "watch"}), rule({""}, {"nodes", "nodes/status", "pods/status"}, {"create", "patch", "update"}),
         rule({""}, {"pods"}, {"create", "delete"}), rule({""}, {"pods/eviction"}, {"create"}),
         rule({""}, {"persistentvolumeclaims/status"}, {"patch", "update"}), rule({"", "events.k8s.io"}, {"events"}, {"create", "patch", "update"}),
         rule({"coordination.k8s.io"}, {"leases"}, {"create", "delete", "get", "patch", "update"})}));
    out.push_back(cluster_binding("cluster-admin", "cluster-admin", {{"Group", "system:masters"}}));
    out.push_back(cluster_binding("system:basic-user", "system:basic-user", {{"Group", "system:authenticated"}}));
    out.push_back(cluster_binding("system:discovery", "system:discovery", {{"Group", "system:authenticated"}}));
    out.push_back(cluster_binding("system:public-info-viewer", "system:public-info-viewer",
                                  {{"Group", "system:authenticated"}, {"Group", "system:unauthenticated"}}));
    out.push_back(cluster_binding("system:kube-controller-manager", "system:kube-controller-manager", {{"User", "system:kube-controller-manager"}}));
    out.push_back(cluster_binding("system:kube-scheduler", "system:kube-scheduler", {{"User", "system:kube-scheduler"}}));
    out.push_back(cluster_binding("system:node", "system:node", {{"Group", "system:nodes"}}));
    return out;
}

}  // namespace kn::sim::api
