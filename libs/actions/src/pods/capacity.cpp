#include "pods/capacity.hpp"

#include <algorithm>

#include "kubernaut/kube/object.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

double amount(const json::Value& container, std::string_view which, std::string_view resource) {
    const auto* value = json::at(container, "resources", std::string(which), std::string(resource));
    return kube::quantity_at(value).value_or(0);
}

/// A missing request is the limit, as the API server fills it in for new pods; templates may still lack it.
double request(const json::Value& container, std::string_view resource) {
    const auto* value = json::at(container, "resources", "requests", std::string(resource));
    return value == nullptr ? amount(container, "limits", resource) : kube::quantity_at(value).value_or(0);
}

bool expression_holds(const json::Value& expression, const json::Object& labels) {
    const auto key = json::string_at(expression, "key");
    const auto op = json::string_at(expression, "operator");
    const auto* label = labels.if_contains(key);
    if (op == "Gt" || op == "Lt") {
        if (label == nullptr || !label->is_string()) return false;
        const auto have = kube::parse_quantity(json::view(label->get_string()));
        const auto want = kube::parse_quantity(json::string_at(expression, "values", 0));
        return have && want && (op == "Gt" ? *have > *want : *have < *want);
    }
    json::Object one;
    one["matchExpressions"] = json::Array(1, expression);
    const json::Value selector(std::move(one));
    return kube::label_selector_matches(&selector, labels);
}

bool affinity_holds(const json::Value& pod_spec, const Room& room) {
    for (const auto& [key, value] : json::object_at(pod_spec, "nodeSelector")) {
        const auto* label = room.labels.if_contains(key);
        if (label == nullptr || *label != value) return false;
    }
    const auto& terms = json::array_at(pod_spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms");
    if (terms.empty()) return true;
    return std::ranges::any_of(terms, [&room](const json::Value& term) {
        const auto& fields = json::array_at(term, "matchFields");  // only metadata.name exists
        const bool named = std::ranges::all_of(fields, [&room](const json::Value& field) {
            return std::ranges::any_of(json::array_at(field, "values"),
                                       [&room](const json::Value& v) { return v.is_string() && json::view(v.get_string()) == room.name; });
        });
        return named && std::ranges::all_of(json::array_at(term, "matchExpressions"),
                                            [&room](const json::Value& each) { return expression_holds(each, room.labels); });
    });
}

bool has_room(const Room& room, const Need& need, const json::Value& pod_spec) {
    if (!room.schedulable || !room.ready || room.pods < 1 || room.cpu < need.cpu || room.memory < need.memory) return false;
    return admits(room, pod_spec);
}

}  // namespace

bool admits(const Room& room, const json::Value& pod_spec) {
    const bool tolerated = std::ranges::all_of(room.taints, [&pod_spec](const json::Value& taint) {
        return json::string_at(taint, "effect") == "PreferNoSchedule" || tolerates(pod_spec, taint);
    });
    return tolerated && affinity_holds(pod_spec, room);
}

bool is_node_ready(const json::Value& node) {
    const auto ready = kube::condition_of(node, "Ready");
    return ready && ready->status == "True";
}

Need need_of(const json::Value& pod_spec) {
    Need sum;
    for (const auto& container : json::array_at(pod_spec, "containers")) {
        sum.cpu += request(container, "cpu");
        sum.memory += request(container, "memory");
    }
    for (const auto& container : json::array_at(pod_spec, "initContainers")) {
        sum.cpu = std::max(sum.cpu, request(container, "cpu"));
        sum.memory = std::max(sum.memory, request(container, "memory"));
    }
    return sum;
}

bool tolerates(const json::Value& pod_spec, const json::Value& taint) {
    return std::ranges::any_of(json::array_at(pod_spec, "tolerations"), [&taint](const json::Value& toleration) {
        const auto effect = json::string_at(toleration, "effect");
        if (!effect.empty() && effect != json::string_at(taint, "effect")) return false;
        const auto key = json::string_at(toleration, "key");
        if (json::string_at(toleration, "operator") == "Exists") return key.empty() || key == json::string_at(taint, "key");
        return key == json::string_at(taint, "key") && json::string_at(toleration, "value") == json::string_at(taint, "value");
    });
}

Task<Result<std::vector<Room>>> read_rooms(const ActionContext& context, std::string leave_out) {
    KN_CO_TRY(const auto nodes, co_await context.client->list(kube::resources::nodes, "", {}, call_deadline(context)));
    KN_CO_TRY(const auto pods, co_await context.client->list(kube::resources::pods, "", {}, call_deadline(context)));
    std::map<std::string, Need, std::less<>> used;
    std::map<std::string, double, std::less<>> count;
    for (const auto& pod : pods.items) {
        const std::string node(node_of(pod));
        if (node.empty() || is_finished(pod)) continue;
        const auto need = need_of(*json::at(pod, "spec"));
        used[node].cpu += need.cpu;
        used[node].memory += need.memory;
        count[node] += 1;
    }
    std::vector<Room> rooms;
    for (const auto& node : nodes.items) {
        Room room;
        room.name = kube::name_of(node);
        if (room.name == leave_out) continue;
        room.labels = json::object_at(node, "metadata", "labels");
        room.taints = json::array_at(node, "spec", "taints");
        room.schedulable = !json::bool_at(node, "spec", "unschedulable").value_or(false);
        room.ready = is_node_ready(node);
        room.allocatable_cpu = kube::quantity_at(json::at(node, "status", "allocatable", "cpu")).value_or(0);
        room.allocatable_memory = kube::quantity_at(json::at(node, "status", "allocatable", "memory")).value_or(0);
        room.cpu = room.allocatable_cpu - used[room.name].cpu;
        room.memory = room.allocatable_memory - used[room.name].memory;
        room.pods = kube::quantity_at(json::at(node, "status", "allocatable", "pods")).value_or(110) - count[room.name];
        rooms.push_back(std::move(room));
    }
    co_return rooms;
}

bool take_room(std::vector<Room>& rooms, const json::Value& pod_spec) {
    const auto need = need_of(pod_spec);
    const auto found = std::ranges::find_if(rooms, [&](const Room& room) { return has_room(room, need, pod_spec); });
    if (found == rooms.end()) return false;
    found->cpu -= need.cpu;
    found->memory -= need.memory;
    found->pods -= 1;
    return true;
}

std::map<std::string, double> quota_of(const json::Value& pod_spec, double count) {
    std::map<std::string, double> more{{"pods", count}, {"count/pods", count}};
    const auto need = need_of(pod_spec);
    double cpu = 0, memory = 0;
    for (const auto& container : json::array_at(pod_spec, "containers")) {
        cpu += amount(container, "limits", "cpu");
        memory += amount(container, "limits", "memory");
    }
    more["requests.cpu"] = more["cpu"] = need.cpu * count;
    more["requests.memory"] = more["memory"] = need.memory * count;
    more["limits.cpu"] = cpu * count;
    more["limits.memory"] = memory * count;
    return more;
}

Task<Result<std::optional<std::string>>> quota_blocks(const ActionContext& context, std::string ns, std::map<std::string, double> more) {
    KN_CO_TRY(const auto quotas, co_await context.client->list(kube::resources::resource_quotas, ns, {}, call_deadline(context)));
    for (const auto& quota : quotas.items) {
        if (!json::array_at(quota, "spec", "scopes").empty() || json::at(quota, "spec", "scopeSelector") != nullptr) continue;
        for (const auto& [resource, hard] : json::object_at(quota, "spec", "hard")) {
            const auto asked = more.find(std::string(resource));
            const auto limit = kube::quantity_at(&hard);
            if (asked == more.end() || asked->second <= 0 || !limit) continue;
            const auto used = kube::quantity_at(json::at(quota, "status", "used", std::string(resource))).value_or(0);
            if (used + asked->second > *limit * (1 + 1e-9)) {
                co_return std::optional("quota " + std::string(kube::name_of(quota)) + " leaves no room for more " + std::string(resource));
            }
        }
    }
    co_return std::optional<std::string>{};
}

}  // namespace kn::actions
