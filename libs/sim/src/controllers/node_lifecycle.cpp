#include <algorithm>
#include <array>

#include "controllers/placement.hpp"

namespace kn::sim {
namespace {

constexpr std::string_view lease_ns = "kube-node-lease";
constexpr std::string_view unreachable = "node.kubernetes.io/unreachable", not_ready = "node.kubernetes.io/not-ready";

/// Watches Leases: a node whose kubelet is silent becomes Unknown, gets its taints, and its pods are marked unready.
class NodeLifecycleController final : public Controller {
public:
    explicit NodeLifecycleController(ControllerContext& context) : Controller(context, "node-controller") {}
    void wire() override {
        watch(r::nodes, [this](const ObjectPtr& node, const ObjectPtr& before, bool deleted) {
            const std::string key = key_of(*node);
            // A status that the kubelet wrote is a sign of life as well as its Lease.
            const auto heartbeat = [](const Value& of) {
                for (const auto& condition : json::array_at(of, "status", "conditions")) {
                    if (json::string_at(condition, "type") == "Ready") return json::string_at(condition, "lastHeartbeatTime");
                }
                return std::string_view{};
            };
            if (deleted)
                heard_.erase(std::string(kube::name_of(*node)));
            else if (before != nullptr && heartbeat(*before) != heartbeat(*node))
                heard_[std::string(kube::name_of(*node))] = client().clock().steady();
            queue_.add(key);
        });
        watch(r::leases, [this](const ObjectPtr& lease, const ObjectPtr& before, bool deleted) {
            if (deleted || kube::namespace_of(*lease) != lease_ns) return;
            const auto renewed = json::string_at(*lease, "spec", "renewTime");
            if (before != nullptr && json::string_at(*before, "spec", "renewTime") == renewed) return;
            auto& heard = heard_[std::string(kube::name_of(*lease))];
            heard = client().clock().steady();
            // A renewal matters at once only for a node that was given up.
            if (const auto node = cache(r::nodes).find({}, kube::name_of(*lease)); node != nullptr && !reachable(*node)) queue_.add(key_of(*node));
        });
        watch(r::pods, [](const ObjectPtr&, const ObjectPtr&, bool) {});
    }
    void begin() override {
        for (const auto& node : cache(r::nodes).list()) {
            heard_.try_emplace(std::string(kube::name_of(*node)), client().clock().steady());
            queue_.add(key_of(*node));
        }
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    static bool reachable(const Value& node) {
        const auto ready = kube::condition_of(node, "Ready");
        return ready && ready->status != "Unknown";
    }
    static bool is_ready(const Value& node) {
        const auto ready = kube::condition_of(node, "Ready");
        return ready && ready->status == "True";
    }
    Task<Result<>> give_up(ObjectPtr& node);
    Task<Result<>> set_taints(ObjectPtr node);
    Task<Result<>> mark_pods(ObjectPtr node);
    std::map<std::string, SteadyTime, std::less<>> heard_;  // when a lease was last seen to change, by our own clock
};

Task<Result<Duration>> NodeLifecycleController::reconcile(std::string key) {
    auto node = find(r::nodes, key);
    if (node == nullptr) co_return Duration{};
    const SteadyTime steady = client().clock().steady();
    const SteadyTime heard = heard_.try_emplace(std::string(kube::name_of(*node)), steady).first->second;
    const Duration silent = std::chrono::floor<Duration>(steady - heard);
    const Duration grace = context_.options.node_grace;
    if (silent >= grace && reachable(*node)) KN_CO_CHECK(co_await give_up(node));
    KN_CO_CHECK(co_await set_taints(node));
    if (!is_ready(*node)) KN_CO_CHECK(co_await mark_pods(node));
    co_return silent < grace ? grace - silent : Duration{};
}

Task<Result<>> NodeLifecycleController::give_up(ObjectPtr& node) {
    json::Object status = json::object_at(*node, "status");
    json::Array conditions = json::array_at(*node, "status", "conditions");
    for (const std::string_view type : {"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"}) {
        set_condition(conditions, type, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", now());
    }
    auto done = co_await writer_.merge(r::nodes, {}, std::string(kube::name_of(*node)),
                                       json::Object{{"status", json::Object{{"conditions", std::move(conditions)}}}}, "status");
    if (!done) co_return fail(std::move(done).error());
    node = std::make_shared<const Value>(*std::move(done));
    note(*node, false, "NodeNotReady", "Node " + std::string(kube::name_of(*node)) + " status is now: NodeNotReady");
    co_return Result<>{};
}

Task<Result<>> NodeLifecycleController::set_taints(ObjectPtr node) {
    const auto ready = kube::condition_of(*node, "Ready");
    const bool unknown = ready && ready->status == "Unknown", down = !ready || ready->status == "False";
    // When every node is gone the trouble is ours: nothing is evicted then.
    const auto nodes = cache(r::nodes).list();
    const bool all_down = nodes.size() > 1 && std::ranges::none_of(nodes, [](const ObjectPtr& each) { return is_ready(*each); });
    json::Array taints;
    bool has_execute = false;
    const auto ours = [](std::string_view key) {
        static constexpr std::array keys{unreachable,
                                         not_ready,
                                         std::string_view("node.kubernetes.io/unschedulable"),
                                         std::string_view("node.kubernetes.io/memory-pressure"),
                                         std::string_view("node.kubernetes.io/disk-pressure"),
                                         std::string_view("node.kubernetes.io/pid-pressure")};
        return std::ranges::find(keys, key) != keys.end();
    };
    json::Array before = json::array_at(*node, "spec", "taints");
    std::map<std::string, Value> added;
    for (const auto& taint : before) {
        const auto key = json::string_at(taint, "key");
        if (!ours(key))
            taints.push_back(taint);
        else
            added[std::string(key) + "/" + std::string(json::string_at(taint, "effect"))] = taint;
        has_execute = has_execute || json::string_at(taint, "effect") == "NoExecute";
    }
    const auto want = [&](std::string_view key, std::string_view effect, bool timed) {
        const auto kept = added.find(std::string(key) + "/" + std::string(effect));
        if (kept != added.end()) {
            taints.push_back(kept->second);
            return;
        }
        json::Object taint{{"key", key}, {"effect", effect}};
        if (timed) taint["timeAdded"] = seconds_time(now());
        taints.push_back(std::move(taint));
    };
    if (unknown) want(unreachable, "NoSchedule", true);
    if (down) want(not_ready, "NoSchedule", true);
    if (unknown && (!all_down || has_execute)) want(unreachable, "NoExecute", true);
    if (down && (!all_down || has_execute)) want(not_ready, "NoExecute", true);
    if (json::bool_at(*node, "spec", "unschedulable").value_or(false)) want("node.kubernetes.io/unschedulable", "NoSchedule", true);
    for (const auto& [type, key] :
         {std::pair{"MemoryPressure", "node.kubernetes.io/memory-pressure"}, std::pair{"DiskPressure", "node.kubernetes.io/disk-pressure"},
          std::pair{"PIDPressure", "node.kubernetes.io/pid-pressure"}}) {
        const auto pressure = kube::condition_of(*node, type);
        if (pressure && pressure->status == "True") want(key, "NoSchedule", true);
    }
    const auto sorted = [](json::Array list) {
        std::vector<std::string> texts;
        for (const auto& each : list) texts.push_back(json::canonical(each));
        std::ranges::sort(texts);
        return texts;
    };
    if (sorted(before) == sorted(taints)) co_return Result<>{};
    Value patch_taints = taints.empty() ? Value(nullptr) : Value(std::move(taints));
    // With the version that was read: a list is replaced whole, and another's taint must not be lost.
    auto done = co_await writer_.merge(r::nodes, {}, std::string(kube::name_of(*node)),
                                       json::Object{{"metadata", json::Object{{"resourceVersion", kube::resource_version_of(*node)}}},
                                                    {"spec", json::Object{{"taints", std::move(patch_taints)}}}});
    if (!done && done.error().code != ErrorCode::not_found) co_return fail(std::move(done).error());
    co_return Result<>{};
}

Task<Result<>> NodeLifecycleController::mark_pods(ObjectPtr node) {
    for (const auto& pod : cache(r::pods).list()) {
        if (json::string_at(*pod, "spec", "nodeName") != kube::name_of(*node) || !pod_ready(*pod)) continue;
        json::Object status = json::object_at(*pod, "status");
        json::Array conditions = json::array_at(*pod, "status", "conditions");
        for (auto& each : conditions) {
            if (json::string_at(each, "type") != "Ready") continue;
            auto& condition = each.as_object();
            condition["status"] = "False";
            condition["lastTransitionTime"] = seconds_time(now());
        }
        status["conditions"] = std::move(conditions);
        note(*pod, true, "NodeNotReady", "Node is not ready");
        KN_CO_CHECK(co_await writer_.status(r::pods, pod, std::move(status)));
    }
    co_return Result<>{};
}

/// Deletes pods that do not tolerate a NoExecute taint of their node, when their toleration runs out; and pods whose node is gone.
class TaintEvictionController final : public Controller {
public:
    explicit TaintEvictionController(ControllerContext& context) : Controller(context, "taint-eviction-controller") {}
    void wire() override {
        watch(r::pods, [this](const ObjectPtr& pod, const ObjectPtr& before, bool deleted) {
            if (deleted) return;
            const auto node = json::string_at(*pod, "spec", "nodeName");
            if (!node.empty() && (before == nullptr || json::string_at(*before, "spec", "nodeName").empty())) queue_.add(key_of(*pod));
        });
        watch(r::nodes, [this](const ObjectPtr& node, const ObjectPtr& before, bool deleted) {
            const bool same = before != nullptr && json::array_at(*before, "spec", "taints") == json::array_at(*node, "spec", "taints");
            if (same && !deleted) return;
            for (const auto& pod : cache(r::pods).list()) {
                if (json::string_at(*pod, "spec", "nodeName") == kube::name_of(*node)) queue_.add(key_of(*pod));
            }
        });
    }
    Task<Result<Duration>> reconcile(std::string key) override;
};

Task<Result<Duration>> TaintEvictionController::reconcile(std::string key) {
    const auto pod = find(r::pods, key);
    if (pod == nullptr) co_return Duration{};
    const auto name = json::string_at(*pod, "spec", "nodeName");
    if (name.empty()) co_return Duration{};
    const auto node = cache(r::nodes).find({}, name);
    if (node == nullptr) {  // nobody is there any more to end it
        KN_CO_CHECK(co_await writer_.remove(r::pods, pod, 0));
        co_return Duration{};
    }
    if (kube::is_deleting(*pod) || pod_finished(*pod)) co_return Duration{};
    const auto& tolerations = json::array_at(*pod, "spec", "tolerations");
    std::optional<Instant> due;
    for (const auto& taint : json::array_at(*node, "spec", "taints")) {
        if (json::string_at(taint, "effect") != "NoExecute") continue;
        const Instant added = kube::time_at(taint, "timeAdded").value_or(now());
        std::optional<Instant> end = added;
        bool tolerated = false;
        for (const auto& toleration : tolerations) {
            if (!tolerates(json::Array{toleration}, taint)) continue;
            tolerated = true;
            const auto seconds = json::int_at(toleration, "tolerationSeconds");
            end = seconds ? std::optional(added + std::chrono::seconds{*seconds}) : std::nullopt;
            if (!seconds) break;
        }
        const auto taint_key = json::string_at(taint, "key");
        // Admission gives every pod five minutes for these two; a pod that came past it gets them here.
        if (!tolerated && (taint_key == unreachable || taint_key == not_ready)) end = added + context_.options.pod_eviction;
        if (end && (!due || *end < *due)) due = end;
    }
    if (!due) co_return Duration{};
    if (*due > now()) co_return *due - now();
    note(*pod, false, "TaintManagerEviction", "Marking for deletion Pod " + key);
    KN_CO_CHECK(co_await writer_.remove(r::pods, pod));
    co_return Duration{};
}

}  // namespace

std::unique_ptr<Controller> make_node_lifecycle_controller(ControllerContext& context) { return std::make_unique<NodeLifecycleController>(context); }
std::unique_ptr<Controller> make_taint_eviction_controller(ControllerContext& context) { return std::make_unique<TaintEvictionController>(context); }

}  // namespace kn::sim
