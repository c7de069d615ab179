#include "evidence/sched.hpp"

#include <algorithm>
#include <array>

#include "evidence/template_diff.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::decision {
namespace {

using json::at;
using json::string_at;
using json::Value;

void add(std::map<std::string, double>& sum, const Value* requests) {
    if (requests == nullptr || !requests->is_object()) return;
    for (const auto& member : requests->get_object()) sum[std::string{member.key()}] += kube::quantity_at(&member.value()).value_or(0);
}

void raise_to(std::map<std::string, double>& sum, const std::map<std::string, double>& other) {
    for (const auto& [name, amount] : other) sum[name] = std::max(sum[name], amount);
}

// A limit without a request is the request (API defaulting; foreign servers may leave it to us).
std::map<std::string, double> container_requests(const Value& container) {
    std::map<std::string, double> out;
    add(out, at(container, "resources", "limits"));
    if (const auto* requests = at(container, "resources", "requests"); requests != nullptr && requests->is_object()) {
        for (const auto& member : requests->get_object()) out[std::string{member.key()}] = kube::quantity_at(&member.value()).value_or(0);
    }
    return out;
}

bool tolerates(const Value& pod_spec, const Value& taint) {
    for (const Value& t : json::array_at(pod_spec, "tolerations")) {
        const auto effect = string_at(t, "effect");
        if (!effect.empty() && effect != string_at(taint, "effect")) continue;
        const auto key = string_at(t, "key");
        const bool exists = string_at(t, "operator") == "Exists";
        if (key.empty()) {
            if (exists) return true;
            continue;
        }
        if (key != string_at(taint, "key")) continue;
        if (exists || string_at(t, "value") == string_at(taint, "value")) return true;
    }
    return false;
}

bool hard(const Value& taint) {
    const auto effect = string_at(taint, "effect");
    return effect == "NoSchedule" || effect == "NoExecute";
}

bool expression_holds(const Value& expression, std::optional<std::string_view> actual) {
    const auto op = string_at(expression, "operator");
    const auto& values = json::array_at(expression, "values");
    const auto among = [&] {
        return actual && std::ranges::any_of(values, [&](const Value& v) { return v.is_string() && json::view(v.get_string()) == *actual; });
    };
    if (op == "In") return among();
    if (op == "NotIn") return !among();
    if (op == "Exists") return actual.has_value();
    if (op == "DoesNotExist") return !actual.has_value();
    if ((op == "Gt" || op == "Lt") && actual && values.size() == 1 && values[0].is_string()) {
        const auto limit = std::strtoll(values[0].get_string().c_str(), nullptr, 10);
        const auto number = std::strtoll(std::string{*actual}.c_str(), nullptr, 10);
        return op == "Gt" ? number > limit : number < limit;
    }
    return false;
}

std::optional<std::string_view> label(const Value& object, std::string_view key) {
    const auto* found = at(object, "metadata", "labels", key);
    if (found == nullptr || !found->is_string()) return std::nullopt;
    return json::view(found->get_string());
}

bool term_holds(const Value& term, const Value& node) {
    const auto& expressions = json::array_at(term, "matchExpressions");
    const auto& fields = json::array_at(term, "matchFields");
    if (expressions.empty() && fields.empty()) return false;
    for (const Value& e : expressions) {
        if (!expression_holds(e, label(node, string_at(e, "key")))) return false;
    }
    for (const Value& e : fields) {
        if (string_at(e, "key") != "metadata.name" || !expression_holds(e, kube::name_of(node))) return false;
    }
    return true;
}

bool node_affinity_holds(const Value& pod_spec, const Value& node) {
    for (const auto& member : json::object_at(pod_spec, "nodeSelector")) {
        const auto actual = label(node, std::string_view{member.key()});
        if (!member.value().is_string() || !actual || *actual != json::view(member.value().get_string())) return false;
    }
    const auto* required = at(pod_spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution");
    if (required == nullptr || required->is_null()) return true;
    return std::ranges::any_of(json::array_at(*required, "nodeSelectorTerms"), [&](const Value& term) { return term_holds(term, node); });
}

struct Placement {
    const EvidenceSnapshot& snapshot;
    std::map<std::string, const Value*> node_by_name;
    std::map<std::string, std::vector<const Value*>> pods_on;
    std::map<std::string, std::map<std::string, double>> used;

    explicit Placement(const EvidenceSnapshot& s) : snapshot(s) {
        for (const auto& node : s.nodes.items) node_by_name[std::string{kube::name_of(*node)}] = node.get();
        for (const auto& pod : s.all_pods.items) {
            const auto node = string_at(*pod, "spec", "nodeName");
            const auto phase = string_at(*pod, "status", "phase");
            if (node.empty() || phase == "Succeeded" || phase == "Failed") continue;
            pods_on[std::string{node}].push_back(pod.get());
            auto& sum = used[std::string{node}];
            for (const auto& [name, amount] : requests_of(*at(*pod, "spec"))) sum[name] += amount;
        }
    }
};

bool selects(const Value& term, std::string_view own_ns, const Value& other) {
    const auto& namespaces = json::array_at(term, "namespaces");
    if (!namespaces.empty()) {
        if (!std::ranges::any_of(namespaces,
                                 [&](const Value& v) { return v.is_string() && json::view(v.get_string()) == kube::namespace_of(other); })) {
            return false;
        }
    } else if (at(term, "namespaceSelector") == nullptr && kube::namespace_of(other) != own_ns) {
        return false;
    }
    return kube::label_selector_matches(at(term, "labelSelector"), json::object_at(other, "metadata", "labels"));
}

bool pod_affinity_holds(const Value& pod, const Value& node, const Placement& placement) {
    const auto ns = kube::namespace_of(pod);
    const auto in_domain = [&](const Value& term, bool& any) {
        const auto key = string_at(term, "topologyKey");
        const auto domain = label(node, key);
        any = false;
        if (!domain) return false;
        for (const auto& [name, pods] : placement.pods_on) {
            const auto other = placement.node_by_name.find(name);
            if (other == placement.node_by_name.end() || label(*other->second, key) != domain) continue;
            for (const auto* each : pods) {
                if (kube::uid_of(*each) != kube::uid_of(pod) && selects(term, ns, *each)) any = true;
            }
        }
        return true;
    };
    bool any = false;
    for (const Value& term : json::array_at(pod, "spec", "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution")) {
        if (in_domain(term, any) && any) return false;
    }
    for (const Value& term : json::array_at(pod, "spec", "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution")) {
        if (!in_domain(term, any)) return false;
        // The first pod of a group that asks for its own company may go anywhere.
        if (!any && !kube::label_selector_matches(at(term, "labelSelector"), json::object_at(pod, "metadata", "labels"))) return false;
    }
    return true;
}

bool spread_holds(const Value& pod, const Value& node, const Placement& placement) {
    for (const Value& constraint : json::array_at(pod, "spec", "topologySpreadConstraints")) {
        if (string_at(constraint, "whenUnsatisfiable") == "ScheduleAnyway") continue;
        const auto key = string_at(constraint, "topologyKey");
        const auto own = label(node, key);
        if (!own) return false;
        std::map<std::string, int> counts;
        for (const auto& [name, other] : placement.node_by_name) {
            const auto domain = label(*other, key);
            if (!domain || !node_affinity_holds(*at(pod, "spec"), *other)) continue;
            auto& count = counts[std::string{*domain}];
            const auto found = placement.pods_on.find(name);
            if (found == placement.pods_on.end()) continue;
            for (const auto* each : found->second) {
                if (kube::namespace_of(*each) == kube::namespace_of(pod) && kube::uid_of(*each) != kube::uid_of(pod) &&
                    kube::label_selector_matches(at(constraint, "labelSelector"), json::object_at(*each, "metadata", "labels"))) {
                    ++count;
                }
            }
        }
        int smallest = INT32_MAX;
        for (const auto& [domain, count] : counts) smallest = std::min(smallest, count);
        if (smallest == INT32_MAX) smallest = 0;
        if (counts[std::string{*own}] + 1 - smallest > json::int_at(constraint, "maxSkew").value_or(1)) return false;
    }
    return true;
}

bool volumes_hold(const Value& pod, const Value& node, const EvidenceSnapshot& snapshot) {
    for (const auto& claim_name : claims_of(*at(pod, "spec"))) {
        for (const auto& claim : snapshot.claims.items) {
            if (kube::name_of(*claim) != claim_name || kube::namespace_of(*claim) != kube::namespace_of(pod)) continue;
            const auto volume_name = string_at(*claim, "spec", "volumeName");
            if (volume_name.empty()) continue;
            for (const auto& volume : snapshot.volumes.items) {
                if (kube::name_of(*volume) != volume_name) continue;
                const auto* required = at(*volume, "spec", "nodeAffinity", "required");
                if (required == nullptr) continue;
                if (!std::ranges::any_of(json::array_at(*required, "nodeSelectorTerms"), [&](const Value& t) { return term_holds(t, node); })) {
                    return false;
                }
            }
        }
    }
    return true;
}

std::set<std::string> tolerated_keys(const EvidenceSnapshot& snapshot) {
    std::set<std::string> keys;
    for (const auto& pod : snapshot.all_pods.items) {
        for (const Value& t : json::array_at(*pod, "spec", "tolerations")) {
            if (const auto key = string_at(t, "key"); !key.empty()) keys.emplace(key);
        }
    }
    return keys;
}

}  // namespace

std::map<std::string, double> requests_of(const Value& spec) {
    std::map<std::string, double> sum, sidecars, largest;
    for (const Value& container : json::array_at(spec, "containers")) {
        for (const auto& [name, amount] : container_requests(container)) sum[name] += amount;
    }
    for (const Value& container : json::array_at(spec, "initContainers")) {
        auto need = container_requests(container);
        if (string_at(container, "restartPolicy") == "Always") {
            for (const auto& [name, amount] : need) sidecars[name] += amount, sum[name] += amount;
            raise_to(largest, sidecars);
        } else {
            for (const auto& [name, amount] : sidecars) need[name] += amount;
            raise_to(largest, need);
        }
    }
    raise_to(sum, largest);
    if (const auto* requests = at(spec, "resources", "requests"); requests != nullptr && requests->is_object()) {
        for (const auto& member : requests->get_object()) sum[std::string{member.key()}] = kube::quantity_at(&member.value()).value_or(0);
    }
    add(sum, at(spec, "overhead"));
    return sum;
}

bool is_rule_taint(const Value& taint, const Value& node, const std::set<std::string>& tolerated) {
    const auto key = string_at(taint, "key");
    static constexpr std::array prefixes{"node.kubernetes.io/",
                                         "node-role.kubernetes.io/",
                                         "node.cloudprovider.kubernetes.io/",
                                         "karpenter.sh/",
                                         "cluster-autoscaler.kubernetes.io/",
                                         "ToBeDeletedByClusterAutoscaler",
                                         "DeletionCandidateOfClusterAutoscaler",
                                         "kubernaut.io/"};
    for (const auto* prefix : prefixes) {
        if (key.starts_with(prefix)) return true;
    }
    return label(node, key).has_value() || tolerated.contains(std::string{key});
}

bool daemon_pod_may_run(const Value& pod_spec, const Value& node) {
    if (!node_affinity_holds(pod_spec, node)) return false;
    for (const Value& taint : json::array_at(node, "spec", "taints")) {
        const auto key = string_at(taint, "key");
        // The DaemonSet controller adds tolerations for the node conditions and for cordons.
        if (key.starts_with("node.kubernetes.io/")) continue;
        if (hard(taint) && !tolerates(pod_spec, taint)) return false;
    }
    return true;
}

Feasibility check_feasibility(const Value& pod, const EvidenceSnapshot& snapshot) {
    Feasibility out;
    const auto* spec = at(pod, "spec");
    if (!snapshot.nodes.known || !snapshot.all_pods.known || spec == nullptr) return out;
    out.known = true;
    const Placement placement(snapshot);
    const auto need = requests_of(*spec);
    const auto tolerated = tolerated_keys(snapshot);
    for (const auto& [name, node] : placement.node_by_name) {
        ++out.nodes;
        std::set<Blocker> blockers;
        std::set<TaintRef> stray;
        const bool cordoned = json::bool_at(*node, "spec", "unschedulable").value_or(false);
        if (cordoned) blockers.insert(Blocker::cordon);
        for (const Value& taint : json::array_at(*node, "spec", "taints")) {
            if (!hard(taint) || tolerates(*spec, taint)) continue;
            const auto key = string_at(taint, "key");
            if (key == "node.kubernetes.io/unschedulable")
                blockers.insert(Blocker::cordon);
            else if (key.starts_with("node.kubernetes.io/"))
                blockers.insert(Blocker::not_ready);
            else if (is_rule_taint(taint, *node, tolerated))
                blockers.insert(Blocker::pool_taint);
            else {
                blockers.insert(Blocker::taint);
                stray.insert({name, std::string{key}, std::string{string_at(taint, "value")}, std::string{string_at(taint, "effect")}});
            }
        }
        if (const auto ready = kube::condition_of(*node, "Ready"); ready && ready->status != "True") blockers.insert(Blocker::not_ready);
        if (!node_affinity_holds(*spec, *node) || !pod_affinity_holds(pod, *node, placement) || !spread_holds(pod, *node, placement)) {
            blockers.insert(Blocker::affinity);
        }
        if (!volumes_hold(pod, *node, snapshot)) blockers.insert(Blocker::volume);
        const auto& allocatable = at(*node, "status", "allocatable") != nullptr ? json::object_at(*node, "status", "allocatable")
                                                                                : json::object_at(*node, "status", "capacity");
        const auto room = [&](const std::string& resource) { return kube::quantity_at(allocatable.if_contains(resource)).value_or(0); };
        const auto used = placement.used.find(name);
        std::string lacking;
        bool fits_empty = true;
        for (const auto& [resource, amount] : need) {
            if (amount <= 0) continue;
            double taken = 0;
            if (used != placement.used.end()) {
                if (const auto found = used->second.find(resource); found != used->second.end()) taken = found->second;
            }
            // Sums of quantities are not exact in binary: a millionth of slack.
            if (taken + amount > room(resource) * (1 + 1e-9) && lacking.empty()) lacking = resource;
            if (amount > room(resource) * (1 + 1e-9)) fits_empty = false;
        }
        if (!lacking.empty()) blockers.insert(Blocker::resources);
        const auto count = placement.pods_on.find(name);
        const double pods = count == placement.pods_on.end() ? 0 : static_cast<double>(count->second.size());
        if (const auto limit = room("pods"); limit > 0 && pods + 1 > limit) {
            blockers.insert(Blocker::resources);
            if (lacking.empty()) lacking = "pods";
        }
        const bool eligible = !blockers.contains(Blocker::pool_taint) && !blockers.contains(Blocker::affinity) && !blockers.contains(Blocker::volume);
        out.fits_empty_node = out.fits_empty_node || (eligible && fits_empty);
        if (blockers.empty()) {
            ++out.fits_now;
        } else if (blockers.size() == 1) {
            ++out.only[*blockers.begin()];
            if (*blockers.begin() == Blocker::taint) out.stray_taints.insert(stray.begin(), stray.end());
            if (*blockers.begin() == Blocker::resources && (out.short_resource.empty() || lacking < out.short_resource)) out.short_resource = lacking;
        }
    }
    return out;
}

}  // namespace kn::decision
