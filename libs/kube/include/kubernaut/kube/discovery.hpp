#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/kube/client.hpp"

namespace kn::kube {

struct ServedResource {
    Resource resource;
    std::vector<std::string> verbs;         ///< "get", "watch", ...
    std::vector<std::string> subresources;  ///< "status", "scale", "eviction", ...
    std::vector<std::string> short_names;
};

/// What a server serves. A group whose own server is dead is told apart and takes nothing from the rest.
struct Discovery {
    std::vector<ServedResource> resources;  ///< within a group the preferred version first
    std::vector<std::string> broken;        ///< "group/version" that could not be asked or is stale

    /// In the preferred version; nullptr when it is not served.
    [[nodiscard]] const ServedResource* find(std::string_view group, std::string_view kind) const;
};

enum class DiscoveryForm : std::uint8_t {
    best,    ///< aggregated (v2, then v2beta1): two requests; servers before 1.27 answer in the legacy form, which is then followed
    legacy,  ///< one request for each group and version
};

Task<Result<Discovery>> discover_all(std::shared_ptr<Client> client, Deadline deadline, DiscoveryForm form = DiscoveryForm::best);

/// Reads an APIGroupDiscoveryList of either version into `out`; false when it is something else.
bool read_aggregated_discovery(const json::Value& answer, Discovery& out);
/// Reads an APIResourceList of this group and version into `out`; false when it is something else.
bool read_resource_list(const json::Value& answer, std::string_view group, std::string_view version, Discovery& out);

}  // namespace kn::kube
