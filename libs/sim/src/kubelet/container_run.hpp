#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kubelet/pod_world.hpp"

namespace kn::sim {

struct ContainerEnd {
    int code = 0;
    std::string reason, message, id;
    Instant started{}, finished{};
};

/// The runtime state of one container of one pod.
struct ContainerRun {
    enum class State : std::uint8_t { waiting, running, terminated };
    std::string name;
    bool init = false;
    bool sidecar = false;  ///< init container with restartPolicy Always
    State state = State::waiting;
    std::string reason = "ContainerCreating", message;
    std::optional<ContainerEnd> end, last;  ///< `end` while terminated
    int restarts = 0;
    bool ever_started = false;
    std::string id;

    Duration backoff{};
    Instant start_not_before{};

    bool image_ok = false, pulling = false;
    Instant pull_done{}, pull_next{}, pull_failed{};
    Duration pull_backoff{};

    Instant started_at{};
    bool started = false, ready = false;
    std::optional<Instant> ready_flip;  ///< when `ready` will change
    std::optional<Instant> dead_since;  ///< liveness probe fails since
    std::optional<Instant> down_since;  ///< a dependency is down since
    std::optional<Instant> stopping;    ///< SIGTERM was sent; ends then
    Instant last_unhealthy{};

    Behaviour behaviour;  ///< as it is lived: a memory curve that changed goes on from where the old one was
    Behaviour ruled;      ///< as the book gave it
    Instant behaviour_since{};
    Instant memory_since{};
    double memory_limit = 0;
    std::map<std::string, std::string> env;
    std::map<std::string, std::string, std::less<>> env_config;
    std::vector<std::string> log, previous_log;
};

/// A probe of a container spec with its defaults.
struct Probe {
    const json::Value* spec = nullptr;
    Duration delay{}, period = 10s, timeout = 1s;
    int failures = 3;
    explicit Probe(const json::Value& container, std::string_view kind);
    explicit operator bool() const { return spec != nullptr; }
    /// Would it succeed against a program that is up? "" or the reason why not, in the kubelet's words.
    [[nodiscard]] std::string failure(const json::Value& container, const Behaviour& behaviour) const;
    /// The first probe at or after `up`, for a container that started at `start`.
    [[nodiscard]] Instant first_after(Instant start, Instant up) const;
};

}  // namespace kn::sim
