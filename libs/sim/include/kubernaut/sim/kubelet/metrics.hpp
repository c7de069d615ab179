#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/sim/kubelet/behaviour.hpp"

namespace kn::sim {

using Labels = std::map<std::string, std::string, std::less<>>;

struct Sample {
    Instant at;
    double value;
};

struct Series {
    Labels labels;
    std::vector<Sample> samples;
};

/// How a volume fills: used(t) = used + growth * (t - since), up to its capacity at t.
struct VolumeUse {
    double used = 1 << 28;  ///< bytes at `since`
    double growth = 0;      ///< bytes a second
    double inodes = 1e6, inodes_used = 1e4, inode_growth = 0;
    Instant since{};
};

/// The measured side of a simulated cluster: what cAdvisor, kubelet and kube-state-metrics would have exported, computed from the lives of
/// containers when asked, so that keeping history costs nothing while nobody asks.
///
/// Names: container_memory_working_set_bytes, container_spec_memory_limit_bytes, container_cpu_usage_seconds_total,
/// kube_pod_container_status_restarts_total {namespace,pod,container}; kubelet_volume_stats_{used,capacity,available}_bytes,
/// kubelet_volume_stats_inodes{,_free,_used} {namespace,persistentvolumeclaim}; any gauge set by set_gauge().
class Metrics {
public:
    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    /// Series whose labels contain all of `match`, sampled at from, from+step ... <= to. invalid_argument for an empty range or more than 11,000 samples.
    [[nodiscard]] Result<std::vector<Series>> query(std::string_view name, const Labels& match, Instant from, Instant to, Duration step) const;
    /// The last value at `at`, or nullopt.
    [[nodiscard]] std::optional<double> value(std::string_view name, const Labels& match, Instant at) const;
    /// Prometheus text format of every series at `at`.
    [[nodiscard]] std::string text(Instant at) const;

    // The kubelets' and the faults' side.
    void container_started(const Labels& id, Instant at, MemoryCurve memory, double cpu, double memory_limit);
    void container_changed(const Labels& id, Instant at, MemoryCurve memory, double cpu, double memory_limit);
    void container_ended(const Labels& id, Instant at);
    void container_removed(const Labels& id, Instant at);
    void set_restarts(const Labels& id, Instant at, int restarts);
    void set_volume_capacity(std::string_view ns, std::string_view claim, Instant at, double bytes);
    void remove_volume(std::string_view ns, std::string_view claim, Instant at);
    void set_volume_use(std::string_view ns, std::string_view claim, VolumeUse use);
    [[nodiscard]] double volume_used(std::string_view ns, std::string_view claim, Instant at) const;
    [[nodiscard]] double volume_capacity(std::string_view ns, std::string_view claim, Instant at) const;
    void set_gauge(std::string_view name, const Labels& labels, Instant at, double value);

    /// Total cores that a workload's users ask for; shared by its ready pods ("ns/Kind/name").
    void set_load(std::string_view workload, Instant at, double cores);
    [[nodiscard]] std::optional<double> load(std::string_view workload, Instant at) const;
    /// Forgets what ended before `before`.
    void forget(Instant before);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace kn::sim
