#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kubernaut/actions/registry.hpp"
#include "kubernaut/assess/assessor.hpp"
#include "kubernaut/async/loop.hpp"
#include "kubernaut/catalog/catalog.hpp"
#include "kubernaut/decision/classifier.hpp"
#include "kubernaut/decision/correlator.hpp"
#include "kubernaut/decision/evidence.hpp"
#include "kubernaut/decision/incident_driver.hpp"
#include "kubernaut/decision/planner.hpp"
#include "kubernaut/decision/signal_map.hpp"
#include "kubernaut/decision/watch_signals.hpp"
#include "kubernaut/discovery/discoverer.hpp"
#include "kubernaut/engine/engine_driver.hpp"
#include "kubernaut/fleet/fleet.hpp"
#include "kubernaut/guard/keeper.hpp"
#include "kubernaut/http_api/api.hpp"
#include "kubernaut/intake/service.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/ports/notifier.hpp"

namespace kn::app {

struct HubOptions {
    intake::IntakeOptions intake;
    decision::DecisionOptions decision;
    guard::GuardPolicy guard;
    fleet::FleetOptions fleet;
    engine::EngineOptions engine;
    assess::AssessOptions assess;
    actions::ActionSettings actions;
    discovery::DiscoveryOptions patterns;
    bool threads = false;  ///< heavy computing has threads of its own; never in virtual time
    http_api::AuthTable auth;
    std::vector<std::string> catalog{"builtin"};  ///< and folders
    Duration workflow_timeout = 30min;            ///< of workflows that name none
    bool watch_signals = true;
    std::string version;
};

/// The core, wired: everything between a signal and its assessment, over stores, clusters, a notifier and a metrics source that the caller owns.
/// The same for serve, demo, and tests in virtual time.
class Hub {
public:
    /// Reads the catalogues; the error names file, line and path of everything that is wrong in them.
    static Result<std::unique_ptr<Hub>> create(async::EventLoop& loop, RandomSource& random, ports::Stores stores, ports::Notifier& notifier,
                                               ports::MetricsSource* metrics_source, metrics::Registry& metrics, HubOptions options);
    ~Hub();
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    /// Before or after start().
    Result<> add_cluster(fleet::ClusterSource source) { return fleet_.add(std::move(source)); }
    async::Task<Result<>> start();
    /// Intake answers 503, running work is handed over (its leases end), everything is joined.
    async::Task<> stop();

    /// What may change without a restart: access, sources of alerts, decision and guard. Running work sees it at its next look.
    void reload(const HubOptions& options);
    async::Task<net::HttpResponse> handle(net::HttpRequest request) { return api_->handle(std::move(request)); }
    intake::IntakeService& intake() { return *intake_; }
    fleet::Fleet& fleet() { return fleet_; }
    ports::Wakeups& wakeups() { return wakeups_; }
    ports::LiveFeed& feed() { return feed_; }
    decision::IncidentDriver& driver() { return driver_; }
    const ports::ActionRegistry& actions() const { return *actions_; }
    discovery::Discoverer& discoverer() { return discoverer_; }
    const discovery::Discoverer& discoverer() const { return discoverer_; }

private:
    Hub(async::EventLoop& loop, RandomSource& random, ports::Stores stores, ports::Notifier& notifier, ports::MetricsSource* metrics_source,
        metrics::Registry& metrics, HubOptions options, catalog::Catalog workflows, decision::SignalMap signals, decision::FaultCatalog faults);
    [[nodiscard]] json::Array analyzers() const;
    async::Task<Result<>> foretell(std::vector<Signal> signals);
    [[nodiscard]] discovery::Discoverer::Dependencies discovery_dependencies(RandomSource& random, ports::MetricsSource* series,
                                                                             metrics::Registry& metrics);
    [[nodiscard]] std::shared_ptr<const WorkflowDefinition> find_workflow(std::string_view id) const;

    async::EventLoop& loop_;
    HubOptions options_;
    ports::Stores stores_;
    ports::Wakeups wakeups_;
    ports::LiveFeed feed_;
    catalog::Catalog workflows_;
    decision::SignalMap signals_;
    decision::FaultCatalog faults_;
    std::unique_ptr<ports::ActionRegistry> actions_;
    fleet::Fleet fleet_;
    guard::Keeper keeper_;
    decision::EvidenceCollector evidence_;
    decision::Classifier classifier_;
    decision::Planner planner_;
    decision::Correlator correlator_;
    decision::IncidentDriver driver_;
    decision::WatchSignalSource watch_signals_;
    engine::EngineDriver engine_;
    assess::Assessor assessor_;
    std::unique_ptr<intake::IntakeService> intake_;
    discovery::Discoverer discoverer_;
    std::unique_ptr<http_api::Api> api_;
    bool draining_ = false;
};

}  // namespace kn::app
