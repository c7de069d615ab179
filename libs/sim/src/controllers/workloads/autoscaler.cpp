#include <algorithm>
#include <cmath>
#include <deque>

#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

constexpr double tolerance = 0.1;

/// Horizontal pod autoscaler for average CPU utilisation. The metric comes from ControllerOptions::utilization.
class HpaController final : public Controller {
public:
    explicit HpaController(ControllerContext& context) : Controller(context, "horizontal-pod-autoscaler") {}
    void wire() override {
        watch(r::horizontal_pod_autoscalers, [this](const ObjectPtr& hpa, const ObjectPtr& before, bool deleted) {
            if (deleted) past_.erase(key_of(*hpa));
            // Its own status writes are no reason to look: the sync period is.
            if (before == nullptr || json::object_at(*before, "spec") != json::object_at(*hpa, "spec")) queue_.add(key_of(*hpa));
        });
        for (const auto* kind : {&r::deployments, &r::stateful_sets}) watch(*kind, [](const ObjectPtr&, const ObjectPtr&, bool) {});
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    struct Wish {
        Instant at;
        std::int64_t replicas;
    };
    std::map<std::string, std::deque<Wish>, std::less<>> past_;
};

Task<Result<Duration>> HpaController::reconcile(std::string key) {
    const Duration sync = context_.options.hpa_sync;
    const auto hpa = find(r::horizontal_pod_autoscalers, key);
    if (hpa == nullptr || kube::is_deleting(*hpa)) co_return Duration{};
    const auto ns = kube::namespace_of(*hpa);
    const Value& reference = *json::at(*hpa, "spec", "scaleTargetRef");
    const auto kind = json::string_at(reference, "kind");
    const kube::Resource& resource = kind == "StatefulSet" ? r::stateful_sets : r::deployments;
    const auto target = cache(resource).find(ns, json::string_at(reference, "name"));
    json::Object status = json::object_at(*hpa, "status");
    json::Array conditions = json::array_at(*hpa, "status", "conditions");
    status["observedGeneration"] = kube::generation_of(*hpa);
    const auto write = [&](json::Object changed) {
        changed["conditions"] = std::move(conditions);
        return writer_.status(r::horizontal_pod_autoscalers, hpa, std::move(changed));
    };
    if (target == nullptr) {
        const std::string message = "the HPA controller was unable to get the target's current scale: " + resource.plural_group() + " \"" +
                                    std::string(json::string_at(reference, "name")) + "\" not found";
        set_condition(conditions, "AbleToScale", "False", "FailedGetScale", message, now());
        note(*hpa, true, "FailedGetScale", message);
        KN_CO_CHECK(co_await write(std::move(status)));
        co_return sync;
    }
    const std::int64_t current = json::int_at(*target, "spec", "replicas").value_or(1);
    const std::int64_t low = json::int_at(*hpa, "spec", "minReplicas").value_or(1), high = json::int_at(*hpa, "spec", "maxReplicas").value_or(1);
    status["currentReplicas"] = json::int_at(*target, "status", "replicas").value_or(0);
    set_condition(conditions, "AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale", now());
    if (current == 0) {
        set_condition(conditions, "ScalingActive", "False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero",
                      now());
        KN_CO_CHECK(co_await write(std::move(status)));
        co_return sync;
    }
    const double goal = json::double_at(*hpa, "spec", "metrics", 0, "resource", "target", "averageUtilization").value_or(80) / 100;
    const auto use = context_.options.utilization ? context_.options.utilization(ns, kube::name_of(*hpa), reference) : std::nullopt;
    if (!use) {
        const std::string message =
            "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API";
        set_condition(conditions, "ScalingActive", "False", "FailedGetResourceMetric", message, now());
        note(*hpa, true, "FailedGetResourceMetric", message);
        KN_CO_CHECK(co_await write(std::move(status)));
        co_return sync;
    }
    set_condition(conditions, "ScalingActive", "True", "ValidMetricFound",
                  "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)", now());
    const double ratio = *use / goal;
    std::int64_t wish =
        std::abs(ratio - 1) <= tolerance ? current : static_cast<std::int64_t>(std::ceil(ratio * static_cast<double>(current) - 1e-9));
    // Scaling down takes the highest wish of the window; scaling up at most doubles or adds four.
    auto& past = past_[key];
    while (!past.empty() && now() - past.front().at > context_.options.hpa_downscale_window) past.pop_front();
    past.push_back({now(), wish});
    if (wish < current) {
        for (const auto& each : past) wish = std::max(wish, std::min(each.replicas, current));
    }
    wish = std::min(wish, std::max(current * 2, current + 4));
    if (wish > high)
        set_condition(conditions, "ScalingLimited", "True", "TooManyReplicas", "the desired replica count is more than the maximum replica count",
                      now());
    else if (wish < low)
        set_condition(conditions, "ScalingLimited", "True", "TooFewReplicas", "the desired replica count is less than the minimum replica count",
                      now());
    else
        set_condition(conditions, "ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the acceptable range", now());
    const std::int64_t desired = std::clamp(wish, low, std::max(low, high));
    status["desiredReplicas"] = desired;
    status["currentMetrics"] = json::Array{json::Object{
        {"type", "Resource"},
        {"resource",
         json::Object{{"name", "cpu"}, {"current", json::Object{{"averageUtilization", static_cast<std::int64_t>(std::lround(*use * 100))}}}}}}};
    if (desired != current) {
        auto done = co_await writer_.merge(resource, std::string(ns), std::string(json::string_at(reference, "name")),
                                           json::Object{{"spec", json::Object{{"replicas", desired}}}}, "scale");
        if (!done) {
            set_condition(conditions, "AbleToScale", "False", "FailedUpdateScale",
                          "the HPA controller was unable to update the target scale: " + done.error().message, now());
            note(*hpa, true, "FailedRescale", "New size: " + std::to_string(desired) + "; error: " + done.error().message);
        } else {
            status["lastScaleTime"] = seconds_time(now());
            set_condition(conditions, "AbleToScale", "True", "SucceededRescale",
                          "the HPA controller was able to update the target scale to " + std::to_string(desired), now());
            note(*hpa, false, "SuccessfulRescale",
                 "New size: " + std::to_string(desired) + "; reason: " +
                     (desired > current ? "cpu resource utilization (percentage of request) above target" : "All metrics below target"));
        }
    }
    KN_CO_CHECK(co_await write(std::move(status)));
    co_return sync;
}

}  // namespace

std::unique_ptr<Controller> make_hpa_controller(ControllerContext& context) { return std::make_unique<HpaController>(context); }

}  // namespace kn::sim
