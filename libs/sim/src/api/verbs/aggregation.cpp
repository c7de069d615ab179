#include "api/verbs/aggregation.hpp"

#include <algorithm>

#include "api/core.hpp"

namespace kn::sim::api {

std::vector<DeadApi> dead_apis(const Core& core) {
    std::vector<DeadApi> out;
    const auto* services = core.store.find("apiservices.apiregistration.k8s.io");
    if (services == nullptr) return out;
    for (const auto& [key, object] : services->objects()) {
        if (json::at(object->value(), "spec", "service") == nullptr) continue;
        DeadApi api{std::string(json::string_at(object->value(), "spec", "group")), std::string(json::string_at(object->value(), "spec", "version"))};
        const auto prefix = "/apis/" + api.group + "/" + api.version;
        const bool served = std::ranges::any_of(core.foreign, [&](const auto& f) { return f.prefix == prefix; });
        if (!served) out.push_back(std::move(api));
    }
    return out;
}

bool is_dead_api(const Core& core, std::string_view path) {
    if (!path.starts_with("/apis/")) return false;
    return std::ranges::any_of(dead_apis(core), [&](const DeadApi& api) {
        const auto prefix = "/apis/" + api.group + "/" + api.version;
        return path == prefix || path.starts_with(prefix + "/");
    });
}

}  // namespace kn::sim::api
