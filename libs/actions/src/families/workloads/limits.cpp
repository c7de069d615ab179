#include <algorithm>
#include <cmath>

#include "families/families.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/selector.hpp"
#include "pods/capacity.hpp"
#include "pods/containers.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

constexpr double most_times_first = 4;
constexpr double worth_it = 1.05;  ///< less than that is not worth a rollout

/// The container's limit in the oldest template that the cluster still keeps.
Task<Result<std::optional<double>>> first_limit(const ActionContext& context, const Subject& workload, std::string container, std::string resource) {
    std::optional<double> first;
    std::int64_t oldest = INT64_MAX;
    const auto look = [&](std::optional<std::int64_t> number, const json::Value* pod_spec) {
        if (!number || *number >= oldest || pod_spec == nullptr) return;
        const auto* found = find_container(*pod_spec, container);
        const auto limit = found == nullptr ? std::nullopt : resource_amount(*found, "limits", resource);
        if (limit) oldest = *number, first = limit;
    };
    if (workload.key.kind == "Deployment") {
        KN_CO_TRY(const auto sets, co_await replica_sets_of(context, workload));
        for (const auto& set : sets) {
            const auto number = kube::parse_quantity(kube::annotation_of(set, "deployment.kubernetes.io/revision"));
            look(number ? std::optional(static_cast<std::int64_t>(*number)) : std::nullopt, json::at(set, "spec", "template", "spec"));
        }
        co_return first;
    }
    kube::ListOptions options;
    if (const auto* selector = json::at(workload.live, "spec", "selector")) options.label_selector = kube::to_query(*selector);
    KN_CO_TRY(const auto listed,
              co_await context.client->list(kube::resources::controller_revisions, workload.key.ns, options, call_deadline(context)));
    for (const auto& each : listed.items) {
        const auto owner = kube::controller_of(each);
        if (owner && owner->uid == kube::uid_of(workload.live))
            look(json::int_at(each, "revision"), json::at(each, "data", "spec", "template", "spec"));
    }
    co_return first;
}

/// raise_memory_limit and raise_cpu_limit.
class RaiseLimit final : public PatchAction {
public:
    RaiseLimit(std::string_view name, Shared& shared, std::string resource) : PatchAction(name, shared), resource_(std::move(resource)) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        if (!image.fields.empty() && state_of(subject.live, image.fields) != FieldState::after) {
            co_return refuse("target_changed", "somebody else has changed the limit of " + image.object.str());
        }
        const auto quiet = resource_ == "memory" ? settings().oom_quiet : settings().rollout_quiet;
        co_return co_await is_settled(context, shared().quiet, subject, quiet);
    }

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        const auto* pod_spec = pod_spec_of(subject);
        if (pod_spec == nullptr) co_return refuse("wrong_kind", subject.key.str() + " has no pod template");
        KN_CO_TRY(const auto vpa, co_await vertical_autoscaler_of(context, subject));
        if (vpa) co_return refuse("vpa_owned", "vertical autoscaler " + *vpa + " owns the resources of " + subject.key.str());
        KN_CO_TRY(const auto pods, co_await pods_of(context, subject));
        KN_CO_TRY(const auto container, meant_container(*pod_spec, params.text("container"), pods, resource_ == "memory" ? "OOMKilled" : ""));
        const auto& found = *find_container(*pod_spec, container);
        const auto limit = resource_amount(found, "limits", resource_);
        if (!limit || *limit <= 0) co_return refuse("no_limit", "container " + container + " has no " + resource_ + " limit");

        KN_CO_TRY(const double wanted, co_await raised(context, params, subject, container, *limit));
        const auto text = resource_text(resource_, wanted);
        const auto amount = kube::parse_quantity(text).value_or(wanted);
        const auto asked = resource_amount(found, "requests", resource_);
        const bool request_too = asked && *asked == *limit;  // keeps the pod's quality of service
        KN_CO_CHECK(co_await check_quota(context, subject, amount - *limit, request_too));

        Change made{.summary = "raise the " + resource_ + " limit of " + place_text(subject.key) + " (" + container + ") from " +
                               resource_text(resource_, *limit) + " to " + text};
        const FieldPath resources{"spec", "template", "spec", "containers", "[name=" + container + "]", "resources"};
        const auto field = [&](std::string_view which) {
            auto path = resources;
            path.emplace_back(which);
            path.push_back(resource_);
            made.fields.push_back({.path = std::move(path), .after = json::Value(text), .quantity = true});
        };
        field("limits");
        if (request_too) field("requests");
        made.extra["container"] = container;
        made.extra["to"] = text;
        made.subject = std::move(subject);
        co_return made;
    }

private:
    Task<Result<double>> raised(const ActionContext& context, const Params& params, const Subject& subject, std::string container, double limit) {
        KN_CO_TRY(double cap, co_await resource_cap(context, subject, resource_));
        KN_CO_TRY(const auto first, co_await first_limit(context, subject, container, resource_));
        cap = std::min({cap, most_times_first * std::min(first.value_or(limit), limit), params.quantity("cap").value_or(cap)});
        const double wanted = std::min(limit * params.number("factor").value_or(1.5), cap);
        if (wanted < limit * worth_it) {
            co_return refuse("cap", "the " + resource_ + " limit of " + resource_text(resource_, limit) + " may not be raised further (cap " +
                                        resource_text(resource_, cap) + ")");
        }
        co_return wanted;
    }
    Task<Result<>> check_quota(const ActionContext& context, const Subject& subject, double more, bool request_too) {
        const double total = more * static_cast<double>(desired_replicas(subject).value_or(1));
        std::map<std::string, double> asked{{"limits." + resource_, total}};
        if (request_too) asked["requests." + resource_] = asked[resource_] = total;
        KN_CO_TRY(const auto blocked, co_await quota_blocks(context, subject.key.ns, std::move(asked)));
        if (blocked) co_return refuse("quota", *blocked);
        co_return Result<>{};
    }

    std::string resource_;
};

}  // namespace

void add_limit_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<RaiseLimit>("raise_memory_limit", shared, "memory"));
    list.push_back(std::make_unique<RaiseLimit>("raise_cpu_limit", shared, "cpu"));
}

}  // namespace kn::actions
