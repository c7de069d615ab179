#include <algorithm>

#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

class ReplicaSetController final : public Controller {
public:
    explicit ReplicaSetController(ControllerContext& context) : Controller(context, "replicaset-controller") {}
    void wire() override {
        watch_own(r::replica_sets);
        watch_owned(r::pods, "ReplicaSet");
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    Task<Result<>> add_pods(ObjectPtr set, std::int64_t count);
    Task<Result<>> remove_pods(ObjectPtr set, std::vector<ObjectPtr> pods, std::int64_t count);
    Task<Result<Duration>> write_status(ObjectPtr set, std::vector<ObjectPtr> pods, std::optional<Error> failure);
};

Task<Result<Duration>> ReplicaSetController::reconcile(std::string key) {
    const auto set = find(r::replica_sets, key);
    if (set == nullptr) co_return Duration{};
    auto pods = owned(r::pods, *set);
    std::erase_if(pods, [](const ObjectPtr& pod) { return !pod_active(*pod); });
    std::optional<Error> failure;
    if (!kube::is_deleting(*set)) {
        const auto wanted = json::int_at(*set, "spec", "replicas").value_or(1);
        const auto have = static_cast<std::int64_t>(pods.size());
        Result<> done;
        if (have < wanted)
            done = co_await add_pods(set, wanted - have);
        else if (have > wanted)
            done = co_await remove_pods(set, pods, have - wanted);
        if (!done) failure = std::move(done).error();
    }
    KN_CO_TRY(const Duration again, co_await write_status(set, std::move(pods), failure));
    if (failure) co_return fail(*std::move(failure));
    co_return again;
}

/// One, then two, then four at a time: a namespace that refuses pods is asked once, not a hundred times.
Task<Result<>> ReplicaSetController::add_pods(ObjectPtr set, std::int64_t count) {
    const std::string ns(kube::namespace_of(*set));
    const Value& pod_template = *json::at(*set, "spec", "template");
    for (std::int64_t i = 0; i < std::min<std::int64_t>(count, 500); ++i) {
        auto pod = pod_from_template(pod_template, r::replica_sets, *set);
        pod["metadata"].as_object()["name"] = std::string(kube::name_of(*set)) + "-" + random_suffix(context_.random);
        auto made = co_await writer_.create(r::pods, ns, std::move(pod));
        if (!made && made.error().code == ErrorCode::already_exists) continue;
        if (!made) {
            note(*set, true, "FailedCreate", "Error creating: " + made.error().message);
            co_return fail(std::move(made).error());
        }
        note(*set, false, "SuccessfulCreate", "Created pod: " + std::string(kube::name_of(*made)));
    }
    co_return Result<>{};
}

Task<Result<>> ReplicaSetController::remove_pods(ObjectPtr set, std::vector<ObjectPtr> pods, std::int64_t count) {
    sort_for_deletion(pods);
    for (std::int64_t i = 0; i < count; ++i) {
        const auto& pod = pods[static_cast<std::size_t>(i)];
        auto done = co_await writer_.remove(r::pods, pod);
        if (!done) {
            note(*set, true, "FailedDelete", "Error deleting: " + done.error().message);
            co_return done;
        }
        note(*set, false, "SuccessfulDelete", "Deleted pod: " + std::string(kube::name_of(*pod)));
    }
    co_return Result<>{};
}

Task<Result<Duration>> ReplicaSetController::write_status(ObjectPtr set, std::vector<ObjectPtr> pods, std::optional<Error> failure) {
    const Duration min_ready = std::chrono::seconds{json::int_at(*set, "spec", "minReadySeconds").value_or(0)};
    Duration wait{};
    std::int64_t ready = 0, available = 0, labelled = 0;
    const auto& labels = json::object_at(*set, "spec", "template", "metadata", "labels");
    for (const auto& pod : pods) {
        const auto& own = json::object_at(*pod, "metadata", "labels");
        labelled += std::ranges::all_of(
            labels, [&](const auto& label) { return own.if_contains(label.key()) != nullptr && *own.if_contains(label.key()) == label.value(); });
        ready += pod_ready(*pod);
        available += pod_available(*pod, min_ready, now(), wait);
    }
    json::Object status{{"replicas", pods.size()}, {"observedGeneration", kube::generation_of(*set)}};
    if (labelled > 0) status["fullyLabeledReplicas"] = labelled;
    if (ready > 0) status["readyReplicas"] = ready;
    if (available > 0) status["availableReplicas"] = available;
    json::Array conditions = json::array_at(*set, "status", "conditions");
    // The message names a pod that is different each time: it is written once, or every failure would be news that asks for the next try at once.
    const auto known = kube::condition_of(*set, "ReplicaFailure");
    if (failure && known && known->status == "True" && known->reason == "FailedCreate")
        failure->message.clear();
    else if (failure)
        set_condition(conditions, "ReplicaFailure", "True", "FailedCreate", failure->message, now());
    else
        remove_condition(conditions, "ReplicaFailure");
    if (!conditions.empty()) status["conditions"] = std::move(conditions);
    KN_CO_CHECK(co_await writer_.status(r::replica_sets, set, std::move(status)));
    co_return wait;
}

}  // namespace

std::unique_ptr<Controller> make_replica_set_controller(ControllerContext& context) { return std::make_unique<ReplicaSetController>(context); }

}  // namespace kn::sim
