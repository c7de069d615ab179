#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/sim/kubelet/behaviour.hpp"
#include "kubernaut/sim/kubelet/metrics.hpp"

namespace kn::sim {

using Content = std::map<std::string, std::string>;
enum class ServiceState : std::uint8_t { absent, own, down, ready };

/// What a pod's containers and their kubelet see of the world.
class PodWorld {
public:
    virtual ~PodWorld() = default;
    [[nodiscard]] virtual Instant now() const = 0;
    [[nodiscard]] virtual const BehaviourBook& book() const = 0;
    virtual Metrics& metrics() = 0;
    /// Data of a ConfigMap or Secret (decoded) as it stands in the API; nullopt when it does not exist.
    [[nodiscard]] virtual std::optional<Content> config(std::string_view kind, std::string_view ns, std::string_view name) const = 0;
    [[nodiscard]] virtual ServiceState service(std::string_view ns, std::string_view name, const json::Object& labels) const = 0;
    /// "list configmaps" by this ServiceAccount in its namespace; allowed until the server has said otherwise.
    virtual bool access(std::string_view ns, std::string_view account, std::string_view what) = 0;
    [[nodiscard]] virtual bool claim_bound(std::string_view ns, std::string_view claim) const = 0;
    [[nodiscard]] virtual bool image_present(std::string_view node, std::string_view image) const = 0;
    virtual void image_pulled(std::string_view node, std::string_view image) = 0;
    /// .dockerconfigjson of the pod's pull Secrets; missing ones are left out.
    [[nodiscard]] virtual std::vector<std::string> docker_configs(const json::Value& pod) const = 0;
    virtual void event(const json::Value& pod, bool warning, std::string_view reason, std::string message, std::string_view container) = 0;
    virtual void node_event(std::string_view node, bool warning, std::string_view reason, std::string message) = 0;
    virtual double chance() = 0;
};

}  // namespace kn::sim
