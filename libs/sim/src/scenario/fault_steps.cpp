#include <algorithm>

#include "common/text.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"
#include "scenario/state.hpp"

namespace kn::sim {
namespace {

namespace r = kube::resources;
using Done = async::Task<Result<>>;

kube::WriteOptions as_person(const json::Value& body) {
    const auto by = json::string_at(body, "by");
    return {.field_manager = by.empty() ? "kubectl-edit" : std::string(by), .field_validation = "Warn"};
}

Result<kube::PatchType> patch_type(const json::Value& body) {
    const auto type = json::string_at(body, "type");
    if (type.empty() || type == "strategic") return kube::PatchType::strategic;
    if (type == "merge") return kube::PatchType::merge;
    if (type == "json") return kube::PatchType::json;
    return fail(ErrorCode::invalid_argument, "type is strategic, merge or json");
}

Done patch(Stage stage, json::Value body, Deadline deadline) {
    const auto object = ObjectName::parse(json::string_at(body, "object"));
    auto done = co_await stage.client->patch(*object->resource, object->ns, object->name, *patch_type(body), *json::at(body, "patch"),
                                             {.write = as_person(body), .subresource = std::string(json::string_at(body, "subresource"))}, deadline);
    co_return done ? Result<>{} : fail(std::move(done).error());
}

/// The node that a step means: by name, or the one where a pod of `hosting` runs (the one with most of them).
async::Task<Result<std::string>> node_of(Scenario::State* state, Stage stage, json::Value body, Deadline deadline) {
    if (body.is_string()) co_return std::string(json::view(body.get_string()));
    if (const auto name = json::string_at(body, "node"); !name.empty()) co_return std::string(name);
    const auto object = ObjectName::parse(json::string_at(body, "hosting"));
    if (!object) co_return fail(object.error());
    KN_CO_TRY(const auto pods, co_await stage.client->list(r::pods, object->ns, {.label_selector = "app=" + object->name}, deadline));
    std::map<std::string, int> count;
    for (const auto& pod : pods.items) {
        if (const auto node = json::string_at(pod, "spec", "nodeName"); !node.empty()) ++count[std::string(node)];
    }
    if (count.empty()) co_return fail(ErrorCode::failed_precondition, "no pod of " + object->text() + " is on a node");
    const auto most = std::ranges::max_element(count, {}, [](const auto& each) { return each.second; });
    state->variables["node"] = most->first;
    co_return most->first;
}

Done taint(Scenario::State* state, Stage stage, json::Value body, Deadline deadline) {
    KN_CO_TRY(const auto name, co_await node_of(state, stage, body, deadline));
    KN_CO_TRY(const auto node, co_await stage.client->get(r::nodes, {}, name, deadline));
    json::Array taints = json::array_at(node, "spec", "taints");
    json::Object added{{"key", json::string_at(body, "key")}, {"effect", "NoSchedule"}};
    if (const auto value = json::string_at(body, "value"); !value.empty()) added["value"] = value;
    if (const auto effect = json::string_at(body, "effect"); !effect.empty()) added["effect"] = effect;
    taints.push_back(std::move(added));
    auto done =
        co_await stage.client->patch(r::nodes, {}, name, kube::PatchType::merge, json::Object{{"spec", json::Object{{"taints", std::move(taints)}}}},
                                     {.write = as_person(body)}, deadline);
    co_return done ? Result<>{} : fail(std::move(done).error());
}

Done cordon(Scenario::State* state, Stage stage, json::Value body, Deadline deadline) {
    KN_CO_TRY(const auto name, co_await node_of(state, stage, body, deadline));
    auto done = co_await stage.client->patch(r::nodes, {}, name, kube::PatchType::merge,
                                             json::Object{{"spec", json::Object{{"unschedulable", true}}}}, {.write = as_person(body)}, deadline);
    co_return done ? Result<>{} : fail(std::move(done).error());
}

Done volume_use(Stage stage, json::Value body, Deadline) {
    const auto parts = split(json::string_at(body, "claim"), '/');
    const Instant now = stage.client->clock().now();
    VolumeUse use{.since = now};
    const double capacity = stage.metrics->volume_capacity(parts[0], parts[1], now);
    if (capacity <= 0) co_return fail(ErrorCode::failed_precondition, "volume " + parts[0] + "/" + parts[1] + " is not bound");
    use.used = stage.metrics->volume_used(parts[0], parts[1], now);
    if (const auto ratio = json::double_at(body, "ratio")) use.used = *ratio * capacity;
    use.growth = kube::quantity_at(json::at(body, "growth")).value_or(0);
    stage.metrics->set_volume_use(parts[0], parts[1], use);
    co_return Result<>{};
}

/// Pods that ended badly and that nobody cleans away, as an old node leaves them behind.
Done litter(Stage stage, json::Value body, Deadline deadline) {
    const std::string ns(json::string_at(body, "ns"));
    stage.book->add_image("registry.example/batch:1.0");
    for (std::int64_t i = 0; i < json::int_at(body, "count").value_or(10); ++i) {
        const std::string name = std::string(json::string_at(body, "name")) + "-" + std::to_string(i);
        const json::Object container{{"name", "app"}, {"image", "registry.example/batch:1.0"}, {"command", json::Array{"sh", "-c", "exit 1"}}};
        json::Object pod{
            {"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", json::Object{{"name", name}, {"namespace", ns}, {"labels", json::Object{{"app", json::string_at(body, "name")}}}}},
            {"spec", json::Object{{"restartPolicy", "Never"}, {"containers", json::Array{container}}}}};
        auto made = co_await stage.client->create(r::pods, ns, std::move(pod), as_person(body), deadline);
        if (!made) co_return fail(std::move(made).error());
    }
    co_return Result<>{};
}

Duration paced(const Stage& stage, std::string_view text) {
    return Duration{static_cast<std::int64_t>(static_cast<double>(parse_duration(text).value_or(0ms).count()) / std::max(1.0, stage.hurry))};
}

}  // namespace

Result<> validate_fault_step(const Step& step) {
    const auto& body = step.body;
    const auto need = [&](std::string_view key) -> Result<> {
        if (json::at(body, key) != nullptr) return {};
        return fail(ErrorCode::invalid_argument, step.kind + " needs '" + std::string(key) + "'");
    };
    if (step.kind == "wait") {
        if (!body.is_string()) return fail(ErrorCode::invalid_argument, "expected a duration such as 6m");
        const auto duration = parse_duration(json::view(body.get_string()));
        return duration ? Result<>{} : fail(duration.error());
    }
    if (step.kind == "patch") {
        KN_CHECK(need("patch"));
        if (const auto type = patch_type(body); !type) return fail(type.error());
        const auto object = ObjectName::parse(json::string_at(body, "object"));
        return object ? Result<>{} : fail(object.error());
    }
    if (step.kind == "delete") {
        const auto object = ObjectName::parse(body.is_string() ? json::view(body.get_string()) : json::string_at(body, "object"));
        return object ? Result<>{} : fail(object.error());
    }
    if (step.kind == "create")
        return kube::resource_of(body) != nullptr ? Result<>{} : fail(ErrorCode::invalid_argument, "apiVersion and kind name nothing that is known");
    if (step.kind == "behaviour") {
        BehaviourBook scratch;
        return scratch.add_rule(body);
    }
    if (step.kind == "taint") return need("key");
    if (step.kind == "volume_use")
        return json::string_at(body, "claim").contains('/') ? Result<>{}
                                                            : fail(ErrorCode::invalid_argument, "volume_use needs claim: namespace/name");
    if (step.kind == "load") {
        KN_CHECK(need("workload"));
        return need("cores");
    }
    if (step.kind == "node_condition") return need("type");
    if (step.kind == "registry") return need("host");
    if (step.kind == "litter") {
        KN_CHECK(need("ns"));
        return need("name");
    }
    if (step.kind == "stop_node" || step.kind == "start_node" || step.kind == "cordon" || step.kind == "remove_behaviour") return {};
    return fail(ErrorCode::invalid_argument, "unknown step '" + step.kind + "'");
}

async::Task<Result<>> run_fault_step(Scenario::State* state, Stage stage, Step step, Deadline deadline) {
    const json::Value& body = step.body;
    if (step.kind == "wait") {
        co_await async::sleep_for(stage.client->clock(), paced(stage, json::view(body.get_string())));
        co_return Result<>{};
    }
    if (step.kind == "patch") co_return co_await patch(stage, body, deadline);
    if (step.kind == "delete") {
        const auto object = ObjectName::parse(body.is_string() ? json::view(body.get_string()) : json::string_at(body, "object"));
        auto done = co_await stage.client->remove(*object->resource, object->ns, object->name, {}, deadline);
        co_return done ? Result<>{} : fail(std::move(done).error());
    }
    if (step.kind == "create") {
        const auto name = name_of_object(body);
        auto done =
            co_await stage.client->create(*name.resource, name.ns, body, {.field_manager = "kubectl-create", .field_validation = "Warn"}, deadline);
        co_return done ? Result<>{} : fail(std::move(done).error());
    }
    if (step.kind == "behaviour") co_return stage.book->add_rule(body);
    if (step.kind == "remove_behaviour") {
        if (body.is_string()) stage.book->remove_rule(json::view(body.get_string()));
        co_return Result<>{};
    }
    if (step.kind == "taint") co_return co_await taint(state, stage, body, deadline);
    if (step.kind == "cordon") co_return co_await cordon(state, stage, body, deadline);
    if (step.kind == "volume_use") co_return co_await volume_use(stage, body, deadline);
    if (step.kind == "litter") co_return co_await litter(stage, body, deadline);
    if (step.kind == "load") {
        stage.metrics->set_load(json::string_at(body, "workload"), stage.client->clock().now(), json::double_at(body, "cores").value_or(0));
        co_return Result<>{};
    }
    if (step.kind == "registry") {
        stage.book->registry(json::string_at(body, "host")).down = json::bool_at(body, "down").value_or(true);
        co_return Result<>{};
    }
    KN_CO_TRY(const auto node, co_await node_of(state, stage, body, deadline));
    if (stage.kubelet == nullptr) co_return fail(ErrorCode::failed_precondition, step.kind + " needs our own kubelets on the stage");
    if (step.kind == "stop_node") {
        stage.kubelet->stop_node(node);
        state->stopped_nodes.insert(node);
    } else if (step.kind == "start_node") {
        stage.kubelet->start_node(node);
        state->stopped_nodes.erase(node);
    } else {
        stage.kubelet->set_condition(node, json::string_at(body, "type"), json::bool_at(body, "status").value_or(true));
    }
    co_return Result<>{};
}

}  // namespace kn::sim
