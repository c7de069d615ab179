#include "kubernaut/assess/improvement.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

namespace kn::assess {
namespace {

constexpr std::size_t fewest = 5;

double median(std::vector<double> values) {
    const std::size_t half = values.size() / 2;
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(half), values.end());
    const double upper = values[half];
    if (values.size() % 2 == 1) return upper;
    return (*std::max_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(half)) + upper) / 2;
}

/// Values around their window's median.
void add_residuals(std::span<const double> window, std::vector<double>& out) {
    const double middle = median({window.begin(), window.end()});
    for (const double value : window) out.push_back(value - middle);
}

/// Lag-1 autocorrelation within the windows, never across their border; 0 .. 0.95.
double autocorrelation(std::span<const double> residuals, std::size_t first_window) {
    double together = 0, alone = 0;
    for (std::size_t i = 0; i < residuals.size(); ++i) {
        alone += residuals[i] * residuals[i];
        if (i > 0 && i != first_window) together += residuals[i] * residuals[i - 1];
    }
    if (alone <= 0) return 0;
    const double raw = together / alone;
    return std::clamp(raw + (1 + 3 * raw) / static_cast<double>(residuals.size()), 0.0, 0.95);
}

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

using Labels = std::map<std::string, std::string, std::less<>>;

Labels labels_of(const ports::Series& series) {
    Labels labels(series.labels.begin(), series.labels.end());
    labels.erase("__name__");  // series of two names are compared
    return labels;
}

std::string_view label(const Labels& labels, std::string_view name) {
    const auto found = labels.find(name);
    return found == labels.end() ? std::string_view{} : std::string_view(found->second);
}

/// "cart-7d9f8b6c5-x2x4z" of Deployment cart, "db-0" of StatefulSet db, "agent-x2x4z" of DaemonSet agent. Only the pattern: the pods of before are gone.
bool is_pod_of(std::string_view pod, const ObjectKey& target) {
    if (target.kind == "Pod") return pod == target.name;
    if (!pod.starts_with(target.name + "-")) return false;
    std::string_view rest = pod.substr(target.name.size() + 1);
    const auto plain = [](std::string_view part) { return !part.empty() && part.find('-') == std::string_view::npos; };
    if (target.kind != "Deployment") return plain(rest);
    const auto dash = rest.find('-');
    return dash != std::string_view::npos && plain(rest.substr(0, dash)) && plain(rest.substr(dash + 1));
}

bool belongs(const Labels& labels, const TargetMetric& metric, const ObjectKey& target) {
    switch (metric.of) {
        case TargetMetric::Of::pods: return label(labels, "container") != "POD" && is_pod_of(label(labels, "pod"), target);
        case TargetMetric::Of::claim:
            if (target.kind == "PersistentVolumeClaim") return label(labels, "persistentvolumeclaim") == target.name;
            // claim-of-a-StatefulSet: template-name-ordinal
            return label(labels, "persistentvolumeclaim").find("-" + target.name + "-") != std::string_view::npos;
        case TargetMetric::Of::workload:
            for (const char* name : {"deployment", "statefulset", "daemonset"}) {
                if (label(labels, name) == target.name) return true;
            }
            return false;
        case TargetMetric::Of::node: return label(labels, "node") == target.name;
        case TargetMetric::Of::cluster: return true;
    }
    return false;
}

/// The newest value at or before `at`, at most `stale` old.
std::optional<double> value_at(std::span<const ports::Sample> samples, Instant at, Duration stale) {
    const auto after = std::ranges::upper_bound(samples, at, {}, &ports::Sample::at);
    if (after == samples.begin() || at - std::prev(after)->at > stale) return std::nullopt;
    return std::prev(after)->value;
}

/// Growth of a counter over (at - window, at]; a fall is a restart of the counter. A series that begins inside the window counts from its first value.
std::optional<double> increase_at(std::span<const ports::Sample> samples, Instant at, Duration window) {
    double sum = 0;
    const ports::Sample* last = nullptr;
    for (const ports::Sample& sample : samples) {
        if (sample.at <= at - window || sample.at > at) continue;
        if (last != nullptr) sum += sample.value >= last->value ? sample.value - last->value : sample.value;
        last = &sample;
    }
    return last == nullptr ? std::nullopt : std::optional(sum);
}

}  // namespace

std::optional<Shift> shift_of(std::span<const double> before, std::span<const double> after, bool lower_is_better) {
    if (before.size() < fewest || after.size() < fewest) return std::nullopt;
    std::vector<double> differences;
    differences.reserve(before.size() * after.size());
    for (const double b : before) {
        for (const double a : after) differences.push_back(a - b);
    }
    Shift out;
    out.size = median(std::move(differences));
    std::vector<double> residuals;
    add_residuals(before, residuals);
    add_residuals(after, residuals);
    std::vector<double> sizes;
    double squares = 0;
    for (const double r : residuals) {
        sizes.push_back(std::abs(r));
        squares += r * r;
    }
    double noise = 1.4826 * median(std::move(sizes));
    // More than half of the values are their median: then the few others are all the noise there is.
    if (noise <= 0) noise = std::sqrt(squares / static_cast<double>(residuals.size()));
    const double r = autocorrelation(residuals, before.size());
    const double worth = (1 - r) / (1 + r);
    const double n = std::max(1.0, static_cast<double>(before.size()) * worth), m = std::max(1.0, static_cast<double>(after.size()) * worth);
    out.error = noise * std::sqrt(std::numbers::pi / 3 * (1 / n + 1 / m));
    const double good = lower_is_better ? -out.size : out.size;
    if (out.error > 0)
        out.improved = normal_cdf(good / out.error);
    else
        out.improved = good > 0 ? 1 : good < 0 ? 0 : 0.5;
    return out;
}

const TargetMetric* target_metric_of(std::string_view fault_class, std::string_view kind) {
    using enum TargetMetric::Reading;
    using enum TargetMetric::Of;
    // What should change, never generic use of CPU or memory. The first that fits.
    static constexpr std::array table{
        TargetMetric{"crashloop.", "restarts in 5 m", "kube_pod_container_status_restarts_total", "", increase, pods, true, 0},
        TargetMetric{"probe.misconfigured", "restarts in 5 m", "kube_pod_container_status_restarts_total", "", increase, pods, true, 0},
        TargetMetric{"oom.", "memory of the limit", "container_memory_working_set_bytes", "container_spec_memory_limit_bytes", ratio, pods, true,
                     0.8},
        TargetMetric{"throttling.cpu", "throttled periods", "container_cpu_cfs_throttled_periods_total", "container_cpu_cfs_periods_total",
                     ratio_of_increases, pods, true, 0.25},
        TargetMetric{"pvc.nearly_full", "free bytes", "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes", ratio, claim,
                     false, 0.15},
        TargetMetric{"pvc.inodes_exhausted", "free inodes", "kubelet_volume_stats_inodes_free", "kubelet_volume_stats_inodes", ratio, claim, false,
                     0.15},
        TargetMetric{"node.not_ready", "ready", "kube_node_status_condition{condition=\"Ready\",status=\"true\"}", "", value, node, false, 1},
        TargetMetric{"node.flapping", "ready", "kube_node_status_condition{condition=\"Ready\",status=\"true\"}", "", value, node, false, 1},
        TargetMetric{"node.pressure.memory", "memory pressure", "kube_node_status_condition{condition=\"MemoryPressure\",status=\"true\"}", "", value,
                     node, true, 0},
        TargetMetric{"node.pressure.disk", "disk pressure", "kube_node_status_condition{condition=\"DiskPressure\",status=\"true\"}", "", value, node,
                     true, 0},
        TargetMetric{"node.pressure.pid", "PID pressure", "kube_node_status_condition{condition=\"PIDPressure\",status=\"true\"}", "", value, node,
                     true, 0},
        TargetMetric{"etcd.fragmentation", "bytes in use", "etcd_mvcc_db_total_size_in_use_in_bytes", "etcd_mvcc_db_total_size_in_bytes", ratio,
                     cluster, false, 0.5},
    };
    static constexpr TargetMetric deployment{
        "", "available replicas", "kube_deployment_status_replicas_available", "kube_deployment_spec_replicas", ratio, workload, false, 1};
    static constexpr TargetMetric stateful_set{
        "", "ready replicas", "kube_statefulset_status_replicas_ready", "kube_statefulset_replicas", ratio, workload, false, 1};
    static constexpr TargetMetric daemon_set{
        "", "available pods", "kube_daemonset_status_number_available", "kube_daemonset_status_desired_number_scheduled", ratio, workload, false, 1};
    for (const TargetMetric& each : table) {
        if (each.fault_class == fault_class || (each.fault_class.ends_with('.') && fault_class.starts_with(each.fault_class))) return &each;
    }
    if (fault_class.empty()) return nullptr;
    if (kind == "Deployment") return &deployment;
    if (kind == "StatefulSet") return &stateful_set;
    if (kind == "DaemonSet") return &daemon_set;
    return nullptr;
}

std::vector<double> values_for(const TargetMetric& metric, const ObjectKey& target, std::span<const ports::Series> numerator,
                               std::span<const ports::Series> denominator, Instant from, Instant to, Duration step, Duration window) {
    using Reading = TargetMetric::Reading;
    const bool counts = metric.reading == Reading::increase || metric.reading == Reading::ratio_of_increases;
    const bool divides = metric.reading == Reading::ratio || metric.reading == Reading::ratio_of_increases;
    const auto read = [&](const ports::Series& series, Instant at) {
        return counts ? increase_at(series.samples, at, window) : value_at(series.samples, at, 2 * step);
    };
    std::map<Labels, const ports::Series*> under;
    for (const ports::Series& series : denominator) under.emplace(labels_of(series), &series);
    struct Pair {
        const ports::Series *top, *bottom;
    };
    std::vector<Pair> pairs;
    for (const ports::Series& series : numerator) {
        const Labels labels = labels_of(series);
        if (!belongs(labels, metric, target)) continue;
        const auto found = under.find(labels);
        if (divides && found == under.end()) continue;
        pairs.push_back({&series, divides ? found->second : nullptr});
    }
    std::vector<double> out;
    for (Instant at = from + step; at <= to; at += step) {
        std::optional<double> all;
        for (const Pair& pair : pairs) {
            auto now = read(*pair.top, at);
            if (now && pair.bottom != nullptr) {
                const auto of = read(*pair.bottom, at);
                if (!of || *of <= 0)
                    now.reset();
                else
                    now = *now / *of;
            }
            if (!now) continue;
            if (!all)
                all = now;
            else if (metric.reading == Reading::increase)
                all = *all + *now;
            else
                all = metric.lower_is_better ? std::max(*all, *now) : std::min(*all, *now);
        }
        if (all) out.push_back(*all);
    }
    return out;
}

}  // namespace kn::assess
