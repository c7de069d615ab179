#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/discovery/discoverer.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/learning_store.hpp"
#include "kubernaut/ports/signal_store.hpp"
#include "kubernaut/store/open_store.hpp"

namespace kn::discovery {

inline const Instant monday = *parse_rfc3339("2026-01-05T00:00:00Z");
inline constexpr double hour = 3600, day = 86'400;
inline Duration seconds(double s) { return Duration(static_cast<std::int64_t>(s * 1000)); }

inline std::uint64_t new_seed() {
    const char* fixed = std::getenv("KN_SEED");
    return fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
}

class SomeClusters final : public ports::ClusterGateway {
public:
    std::vector<ClusterRecord> all;
    [[nodiscard]] std::vector<ClusterRecord> clusters() const override { return all; }
    [[nodiscard]] std::optional<ClusterRecord> cluster(const ClusterId& id) const override {
        for (const auto& each : all)
            if (each.id == id) return each;
        return std::nullopt;
    }
    std::shared_ptr<kube::Client> client(const ClusterId&) override { return nullptr; }
    std::shared_ptr<const kube::ObjectCache> cache(const ClusterId&, const kube::Resource&) override { return nullptr; }
    std::optional<ObjectRef> tombstone(const ClusterId&, std::string_view, std::string_view, std::string_view) override { return std::nullopt; }
    async::Task<Result<>> check_fence(const ClusterId&, Deadline) override { co_return Result<>{}; }
};

/// Series as functions of time.
class Curves final : public ports::MetricsSource {
public:
    struct Curve {
        std::string cluster, query, claim;
        std::function<double(Instant)> value;
    };
    std::vector<Curve> curves;
    int asked = 0;
    std::int64_t samples = 0;
    bool down = false;
    async::Task<Result<std::vector<ports::Series>>> range(const ClusterId& cluster, std::string promql, Instant from, Instant to, Duration step,
                                                          Deadline) override {
        ++asked;
        if (down) co_return fail(ErrorCode::unavailable, "no answer");
        std::vector<ports::Series> out;
        for (const auto& curve : curves) {
            if (curve.cluster != cluster.str() || curve.query != promql) continue;
            ports::Series series{.labels = {{"namespace", "shop"}, {"persistentvolumeclaim", curve.claim}, {"instance", "10.0.0.1"}}, .samples = {}};
            for (Instant at = from; at <= to; at += step) series.samples.push_back({at, curve.value(at)});
            samples += static_cast<std::int64_t>(series.samples.size());
            out.push_back(std::move(series));
        }
        co_return out;
    }
};

/// A discoverer over a store in memory, in virtual time, with made-up clusters and measurements.
class Bed : public ::testing::Test {
protected:
    void SetUp() override {
        log::configure(log::Level::off, log::Format::text);
        loop = async::EventLoop::simulated(monday);
        stores = open_store("sqlite::memory:", {}, *loop).value();
        for (const char* name : {"eu1", "us1"}) gateway.all.push_back({.id = ClusterId(name), .environment = Environment::prod});
        options.series = {{.name = "volume", .query = "used", .limit_query = "capacity", .limit = 0.85, .step = 30min, .warn = "VolumeRunwayShort"}};
        options.every = 15min;
    }

    std::unique_ptr<Discoverer> make(const std::string& owner = "a", patterns::DiscoveryEngine::Analyzers analyzers = patterns::builtin_analyzers()) {
        return std::make_unique<Discoverer>(
            Discoverer::Dependencies{.loop = *loop,
                                     .random = random,
                                     .stores = stores->ports(),
                                     .gateway = gateway,
                                     .series = &curves,
                                     .metrics = metrics,
                                     .submit = [this](std::vector<Signal> signals) { return take(std::move(signals)); },
                                     .object = {},
                                     .watch = [this] { return loop->clock().steady(); },
                                     .threads = false,
                                     .owner = owner},
            options, std::move(analyzers));
    }
    /// What the intake would do: the signal is stored and opens an incident of its own.
    async::Task<Result<>> take(std::vector<Signal> signals) {
        if (refuse) co_return fail(ErrorCode::unavailable, "the intake is full");
        for (Signal& signal : signals) {
            signal.id = SignalId(make_id("sig_", now(), random));
            signal.received_at = signal.last_seen = now();
            signal.key = make_signal_key(signal.cluster, to_string(signal.source), signal.alert_fp, signal.starts_at, to_string(signal.status));
            sent.push_back(signal);
        }
        KN_CO_CHECK(co_await stores->ports().signals.accept({.source = "patterns", .bytes = {}, .received_at = now()}, signals, soon()));
        co_return Result<>{};
    }
    template <class T> T must(async::Task<Result<T>> task) {
        auto result = loop->block_on(std::move(task));
        if (!result) ADD_FAILURE() << result.error().describe();
        if constexpr (!std::is_void_v<T>) return result ? std::move(*result) : T{};
    }
    [[nodiscard]] Instant now() const { return loop->clock().now(); }
    [[nodiscard]] Deadline soon() const { return loop->clock().deadline_in(20s); }
    void move_to(double since_monday) {
        const auto ahead = monday + seconds(since_monday) - now();
        if (ahead > Duration{0}) loop->run_for(ahead);
    }

    Incident add_incident(double at, const std::string& fault, const std::string& kind, const std::string& name, const std::string& cluster = "eu1") {
        Incident incident;
        const Instant opened = monday + seconds(at);
        incident.id = IncidentId(make_id("inc_", opened, random));
        incident.cluster = ClusterId(cluster);
        incident.environment = Environment::prod;
        incident.target.key = {incident.cluster, "shop", kind, kind == "CronJob" ? "batch" : "apps", name};
        incident.correlation_key = make_correlation_key(incident.target.key, incident.id.str());
        incident.fault_class = fault;
        incident.opened_at = incident.updated_at = incident.next_look_at = opened;
        incident.state = IncidentState::resolved;
        incident.closed_at = opened + 5min;
        must(stores->ports().incidents.commit({.incidents = {incident}}, soon()));
        return incident;
    }
    void nightly(int days, const std::string& cluster = "eu1") {
        analytics::Rng noise(11);
        for (int d = 0; d < days; ++d) (void)add_incident(d * day + 2.25 * hour + 200 * noise.normal(), "job.failed", "CronJob", "export", cluster);
    }
    void filling(const std::string& claim, double start, double per_hour, double capacity = 100, const std::string& cluster = "eu1") {
        curves.curves.push_back({cluster, "capacity", claim, [=](Instant) { return capacity; }});
        curves.curves.push_back({cluster, "used", claim, [=](Instant at) {
                                     const double h = std::chrono::duration<double>(at - monday).count() / hour;
                                     return start + per_hour * h + 0.05 * std::sin(h * 1.7);  // not quite even
                                 }});
    }
    std::vector<PatternRecord> all(ports::PatternFilter filter = {}) {
        return must(stores->ports().patterns.list(filter, {.limit = 500}, soon())).items;
    }
    std::vector<EarlyWarning> warnings() { return must(stores->ports().patterns.warnings({}, {.limit = 500}, soon())).items; }
    static const PatternRecord* find(const std::vector<PatternRecord>& records, PatternKind kind) {
        for (const auto& record : records)
            if (record.pattern.kind == kind) return &record;
        return nullptr;
    }

    std::unique_ptr<async::EventLoop> loop;
    SeededRandom random{5};
    std::unique_ptr<sql::SqlStores> stores;
    SomeClusters gateway;
    Curves curves;
    metrics::Registry metrics;
    DiscoveryOptions options;
    std::vector<Signal> sent;
    bool refuse = false;
};

}  // namespace kn::discovery
