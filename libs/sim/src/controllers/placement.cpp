#include "controllers/placement.hpp"

#include <algorithm>

namespace kn::sim {
namespace {

Resources resources_at(const Value* list) {
    Resources out;
    if (list == nullptr || !list->is_object()) return out;
    for (const auto& [key, value] : list->get_object()) {
        const double amount = kube::quantity_at(&value).value_or(0);
        if (key == "cpu")
            out.cpu = amount;
        else if (key == "memory")
            out.memory = amount;
        else if (key == "ephemeral-storage")
            out.storage = amount;
        else if (key != "pods")
            out.extended[std::string(key)] = amount;
    }
    return out;
}

bool expression_holds(const Value& expression, const std::function<const Value*(std::string_view)>& value_of) {
    const Value* value = value_of(json::string_at(expression, "key"));
    const auto op = json::string_at(expression, "operator");
    const auto& values = json::array_at(expression, "values");
    const auto listed = [&] { return value != nullptr && std::ranges::any_of(values, [&](const Value& each) { return each == *value; }); };
    if (op == "In") return listed();
    if (op == "NotIn") return !listed();
    if (op == "Exists") return value != nullptr;
    if (op == "DoesNotExist") return value == nullptr;
    if ((op == "Gt" || op == "Lt") && value != nullptr && value->is_string() && !values.empty() && values[0].is_string()) {
        const auto a = std::strtoll(value->get_string().c_str(), nullptr, 10), b = std::strtoll(values[0].get_string().c_str(), nullptr, 10);
        return op == "Gt" ? a > b : a < b;
    }
    return false;
}

}  // namespace

void Resources::add(const Resources& other) {
    cpu += other.cpu, memory += other.memory, storage += other.storage;
    for (const auto& [name, amount] : other.extended) extended[name] += amount;
}

void Resources::subtract(const Resources& other) {
    cpu -= other.cpu, memory -= other.memory, storage -= other.storage;
    for (const auto& [name, amount] : other.extended) extended[name] -= amount;
}

Resources requests_of(const Value& spec) {
    Resources sum;
    const auto request_of = [](const Value& container) {
        auto requests = resources_at(json::at(container, "resources", "requests"));
        const auto limits = resources_at(json::at(container, "resources", "limits"));
        // The server fills requests from limits; objects that were never defaulted count the same.
        if (requests.cpu == 0 && json::at(container, "resources", "requests", "cpu") == nullptr) requests.cpu = limits.cpu;
        if (requests.memory == 0 && json::at(container, "resources", "requests", "memory") == nullptr) requests.memory = limits.memory;
        return requests;
    };
    for (const auto& container : json::array_at(spec, "containers")) sum.add(request_of(container));
    Resources sidecars;
    for (const auto& container : json::array_at(spec, "initContainers")) {
        auto need = request_of(container);
        if (json::string_at(container, "restartPolicy") == "Always") {
            sidecars.add(need);
            sum.add(need);
            continue;
        }
        need.add(sidecars);
        sum.cpu = std::max(sum.cpu, need.cpu);
        sum.memory = std::max(sum.memory, need.memory);
        sum.storage = std::max(sum.storage, need.storage);
    }
    sum.add(resources_at(json::at(spec, "overhead")));
    return sum;
}

Resources allocatable_of(const Value& node) { return resources_at(json::at(node, "status", "allocatable")); }

bool tolerates(const json::Array& tolerations, const Value& taint) {
    return std::ranges::any_of(tolerations, [&](const Value& toleration) {
        const auto effect = json::string_at(toleration, "effect");
        if (!effect.empty() && effect != json::string_at(taint, "effect")) return false;
        const auto key = json::string_at(toleration, "key");
        if (!key.empty() && key != json::string_at(taint, "key")) return false;
        const auto op = json::string_at(toleration, "operator");
        if (op == "Exists") return true;
        return !key.empty() && json::string_at(toleration, "value") == json::string_at(taint, "value");
    });
}

const Value* untolerated_taint(const Value& spec, const Value& node, bool no_execute_only) {
    const auto& tolerations = json::array_at(spec, "tolerations");
    for (const auto& taint : json::array_at(node, "spec", "taints")) {
        const auto effect = json::string_at(taint, "effect");
        if (effect != "NoExecute" && (no_execute_only || effect != "NoSchedule")) continue;
        if (!tolerates(tolerations, taint)) return &taint;
    }
    return nullptr;
}

bool fits_node_affinity(const Value& spec, const Value& node) {
    const auto& labels = json::object_at(node, "metadata", "labels");
    for (const auto& [key, value] : json::object_at(spec, "nodeSelector")) {
        const auto* found = labels.if_contains(key);
        if (found == nullptr || *found != value) return false;
    }
    const auto* terms = json::at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms");
    if (terms == nullptr || !terms->is_array()) return true;
    const Value name(kube::name_of(node));
    return std::ranges::any_of(terms->get_array(), [&](const Value& term) {
        const auto& expressions = json::array_at(term, "matchExpressions");
        const auto& fields = json::array_at(term, "matchFields");
        if (expressions.empty() && fields.empty()) return false;
        return std::ranges::all_of(
                   expressions, [&](const Value& e) { return expression_holds(e, [&](std::string_view key) { return labels.if_contains(key); }); }) &&
               std::ranges::all_of(fields, [&](const Value& e) {
                   return expression_holds(e, [&](std::string_view key) { return key == "metadata.name" ? &name : nullptr; });
               });
    });
}

}  // namespace kn::sim
