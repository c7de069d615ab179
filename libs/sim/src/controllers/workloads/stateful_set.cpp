#include <algorithm>
#include <charconv>

#include "controllers/workloads/revisions.hpp"

namespace kn::sim {
namespace {

constexpr std::string_view revision_label = "controller-revision-hash";

class StatefulSetController final : public Controller {
public:
    explicit StatefulSetController(ControllerContext& context) : Controller(context, "statefulset-controller") {}
    void wire() override {
        watch_own(r::stateful_sets);
        watch_owned(r::pods, "StatefulSet");
        watch(r::controller_revisions, [](const ObjectPtr&, const ObjectPtr&, bool) {});
        watch(r::persistent_volume_claims, [this](const ObjectPtr& claim, const ObjectPtr&, bool deleted) {
            if (!deleted) return;
            // A claim that went away is made again with its pod.
            for (const auto& set : cache(r::stateful_sets).list(kube::namespace_of(*claim))) queue_.add(key_of(*set));
        });
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    struct State {
        ObjectPtr set;
        Revisions revisions;
        std::string current, update;             // revision names
        std::map<std::int64_t, ObjectPtr> pods;  // by ordinal
        std::int64_t start = 0, replicas = 1, partition = 0;
        Duration min_ready{};
        bool ordered = true;
    };
    Task<Result<>> step(State& state, Duration& again);
    Task<Result<>> create_pod(State& state, std::int64_t ordinal);
    Task<Result<>> ensure_claims(State& state, std::int64_t ordinal);
    Task<Result<>> write_status(State& state, Duration& again);
    static std::optional<std::int64_t> ordinal_of(const Value& pod) {
        const auto name = kube::name_of(pod);
        const auto digits = name.substr(name.find_last_of('-') + 1);
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        return error == std::errc{} ? std::optional(number) : std::nullopt;
    }
};

Task<Result<Duration>> StatefulSetController::reconcile(std::string key) {
    State state;
    state.set = find(r::stateful_sets, key);
    if (state.set == nullptr || kube::is_deleting(*state.set)) co_return Duration{};
    const Value& set = *state.set;
    state.replicas = json::int_at(set, "spec", "replicas").value_or(1);
    state.start = json::int_at(set, "spec", "ordinals", "start").value_or(0);
    state.partition = json::int_at(set, "spec", "updateStrategy", "rollingUpdate", "partition").value_or(0);
    state.ordered = json::string_at(set, "spec", "podManagementPolicy") != "Parallel";
    state.min_ready = std::chrono::seconds{json::int_at(set, "spec", "minReadySeconds").value_or(0)};
    std::vector<std::string> in_use{std::string(json::string_at(set, "status", "currentRevision"))};
    for (const auto& pod : owned(r::pods, set)) {
        if (const auto ordinal = ordinal_of(*pod)) state.pods[*ordinal] = pod;
        in_use.emplace_back(kube::label_of(*pod, revision_label));
    }
    KN_CO_TRY(state.revisions, co_await read_revisions(writer_, owned(r::controller_revisions, set), r::stateful_sets, state.set,
                                                       json::int_at(set, "spec", "revisionHistoryLimit").value_or(10), in_use));
    state.update = kube::name_of(*state.revisions.update);
    state.current = json::string_at(set, "status", "currentRevision");
    if (state.current.empty() || state.revisions.named(state.current) == nullptr) state.current = state.update;
    Duration again{};
    auto done = co_await step(state, again);
    KN_CO_CHECK(co_await write_status(state, again));
    if (!done) co_return fail(std::move(done).error());
    co_return again;
}

Task<Result<>> StatefulSetController::step(State& state, Duration& again) {
    const std::int64_t end = state.start + state.replicas;
    // Up and in place, from the lowest ordinal.
    for (std::int64_t ordinal = state.start; ordinal < end; ++ordinal) {
        const auto found = state.pods.find(ordinal);
        KN_CO_CHECK(co_await ensure_claims(state, ordinal));
        if (found == state.pods.end()) {
            KN_CO_CHECK(co_await create_pod(state, ordinal));
            if (state.ordered) co_return Result<>{};
            continue;
        }
        const Value& pod = *found->second;
        if (pod_finished(pod) && !kube::is_deleting(pod)) {
            note(*state.set, true, "RecreatingFailedPod",
                 "StatefulSet " + key_of(*state.set) + " is recreating failed Pod " + std::string(kube::name_of(pod)));
            KN_CO_CHECK(co_await writer_.remove(r::pods, found->second));
            co_return Result<>{};
        }
        if (!state.ordered) continue;
        // One after another: a pod that is not Ready holds everything behind it, updates included.
        if (kube::is_deleting(pod) || !pod_available(pod, state.min_ready, now(), again)) co_return Result<>{};
    }
    // Down, from the highest.
    for (auto it = state.pods.rbegin(); it != state.pods.rend(); ++it) {
        if (it->first >= state.start && it->first < end) break;
        if (kube::is_deleting(*it->second)) {
            if (state.ordered) co_return Result<>{};
            continue;
        }
        note(*state.set, false, "SuccessfulDelete",
             "delete Pod " + std::string(kube::name_of(*it->second)) + " in StatefulSet " + std::string(kube::name_of(*state.set)) + " successful");
        KN_CO_CHECK(co_await writer_.remove(r::pods, it->second));
        if (state.ordered) co_return Result<>{};
    }
    if (json::string_at(*state.set, "spec", "updateStrategy", "type") == "OnDelete") co_return Result<>{};
    // Updates, from the highest ordinal down to the partition.
    for (std::int64_t ordinal = end - 1; ordinal >= std::max(state.start, state.partition); --ordinal) {
        const auto found = state.pods.find(ordinal);
        if (found == state.pods.end()) co_return Result<>{};
        const Value& pod = *found->second;
        if (kube::label_of(pod, revision_label) != state.update && !kube::is_deleting(pod)) {
            note(*state.set, false, "SuccessfulDelete",
                 "delete Pod " + std::string(kube::name_of(pod)) + " in StatefulSet " + std::string(kube::name_of(*state.set)) + " successful");
            KN_CO_CHECK(co_await writer_.remove(r::pods, found->second));
            co_return Result<>{};
        }
        if (kube::is_deleting(pod) || !pod_available(pod, state.min_ready, now(), again)) co_return Result<>{};
    }
    co_return Result<>{};
}

Task<Result<>> StatefulSetController::ensure_claims(State& state, std::int64_t ordinal) {
    const std::string ns(kube::namespace_of(*state.set));
    for (const auto& claim : json::array_at(*state.set, "spec", "volumeClaimTemplates")) {
        const std::string name = std::string(kube::name_of(claim)) + "-" + std::string(kube::name_of(*state.set)) + "-" + std::to_string(ordinal);
        if (cache(r::persistent_volume_claims).find(ns, name) != nullptr) continue;
        Value object = claim;
        object.as_object()["apiVersion"] = "v1";
        object.as_object()["kind"] = "PersistentVolumeClaim";
        object.as_object().erase("status");
        json::make_at(object, "metadata", "name") = name;
        json::make_at(object, "metadata", "namespace") = ns;
        json::Object labels = json::object_at(claim, "metadata", "labels");
        for (const auto& [key, value] : json::object_at(*state.set, "spec", "selector", "matchLabels")) labels[key] = value;
        json::make_at(object, "metadata", "labels") = std::move(labels);
        auto made = co_await writer_.create(r::persistent_volume_claims, ns, std::move(object));
        if (!made && made.error().code != ErrorCode::already_exists) {
            note(*state.set, true, "FailedCreate", "create Claim " + name + " for Pod failed error: " + made.error().message);
            co_return fail(std::move(made).error());
        }
        if (made)
            note(*state.set, false, "SuccessfulCreate",
                 "create Claim " + name + " Pod " + std::string(kube::name_of(*state.set)) + "-" + std::to_string(ordinal) + " in StatefulSet " +
                     std::string(kube::name_of(*state.set)) + " success");
    }
    co_return Result<>{};
}

Task<Result<>> StatefulSetController::create_pod(State& state, std::int64_t ordinal) {
    const Value& set = *state.set;
    const std::string ns(kube::namespace_of(set)), name = std::string(kube::name_of(set)) + "-" + std::to_string(ordinal);
    // Below the partition a new pod gets the revision that runs there.
    const bool new_one = ordinal >= state.partition;
    const auto revision = state.revisions.named(new_one ? state.update : state.current);
    auto pod = pod_from_template(template_of_revision(*revision), r::stateful_sets, set);
    auto& metadata = pod["metadata"].as_object();
    metadata["name"] = name;
    json::Object labels = json::object_at(pod["metadata"], "labels");
    labels["statefulset.kubernetes.io/pod-name"] = name;
    labels["apps.kubernetes.io/pod-index"] = std::to_string(ordinal);
    labels[revision_label] = kube::name_of(*revision);
    metadata["labels"] = std::move(labels);
    auto& spec = pod["spec"].as_object();
    spec["hostname"] = name;
    if (const auto service = json::string_at(set, "spec", "serviceName"); !service.empty()) spec["subdomain"] = service;
    json::Array volumes = json::array_at(pod["spec"], "volumes");
    for (const auto& claim : json::array_at(set, "spec", "volumeClaimTemplates")) {
        const auto claim_name = kube::name_of(claim);
        for (auto it = volumes.begin(); it != volumes.end();) it = json::string_at(*it, "name") == claim_name ? volumes.erase(it) : it + 1;
        volumes.push_back(
            json::Object{{"name", claim_name}, {"persistentVolumeClaim", json::Object{{"claimName", std::string(claim_name) + "-" + name}}}});
    }
    if (!volumes.empty()) spec["volumes"] = std::move(volumes);
    auto made = co_await writer_.create(r::pods, ns, std::move(pod));
    if (!made) {
        if (made.error().code == ErrorCode::already_exists) co_return Result<>{};
        note(set, true, "FailedCreate",
             "create Pod " + name + " in StatefulSet " + std::string(kube::name_of(set)) + " failed error: " + made.error().message);
        co_return fail(std::move(made).error());
    }
    note(set, false, "SuccessfulCreate", "create Pod " + name + " in StatefulSet " + std::string(kube::name_of(set)) + " successful");
    co_return Result<>{};
}

Task<Result<>> StatefulSetController::write_status(State& state, Duration& again) {
    std::int64_t replicas = 0, ready = 0, available = 0, current = 0, updated = 0;
    for (const auto& [ordinal, pod] : state.pods) {
        if (pod_finished(*pod)) continue;
        ++replicas;
        ready += pod_ready(*pod);
        available += pod_available(*pod, state.min_ready, now(), again);
        if (kube::is_deleting(*pod)) continue;
        const auto revision = kube::label_of(*pod, revision_label);
        current += revision == state.current;
        updated += revision == state.update;
    }
    if (state.partition == 0 && updated == replicas && replicas == state.replicas && ready == replicas)
        state.current = state.update, current = updated;
    json::Object status{{"observedGeneration", kube::generation_of(*state.set)},
                        {"replicas", replicas},
                        {"availableReplicas", available},
                        {"currentRevision", state.current},
                        {"updateRevision", state.update},
                        {"collisionCount", 0}};
    if (ready > 0) status["readyReplicas"] = ready;
    if (current > 0) status["currentReplicas"] = current;
    if (updated > 0) status["updatedReplicas"] = updated;
    co_return co_await writer_.status(r::stateful_sets, state.set, std::move(status));
}

}  // namespace

std::unique_ptr<Controller> make_stateful_set_controller(ControllerContext& context) { return std::make_unique<StatefulSetController>(context); }

}  // namespace kn::sim
