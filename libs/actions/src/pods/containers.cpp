#include "pods/containers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/kube/object.hpp"
#include "pods/capacity.hpp"

namespace kn::actions {

const json::Value* pod_spec_of(const Subject& subject) {
    return subject.key.kind == "Pod" ? json::at(subject.live, "spec") : json::at(subject.live, "spec", "template", "spec");
}

const json::Value* find_container(const json::Value& pod_spec, std::string_view name) {
    const auto& containers = json::array_at(pod_spec, "containers");
    const auto found = std::ranges::find_if(containers, [name](const json::Value& each) { return json::string_at(each, "name") == name; });
    return found == containers.end() ? nullptr : &*found;
}

Result<std::string> meant_container(const json::Value& pod_spec, const std::string& named, const std::vector<json::Value>& pods,
                                    std::string_view reason) {
    if (!named.empty()) {
        if (find_container(pod_spec, named) == nullptr) return bad_param("container", "there is no container " + named);
        return named;
    }
    for (const auto& pod : pods) {
        for (const auto& status : json::array_at(pod, "status", "containerStatuses")) {
            const bool hit = !reason.empty() && (json::string_at(status, "lastState", "terminated", "reason") == reason ||
                                                 json::string_at(status, "state", "terminated", "reason") == reason);
            const std::string name(json::string_at(status, "name"));
            if (hit && find_container(pod_spec, name) != nullptr) return name;
        }
    }
    const auto& containers = json::array_at(pod_spec, "containers");
    if (containers.size() == 1) return std::string(json::string_at(containers[0], "name"));
    return bad_param("container", "is needed: the pods have several containers");
}

std::optional<double> resource_amount(const json::Value& container, std::string_view which, std::string_view resource) {
    return kube::quantity_at(json::at(container, "resources", std::string(which), std::string(resource)));
}

std::string resource_text(std::string_view resource, double amount) {
    constexpr double mebibyte = 1024.0 * 1024.0;
    // The small subtraction keeps noise of the multiplication from adding a step.
    if (resource == "memory") return kube::format_bytes(std::ceil(amount / mebibyte - 1e-6) * mebibyte);
    return kube::format_cores(std::ceil(amount * 100 - 1e-6) / 100);
}

Task<Result<std::optional<std::string>>> vertical_autoscaler_of(const ActionContext& context, const Subject& workload) {
    std::optional<std::string> none;
    const auto resource = co_await context.client->discover("autoscaling.k8s.io", "VerticalPodAutoscaler", call_deadline(context));
    if (!resource && resource.error().code == ErrorCode::not_found) co_return none;
    if (!resource) co_return fail(resource.error().with_context("asking for vertical autoscalers"));
    KN_CO_TRY(const auto listed, co_await context.client->list(*resource, workload.key.ns, {}, call_deadline(context)));
    for (const auto& vpa : listed.items) {
        if (json::string_at(vpa, "spec", "targetRef", "kind") == workload.key.kind &&
            json::string_at(vpa, "spec", "targetRef", "name") == workload.key.name &&
            json::string_at(vpa, "spec", "updatePolicy", "updateMode") != "Off") {
            co_return std::optional(std::string(kube::name_of(vpa)));
        }
    }
    co_return none;
}

Task<Result<double>> resource_cap(const ActionContext& context, const Subject& workload, std::string resource) {
    double cap = std::numeric_limits<double>::infinity();
    const auto lower = [&cap](std::optional<double> bound) {
        if (bound) cap = std::min(cap, *bound);
    };
    KN_CO_TRY(const auto nodes, co_await context.client->list(kube::resources::nodes, "", {}, call_deadline(context)));
    double largest = 0;
    for (const auto& node : nodes.items)
        largest = std::max(largest, kube::quantity_at(json::at(node, "status", "allocatable", resource)).value_or(0));
    lower(largest / 2);
    KN_CO_TRY(const auto ranges, co_await context.client->list(kube::resources::limit_ranges, workload.key.ns, {}, call_deadline(context)));
    for (const auto& range : ranges.items) {
        for (const auto& limit : json::array_at(range, "spec", "limits")) {
            if (json::string_at(limit, "type") == "Container") lower(kube::quantity_at(json::at(limit, "max", resource)));
        }
    }
    if (resource == "memory") {
        auto own = kube::annotation_of(workload.live, "kubernaut.io/max-memory");
        if (own.empty()) own = kube::label_of(workload.live, "kubernaut.io/max-memory");
        lower(kube::parse_quantity(own));
    }
    co_return cap;
}

}  // namespace kn::actions
