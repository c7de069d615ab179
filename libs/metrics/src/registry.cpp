#include "kubernaut/metrics/registry.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace kn::metrics {
namespace {

std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    return {buffer, end};
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\\\";
        else if (c == '"')
            out += "\\\"";
        else if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

std::string label_text(const std::vector<std::pair<std::string, std::string>>& labels, std::string_view le = {}) {
    if (labels.empty() && le.empty()) return {};
    std::string out = "{";
    for (const auto& [name, value] : labels) {
        if (out.size() > 1) out += ',';
        out += name + "=\"" + escaped(value) + "\"";
    }
    if (!le.empty()) {
        if (out.size() > 1) out += ',';
        out += "le=\"" + std::string(le) + "\"";
    }
    return out + "}";
}

}  // namespace

namespace {
/// A minute to four days: how long ahead something was known.
std::vector<double> lead_bounds() { return {60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 96 * 3600}; }
}  // namespace

std::vector<double> latency_bounds() {
    return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
}

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), buckets_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)) {}

void Histogram::observe(double value) {
    const auto at = static_cast<std::size_t>(std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin());
    buckets_[at].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
}

Histogram::Snapshot Histogram::snapshot() const {
    Snapshot snap{.bounds = bounds_};
    for (std::size_t i = 0; i <= bounds_.size(); ++i) {
        snap.count += buckets_[i].load(std::memory_order_relaxed);
        snap.cumulative.push_back(snap.count);
    }
    snap.sum = sum_.load(std::memory_order_relaxed);
    return snap;
}

Registry::Series& Registry::series(Kind kind, std::string_view name, std::string_view help, Labels labels) {
    const std::lock_guard lock(mutex_);
    auto family = families_.find(name);
    if (family == families_.end()) {
        family = families_.emplace(std::string(name), Family{}).first;
        family->second.kind = kind;
        family->second.help = help;
    }
    if (family->second.kind != kind) std::abort();  // one name, two kinds: a bug at the call
    std::vector<std::pair<std::string, std::string>> owned(labels.begin(), labels.end());
    std::string key = label_text(owned);
    auto& all = family->second.series;
    if (!all.contains(key) && all.size() >= max_series_per_family) {
        for (auto& [label, value] : owned) value = "other";
        key = label_text(owned);
    }
    auto& entry = all[key];
    if (entry.counter == nullptr && entry.gauge == nullptr && entry.histogram == nullptr) {
        entry.labels = std::move(owned);
        switch (kind) {
            case Kind::counter: entry.counter = std::make_unique<Counter>(); break;
            case Kind::gauge: entry.gauge = std::make_unique<Gauge>(); break;
            case Kind::histogram:
                entry.histogram = std::make_unique<Histogram>(name.ends_with("_lead_seconds") ? lead_bounds() : latency_bounds());
                break;
        }
    }
    return entry;
}

Counter& Registry::counter(std::string_view name, std::string_view help, Labels labels) { return *series(Kind::counter, name, help, labels).counter; }
Gauge& Registry::gauge(std::string_view name, std::string_view help, Labels labels) { return *series(Kind::gauge, name, help, labels).gauge; }
Histogram& Registry::histogram(std::string_view name, std::string_view help, Labels labels) {
    return *series(Kind::histogram, name, help, labels).histogram;
}

std::string Registry::text() const {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const auto& [name, family] : families_) {
        const char* kind = family.kind == Kind::counter ? "counter" : family.kind == Kind::gauge ? "gauge" : "histogram";
        out += "# HELP " + name + " " + family.help + "\n# TYPE " + name + " " + kind + "\n";
        for (const auto& [key, series] : family.series) {
            if (series.counter != nullptr) out += name + key + " " + number(series.counter->value()) + "\n";
            if (series.gauge != nullptr) out += name + key + " " + number(series.gauge->value()) + "\n";
            if (series.histogram == nullptr) continue;
            const auto snap = series.histogram->snapshot();
            for (std::size_t i = 0; i < snap.cumulative.size(); ++i) {
                const std::string le = i < snap.bounds.size() ? number(snap.bounds[i]) : "+Inf";
                out += name + "_bucket" + label_text(series.labels, le) + " " + std::to_string(snap.cumulative[i]) + "\n";
            }
            out += name + "_sum" + key + " " + number(snap.sum) + "\n" + name + "_count" + key + " " + std::to_string(snap.count) + "\n";
        }
    }
    return out;
}

}  // namespace kn::metrics
