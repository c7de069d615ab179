#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::sim {

/// Memory of one container life over time: rises from `start` towards `base` (half way after `ramp`), plus `growth` bytes a second.
struct MemoryCurve {
    double start = 0, base = 0;
    Duration ramp = 10s;
    double growth = 0;
    [[nodiscard]] double at(Duration age) const;
    /// The age at which the curve reaches `bytes`; nullopt when it never does.
    [[nodiscard]] std::optional<Duration> reaches(double bytes) const;
};

enum class OnDependencyDown : std::uint8_t { crash, unready, ignore };

/// What a container does when it runs: the sum of all rules that match it.
struct Behaviour {
    std::optional<int> exit_code;            ///< exits by itself with this code ...
    Duration exit_after = 2s;                ///< ... this long after its start (or after the change that made it so)
    int stop_code = 0;                       ///< exit code after SIGTERM
    Duration stop_takes = 1s;                ///< longer than the grace period: killed, 137
    std::optional<std::string> start_error;  ///< the runtime cannot start it (exec format, no such file): StartError, 128
    Duration startup = 2s;                   ///< until probes can succeed
    bool ready = true;
    bool alive = true;  ///< answers its liveness probe
    std::optional<MemoryCurve> memory;
    double cpu = 0.05;                     ///< cores
    std::vector<std::string> probe_paths;  ///< paths that answer; empty = every path
    Duration probe_latency = 20ms;
    OnDependencyDown on_dependency = OnDependencyDown::crash;
    std::vector<std::string> dependencies;  ///< "ns/service" or "service" beside those that the pod declares itself
    Duration dependency_lag = 20s;
    std::vector<std::string> access;  ///< "list configmaps": what its ServiceAccount must be allowed in its namespace; denied = not ready
    std::vector<std::string> log;     ///< lines written at start; the last one again right before an exit
    bool operator==(const Behaviour&) const;
};

/// All that a rule may look at. The content of referenced ConfigMaps and Secrets is what has reached the container.
struct ContainerView {
    std::string ns, pod, container, image;
    const json::Object* labels = nullptr;
    std::vector<std::string> command, args;
    std::map<std::string, std::string> env;                  ///< resolved values
    std::map<std::string, std::string, std::less<>> config;  ///< "ConfigMap/name/key" or "Secret/name/key" → content
    double memory_limit = 0;                                 ///< 0 = none
};

/// Where images come from.
struct RegistryState {
    bool down = false;                                                  ///< every pull fails
    bool is_private = false;                                            ///< pulls need a dockerconfigjson Secret that names this host
    bool closed = false;                                                ///< only repositories and tags that were listed exist
    std::map<std::string, std::vector<std::string>, std::less<>> tags;  ///< repository → tag patterns ("1.*")
};

enum class PullVerdict : std::uint8_t { ok, not_found, unauthorized, unavailable, invalid_name };

/// Behaviour as data: rules and the image table. Shared by the kubelets of a cluster; changing it changes running containers at their next look.
class BehaviourBook {
public:
    BehaviourBook();
    ~BehaviourBook();
    BehaviourBook(const BehaviourBook&) = delete;
    BehaviourBook& operator=(const BehaviourBook&) = delete;

    /// {registries: {host: {private, down, closed, tags}}, behaviours: [{name, match: {...}, run: {...}}]}; see docs in behaviour.cpp. Adds to what is there.
    Result<> load(const json::Value& document);
    Result<> load_yaml(std::string_view text);
    Result<> add_rule(const json::Value& rule);
    /// Rules added under this name are taken out again.
    void remove_rule(std::string_view name);

    /// The behaviour of a container: built-in reading of its command line, then every matching rule in order.
    [[nodiscard]] Behaviour behaviour_of(const ContainerView& view) const;
    [[nodiscard]] PullVerdict pull(std::string_view image, const std::vector<std::string>& docker_configs) const;
    RegistryState& registry(std::string_view host);
    /// Makes this image exist.
    void add_image(std::string_view image);

    /// Counts changes, so that a reader knows when to look again.
    [[nodiscard]] std::uint64_t version() const;
    /// Called after every change; for the kubelets.
    void subscribe(std::function<void()> listener);

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// An image name split as the kubelet does: missing host = "docker.io", missing tag = "latest".
struct ImageName {
    std::string host, repository, tag;
    static std::optional<ImageName> parse(std::string_view text);
};

}  // namespace kn::sim
