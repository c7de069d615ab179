#include <algorithm>

#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

constexpr std::string_view revision_key = "deployment.kubernetes.io/revision";
constexpr std::string_view hash_label = "pod-template-hash";

std::int64_t number_at(const Value& object, std::string_view field) { return json::int_at(object, "status", field).value_or(0); }
std::int64_t wanted(const Value& set) { return json::int_at(set, "spec", "replicas").value_or(0); }
std::int64_t revision_of(const Value& object) {
    const auto text = kube::annotation_of(object, revision_key);
    return text.empty() ? 0 : std::strtoll(std::string(text).c_str(), nullptr, 10);
}

Value without_hash(const Value& pod_template) {
    Value out = pod_template;
    if (const auto* labels = json::at(out, "metadata", "labels"); labels != nullptr && labels->is_object()) {
        json::make_at(out, "metadata", "labels").get_object().erase(hash_label);
    }
    // A template without a creationTimestamp is the same as one with null.
    if (auto* metadata = out.is_object() ? out.get_object().if_contains("metadata") : nullptr; metadata != nullptr && metadata->is_object()) {
        metadata->get_object().erase("creationTimestamp");
    }
    return out;
}

struct Rollout {
    ObjectPtr deployment;
    ObjectPtr fresh;  // the ReplicaSet of the present template
    std::vector<ObjectPtr> old;
    std::int64_t replicas = 1, surge = 0, unavailable = 0;

    [[nodiscard]] std::int64_t total(std::string_view field) const {
        std::int64_t sum = fresh == nullptr ? 0 : number_at(*fresh, field);
        for (const auto& set : old) sum += number_at(*set, field);
        return sum;
    }
    [[nodiscard]] std::int64_t pods() const {
        std::int64_t sum = fresh == nullptr ? 0 : wanted(*fresh);
        for (const auto& set : old) sum += wanted(*set);
        return sum;
    }
};

class DeploymentController final : public Controller {
public:
    explicit DeploymentController(ControllerContext& context) : Controller(context, "deployment-controller") {}
    void wire() override {
        watch_own(r::deployments);
        watch_owned(r::replica_sets, "Deployment");
        // Recreate waits for the old pods to be gone.
        watch(r::pods, [this](const ObjectPtr& pod, const ObjectPtr&, bool deleted) {
            if (!deleted) return;
            const auto owner = kube::controller_of(*pod);
            if (!owner || owner->kind != "ReplicaSet") return;
            const auto set = cache(r::replica_sets).find(kube::namespace_of(*pod), owner->name);
            const auto deployment = set == nullptr ? std::nullopt : kube::controller_of(*set);
            if (deployment) queue_.add(std::string(kube::namespace_of(*pod)) + "/" + deployment->name);
        });
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    Task<Result<>> find_or_make_fresh(Rollout& rollout, bool make);
    Task<Result<bool>> scale(ObjectPtr deployment, ObjectPtr& set, std::int64_t replicas);
    Task<Result<bool>> apply_scale_event(Rollout& rollout);
    Task<Result<>> roll(Rollout& rollout);
    Task<Result<>> recreate(Rollout& rollout);
    Task<Result<>> scale_old_down(Rollout& rollout);
    Task<Result<>> trim_history(Rollout& rollout);
    Task<Result<Duration>> write_status(const Rollout& rollout);
    json::Object annotations_for(const Rollout& rollout) const;
};

Task<Result<Duration>> DeploymentController::reconcile(std::string key) {
    Rollout rollout;
    rollout.deployment = find(r::deployments, key);
    if (rollout.deployment == nullptr || kube::is_deleting(*rollout.deployment)) co_return Duration{};
    const Value& deployment = *rollout.deployment;
    rollout.replicas = json::int_at(deployment, "spec", "replicas").value_or(1);
    rollout.surge =
        int_or_percent(json::at(deployment, "spec", "strategy", "rollingUpdate", "maxSurge"), rollout.replicas, true, (rollout.replicas + 3) / 4);
    rollout.unavailable =
        int_or_percent(json::at(deployment, "spec", "strategy", "rollingUpdate", "maxUnavailable"), rollout.replicas, false, rollout.replicas / 4);
    if (rollout.surge == 0 && rollout.unavailable == 0) rollout.unavailable = 1;
    const bool paused = json::bool_at(deployment, "spec", "paused").value_or(false);
    const bool recreating = json::string_at(deployment, "spec", "strategy", "type") == "Recreate";

    KN_CO_CHECK(co_await find_or_make_fresh(rollout, !paused && !recreating));
    KN_CO_TRY(const bool scaled, co_await apply_scale_event(rollout));
    if (!scaled && !paused) {
        if (recreating)
            KN_CO_CHECK(co_await recreate(rollout));
        else
            KN_CO_CHECK(co_await roll(rollout));
    }
    KN_CO_CHECK(co_await trim_history(rollout));
    co_return co_await write_status(rollout);
}

json::Object DeploymentController::annotations_for(const Rollout& rollout) const {
    return {{"deployment.kubernetes.io/desired-replicas", std::to_string(rollout.replicas)},
            {"deployment.kubernetes.io/max-replicas", std::to_string(rollout.replicas + rollout.surge)}};
}

Task<Result<>> DeploymentController::find_or_make_fresh(Rollout& rollout, bool make) {
    const Value& deployment = *rollout.deployment;
    const std::string ns(kube::namespace_of(deployment));
    const Value& pod_template = *json::at(deployment, "spec", "template");
    const Value plain = without_hash(pod_template);
    auto sets = owned(r::replica_sets, deployment);
    std::ranges::sort(
        sets, {}, [](const ObjectPtr& set) { return std::tuple(kube::creation_time(*set).value_or(Instant{}), std::string(kube::name_of(*set))); });
    std::int64_t newest = 0;
    for (const auto& set : sets) {
        if (rollout.fresh == nullptr && without_hash(*json::at(*set, "spec", "template")) == plain) {
            rollout.fresh = set;
        } else {
            rollout.old.push_back(set);
            newest = std::max(newest, revision_of(*set));
        }
    }
    if (rollout.fresh == nullptr && !make) co_return Result<>{};
    const std::string revision = std::to_string(newest + 1);
    if (rollout.fresh != nullptr) {
        if (revision_of(*rollout.fresh) < newest + 1) {
            json::Object annotations = annotations_for(rollout);
            annotations[revision_key] = revision;
            if (const auto old = kube::annotation_of(*rollout.fresh, revision_key); !old.empty()) {
                const auto history = kube::annotation_of(*rollout.fresh, "deployment.kubernetes.io/revision-history");
                annotations["deployment.kubernetes.io/revision-history"] =
                    history.empty() ? std::string(old) : std::string(history) + "," + std::string(old);
            }
            KN_CO_TRY(auto changed, co_await writer_.merge(r::replica_sets, ns, std::string(kube::name_of(*rollout.fresh)),
                                                           json::Object{{"metadata", json::Object{{"annotations", annotations}}}}));
            rollout.fresh = std::make_shared<const Value>(std::move(changed));
        }
    } else {
        const std::string hash = template_hash(plain);
        Value with_hash = pod_template;
        json::make_at(with_hash, "metadata", "labels", hash_label) = hash;
        Value selector = *json::at(deployment, "spec", "selector");
        json::make_at(selector, "matchLabels", hash_label) = hash;
        json::Object annotations = annotations_for(rollout);
        annotations[revision_key] = revision;
        const std::int64_t room = std::max<std::int64_t>(0, rollout.replicas + rollout.surge - rollout.pods());
        const bool recreating = json::string_at(deployment, "spec", "strategy", "type") == "Recreate";
        const std::int64_t replicas = recreating ? rollout.replicas : std::min(rollout.replicas, room);
        json::Object spec{{"replicas", replicas}, {"selector", std::move(selector)}, {"template", std::move(with_hash)}};
        if (const auto* min_ready = json::at(deployment, "spec", "minReadySeconds")) spec["minReadySeconds"] = *min_ready;
        const std::string name = std::string(kube::name_of(deployment)) + "-" + hash;
        json::Object labels = json::object_at(pod_template, "metadata", "labels");
        labels[hash_label] = hash;
        auto made = co_await writer_.create(
            r::replica_sets, ns,
            json::Object{{"apiVersion", "apps/v1"},
                         {"kind", "ReplicaSet"},
                         {"metadata", json::Object{{"name", name},
                                                   {"namespace", ns},
                                                   {"labels", std::move(labels)},
                                                   {"annotations", std::move(annotations)},
                                                   {"ownerReferences", json::Array{controller_ref(r::deployments, deployment)}}}},
                         {"spec", std::move(spec)}});
        if (!made) co_return fail(std::move(made).error());
        rollout.fresh = std::make_shared<const Value>(*std::move(made));
        note(deployment, false, "ScalingReplicaSet", "Scaled up replica set " + name + " from 0 to " + std::to_string(replicas));
    }
    if (kube::annotation_of(deployment, revision_key) != kube::annotation_of(*rollout.fresh, revision_key)) {
        KN_CO_TRY(auto changed,
                  co_await writer_.merge(
                      r::deployments, ns, std::string(kube::name_of(deployment)),
                      json::Object{{"metadata", json::Object{{"annotations",
                                                              json::Object{{revision_key, kube::annotation_of(*rollout.fresh, revision_key)}}}}}}));
        rollout.deployment = std::make_shared<const Value>(std::move(changed));
    }
    co_return Result<>{};
}

Task<Result<bool>> DeploymentController::scale(ObjectPtr deployment, ObjectPtr& set, std::int64_t replicas) {
    const std::int64_t before = wanted(*set);
    Rollout sizes;
    sizes.replicas = json::int_at(*deployment, "spec", "replicas").value_or(1);
    sizes.surge =
        int_or_percent(json::at(*deployment, "spec", "strategy", "rollingUpdate", "maxSurge"), sizes.replicas, true, (sizes.replicas + 3) / 4);
    const auto annotations = annotations_for(sizes);
    const bool same_notes = std::ranges::all_of(
        annotations, [&](const auto& each) { return kube::annotation_of(*set, each.key()) == json::view(each.value().get_string()); });
    if (before == replicas && same_notes) co_return false;
    KN_CO_TRY(auto changed, co_await writer_.merge(r::replica_sets, std::string(kube::namespace_of(*set)), std::string(kube::name_of(*set)),
                                                   json::Object{{"metadata", json::Object{{"annotations", annotations}}},
                                                                {"spec", json::Object{{"replicas", replicas}}}}));
    if (before != replicas) {
        note(*deployment, false, "ScalingReplicaSet",
             std::string(before < replicas ? "Scaled up" : "Scaled down") + " replica set " + std::string(kube::name_of(*set)) + " from " +
                 std::to_string(before) + " to " + std::to_string(replicas));
    }
    set = std::make_shared<const Value>(std::move(changed));
    co_return before != replicas;
}

/// A changed spec.replicas is spread over the ReplicaSets that have pods, in proportion to their size, before the rollout goes on.
Task<Result<bool>> DeploymentController::apply_scale_event(Rollout& rollout) {
    std::vector<ObjectPtr*> active;
    if (rollout.fresh != nullptr && wanted(*rollout.fresh) > 0) active.push_back(&rollout.fresh);
    for (auto& set : rollout.old) {
        if (wanted(*set) > 0) active.push_back(&set);
    }
    const std::string now_desired = std::to_string(rollout.replicas);
    bool event = false;
    for (auto* set : active) {
        const auto desired = kube::annotation_of(**set, "deployment.kubernetes.io/desired-replicas");
        event = event || (!desired.empty() && desired != now_desired);
    }
    if (!event) co_return false;
    if (active.size() == 1) {
        KN_CO_TRY(bool changed, co_await scale(rollout.deployment, *active.front(), rollout.replicas));
        co_return changed;
    }
    const std::int64_t allowed = rollout.replicas > 0 ? rollout.replicas + rollout.surge : 0;
    const std::int64_t have = rollout.pods();
    std::int64_t left = allowed - have;
    std::ranges::sort(active, [](const ObjectPtr* a, const ObjectPtr* b) { return wanted(**a) > wanted(**b); });
    for (std::size_t i = 0; i < active.size(); ++i) {
        const std::int64_t size = wanted(**active[i]);
        std::int64_t change =
            have == 0 ? 0 : static_cast<std::int64_t>(static_cast<double>(size) * static_cast<double>(allowed - have) / static_cast<double>(have));
        if (i + 1 == active.size()) change = left;
        change = left >= 0 ? std::min(change, left) : std::max(change, left);
        left -= change;
        KN_CO_CHECK(co_await scale(rollout.deployment, *active[i], std::max<std::int64_t>(0, size + change)));
    }
    co_return true;
}

Task<Result<>> DeploymentController::roll(Rollout& rollout) {
    const std::int64_t fresh = wanted(*rollout.fresh);
    if (fresh > rollout.replicas) {
        KN_CO_CHECK(co_await scale(rollout.deployment, rollout.fresh, rollout.replicas));
        co_return Result<>{};
    }
    if (fresh < rollout.replicas) {
        const std::int64_t room = rollout.replicas + rollout.surge - rollout.pods();
        if (room > 0) {
            KN_CO_CHECK(co_await scale(rollout.deployment, rollout.fresh, std::min(rollout.replicas, fresh + room)));
            co_return Result<>{};
        }
    } else {
        KN_CO_CHECK(co_await scale(rollout.deployment, rollout.fresh, fresh));  // keeps the notes current
    }
    co_return co_await scale_old_down(rollout);
}

Task<Result<>> DeploymentController::scale_old_down(Rollout& rollout) {
    std::int64_t old_pods = 0;
    for (const auto& set : rollout.old) old_pods += wanted(*set);
    if (old_pods == 0) co_return Result<>{};
    const std::int64_t min_available = rollout.replicas - rollout.unavailable;
    const std::int64_t fresh_unavailable = wanted(*rollout.fresh) - number_at(*rollout.fresh, "availableReplicas");
    std::int64_t budget = rollout.pods() - min_available - fresh_unavailable;
    if (budget <= 0) co_return Result<>{};
    // Pods of old sets that serve nobody go first.
    std::ranges::sort(rollout.old, {}, [](const ObjectPtr& set) { return kube::creation_time(*set).value_or(Instant{}); });
    for (auto& set : rollout.old) {
        const std::int64_t sick = wanted(*set) - number_at(*set, "availableReplicas");
        const std::int64_t cut = std::min(budget, sick);
        if (wanted(*set) == 0 || cut <= 0) continue;
        KN_CO_CHECK(co_await scale(rollout.deployment, set, wanted(*set) - cut));
        budget -= cut;
    }
    std::int64_t spare = rollout.total("availableReplicas") - min_available;
    for (auto& set : rollout.old) {
        const std::int64_t cut = std::min({spare, budget, wanted(*set)});
        if (cut <= 0) continue;
        KN_CO_CHECK(co_await scale(rollout.deployment, set, wanted(*set) - cut));
        spare -= cut;
        budget -= cut;
    }
    co_return Result<>{};
}

Task<Result<>> DeploymentController::recreate(Rollout& rollout) {
    bool gone = true;
    for (auto& set : rollout.old) {
        if (wanted(*set) > 0) KN_CO_CHECK(co_await scale(rollout.deployment, set, 0));
        gone = gone && owned(r::pods, *set).empty();
    }
    if (!gone) co_return Result<>{};
    if (rollout.fresh == nullptr) {
        KN_CO_CHECK(co_await find_or_make_fresh(rollout, true));
    }
    KN_CO_CHECK(co_await scale(rollout.deployment, rollout.fresh, rollout.replicas));
    co_return Result<>{};
}

Task<Result<>> DeploymentController::trim_history(Rollout& rollout) {
    const auto limit = static_cast<std::size_t>(json::int_at(*rollout.deployment, "spec", "revisionHistoryLimit").value_or(10));
    std::vector<ObjectPtr> idle;
    for (const auto& set : rollout.old) {
        if (wanted(*set) == 0 && number_at(*set, "replicas") == 0 && !kube::is_deleting(*set)) idle.push_back(set);
    }
    if (idle.size() <= limit) co_return Result<>{};
    std::ranges::sort(idle, {}, [](const ObjectPtr& set) { return revision_of(*set); });
    for (std::size_t i = 0; i < idle.size() - limit; ++i) KN_CO_CHECK(co_await writer_.remove(r::replica_sets, idle[i]));
    co_return Result<>{};
}

Task<Result<Duration>> DeploymentController::write_status(const Rollout& rollout) {
    const Value& deployment = *rollout.deployment;
    const std::int64_t replicas = rollout.total("replicas"), ready = rollout.total("readyReplicas"), available = rollout.total("availableReplicas");
    const std::int64_t updated = rollout.fresh == nullptr ? 0 : number_at(*rollout.fresh, "replicas");
    json::Object status{{"observedGeneration", kube::generation_of(deployment)}};
    if (replicas > 0) status["replicas"] = replicas;
    if (updated > 0) status["updatedReplicas"] = updated;
    if (ready > 0) status["readyReplicas"] = ready;
    if (available > 0) status["availableReplicas"] = available;
    const std::int64_t missing = std::max(rollout.replicas, rollout.pods()) - available;
    if (missing > 0) status["unavailableReplicas"] = missing;

    json::Array conditions = json::array_at(deployment, "status", "conditions");
    const bool enough = available >= rollout.replicas - rollout.unavailable;
    set_condition(conditions, "Available", enough ? "True" : "False", enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                  enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.", now());

    Duration again{};
    const auto deadline = json::int_at(deployment, "spec", "progressDeadlineSeconds").value_or(600);
    const bool complete = updated == rollout.replicas && replicas == rollout.replicas && available == rollout.replicas && rollout.fresh != nullptr;
    const std::string name = rollout.fresh == nullptr ? std::string() : std::string(kube::name_of(*rollout.fresh));
    const auto before = kube::condition_of(deployment, "Progressing");
    const auto touch = [&] {
        for (auto& each : conditions) {
            if (json::string_at(each, "type") == "Progressing") each.as_object()["lastUpdateTime"] = seconds_time(now());
        }
    };
    const auto old = [&](std::string_view field) { return json::int_at(deployment, "status", field).value_or(0); };
    const bool moved = updated > old("updatedReplicas") || replicas - updated < old("replicas") - old("updatedReplicas") ||
                       ready > old("readyReplicas") || available > old("availableReplicas");
    const bool new_spec = kube::generation_of(deployment) != json::int_at(deployment, "status", "observedGeneration").value_or(0);
    if (complete) {
        if (!before || before->reason != "NewReplicaSetAvailable" || before->message.find(name) == std::string::npos) {
            set_condition(conditions, "Progressing", "True", "NewReplicaSetAvailable", "ReplicaSet \"" + name + "\" has successfully progressed.",
                          now());
            touch();
        }
    } else if (!before || (before->reason == "NewReplicaSetAvailable" && (updated < rollout.replicas || replicas > updated) && new_spec) ||
               (before->reason != "NewReplicaSetAvailable" && (moved || before->message.find(name) == std::string::npos))) {
        const bool made = !before || (rollout.fresh != nullptr && number_at(*rollout.fresh, "replicas") == 0);
        set_condition(conditions, "Progressing", "True", made ? "NewReplicaSetCreated" : "ReplicaSetUpdated",
                      made ? "Created new replica set \"" + name + "\"" : "ReplicaSet \"" + name + "\" is progressing.", now());
        touch();
    }
    if (!complete && !json::bool_at(deployment, "spec", "paused").value_or(false)) {
        for (auto& each : conditions) {
            if (json::string_at(each, "type") != "Progressing" || json::string_at(each, "reason") == "NewReplicaSetAvailable" ||
                json::string_at(each, "reason") == "ProgressDeadlineExceeded")
                continue;
            const Instant due = kube::time_at(each, "lastUpdateTime").value_or(now()) + std::chrono::seconds{deadline};
            if (due > now()) {
                again = due - now() + Duration{1};
                continue;
            }
            note(deployment, true, "ProgressDeadlineExceeded", "ReplicaSet \"" + name + "\" has timed out progressing.");
            auto& condition = each.as_object();
            condition["lastTransitionTime"] = condition["lastUpdateTime"] = seconds_time(now());
            condition["status"] = "False";
            condition["reason"] = "ProgressDeadlineExceeded";
            condition["message"] = "ReplicaSet \"" + name + "\" has timed out progressing.";
        }
    }
    std::vector<ObjectPtr> sets = rollout.old;
    if (rollout.fresh != nullptr) sets.insert(sets.begin(), rollout.fresh);
    std::optional<kube::Condition> failure;
    for (const auto& set : sets) {
        const auto found = kube::condition_of(*set, "ReplicaFailure");
        if (!failure && found && found->status == "True") failure = found;
    }
    if (failure)
        set_condition(conditions, "ReplicaFailure", "True", failure->reason, failure->message, now());
    else
        remove_condition(conditions, "ReplicaFailure");
    for (auto& each : conditions) {
        if (json::at(each, "lastUpdateTime") == nullptr) each.as_object()["lastUpdateTime"] = *json::at(each, "lastTransitionTime");
    }
    status["conditions"] = std::move(conditions);
    KN_CO_CHECK(co_await writer_.status(r::deployments, rollout.deployment, std::move(status)));
    co_return again;
}

}  // namespace

std::unique_ptr<Controller> make_deployment_controller(ControllerContext& context) { return std::make_unique<DeploymentController>(context); }

}  // namespace kn::sim
