#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kubelet/container_run.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/sim/kubelet/kubelet.hpp"

namespace kn::sim {

/// One pod on one node: a state machine that is asked to look at the world and says what the pod's status is now and when to ask again.
class PodRuntime {
public:
    struct Place {
        std::string node, host_ip, pod_ip;
    };
    struct Look {
        json::Value status;
        std::optional<Instant> next;
        bool remove = false;  ///< termination is complete: delete the pod object
    };

    PodRuntime(PodWorld& world, const KubeletOptions& options, Place place);
    Look look(const kube::ObjectPtr& pod);
    /// The machine went off and came back: every container that ran is gone.
    void machine_lost();
    /// The pod object is gone.
    void forget();

    [[nodiscard]] const std::string& node() const { return place_.node; }
    /// "ConfigMap/ns/name", "Secret/ns/name", "Claim/ns/name", "Service/ns/name": what a change of should lead to another look.
    [[nodiscard]] const std::set<std::string, std::less<>>& references() const { return references_; }
    [[nodiscard]] const ContainerRun* container(std::string_view name) const;

private:
    const json::Value& pod() const { return *pod_; }
    Duration scaled(Duration d) const { return Duration{static_cast<std::int64_t>(static_cast<double>(d.count()) / options_.hurry)}; }
    void begin();
    void restore();
    void wake_at(Instant at);
    bool volumes_ready();
    std::string mount_failure();
    bool run_init_containers();
    void step(ContainerRun& run, const json::Value& spec);
    bool step_once(ContainerRun& run, const json::Value& spec);
    bool step_waiting(ContainerRun& run, const json::Value& spec);
    bool step_image(ContainerRun& run, const json::Value& spec);
    void pull_failed(ContainerRun& run, const std::string& image, PullVerdict verdict);
    bool step_running(ContainerRun& run, const json::Value& spec);
    bool step_terminated(ContainerRun& run);
    void refresh_behaviour(ContainerRun& run, const json::Value& spec);
    bool watch_liveness(ContainerRun& run, const json::Value& spec);
    void watch_readiness(ContainerRun& run, const json::Value& spec);
    void start(ContainerRun& run, const json::Value& spec);
    void finish(ContainerRun& run, int code, std::string_view reason, std::string message = {});
    [[nodiscard]] bool restarts_after(const ContainerRun& run) const;
    struct Environment {
        std::map<std::string, std::string> variables;
        std::map<std::string, std::string, std::less<>> config;  ///< "ConfigMap/name/key" → value
        std::string missing;                                     ///< the message of CreateContainerConfigError, or ""
    };
    Environment resolve_env(const json::Value& spec);
    Behaviour behaviour_of(const ContainerRun& run, const json::Value& spec);
    std::map<std::string, std::string, std::less<>> mounted_config(const json::Value& spec);
    const std::optional<Content>& delivered(const std::string& kind, const std::string& name);
    [[nodiscard]] ContainerView view_of(const ContainerRun& run, const json::Value& spec);
    [[nodiscard]] bool dependency_down(const ContainerRun& run);
    [[nodiscard]] bool access_denied(const ContainerRun& run);
    bool terminate();
    [[nodiscard]] Labels metric_labels(const ContainerRun& run) const;

    json::Value status() const;
    json::Value container_status(const ContainerRun& run, const json::Value& spec) const;
    json::Array conditions(std::string_view phase) const;
    std::string phase() const;

    PodWorld& world_;
    const KubeletOptions& options_;
    Place place_;
    kube::ObjectPtr pod_;
    Instant now_{};
    std::optional<Instant> next_;
    bool begun_ = false, mounted_ = false, initialized_ = false, terminating_ = false;
    Instant start_time_{}, mount_event_{};
    std::vector<ContainerRun> init_, apps_;
    struct Delivery {
        std::optional<Content> content, coming;
        std::optional<Instant> due;
    };
    std::map<std::string, Delivery, std::less<>> deliveries_;
    std::set<std::string, std::less<>> references_;
    std::uint64_t ids_ = 0;
};

}  // namespace kn::sim
