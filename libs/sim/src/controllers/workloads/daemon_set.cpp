#include <algorithm>
#include <array>

#include "controllers/placement.hpp"
#include "controllers/workloads/revisions.hpp"

namespace kn::sim {
namespace {

constexpr std::string_view revision_label = "controller-revision-hash";

class DaemonSetController final : public Controller {
public:
    explicit DaemonSetController(ControllerContext& context) : Controller(context, "daemonset-controller") {}
    void wire() override {
        watch_own(r::daemon_sets);
        watch_owned(r::pods, "DaemonSet");
        watch(r::controller_revisions, [](const ObjectPtr&, const ObjectPtr&, bool) {});
        watch(r::nodes, [this](const ObjectPtr& node, const ObjectPtr& before, bool deleted) {
            const bool same = before != nullptr && json::object_at(*before, "spec") == json::object_at(*node, "spec") &&
                              json::object_at(*before, "metadata", "labels") == json::object_at(*node, "metadata", "labels");
            if (same && !deleted) return;
            for (const auto& set : cache(r::daemon_sets).list()) queue_.add(key_of(*set));
        });
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    static json::Object spec_for(const Value& set, std::string_view node);
    Task<Result<>> create_pod(ObjectPtr set, const Revisions& revisions, std::string node);
    static std::string node_of(const Value& pod);
};

/// The pod template with the tolerations that every daemon gets, tied to one node.
json::Object DaemonSetController::spec_for(const Value& set, std::string_view node) {
    json::Object spec = json::object_at(set, "spec", "template", "spec");
    json::Array tolerations = json::array_at(set, "spec", "template", "spec", "tolerations");
    for (const auto& [key, effect] :
         std::initializer_list<std::pair<std::string_view, std::string_view>>{{"node.kubernetes.io/not-ready", "NoExecute"},
                                                                              {"node.kubernetes.io/unreachable", "NoExecute"},
                                                                              {"node.kubernetes.io/disk-pressure", "NoSchedule"},
                                                                              {"node.kubernetes.io/memory-pressure", "NoSchedule"},
                                                                              {"node.kubernetes.io/pid-pressure", "NoSchedule"},
                                                                              {"node.kubernetes.io/unschedulable", "NoSchedule"}}) {
        tolerations.push_back(json::Object{{"key", key}, {"operator", "Exists"}, {"effect", effect}});
    }
    spec["tolerations"] = std::move(tolerations);
    if (node.empty()) return spec;
    Value holder(spec);
    const json::Object field{{"key", "metadata.name"}, {"operator", "In"}, {"values", json::Array{Value(node)}}};
    json::Array terms = json::array_at(holder, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms");
    if (terms.empty()) terms.push_back(json::Object{});
    for (auto& term : terms) term.as_object()["matchFields"] = json::Array{field};
    json::make_at(holder, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms") = std::move(terms);
    return holder.get_object();
}

std::string DaemonSetController::node_of(const Value& pod) {
    if (const auto node = json::string_at(pod, "spec", "nodeName"); !node.empty()) return std::string(node);
    const auto* terms = json::at(pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms");
    return terms == nullptr ? std::string() : std::string(json::string_at(*terms, 0, "matchFields", 0, "values", 0));
}

Task<Result<Duration>> DaemonSetController::reconcile(std::string key) {
    const auto set = find(r::daemon_sets, key);
    if (set == nullptr || kube::is_deleting(*set)) co_return Duration{};
    const auto pods = owned(r::pods, *set);
    std::vector<std::string> in_use;
    for (const auto& pod : pods) in_use.push_back(std::string(kube::name_of(*set)) + "-" + std::string(kube::label_of(*pod, revision_label)));
    KN_CO_TRY(const auto revisions, co_await read_revisions(writer_, owned(r::controller_revisions, *set), r::daemon_sets, set,
                                                            json::int_at(*set, "spec", "revisionHistoryLimit").value_or(10), in_use));
    const std::string hash(kube::label_of(*revisions.update, revision_label));
    std::map<std::string, std::vector<ObjectPtr>> by_node;
    for (const auto& pod : pods) by_node[node_of(*pod)].push_back(pod);

    const Duration min_ready = std::chrono::seconds{json::int_at(*set, "spec", "minReadySeconds").value_or(0)};
    const Value plain = spec_for(*set, {});
    Duration again{};
    std::int64_t desired = 0, current = 0, misscheduled = 0, ready = 0, updated = 0, available = 0;
    std::vector<ObjectPtr> outdated;
    std::optional<Error> failure;
    for (const auto& node : cache(r::nodes).list()) {
        const std::string name(kube::name_of(*node));
        const bool fits = fits_node_affinity(plain, *node);
        const bool may_start = fits && untolerated_taint(plain, *node, false) == nullptr;
        const bool may_stay = fits && untolerated_taint(plain, *node, true) == nullptr;
        auto& here = by_node[name];
        std::erase_if(here, [](const ObjectPtr& pod) { return kube::is_deleting(*pod); });
        for (auto it = here.begin(); it != here.end();) {
            if (!pod_finished(**it)) {
                ++it;
                continue;
            }
            note(*set, true, "FailedDaemonPod", "Found failed daemon pod " + key_of(**it) + " on node " + name + ", will try to kill it");
            KN_CO_CHECK(co_await writer_.remove(r::pods, *it));
            it = here.erase(it);
        }
        if (may_start) {
            ++desired;
            if (here.empty() && !failure) {
                auto made = co_await create_pod(set, revisions, name);
                if (!made) failure = std::move(made).error();
                continue;
            }
            if (here.empty()) continue;
            ++current;
            const ObjectPtr pod = here.front();
            for (std::size_t i = 1; i < here.size(); ++i) KN_CO_CHECK(co_await writer_.remove(r::pods, here[i]));
            ready += pod_ready(*pod);
            available += pod_available(*pod, min_ready, now(), again);
            if (kube::label_of(*pod, revision_label) == hash)
                ++updated;
            else
                outdated.push_back(pod);
        } else if (!here.empty()) {
            ++misscheduled;
            if (!may_stay) {
                for (const auto& pod : here) KN_CO_CHECK(co_await writer_.remove(r::pods, pod));
            }
        }
    }
    if (json::string_at(*set, "spec", "updateStrategy", "type") != "OnDelete" && !outdated.empty()) {
        std::int64_t budget =
            std::max<std::int64_t>(1, int_or_percent(json::at(*set, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable"), desired, true, 1)) -
            (desired - available);
        // Those that serve nobody may be replaced at no cost.
        for (const auto& pod : outdated) {
            Duration ignored{};
            const bool serves = pod_available(*pod, min_ready, now(), ignored);
            if (serves && budget <= 0) continue;
            if (serves) --budget;
            note(*set, false, "SuccessfulDelete", "Deleted pod: " + std::string(kube::name_of(*pod)));
            KN_CO_CHECK(co_await writer_.remove(r::pods, pod));
        }
    }
    json::Object status{{"observedGeneration", kube::generation_of(*set)},
                        {"desiredNumberScheduled", desired},
                        {"currentNumberScheduled", current},
                        {"numberMisscheduled", misscheduled},
                        {"numberReady", ready}};
    if (updated > 0) status["updatedNumberScheduled"] = updated;
    if (available > 0) status["numberAvailable"] = available;
    if (desired - available > 0) status["numberUnavailable"] = desired - available;
    KN_CO_CHECK(co_await writer_.status(r::daemon_sets, set, std::move(status)));
    if (failure) co_return fail(*std::move(failure));
    co_return again;
}

Task<Result<>> DaemonSetController::create_pod(ObjectPtr set, const Revisions& revisions, std::string node) {
    auto pod = pod_from_template(*json::at(*set, "spec", "template"), r::daemon_sets, *set);
    auto& metadata = pod["metadata"].as_object();
    metadata["name"] = std::string(kube::name_of(*set)) + "-" + random_suffix(context_.random);
    json::Object labels = json::object_at(pod["metadata"], "labels");
    labels[revision_label] = kube::label_of(*revisions.update, revision_label);
    metadata["labels"] = std::move(labels);
    pod["spec"] = spec_for(*set, node);
    auto made = co_await writer_.create(r::pods, std::string(kube::namespace_of(*set)), std::move(pod));
    if (!made) {
        note(*set, true, "FailedCreate", "Error creating: " + made.error().message);
        co_return fail(std::move(made).error());
    }
    note(*set, false, "SuccessfulCreate", "Created pod: " + std::string(kube::name_of(*made)));
    co_return Result<>{};
}

}  // namespace

std::unique_ptr<Controller> make_daemon_set_controller(ControllerContext& context) { return std::make_unique<DaemonSetController>(context); }

}  // namespace kn::sim
