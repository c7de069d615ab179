#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace kn::metrics {

class Counter {
public:
    void add(double n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<double> value_{0};
};

class Gauge {
public:
    void set(double v) { value_.store(v, std::memory_order_relaxed); }
    void add(double n) { value_.fetch_add(n, std::memory_order_relaxed); }
    [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<double> value_{0};
};

/// Cumulative buckets as Prometheus wants them. Unit of observations: the base unit in the metric's name (seconds, bytes).
class Histogram {
public:
    explicit Histogram(std::vector<double> bounds);
    void observe(double value);
    struct Snapshot {
        std::vector<double> bounds;
        std::vector<std::uint64_t> cumulative;  ///< one more than bounds: +Inf
        double sum = 0;
        std::uint64_t count = 0;
    };
    [[nodiscard]] Snapshot snapshot() const;

private:
    std::vector<double> bounds_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> buckets_;
    std::atomic<double> sum_{0};
};

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// 100 µs .. 60 s, about 2.5 steps a decade.
std::vector<double> latency_bounds();

/// The process's metrics. References stay valid as long as the registry.
class Registry {
public:
    /// A label set beyond this many per family is counted under the label values "other": labels must stay bounded.
    static constexpr std::size_t max_series_per_family = 2'000;

    Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
    Histogram& histogram(std::string_view name, std::string_view help, Labels labels = {});

    /// Prometheus text format 0.0.4, families and series in order of name.
    [[nodiscard]] std::string text() const;

private:
    enum class Kind : std::uint8_t { counter, gauge, histogram };
    struct Series {
        std::vector<std::pair<std::string, std::string>> labels;
        std::unique_ptr<Counter> counter;
        std::unique_ptr<Gauge> gauge;
        std::unique_ptr<Histogram> histogram;
    };
    struct Family {
        Kind kind = Kind::counter;
        std::string help;
        std::map<std::string, Series, std::less<>> series;
    };
    Series& series(Kind kind, std::string_view name, std::string_view help, Labels labels);
    mutable std::mutex mutex_;
    std::map<std::string, Family, std::less<>> families_;
};

}  // namespace kn::metrics
