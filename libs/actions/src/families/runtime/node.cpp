#include "families/runtime/node.hpp"

#include <algorithm>
#include <array>

#include "families/families.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/capacity.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

std::string mark_of(const ActionContext& context) { return context.execution.str().empty() ? context.id.str() : context.execution.str(); }

std::vector<FieldChange> cordon_fields(bool cordon, const std::string& mark) {
    return {{.path = {"spec", "unschedulable"}, .after = cordon ? json::Value(true) : json::Value(nullptr)},
            {.path = {"metadata", "annotations", std::string(cordoned_by)}, .after = cordon ? json::Value(mark) : json::Value(nullptr)}};
}

class CordonNode final : public PatchAction {
public:
    explicit CordonNode(Shared& shared) : PatchAction("cordon_node", shared) {}

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto node, co_await read_node(context, spec(), params));
        Change wanted{.summary = "cordon node " + node.key.name};
        if (!json::bool_at(node.live, "spec", "unschedulable").value_or(false)) {
            KN_CO_CHECK(co_await check_enough_nodes(context, node));
            wanted.fields = cordon_fields(true, mark_of(context));
        }
        wanted.subject = std::move(node);
        co_return wanted;
    }

private:
    Task<Result<>> check_enough_nodes(const ActionContext& context, const Subject& node) {
        KN_CO_TRY(const auto nodes, co_await context.client->list(kube::resources::nodes, "", {}, call_deadline(context)));
        std::size_t ready = 0, open_elsewhere = 0;
        for (const auto& each : nodes.items) {
            if (!is_node_ready(each)) continue;
            ++ready;
            if (kube::name_of(each) != node.key.name && !json::bool_at(each, "spec", "unschedulable").value_or(false)) ++open_elsewhere;
        }
        if (static_cast<double>(ready) < settings().min_ready_nodes * static_cast<double>(nodes.items.size())) {
            co_return refuse("min_ready_nodes",
                             std::to_string(ready) + " of " + std::to_string(nodes.items.size()) + " nodes are Ready: too few to take one out");
        }
        if (open_elsewhere == 0) co_return refuse("last_node", "no other node takes pods");
        co_return Result<>{};
    }
};

class UncordonNode final : public PatchAction {
public:
    explicit UncordonNode(Shared& shared) : PatchAction("uncordon_node", shared) {}

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto node, co_await read_node(context, spec(), params));
        Change wanted{.summary = "uncordon node " + node.key.name};
        if (json::bool_at(node.live, "spec", "unschedulable").value_or(false)) {
            if (kube::annotation_of(node.live, cordoned_by).empty())
                co_return refuse("not_ours", "node " + node.key.name + " was cordoned by somebody else");
            wanted.fields = cordon_fields(false, {});
        }
        wanted.subject = std::move(node);
        co_return wanted;
    }
};

/// Taints that say what a node is or what its life cycle does; they are nobody's mistake.
bool is_system_taint(std::string_view key) {
    constexpr std::array prefixes{std::string_view{"node.kubernetes.io/"}, std::string_view{"node.cloudprovider.kubernetes.io/"},
                                  std::string_view{"node-role.kubernetes.io/"}, std::string_view{"karpenter.sh/"},
                                  std::string_view{"cluster-autoscaler.kubernetes.io/"}};
    constexpr std::array names{std::string_view{"ToBeDeletedByClusterAutoscaler"}, std::string_view{"DeletionCandidateOfClusterAutoscaler"}};
    return std::ranges::any_of(prefixes, [key](std::string_view prefix) { return key.starts_with(prefix); }) ||
           std::ranges::find(names, key) != names.end();
}

std::optional<std::size_t> find_taint(const json::Value& node, std::string_view key, std::string_view effect) {
    const auto& taints = json::array_at(node, "spec", "taints");
    for (std::size_t i = 0; i < taints.size(); ++i) {
        if (json::string_at(taints[i], "key") == key && json::string_at(taints[i], "effect") == effect) return i;
    }
    return std::nullopt;
}

/// Removes the taint at `at`, or adds it, at the place where it stood (`place`) if that still exists.
json::Value taint_patch(const json::Value& node, const json::Value& taint, std::optional<std::size_t> at, std::size_t place) {
    json::Array operations;
    const auto add = [&operations](std::string_view op, std::string path, const json::Value* value) {
        json::Object made;
        made["op"] = op, made["path"] = path;
        if (value != nullptr) made["value"] = *value;
        operations.emplace_back(std::move(made));
    };
    const json::Value version(kube::resource_version_of(node));
    add("test", "/metadata/resourceVersion", &version);
    if (at) {
        const auto path = "/spec/taints/" + std::to_string(*at);
        const auto& taints = json::array_at(node, "spec", "taints");
        add("test", path, &taints[*at]);
        add("remove", taints.size() == 1 ? "/spec/taints" : path, nullptr);  // no empty list is left behind
    } else if (json::at(node, "spec", "taints") == nullptr) {
        const json::Value list(json::Array(1, taint)), empty = json::Object{};
        if (json::at(node, "spec") == nullptr) add("add", "/spec", &empty);
        add("add", "/spec/taints", &list);
    } else {
        add("add", "/spec/taints/" + std::to_string(std::min(place, json::array_at(node, "spec", "taints").size())), &taint);
    }
    return json::Value(std::move(operations));
}

/// remove_taint and add_taint. Not fields but one element of a list: others come and go beside it by the node life cycle.
class TaintAction final : public BaseAction {
public:
    TaintAction(std::string_view name, Shared& shared, bool add) : BaseAction(name, shared), add_(add) {}

    Task<Result<ActionOutcome>> execute(const ActionContext& context) override { co_return co_await bring(context, add_, "target_changed"); }
    Task<Result<ActionOutcome>> compensate(const ActionContext& context) override { co_return co_await bring(context, !add_, "drift"); }

    Task<Result<AppliedCheck>> applied_already(const ActionContext& context) override {
        const auto node = co_await stored_node(context);
        if (!node) co_return unreadable_or(node.error());
        co_return is_there(*node, context.pre_image) == add_ ? AppliedCheck::applied : AppliedCheck::not_applied;
    }

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto node, co_await stored_node(context));
        if (is_there(node, context.pre_image) != add_) co_return false;
        if (add_ || context.target.key.kind == "Node") co_return true;
        // For a workload: its pods have found their nodes.
        const auto target = co_await read_object(context, context.target.key);
        if (!target) co_return true;
        KN_CO_TRY(const auto pods, co_await pods_of(context, *target));
        co_return std::ranges::none_of(pods,
                                       [](const json::Value& pod) { return node_of(pod).empty() && !is_finished(pod) && !kube::is_deleting(pod); });
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        const auto key = params.text("key"), effect = params.text("effect");
        if (is_system_taint(key)) co_return refuse("system_taint", "taint " + key + " belongs to the node life cycle, its role or an autoscaler");
        KN_CO_TRY(const auto node, co_await read_node(context, spec(), params));
        const auto at = find_taint(node.live, key, effect);
        json::Value taint;
        if (add_) {
            if (at) co_return refuse("already_there", "node " + node.key.name + " has that taint");
            json::Object made;
            made["key"] = key, made["effect"] = effect;
            if (params.has("value")) made["value"] = params.text("value");
            taint = json::Value(std::move(made));
        } else {
            if (!at) co_return refuse("condition_cleared", "node " + node.key.name + " has no taint " + key + ":" + effect);
            if (!kube::label_of(node.live, key).empty())
                co_return refuse("pool_rule", "a label of the same name says that the taint is a rule of its pool");
            taint = json::array_at(node.live, "spec", "taints")[*at];
        }
        auto image = identity_json(node);
        image["taint"] = taint;
        image["place"] = at.value_or(json::array_at(node.live, "spec", "taints").size());
        const auto bytes = json::canonical(taint);
        Prepared prepared;
        prepared.pre_image = json::Value(std::move(image));
        prepared.writes = {node.key.str()};
        prepared.request_digest = to_hex(sha256_parts({add_ ? "add taint" : "remove taint", node.key.str(), bytes}));
        prepared.summary = (add_ ? "add taint " : "remove taint ") + key + ":" + effect + (add_ ? " to node " : " from node ") + node.key.name;
        co_return prepared;
    }

private:
    static Task<Result<json::Value>> stored_node(const ActionContext& context) {
        KN_CO_TRY(auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        KN_CO_TRY(auto node, co_await reread(context, std::move(key), std::string(json::string_at(context.pre_image, "uid"))));
        co_return std::move(node.live);
    }
    static bool is_there(const json::Value& node, const json::Value& image) {
        return find_taint(node, json::string_at(image, "taint", "key"), json::string_at(image, "taint", "effect")).has_value();
    }

    /// Makes the taint be there or not; `otherwise` is the reason when another taint of that key and effect stands in its place.
    Task<Result<ActionOutcome>> bring(const ActionContext& context, bool there, std::string_view otherwise) {
        const auto* taint = json::at(context.pre_image, "taint");
        if (taint == nullptr) co_return fail(ErrorCode::internal, "no pre-image was stored for this action");
        KN_CO_TRY(const auto key, ObjectKey::parse(json::string_at(context.pre_image, "object")));
        const auto place = static_cast<std::size_t>(json::int_at(context.pre_image, "place").value_or(0));
        Calls calls;
        for (int attempt = 0;; ++attempt) {
            KN_CO_TRY(const auto node, co_await stored_node(context));
            const auto at = find_taint(node, json::string_at(*taint, "key"), json::string_at(*taint, "effect"));
            const bool same = at && same_value(&json::array_at(node, "spec", "taints")[*at], taint, false);
            if (at.has_value() == there && (!there || same)) co_return outcome(key, *taint, there, std::move(calls));
            if (at && !same)
                co_return refuse(otherwise, "another taint " + std::string(json::string_at(*taint, "key")) + " is on " + key.str() + " now");
            const auto answer =
                co_await context.client->patch(kube::resources::nodes, "", key.name, kube::PatchType::json, taint_patch(node, *taint, at, place),
                                               {.write = {.dry_run = context.dry_run}}, call_deadline(context));
            calls.push_back(call_result(context, call_text("PATCH", kube::resources::nodes, "", "", key.name), answer ? nullptr : &answer.error()));
            if (answer) co_return outcome(key, *taint, there, std::move(calls));
            KN_CO_TRY(const auto now, co_await stored_node(context));
            const bool conflict = answer.error().code == ErrorCode::aborted || (answer.error().code == ErrorCode::invalid_argument &&
                                                                                kube::resource_version_of(now) != kube::resource_version_of(node));
            if (!conflict) co_return fail(answer.error().with_context("writing " + key.str()));
            if (attempt >= 5) co_return refuse(otherwise, key.str() + " keeps changing under us");
            co_await async::sleep_for(*context.clock, Duration{10LL << attempt});
        }
    }

    static ActionOutcome outcome(const ObjectKey& node, const json::Value& taint, bool there, Calls calls) {
        json::Object output;
        output["object"] = node.str(), output["taint"] = taint, output["present"] = there, output["changed"] = !calls.empty();
        json::Object post;
        post["present"] = there;
        return {.output = json::Value(std::move(output)), .post_image = json::Value(std::move(post)), .calls = std::move(calls)};
    }

    bool add_;
};

}  // namespace

Task<Result<Subject>> read_node(const ActionContext& context, const ActionSpec& spec, const Params& params) {
    KN_CO_TRY(auto subject, co_await read_subject(context, spec, params.text("object")));
    if (subject.key.kind == "Node") co_return subject;
    const std::string name(node_of(subject.live));
    if (name.empty()) co_return refuse("not_scheduled", subject.key.str() + " runs on no node");
    ObjectKey key{.cluster = subject.key.cluster, .ns = {}, .kind = "Node", .group = {}, .name = name};
    co_return co_await reread(context, std::move(key), "");
}

Task<Result<ActionOutcome>> open_node_again(const ActionContext& context, const json::Value& stored) {
    KN_CO_TRY(auto key, ObjectKey::parse(json::string_at(stored, "object")));
    KN_CO_TRY(const auto node, co_await reread(context, std::move(key), std::string(json::string_at(stored, "uid"))));
    Calls calls;
    auto image = Image::of(node, kube::PatchType::strategic, {});
    if (kube::annotation_of(node.live, cordoned_by) == mark_of(context))
        image = Image::of(node, kube::PatchType::strategic, cordon_fields(false, {}));
    KN_CO_TRY(const auto now, co_await write_fields(context, image, Direction::apply, calls));
    co_return patch_outcome(image, now, std::move(calls), false);
}

void add_node_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<CordonNode>(shared));
    list.push_back(std::make_unique<UncordonNode>(shared));
    list.push_back(std::make_unique<TaintAction>("remove_taint", shared, false));
    list.push_back(std::make_unique<TaintAction>("add_taint", shared, true));
}

}  // namespace kn::actions
