#include <algorithm>
#include <cctype>

#include "kubernaut/decision/correlator.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::decision {
namespace {

using async::Task;
namespace r = kube::resources;

constexpr int max_steps = 6;

ObjectKey key_of(const ObjectKey& child, const kube::OwnerRef& owner, bool namespaced) {
    const auto slash = owner.api_version.find('/');
    return {child.cluster, namespaced ? child.ns : std::string{}, owner.kind,
            slash == std::string::npos ? std::string{} : owner.api_version.substr(0, slash), owner.name};
}

/// From a synced cache, else live. Error only when the server could not be asked; a null value = not there.
Task<Result<kube::ObjectPtr>> read(ports::ClusterGateway& gateway, ObjectKey key, kube::Resource resource, Deadline deadline) {
    if (const auto cache = gateway.cache(key.cluster, resource); cache != nullptr && cache->synced()) {
        if (auto object = cache->find(key.ns, key.name)) co_return object;
    }
    const auto client = gateway.client(key.cluster);
    if (client == nullptr) co_return fail(ErrorCode::not_found, "no such cluster");
    auto object = co_await client->get(resource, key.ns, key.name, deadline);
    if (object) co_return std::make_shared<const json::Value>(*std::move(object));
    if (object.error().code == ErrorCode::not_found) co_return kube::ObjectPtr{};
    co_return std::unexpected(std::move(object).error());
}

bool is_hash(std::string_view text) {
    return !text.empty() && text.size() <= 10 && std::ranges::all_of(text, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) && !std::isupper(static_cast<unsigned char>(c));
    });
}

/// Could a pod of this name belong to the workload? Names as controllers make them.
bool name_fits(std::string_view kind, std::string_view workload, std::string_view pod) {
    if (!pod.starts_with(workload) || pod.size() <= workload.size() + 1 || pod[workload.size()] != '-') return false;
    const auto rest = pod.substr(workload.size() + 1);
    if (kind == "StatefulSet") return std::ranges::all_of(rest, [](char c) { return std::isdigit(static_cast<unsigned char>(c)); });
    if (kind == "Deployment") {
        const auto dash = rest.find('-');
        return dash != std::string_view::npos && is_hash(rest.substr(0, dash)) && rest.size() - dash - 1 == 5 && is_hash(rest.substr(dash + 1));
    }
    return rest.size() == 5 && is_hash(rest);
}

Task<std::optional<OwnerAnswer>> by_name(ports::ClusterGateway& gateway, ObjectKey pod, Deadline deadline) {
    std::optional<OwnerAnswer> found;
    int fitting = 0;
    for (const auto* resource : {&r::deployments, &r::stateful_sets, &r::daemon_sets}) {
        std::vector<kube::ObjectPtr> workloads;
        if (const auto cache = gateway.cache(pod.cluster, *resource); cache != nullptr && cache->synced()) {
            workloads = cache->list(pod.ns);
        } else if (const auto client = gateway.client(pod.cluster)) {
            auto list = co_await client->list(*resource, pod.ns, {}, deadline);
            if (!list) co_return std::nullopt;
            for (auto& item : list->items) workloads.push_back(std::make_shared<const json::Value>(std::move(item)));
        }
        for (const auto& workload : workloads) {
            if (!name_fits(resource->kind, kube::name_of(*workload), pod.name)) continue;
            ++fitting;
            found = OwnerAnswer{ObjectRef{.key = {pod.cluster, pod.ns, resource->kind, resource->group, std::string{kube::name_of(*workload)}},
                                          .uid = std::string{kube::uid_of(*workload)}},
                                Resolution::weak};
        }
    }
    if (fitting != 1) co_return std::nullopt;
    co_return found;
}

}  // namespace

Task<Result<OwnerAnswer>> resolve_owner(ports::ClusterGateway& gateway, ObjectKey object, Deadline deadline) {
    OwnerAnswer answer{ObjectRef{.key = object}, Resolution::unresolved};
    bool through_tombstone = false;
    for (int step = 0; step <= max_steps; ++step) {
        const auto& key = answer.target.key;
        const auto* resource = kube::find_resource(key.kind_group());
        // A kind that is not built in: its child is the last object that can be read.
        if (resource == nullptr) co_return answer;
        KN_CO_TRY(const auto found, co_await read(gateway, key, *resource, deadline));
        if (found == nullptr) {
            if (const auto owner = gateway.tombstone(key.cluster, key.kind, key.ns, key.name)) {
                answer.target = *owner;
                answer.resolution = Resolution::tombstone;
                through_tombstone = true;
                continue;
            }
            if (key.kind == "Pod") {
                if (auto weak = co_await by_name(gateway, key, deadline)) co_return *weak;
            }
            co_return answer;  // what was found before, or unresolved
        }
        answer.target.uid = kube::uid_of(*found);
        answer.target.resource_version = kube::resource_version_of(*found);
        answer.resolution = through_tombstone ? Resolution::tombstone : Resolution::exact;
        const auto owner = kube::controller_of(*found);
        const bool followed = key.kind == "Pod" || key.kind == "ReplicaSet";
        if (!followed || !owner || owner->kind == "Node") co_return answer;
        auto above = key_of(key, *owner, true);
        if (kube::find_resource(above.kind_group()) == nullptr) co_return answer;
        answer.target = ObjectRef{.key = std::move(above), .uid = owner->uid};
    }
    co_return answer;
}

}  // namespace kn::decision
