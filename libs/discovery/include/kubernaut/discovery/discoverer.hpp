#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/pool.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/discovery/options.hpp"
#include "kubernaut/domain/signal.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/family_advisor.hpp"
#include "kubernaut/ports/pattern_store.hpp"
#include "kubernaut/ports/registry_store.hpp"

namespace kn::discovery {

using async::Task;

/// What one run did, for logs, tests and the demo.
struct RunReport {
    bool led = false;  ///< false: another hub leads, nothing was done
    bool basic = false;
    std::size_t incidents = 0, executions = 0, series = 0, patterns = 0;
    int warned = 0, judged = 0;
    std::vector<patterns::AnalyzerReport> analyzers;
    double seconds = 0;
};

/// Finds patterns in the history of the hub and in the measurements of its clusters, at an interval: reads what is new, computes beside the loop with a
/// deadline, stores patterns and the standing of every analyzer, sends early warnings through the intake, and judges them when their time is over. Owned: of
/// several hubs over one store one leads. A run that is killed anywhere is made again by the next one. Also answers, from memory, which workflow helped in
/// the cases most like a new one.
class Discoverer final : public ports::FamilyAdvisor {
public:
    struct Dependencies {
        async::EventLoop& loop;
        RandomSource& random;
        ports::Stores stores;
        ports::ClusterGateway& gateway;
        ports::MetricsSource* series = nullptr;
        metrics::Registry& metrics;
        /// The intake's door for signals of our own.
        std::function<Task<Result<>>(std::vector<Signal>)> submit;
        /// The object that a signal's labels name, if any.
        std::function<std::optional<ObjectKey>(const ClusterId&, const std::map<std::string, std::string>&)> object;
        /// A steady clock that may be read on any thread; it measures analyzers.
        std::function<SteadyTime()> watch;
        /// Computing happens on threads of its own; false in virtual time, where nothing may.
        bool threads = false;
        std::string owner;  ///< of the discovery; "" = a random one
    };
    Discoverer(Dependencies dependencies, DiscoveryOptions options);
    Discoverer(Dependencies dependencies, DiscoveryOptions options, patterns::DiscoveryEngine::Analyzers analyzers);
    ~Discoverer() override;
    Discoverer(const Discoverer&) = delete;
    Discoverer& operator=(const Discoverer&) = delete;

    void set_options(DiscoveryOptions options);
    void start();
    void stop();
    Task<> join();
    /// One run now.
    Task<Result<RunReport>> run_once();

    [[nodiscard]] std::vector<ports::FamilyAdvice> advise(const ports::CaseOutline& outline) const override;
    /// Of the last run; nothing before the first.
    [[nodiscard]] const RunReport& last() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kn::discovery
