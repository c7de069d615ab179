#include "kubernaut/sim/kubelet/metrics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <optional>
#include <ranges>

namespace kn::sim {
namespace {

constexpr std::size_t max_samples = 11'000;  // Prometheus' own limit for one range query

/// A stretch of a container's life with one curve.
struct Stretch {
    Instant from, since;  // `since`: where the curve's age is zero
    Instant to = Instant::max();
    MemoryCurve memory;
    double cpu = 0, limit = 0;
    double cpu_before = 0;  // counter at `from`
};

struct Step {
    Instant at;
    double value;
};

struct Container {
    std::vector<Stretch> stretches;
    std::vector<Step> restarts;
    Instant removed = Instant::max();
};

struct Volume {
    std::vector<Step> capacity;
    std::vector<VolumeUse> uses;  // by `since`
    Instant removed = Instant::max();
};

std::optional<double> last_at(const std::vector<Step>& steps, Instant at) {
    const auto after = std::ranges::upper_bound(steps, at, {}, &Step::at);
    return after == steps.begin() ? std::nullopt : std::optional(std::prev(after)->value);
}

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

const Stretch* running_at(const Container& container, Instant at) {
    for (const auto& stretch : std::views::reverse(container.stretches)) {
        if (stretch.from <= at) return at < stretch.to ? &stretch : nullptr;
    }
    return nullptr;
}

std::optional<double> container_value(std::string_view name, const Container& container, Instant at) {
    if (at >= container.removed) return std::nullopt;
    if (name == "kube_pod_container_status_restarts_total") return last_at(container.restarts, at);
    const auto* stretch = running_at(container, at);
    if (stretch == nullptr) return std::nullopt;
    const double memory = stretch->memory.at(at - stretch->since);
    if (name == "container_memory_working_set_bytes") return stretch->limit > 0 ? std::min(memory, stretch->limit) : memory;
    if (name == "container_spec_memory_limit_bytes") return stretch->limit;
    return stretch->cpu_before + stretch->cpu * seconds(at - stretch->from);
}

double used_at(const Volume& volume, Instant at, double capacity) {
    const VolumeUse* use = nullptr;
    for (const auto& each : volume.uses) {
        if (each.since <= at) use = &each;
    }
    if (use == nullptr) return std::min(capacity, capacity * 0.2);
    const double used = use->used + use->growth * seconds(at - use->since);
    return std::clamp(used, 0.0, capacity);
}

std::optional<double> volume_value(std::string_view name, const Volume& volume, Instant at) {
    const auto capacity = last_at(volume.capacity, at);
    if (at >= volume.removed || !capacity) return std::nullopt;
    if (name == "kubelet_volume_stats_capacity_bytes") return *capacity;
    const double used = used_at(volume, at, *capacity);
    if (name == "kubelet_volume_stats_used_bytes") return used;
    if (name == "kubelet_volume_stats_available_bytes") return *capacity - used;
    VolumeUse use;
    for (const auto& each : volume.uses) {
        if (each.since <= at) use = each;
    }
    const double inodes = std::min(use.inodes, use.inodes_used + use.inode_growth * seconds(at - std::max(use.since, Instant{})));
    if (name == "kubelet_volume_stats_inodes") return use.inodes;
    if (name == "kubelet_volume_stats_inodes_used") return inodes;
    return use.inodes - inodes;
}

constexpr std::array<std::string_view, 4> container_names{"container_memory_working_set_bytes", "container_spec_memory_limit_bytes",
                                                          "container_cpu_usage_seconds_total", "kube_pod_container_status_restarts_total"};
constexpr std::array<std::string_view, 6> volume_names{"kubelet_volume_stats_capacity_bytes",  "kubelet_volume_stats_used_bytes",
                                                       "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_inodes",
                                                       "kubelet_volume_stats_inodes_used",     "kubelet_volume_stats_inodes_free"};

bool contains(const Labels& labels, const Labels& match) {
    return std::ranges::all_of(match, [&](const auto& entry) {
        const auto found = labels.find(entry.first);
        return found != labels.end() && found->second == entry.second;
    });
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

}  // namespace

struct Metrics::State {
    std::map<Labels, Container> containers;
    std::map<std::pair<std::string, std::string>, Volume, std::less<>> volumes;
    std::map<std::string, std::map<Labels, std::vector<Step>>, std::less<>> gauges;
    std::map<std::string, std::vector<Step>, std::less<>> loads;

    /// Calls visit(labels, value_at) for every series of this name.
    void each(std::string_view name, const std::function<void(const Labels&, const std::function<std::optional<double>(Instant)>&)>& visit) const {
        if (std::ranges::find(container_names, name) != container_names.end()) {
            for (const auto& [labels, container] : containers) {
                visit(labels, [&](Instant at) { return container_value(name, container, at); });
            }
        } else if (std::ranges::find(volume_names, name) != volume_names.end()) {
            for (const auto& [key, volume] : volumes) {
                visit({{"namespace", key.first}, {"persistentvolumeclaim", key.second}}, [&](Instant at) { return volume_value(name, volume, at); });
            }
        } else if (const auto found = gauges.find(name); found != gauges.end()) {
            for (const auto& [labels, steps] : found->second) visit(labels, [&](Instant at) { return last_at(steps, at); });
        }
    }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Result<std::vector<Series>> Metrics::query(std::string_view name, const Labels& match, Instant from, Instant to, Duration step) const {
    if (step <= Duration::zero() || to < from) return fail(ErrorCode::invalid_argument, "a range query needs from <= to and a step above zero");
    if (static_cast<std::size_t>((to - from) / step) >= max_samples)
        return fail(ErrorCode::invalid_argument, "more than 11000 samples a series: use a larger step");
    std::vector<Series> out;
    state_->each(name, [&](const Labels& labels, const auto& value_at) {
        if (!contains(labels, match)) return;
        Series series{labels, {}};
        for (Instant at = from; at <= to; at += step) {
            if (const auto found = value_at(at)) series.samples.push_back({at, *found});
        }
        if (!series.samples.empty()) out.push_back(std::move(series));
    });
    return out;
}

std::optional<double> Metrics::value(std::string_view name, const Labels& match, Instant at) const {
    std::optional<double> out;
    state_->each(name, [&](const Labels& labels, const auto& value_at) {
        if (!out && contains(labels, match)) out = value_at(at);
    });
    return out;
}

std::string Metrics::text(Instant at) const {
    std::string out;
    const auto render = [&](std::string_view name, std::string_view type) {
        bool head = false;
        state_->each(name, [&](const Labels& labels, const auto& value_at) {
            const auto value = value_at(at);
            if (!value) return;
            if (!head) out += "# TYPE " + std::string(name) + " " + std::string(type) + "\n";
            head = true;
            out += name;
            char open = '{';
            for (const auto& [key, text] : labels) {
                out += open;
                out += key + "=\"" + escaped(text) + "\"";
                open = ',';
            }
            char number[40];
            std::snprintf(number, sizeof number, "%s %.17g\n", open == '{' ? "" : "}", *value);
            out += number;
        });
    };
    for (const auto name : container_names) render(name, name.ends_with("_total") ? "counter" : "gauge");
    for (const auto name : volume_names) render(name, "gauge");
    for (const auto& [name, series] : state_->gauges) render(name, "gauge");
    return out;
}

void Metrics::container_started(const Labels& id, Instant at, MemoryCurve memory, double cpu, double memory_limit) {
    container_ended(id, at);
    state_->containers[id].stretches.push_back({.from = at, .since = at, .memory = memory, .cpu = cpu, .limit = memory_limit});
}

void Metrics::container_changed(const Labels& id, Instant at, MemoryCurve memory, double cpu, double memory_limit) {
    auto& stretches = state_->containers[id].stretches;
    if (stretches.empty() || stretches.back().to != Instant::max()) return container_started(id, at, memory, cpu, memory_limit);
    Stretch& last = stretches.back();
    last.to = at;
    const double cpu_before = last.cpu_before + last.cpu * seconds(at - last.from);
    const bool same_curve = last.memory.base == memory.base && last.memory.growth == memory.growth && last.memory.start == memory.start;
    stretches.push_back(
        {.from = at, .since = same_curve ? last.since : at, .memory = memory, .cpu = cpu, .limit = memory_limit, .cpu_before = cpu_before});
}

void Metrics::container_ended(const Labels& id, Instant at) {
    const auto found = state_->containers.find(id);
    if (found == state_->containers.end() || found->second.stretches.empty()) return;
    auto& last = found->second.stretches.back();
    if (last.to == Instant::max()) last.to = at;
}

void Metrics::container_removed(const Labels& id, Instant at) {
    container_ended(id, at);
    if (const auto found = state_->containers.find(id); found != state_->containers.end()) found->second.removed = at;
}

void Metrics::set_restarts(const Labels& id, Instant at, int restarts) {
    auto& steps = state_->containers[id].restarts;
    if (!steps.empty() && steps.back().value == restarts) return;
    steps.push_back({at, static_cast<double>(restarts)});
}

void Metrics::set_volume_capacity(std::string_view ns, std::string_view claim, Instant at, double bytes) {
    auto& volume = state_->volumes[{std::string(ns), std::string(claim)}];
    volume.removed = Instant::max();
    if (!volume.capacity.empty() && volume.capacity.back().value == bytes) return;
    volume.capacity.push_back({at, bytes});
}

void Metrics::remove_volume(std::string_view ns, std::string_view claim, Instant at) {
    const auto found = state_->volumes.find(std::pair(std::string(ns), std::string(claim)));
    if (found != state_->volumes.end()) found->second.removed = at;
}

void Metrics::set_volume_use(std::string_view ns, std::string_view claim, VolumeUse use) {
    auto& uses = state_->volumes[{std::string(ns), std::string(claim)}].uses;
    uses.push_back(use);
    std::ranges::sort(uses, {}, &VolumeUse::since);
}

double Metrics::volume_used(std::string_view ns, std::string_view claim, Instant at) const {
    return value("kubelet_volume_stats_used_bytes", {{"namespace", std::string(ns)}, {"persistentvolumeclaim", std::string(claim)}}, at).value_or(0);
}

double Metrics::volume_capacity(std::string_view ns, std::string_view claim, Instant at) const {
    return value("kubelet_volume_stats_capacity_bytes", {{"namespace", std::string(ns)}, {"persistentvolumeclaim", std::string(claim)}}, at)
        .value_or(0);
}

void Metrics::set_gauge(std::string_view name, const Labels& labels, Instant at, double value) {
    auto& steps = state_->gauges[std::string(name)][labels];
    if (!steps.empty() && steps.back().value == value) return;
    steps.push_back({at, value});
}

void Metrics::set_load(std::string_view workload, Instant at, double cores) { state_->loads[std::string(workload)].push_back({at, cores}); }

std::optional<double> Metrics::load(std::string_view workload, Instant at) const {
    const auto found = state_->loads.find(workload);
    return found == state_->loads.end() ? std::nullopt : last_at(found->second, at);
}

void Metrics::forget(Instant before) {
    std::erase_if(state_->containers, [&](const auto& entry) { return entry.second.removed < before; });
    std::erase_if(state_->volumes, [&](const auto& entry) { return entry.second.removed < before; });
    for (auto& [labels, container] : state_->containers) {
        std::erase_if(container.stretches, [&](const Stretch& stretch) { return stretch.to < before; });
    }
}

}  // namespace kn::sim
