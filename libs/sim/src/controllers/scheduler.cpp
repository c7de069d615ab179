#include <algorithm>
#include <set>

#include "common/text.hpp"
#include "controllers/placement.hpp"

namespace kn::sim {
namespace {

constexpr std::string_view no_storage_class_wait = "volume.kubernetes.io/selected-node";

class Scheduler final : public Controller {
public:
    explicit Scheduler(ControllerContext& context) : Controller(context, "default-scheduler", "kube-scheduler", EventRecorder::Form::events_v1) {}

    void wire() override {
        watch(r::pods, [this](const ObjectPtr& pod, const ObjectPtr& before, bool deleted) { pod_changed(*pod, before.get(), deleted); });
        watch(r::nodes, [this](const ObjectPtr& node, const ObjectPtr& before, bool deleted) {
            // Heartbeats change nothing for placement.
            if (!deleted && before != nullptr && same(*node, *before, "spec") && same(*node, *before, "metadata", "labels") &&
                same(*node, *before, "status", "allocatable"))
                return;
            retry_waiting();
        });
        watch(r::persistent_volume_claims, [this](const ObjectPtr&, const ObjectPtr&, bool) { retry_waiting(); });
        watch(r::persistent_volumes, [](const ObjectPtr&, const ObjectPtr&, bool) {});
        watch(r::storage_classes, [this](const ObjectPtr&, const ObjectPtr&, bool) { retry_waiting(); });
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    template <class... Path> static bool same(const Value& a, const Value& b, const Path&... path) {
        const Value *x = json::at(a, path...), *y = json::at(b, path...);
        return x == y || (x != nullptr && y != nullptr && *x == *y);
    }
    struct Load {
        Resources used;
        std::map<std::string, ObjectPtr, std::less<>> pods;
    };

    void pod_changed(const Value& pod, const Value* before, bool deleted);
    void retry_waiting();
    std::string refuses(const Value& pod, const Value& node, std::string& pod_wide) const;
    std::string volume_refusal(const Value& pod, const Value& node, std::string& pod_wide) const;
    std::string neighbour_refusal(const Value& pod, const Value& node) const;
    [[nodiscard]] double score(const Value& pod, const Value& node) const;
    Task<Result<>> bind(ObjectPtr pod, std::string node);
    Task<Result<>> select_node_for_claims(ObjectPtr pod, std::string node);
    Task<Result<>> mark_unschedulable(ObjectPtr pod, std::string message);

    std::map<std::string, Load, std::less<>> loads_;                                // node → what it carries
    std::map<std::string, std::pair<std::string, Resources>, std::less<>> placed_;  // pod → node, requests
    std::set<std::string, std::less<>> waiting_;
};

void Scheduler::pod_changed(const Value& pod, const Value* /*before*/, bool deleted) {
    const std::string key = key_of(pod);
    const std::string node(json::string_at(pod, "spec", "nodeName"));
    const bool carried = !deleted && !node.empty() && !pod_finished(pod);
    const auto found = placed_.find(key);
    if (found != placed_.end() && (!carried || found->second.first != node)) {
        auto& load = loads_[found->second.first];
        load.used.subtract(found->second.second);
        load.pods.erase(key);
        placed_.erase(found);
        retry_waiting();
    }
    if (carried) {
        auto need = requests_of(*json::at(pod, "spec"));
        auto& load = loads_[node];
        if (const auto again = placed_.find(key); again != placed_.end()) {
            load.used.subtract(again->second.second);
            again->second.second = need;
        } else {
            placed_.emplace(key, std::pair(node, need));
        }
        load.used.add(need);
        load.pods[key] = context_.informers.of(r::pods).find(kube::namespace_of(pod), kube::name_of(pod));
        waiting_.erase(key);
    } else if (deleted) {
        waiting_.erase(key);
    } else if (node.empty()) {
        queue_.add(key);
    }
}

void Scheduler::retry_waiting() {
    for (const auto& key : waiting_) queue_.add(key);
}

Task<Result<Duration>> Scheduler::reconcile(std::string key) {
    const auto pod = find(r::pods, key);
    if (pod == nullptr || !json::string_at(*pod, "spec", "nodeName").empty() || kube::is_deleting(*pod) || pod_finished(*pod)) co_return Duration{};
    const auto scheduler = json::string_at(*pod, "spec", "schedulerName");
    if (!scheduler.empty() && scheduler != "default-scheduler") co_return Duration{};
    if (!json::array_at(*pod, "spec", "schedulingGates").empty()) co_return Duration{};

    const auto nodes = cache(r::nodes).list();
    std::map<std::string, int> reasons;
    std::string pod_wide;
    ObjectPtr best;
    double best_score = -1;
    for (const auto& node : nodes) {
        const std::string why = refuses(*pod, *node, pod_wide);
        if (!pod_wide.empty()) break;
        if (!why.empty()) {
            ++reasons[why];
            continue;
        }
        const double value = score(*pod, *node);
        if (best == nullptr || value > best_score) best = node, best_score = value;
    }
    if (best != nullptr && pod_wide.empty()) {
        KN_CO_CHECK(co_await select_node_for_claims(pod, std::string(kube::name_of(*best))));
        // Claims that wait for a consumer are bound first; their change brings the pod back.
        for (const auto& volume : json::array_at(*pod, "spec", "volumes")) {
            const auto claim = json::string_at(volume, "persistentVolumeClaim", "claimName");
            const auto object = claim.empty() ? nullptr : cache(r::persistent_volume_claims).find(kube::namespace_of(*pod), claim);
            if (object != nullptr && json::string_at(*object, "status", "phase") != "Bound") {
                waiting_.insert(key);
                co_return Duration{30s};
            }
        }
        KN_CO_CHECK(co_await bind(pod, std::string(kube::name_of(*best))));
        co_return Duration{};
    }
    waiting_.insert(key);
    const std::string total = std::to_string(nodes.size());
    std::string message;
    if (nodes.empty()) {
        message = "no nodes available to schedule pods";
    } else if (!pod_wide.empty()) {
        message = "0/" + total + " nodes are available: " + pod_wide + ". not found";
        if (!pod_wide.starts_with("persistentvolumeclaim"))
            message = "0/" + total + " nodes are available: " + pod_wide + ". preemption: 0/" + total + " nodes are available: " + total +
                      " Preemption is not helpful for scheduling.";
        else
            message = "0/" + total + " nodes are available: " + pod_wide + ".";
    } else {
        std::vector<std::string> parts;
        for (const auto& [why, count] : reasons) parts.push_back(std::to_string(count) + " " + why);
        std::ranges::sort(parts);
        const bool resources_only =
            std::ranges::all_of(reasons, [](const auto& each) { return each.first.starts_with("Insufficient") || each.first == "Too many pods"; });
        message = "0/" + total + " nodes are available: " + join(parts, ", ") + ". preemption: 0/" + total + " nodes are available: " + total +
                  (resources_only ? " No preemption victims found for incoming pod." : " Preemption is not helpful for scheduling.");
    }
    KN_CO_CHECK(co_await mark_unschedulable(pod, message));
    co_return Duration{5min};
}

/// "" when the node would take the pod; otherwise the words of the scheduler.
std::string Scheduler::refuses(const Value& pod, const Value& node, std::string& pod_wide) const {
    const Value& spec = *json::at(pod, "spec");
    if (json::bool_at(node, "spec", "unschedulable").value_or(false)) {
        const Value cordon = json::Object{{"key", "node.kubernetes.io/unschedulable"}, {"effect", "NoSchedule"}};
        if (!tolerates(json::array_at(spec, "tolerations"), cordon)) return "node(s) were unschedulable";
    }
    if (const auto* taint = untolerated_taint(spec, node, false)) {
        const auto value = json::string_at(*taint, "value");
        return "node(s) had untolerated taint {" + std::string(json::string_at(*taint, "key")) + ": " + std::string(value) + "}";
    }
    if (!fits_node_affinity(spec, node)) return "node(s) didn't match Pod's node affinity/selector";
    if (auto why = volume_refusal(pod, node, pod_wide); !why.empty() || !pod_wide.empty()) return why;

    const auto found = loads_.find(kube::name_of(node));
    static const Load nothing;
    const Load& load = found == loads_.end() ? nothing : found->second;
    const Resources need = requests_of(spec), room = allocatable_of(node);
    const double max_pods = kube::quantity_at(json::at(node, "status", "allocatable", "pods")).value_or(110);
    if (static_cast<double>(load.pods.size()) + 1 > max_pods) return "Too many pods";
    if (need.cpu > 0 && load.used.cpu + need.cpu > room.cpu + 1e-9) return "Insufficient cpu";
    if (need.memory > 0 && load.used.memory + need.memory > room.memory + 0.5) return "Insufficient memory";
    if (need.storage > 0 && load.used.storage + need.storage > room.storage + 0.5) return "Insufficient ephemeral-storage";
    for (const auto& [name, amount] : need.extended) {
        const auto has = room.extended.find(name);
        const auto used = load.used.extended.find(name);
        if (amount > (has == room.extended.end() ? 0 : has->second) - (used == load.used.extended.end() ? 0 : used->second) + 1e-9)
            return "Insufficient " + name;
    }
    return neighbour_refusal(pod, node);
}

std::string Scheduler::volume_refusal(const Value& pod, const Value& node, std::string& pod_wide) const {
    for (const auto& volume : json::array_at(pod, "spec", "volumes")) {
        const auto claim = json::string_at(volume, "persistentVolumeClaim", "claimName");
        if (claim.empty()) continue;
        const auto object = cache(r::persistent_volume_claims).find(kube::namespace_of(pod), claim);
        if (object == nullptr) {
            pod_wide = "persistentvolumeclaim \"" + std::string(claim) + "\" not found";
            return {};
        }
        const auto bound = json::string_at(*object, "spec", "volumeName");
        if (json::string_at(*object, "status", "phase") != "Bound") {
            const auto cls = cache(r::storage_classes).find({}, json::string_at(*object, "spec", "storageClassName"));
            if (cls == nullptr || json::string_at(*cls, "volumeBindingMode") != "WaitForFirstConsumer") {
                pod_wide = "pod has unbound immediate PersistentVolumeClaims";
                return {};
            }
            const auto selected = kube::annotation_of(*object, no_storage_class_wait);
            if (!selected.empty() && selected != kube::name_of(node)) return "node(s) didn't match PersistentVolume's node affinity";
            continue;
        }
        const auto pv = cache(r::persistent_volumes).find({}, bound);
        const auto* required = pv == nullptr ? nullptr : json::at(*pv, "spec", "nodeAffinity", "required");
        if (required == nullptr) continue;
        const Value shape =
            json::Object{{"affinity", json::Object{{"nodeAffinity", json::Object{{"requiredDuringSchedulingIgnoredDuringExecution", *required}}}}}};
        if (!fits_node_affinity(shape, node)) return "node(s) didn't match PersistentVolume's node affinity";
    }
    return {};
}

/// Required pod (anti-)affinity and hard topology spread.
std::string Scheduler::neighbour_refusal(const Value& pod, const Value& node) const {
    const auto domain_of = [](const Value& of, std::string_view key) { return std::string(kube::label_of(of, key)); };
    const auto ns = kube::namespace_of(pod);
    const auto count_in = [&](const Value& term, const std::string& key, const std::string& domain) {
        std::int64_t count = 0;
        for (const auto& [name, load] : loads_) {
            const auto other = cache(r::nodes).find({}, name);
            if (other == nullptr || domain_of(*other, key) != domain) continue;
            for (const auto& [pod_key, neighbour] : load.pods) {
                if (neighbour == nullptr || kube::namespace_of(*neighbour) != ns || kube::is_deleting(*neighbour)) continue;
                count += kube::label_selector_matches(json::at(term, "labelSelector"), json::object_at(*neighbour, "metadata", "labels"));
            }
        }
        return count;
    };
    for (const auto& term : json::array_at(pod, "spec", "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution")) {
        const std::string key(json::string_at(term, "topologyKey"));
        const auto domain = domain_of(node, key);
        if (!domain.empty() && count_in(term, key, domain) > 0) return "node(s) didn't match pod anti-affinity rules";
    }
    for (const auto& term : json::array_at(pod, "spec", "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution")) {
        const std::string key(json::string_at(term, "topologyKey"));
        const auto domain = domain_of(node, key);
        const bool itself = kube::label_selector_matches(json::at(term, "labelSelector"), json::object_at(pod, "metadata", "labels"));
        if (domain.empty() || (count_in(term, key, domain) == 0 && !itself)) return "node(s) didn't match pod affinity rules";
    }
    for (const auto& constraint : json::array_at(pod, "spec", "topologySpreadConstraints")) {
        if (json::string_at(constraint, "whenUnsatisfiable") == "ScheduleAnyway") continue;
        const std::string key(json::string_at(constraint, "topologyKey"));
        const auto here = domain_of(node, key);
        if (here.empty()) return "node(s) didn't match pod topology spread constraints (missing required label)";
        std::set<std::string> domains;
        for (const auto& each : cache(r::nodes).list()) {
            if (fits_node_affinity(*json::at(pod, "spec"), *each)) domains.insert(domain_of(*each, key));
        }
        std::int64_t least = std::numeric_limits<std::int64_t>::max();
        for (const auto& domain : domains) {
            if (!domain.empty()) least = std::min(least, count_in(constraint, key, domain));
        }
        const auto skew = json::int_at(constraint, "maxSkew").value_or(1);
        if (count_in(constraint, key, here) + 1 - least > skew) return "node(s) didn't match pod topology spread constraints";
    }
    return {};
}

/// Emptier nodes first, and fewer pods of the same owner.
double Scheduler::score(const Value& pod, const Value& node) const {
    const auto found = loads_.find(kube::name_of(node));
    if (found == loads_.end()) return 200;
    const Resources room = allocatable_of(node);
    const auto free = [](double used, double all) { return all <= 0 ? 0 : 100 * (1 - std::min(1.0, used / all)); };
    const auto owner = kube::controller_of(pod);
    double siblings = 0;
    for (const auto& [key, other] : found->second.pods) siblings += owner && other != nullptr && owned_by(*other, owner->uid) ? 1 : 0;
    return (free(found->second.used.cpu, room.cpu) + free(found->second.used.memory, room.memory)) / 2 + 100 / (1 + siblings) -
           0.01 * static_cast<double>(found->second.pods.size());
}

Task<Result<>> Scheduler::select_node_for_claims(ObjectPtr pod, std::string node) {
    for (const auto& volume : json::array_at(*pod, "spec", "volumes")) {
        const auto claim = json::string_at(volume, "persistentVolumeClaim", "claimName");
        const auto object = claim.empty() ? nullptr : cache(r::persistent_volume_claims).find(kube::namespace_of(*pod), claim);
        if (object == nullptr || json::string_at(*object, "status", "phase") == "Bound" ||
            !kube::annotation_of(*object, no_storage_class_wait).empty())
            continue;
        KN_CO_CHECK(co_await writer_.merge(r::persistent_volume_claims, std::string(kube::namespace_of(*pod)), std::string(claim),
                                           json::Object{{"metadata", json::Object{{"annotations", json::Object{{no_storage_class_wait, node}}}}}}));
    }
    co_return Result<>{};
}

Task<Result<>> Scheduler::bind(ObjectPtr pod, std::string node) {
    const std::string ns(kube::namespace_of(*pod)), name(kube::name_of(*pod));
    kube::Request request{.method = kube::Method::post,
                          .path = r::pods.path(ns, name, "binding"),
                          .query = {{"fieldManager", "kube-scheduler"}},
                          .content_type = "application/json",
                          .body = json::dump(json::Object{{"apiVersion", "v1"},
                                                          {"kind", "Binding"},
                                                          {"metadata", json::Object{{"name", name}, {"namespace", ns}, {"uid", kube::uid_of(*pod)}}},
                                                          {"target", json::Object{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node}}}})};
    auto done = co_await client().call(std::move(request), writer_.soon());
    if (!done) {
        if (done.error().code == ErrorCode::not_found || done.error().code == ErrorCode::aborted) co_return Result<>{};
        co_return fail(std::move(done).error());
    }
    events().record(
        {.object = pod.get(), .reason = "Scheduled", .message = "Successfully assigned " + ns + "/" + name + " to " + node, .action = "Binding"});
    // The answer of a binding is a Status: the placement counts from now on, and the watch confirms it.
    auto need = requests_of(*json::at(*pod, "spec"));
    const std::string key = ns + "/" + name;
    if (!placed_.contains(key)) {
        loads_[node].used.add(need);
        loads_[node].pods[key] = pod;
        placed_.emplace(key, std::pair(node, std::move(need)));
    }
    waiting_.erase(key);
    co_return Result<>{};
}

Task<Result<>> Scheduler::mark_unschedulable(ObjectPtr pod, std::string message) {
    events().record({.object = pod.get(), .warning = true, .reason = "FailedScheduling", .message = message, .action = "Scheduling"});
    const auto before = kube::condition_of(*pod, "PodScheduled");
    if (before && before->status == "False" && before->message == message) co_return Result<>{};
    json::Object status = json::object_at(*pod, "status");
    json::Array conditions = json::array_at(*pod, "status", "conditions");
    set_condition(conditions, "PodScheduled", "False", "Unschedulable", message, now());
    status["conditions"] = std::move(conditions);
    if (json::string_at(*pod, "status", "phase").empty()) status["phase"] = "Pending";
    co_return co_await writer_.status(r::pods, pod, std::move(status));
}

}  // namespace

std::unique_ptr<Controller> make_scheduler(ControllerContext& context) { return std::make_unique<Scheduler>(context); }

}  // namespace kn::sim
