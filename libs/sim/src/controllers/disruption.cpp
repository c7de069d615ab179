#include <algorithm>
#include <set>

#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

class DisruptionController final : public Controller {
public:
    explicit DisruptionController(ControllerContext& context) : Controller(context, "controllermanager") {}
    void wire() override {
        watch_own(r::pod_disruption_budgets);
        const auto on_pod = [this](const ObjectPtr& pod, const ObjectPtr&, bool) {
            for (const auto& budget : cache(r::pod_disruption_budgets).list(kube::namespace_of(*pod))) {
                if (kube::label_selector_matches(json::at(*budget, "spec", "selector"), json::object_at(*pod, "metadata", "labels")))
                    queue_.add(key_of(*budget));
            }
        };
        watch(r::pods, on_pod);
        for (const auto* kind : {&r::deployments, &r::replica_sets, &r::stateful_sets}) {
            watch(*kind, [this](const ObjectPtr& set, const ObjectPtr&, bool) {
                for (const auto& budget : cache(r::pod_disruption_budgets).list(kube::namespace_of(*set))) queue_.add(key_of(*budget));
            });
        }
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    /// The workload that says how many pods there should be.
    std::pair<std::string, std::int64_t> scale_of(const Value& pod) const;
};

std::pair<std::string, std::int64_t> DisruptionController::scale_of(const Value& pod) const {
    auto owner = kube::controller_of(pod);
    if (!owner) return {};
    const auto ns = kube::namespace_of(pod);
    ObjectPtr set;
    if (owner->kind == "ReplicaSet") {
        set = cache(r::replica_sets).find(ns, owner->name);
        if (set != nullptr) {
            if (const auto above = kube::controller_of(*set); above && above->kind == "Deployment") {
                if (const auto deployment = cache(r::deployments).find(ns, above->name)) set = deployment;
            }
        }
    } else if (owner->kind == "StatefulSet") {
        set = cache(r::stateful_sets).find(ns, owner->name);
    }
    if (set == nullptr) return {};
    return {std::string(kube::uid_of(*set)), json::int_at(*set, "spec", "replicas").value_or(1)};
}

Task<Result<Duration>> DisruptionController::reconcile(std::string key) {
    const auto budget = find(r::pod_disruption_budgets, key);
    if (budget == nullptr || kube::is_deleting(*budget)) co_return Duration{};
    std::vector<ObjectPtr> pods;
    for (const auto& pod : cache(r::pods).list(kube::namespace_of(*budget))) {
        if (!pod_finished(*pod) && kube::label_selector_matches(json::at(*budget, "spec", "selector"), json::object_at(*pod, "metadata", "labels")))
            pods.push_back(pod);
    }
    const auto* min_available = json::at(*budget, "spec", "minAvailable");
    const auto* max_unavailable = json::at(*budget, "spec", "maxUnavailable");
    const bool by_scale = max_unavailable != nullptr || (min_available != nullptr && min_available->is_string());
    std::int64_t expected = static_cast<std::int64_t>(pods.size());
    if (by_scale) {
        std::map<std::string, std::int64_t> scales;
        for (const auto& pod : pods) {
            const auto [uid, replicas] = scale_of(*pod);
            if (!uid.empty()) scales[uid] = replicas;
        }
        expected = 0;
        for (const auto& [uid, replicas] : scales) expected += replicas;
    }
    const std::int64_t desired = max_unavailable != nullptr ? std::max<std::int64_t>(0, expected - int_or_percent(max_unavailable, expected, true, 0))
                                                            : int_or_percent(min_available, expected, true, 1);
    // A pod that was evicted but is still there counts as gone, for at most two minutes.
    json::Object disrupted;
    Duration again{};
    for (const auto& [name, time] : json::object_at(*budget, "status", "disruptedPods")) {
        const auto pod = cache(r::pods).find(kube::namespace_of(*budget), std::string_view(name.data(), name.size()));
        const auto since = time.is_string() ? parse_rfc3339(json::view(time.get_string())) : fail(ErrorCode::invalid_argument, "");
        if (pod == nullptr || kube::is_deleting(*pod) || !since || *since + 2min <= now()) continue;
        disrupted[name] = time;
        again = earlier_wait(again, *since + 2min - now());
    }
    std::int64_t healthy = 0;
    for (const auto& pod : pods) healthy += pod_ready(*pod) && !kube::is_deleting(*pod) && !disrupted.contains(kube::name_of(*pod));
    const std::int64_t allowed = expected <= 0 || pods.empty() ? 0 : std::max<std::int64_t>(0, healthy - desired);

    json::Object status{{"observedGeneration", kube::generation_of(*budget)},
                        {"disruptionsAllowed", allowed},
                        {"currentHealthy", healthy},
                        {"desiredHealthy", desired},
                        {"expectedPods", expected}};
    if (!disrupted.empty()) status["disruptedPods"] = std::move(disrupted);
    json::Array conditions = json::array_at(*budget, "status", "conditions");
    set_condition(conditions, "DisruptionAllowed", allowed > 0 ? "True" : "False", allowed > 0 ? "SufficientPods" : "InsufficientPods", "", now());
    conditions.back().as_object()["observedGeneration"] = kube::generation_of(*budget);
    status["conditions"] = std::move(conditions);
    KN_CO_CHECK(co_await writer_.status(r::pod_disruption_budgets, budget, std::move(status)));
    co_return again;
}

}  // namespace

std::unique_ptr<Controller> make_disruption_controller(ControllerContext& context) { return std::make_unique<DisruptionController>(context); }

}  // namespace kn::sim
