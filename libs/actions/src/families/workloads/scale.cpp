#include <algorithm>
#include <cmath>

#include "families/families.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/capacity.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

/// The autoscaler that steers this workload, if any.
Task<Result<std::optional<json::Value>>> autoscaler_of(const ActionContext& context, const Subject& workload) {
    KN_CO_TRY(auto listed, co_await context.client->list(kube::resources::horizontal_pod_autoscalers, workload.key.ns, {}, call_deadline(context)));
    for (auto& hpa : listed.items) {
        if (json::string_at(hpa, "spec", "scaleTargetRef", "kind") == workload.key.kind &&
            json::string_at(hpa, "spec", "scaleTargetRef", "name") == workload.key.name) {
            co_return std::optional(std::move(hpa));
        }
    }
    co_return std::optional<json::Value>{};
}

/// The team's own bound: kubernaut.io/max-replicas on the object.
std::optional<std::int64_t> own_maximum(const json::Value& object) {
    auto text = kube::annotation_of(object, "kubernaut.io/max-replicas");
    if (text.empty()) text = kube::label_of(object, "kubernaut.io/max-replicas");
    const auto number = kube::parse_quantity(text);
    return number ? std::optional(static_cast<std::int64_t>(*number)) : std::nullopt;
}

/// Quota and nodes have room for `more` pods of this template.
Task<Result<>> check_room_for(const ActionContext& context, const std::string& ns, const json::Value& pod_spec, std::int64_t more) {
    KN_CO_TRY(const auto quota, co_await quota_blocks(context, ns, quota_of(pod_spec, static_cast<double>(more))));
    if (quota) co_return refuse("quota", *quota);
    KN_CO_TRY(auto rooms, co_await read_rooms(context));
    for (std::int64_t i = 0; i < more; ++i) {
        if (!take_room(rooms, pod_spec))
            co_return refuse("no_room", "the nodes have room for " + std::to_string(i) + " of " + std::to_string(more) + " more pods");
    }
    co_return Result<>{};
}

class ScaleWorkload final : public PatchAction {
public:
    explicit ScaleWorkload(Shared& shared) : PatchAction("scale_workload", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        const auto wanted = json::int_at(json::Value(image.extra), "replicas").value_or(0);
        if (!image.fields.empty() && state_of(subject.live, image.fields) != FieldState::after) {
            co_return refuse("target_changed", image.object.str() + " has been scaled by somebody else");
        }
        if (json::int_at(subject.live, "status", "observedGeneration").value_or(0) < kube::generation_of(subject.live)) co_return false;
        const bool up = wanted >= json::int_at(json::Value(image.extra), "was").value_or(0);
        co_return up ? json::int_at(subject.live, "status", "readyReplicas").value_or(0) >= wanted
                     : json::int_at(subject.live, "status", "replicas").value_or(0) == wanted;
    }

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        const auto wanted = *params.integer("replicas");
        const auto now = desired_replicas(subject).value_or(1);
        KN_CO_CHECK(check_bounds(subject, wanted, now));
        KN_CO_TRY(const auto hpa, co_await autoscaler_of(context, subject));
        if (hpa) co_return refuse("hpa_owned", "autoscaler " + std::string(kube::name_of(*hpa)) + " steers " + subject.key.str());
        if (wanted > now) {
            const auto* pod_spec = json::at(subject.live, "spec", "template", "spec");
            if (pod_spec != nullptr) KN_CO_CHECK(co_await check_room_for(context, subject.key.ns, *pod_spec, wanted - now));
        } else {
            KN_CO_CHECK(co_await check_budgets(context, subject, wanted));
        }
        Change made{.summary = "scale " + place_text(subject.key) + " from " + std::to_string(now) + " to " + std::to_string(wanted)};
        made.type = kube::PatchType::merge;
        made.subresource = "scale";
        made.fields.push_back({.path = {"spec", "replicas"}, .after = json::Value(wanted)});
        made.extra["was"] = now;
        made.extra["replicas"] = wanted;
        made.subject = std::move(subject);
        co_return made;
    }

private:
    Result<> check_bounds(const Subject& subject, std::int64_t wanted, std::int64_t now) const {
        const auto most = std::min<std::int64_t>(settings().max_replicas, std::max<std::int64_t>(3 * now, 1));
        if (wanted > most) return bad_param("replicas", "must be at most " + std::to_string(most) + " (three times the present number)");
        if (const auto own = own_maximum(subject.live); own && wanted > *own) {
            return bad_param("replicas", "must be at most " + std::to_string(*own) + " (kubernaut.io/max-replicas)");
        }
        return {};
    }
    static Task<Result<>> check_budgets(const ActionContext& context, const Subject& subject, std::int64_t wanted) {
        KN_CO_TRY(const auto listed,
                  co_await context.client->list(kube::resources::pod_disruption_budgets, subject.key.ns, {}, call_deadline(context)));
        const auto& labels = json::object_at(subject.live, "spec", "template", "metadata", "labels");
        for (const auto& pdb : listed.items) {
            const auto least = json::int_at(pdb, "spec", "minAvailable");
            if (least && wanted < *least && kube::label_selector_matches(json::at(pdb, "spec", "selector"), labels)) {
                co_return refuse("floor", "disruption budget " + std::string(kube::name_of(pdb)) + " wants " + std::to_string(*least) + " pods");
            }
        }
        co_return Result<>{};
    }
};

class PatchHpa final : public PatchAction {
public:
    explicit PatchHpa(Shared& shared) : PatchAction("patch_hpa", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        if (!image.fields.empty() && state_of(subject.live, image.fields) != FieldState::after) co_return false;
        const json::Value extra(image.extra);
        if (json::int_at(subject.live, "status", "currentReplicas").value_or(0) > json::int_at(extra, "replicas").value_or(0)) co_return true;
        const auto limited = kube::condition_of(subject.live, "ScalingLimited");
        co_return limited && (limited->status == "False" || limited->reason != "TooManyReplicas");
    }

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        if (subject.key.kind != "HorizontalPodAutoscaler") {
            KN_CO_TRY(auto found, co_await autoscaler_of(context, subject));
            if (!found) co_return refuse("no_autoscaler", subject.key.str() + " has no autoscaler");
            ObjectKey key{.cluster = subject.key.cluster,
                          .ns = subject.key.ns,
                          .kind = "HorizontalPodAutoscaler",
                          .group = "autoscaling",
                          .name = std::string(kube::name_of(*found))};
            subject = Subject{.resource = kube::resources::horizontal_pod_autoscalers, .key = std::move(key), .live = *std::move(found)};
            KN_CO_CHECK(co_await check_writable(context, spec(), subject));
        }
        const auto max_now = json::int_at(subject.live, "spec", "maxReplicas").value_or(1);
        const auto min_now = json::int_at(subject.live, "spec", "minReplicas").value_or(1);
        KN_CO_TRY(const auto max, new_maximum(subject, params, max_now));
        const auto min = params.integer("min").value_or(min_now);
        if (min > max) co_return bad_param("min", "must not be above the maximum of " + std::to_string(max));
        if (max > max_now) KN_CO_CHECK(co_await check_target(context, subject, max - max_now));

        Change made{.summary =
                        "move the bounds of autoscaler " + place_text(subject.key) + " to " + std::to_string(min) + ".." + std::to_string(max)};
        made.fields.push_back({.path = {"spec", "maxReplicas"}, .after = json::Value(max)});
        if (params.has("min")) made.fields.push_back({.path = {"spec", "minReplicas"}, .after = json::Value(min)});
        made.extra["replicas"] = json::int_at(subject.live, "status", "currentReplicas").value_or(0);
        made.subject = std::move(subject);
        co_return made;
    }

private:
    Result<std::int64_t> new_maximum(const Subject& hpa, const Params& params, std::int64_t now) const {
        const bool asked = params.has("max") || params.has("min");
        const double factor = params.number("factor").value_or(1.5);
        const auto by_factor = std::min(2 * now, static_cast<std::int64_t>(std::ceil(static_cast<double>(now) * factor)));
        std::int64_t most = std::min<std::int64_t>(settings().max_replicas, 2 * now);
        if (const auto own = own_maximum(hpa.live)) most = std::min(most, *own);
        const auto max = params.integer("max").value_or(asked && !params.has("factor") ? now : std::min(by_factor, most));
        if (max > most && max > now)
            return bad_param("max", "must be at most " + std::to_string(most) + " (twice the present one, or kubernaut.io/max-replicas)");
        if (!asked && max <= now) return refuse("cap", "the maximum of " + std::to_string(now) + " may not be raised");
        return max;
    }
    static Task<Result<>> check_target(const ActionContext& context, const Subject& hpa, std::int64_t more) {
        const std::string kind(json::string_at(hpa.live, "spec", "scaleTargetRef", "kind"));
        const auto version = json::string_at(hpa.live, "spec", "scaleTargetRef", "apiVersion");
        const auto slash = version.find('/');
        ObjectKey key{.cluster = hpa.key.cluster,
                      .ns = hpa.key.ns,
                      .kind = kind,
                      .group = slash == std::string_view::npos ? "" : std::string(version.substr(0, slash)),
                      .name = std::string(json::string_at(hpa.live, "spec", "scaleTargetRef", "name"))};
        const auto target = co_await read_object(context, std::move(key));
        if (!target) co_return fail(target.error().with_context("reading what the autoscaler scales"));
        const auto* pod_spec = json::at(target->live, "spec", "template", "spec");
        if (pod_spec == nullptr) co_return Result<>{};
        co_return co_await check_room_for(context, hpa.key.ns, *pod_spec, more);
    }
};

}  // namespace

void add_scale_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<ScaleWorkload>(shared));
    list.push_back(std::make_unique<PatchHpa>(shared));
}

}  // namespace kn::actions
