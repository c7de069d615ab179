#include "hub.hpp"

#include <algorithm>

#include "kubernaut/web/assets.hpp"

namespace kn::app {

Result<std::unique_ptr<Hub>> Hub::create(async::EventLoop& loop, RandomSource& random, ports::Stores stores, ports::Notifier& notifier,
                                         ports::MetricsSource* metrics_source, metrics::Registry& metrics, HubOptions options) {
    KN_TRY(auto signals, decision::SignalMap::builtin());
    KN_TRY(auto faults, decision::FaultCatalog::builtin());
    catalog::Rules rules{.actions = actions::action_specs()};
    rules.fault_classes = faults.names();
    rules.default_timeout = options.workflow_timeout;
    catalog::Catalog workflows;
    // The built-in ones are the ground that folders extend, wherever they stand in the list.
    if (std::ranges::find(options.catalog, "builtin") != options.catalog.end()) {
        KN_TRY(workflows, catalog::Catalog::builtin(rules));
    }
    for (const std::string& place : options.catalog) {
        if (place != "builtin") KN_CHECK(workflows.load_folder(place, rules));
    }
    return std::unique_ptr<Hub>(new Hub(loop, random, stores, notifier, metrics_source, metrics, std::move(options), std::move(workflows),
                                        std::move(signals), std::move(faults)));
}

Hub::Hub(async::EventLoop& loop, RandomSource& random, ports::Stores stores, ports::Notifier& notifier, ports::MetricsSource* metrics_source,
         metrics::Registry& metrics, HubOptions options, catalog::Catalog workflows, decision::SignalMap signals, decision::FaultCatalog faults)
    : loop_(loop),
      options_(std::move(options)),
      stores_(stores),
      workflows_(std::move(workflows)),
      signals_(std::move(signals)),
      faults_(std::move(faults)),
      actions_(actions::make_action_registry({.notifier = notifier, .settings = options_.actions})),
      fleet_(loop, random, stores.registry, notifier, feed_, metrics, options_.fleet),
      keeper_(options_.guard, stores, fleet_, *actions_, notifier, loop.clock(), metrics),
      evidence_(loop.clock(), fleet_, stores.registry, stores.incidents, metrics_source, options_.decision),
      classifier_(faults_, signals_, options_.decision),
      planner_(
          faults_, [this](std::string_view id) { return find_workflow(id); }, options_.decision),
      correlator_(loop, random, stores.signals, stores.incidents, fleet_, signals_, wakeups_, feed_, options_.decision),
      driver_(
          loop, random, stores, fleet_, evidence_, classifier_, planner_, [this](std::string_view id) { return find_workflow(id); }, keeper_,
          notifier, wakeups_, feed_, options_.decision),
      watch_signals_(loop, random, fleet_, stores.signals, wakeups_, options_.decision),
      engine_(stores.executions, *actions_, fleet_, keeper_, notifier, wakeups_, feed_, loop.clock(), random, loop.executor(), options_.engine),
      assessor_(loop, stores,
                {.fleet = fleet_, .wakeups = wakeups_, .feed = feed_, .metrics = metrics, .series = metrics_source, .actions = actions_.get()},
                options_.assess),
      discoverer_(discovery_dependencies(random, metrics_source, metrics), options_.patterns) {
    driver_.set_advisor(&discoverer_);
    const auto registered = [this] {
        std::set<std::string> ids;
        for (const auto& cluster : fleet_.clusters()) ids.insert(cluster.id.str());
        return ids;
    };
    intake_ = std::make_unique<intake::IntakeService>(options_.intake, stores.signals, wakeups_, loop.clock(), random, metrics, registered);
    api_ = std::make_unique<http_api::Api>(http_api::ApiDependencies{.loop = loop,
                                                                     .random = random,
                                                                     .stores = stores,
                                                                     .fleet = fleet_,
                                                                     .intake = *intake_,
                                                                     .gatekeeper = keeper_,
                                                                     .actions = *actions_,
                                                                     .wakeups = wakeups_,
                                                                     .feed = feed_,
                                                                     .metrics = metrics,
                                                                     .auth = options_.auth,
                                                                     .workflows = [this] { return workflows_.all(); },
                                                                     .asset = web::asset,
                                                                     .analyzers = [this] { return analyzers(); },
                                                                     .draining = [this] { return draining_; },
                                                                     .version = options_.version});
}

Hub::~Hub() = default;

std::shared_ptr<const WorkflowDefinition> Hub::find_workflow(std::string_view id) const { return workflows_.find(id); }

async::Task<Result<>> Hub::start() {
    KN_CO_CHECK(co_await fleet_.start());
    correlator_.start();
    driver_.start();
    if (options_.watch_signals) watch_signals_.start();
    engine_.start();
    assessor_.start();
    discoverer_.start();
    co_return Result<>{};
}

void Hub::reload(const HubOptions& options) {
    keeper_.set_policy(options.guard);
    evidence_.set_options(options.decision);
    classifier_.set_options(options.decision);
    planner_.set_options(options.decision);
    correlator_.set_options(options.decision);
    driver_.set_options(options.decision);
    watch_signals_.set_options(options.decision);
    intake_->set_options(options.intake);
    api_->set_auth(options.auth);
    discoverer_.set_options(options.patterns);
}

json::Array Hub::analyzers() const {
    json::Array out;
    for (const auto& each : discoverer_.last().analyzers) {
        json::Object one{
            {"name", each.name},       {"mode", each.flag == patterns::Flag::off ? "off" : each.flag == patterns::Flag::shadow ? "shadow" : "on"},
            {"basic", each.basic},     {"found", each.found},
            {"checks", each.checks},   {"brier", each.brier},
            {"seconds", each.seconds}, {"calibration_error", each.calibration_error}};
        if (!each.error.empty()) one["error"] = each.error;
        out.push_back(std::move(one));
    }
    return out;
}

async::Task<Result<>> Hub::foretell(std::vector<Signal> signals) {
    KN_CO_CHECK(co_await intake_->submit(std::move(signals)));
    co_return Result<>{};
}

discovery::Discoverer::Dependencies Hub::discovery_dependencies(RandomSource& random, ports::MetricsSource* series, metrics::Registry& metrics) {
    std::function<SteadyTime()> watch = [&clock = loop_.clock()] { return clock.steady(); };
    // Beside the loop the loop's clock may not be asked.
    if (options_.threads) watch = [] { return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now()); };
    return {.loop = loop_,
            .random = random,
            .stores = stores_,
            .gateway = fleet_,
            .series = series,
            .metrics = metrics,
            .submit = [this](std::vector<Signal> signals) { return foretell(std::move(signals)); },
            .object = intake::object_of_labels,
            .watch = std::move(watch),
            .threads = options_.threads,
            .owner = {}};
}

async::Task<> Hub::stop() {
    draining_ = true;
    intake_->drain();
    watch_signals_.stop();
    correlator_.stop();
    driver_.stop();
    assessor_.stop();
    discoverer_.stop();
    co_await discoverer_.join();
    co_await watch_signals_.join();
    co_await correlator_.join();
    co_await driver_.join();
    co_await engine_.stop();
    co_await assessor_.join();
    fleet_.stop();
    co_await fleet_.join();
}

}  // namespace kn::app
