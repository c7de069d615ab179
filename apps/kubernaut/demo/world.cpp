#include "demo/world.hpp"

#include <algorithm>
#include <iostream>

#include "client/render.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"
#include "kubernaut/notify/notifier.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/incident_store.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/store/open_store.hpp"

namespace kn::app {
namespace {

constexpr Duration look_every = 30s, between_faults = 90s, settle_after_cure = 10min, watch_left_alone = 12min, deploy_limit = 10min,
                   inject_limit = 90min;

}  // namespace

/// A scenario on its way.
struct DemoWorld::Act {
    sim::Scenario scenario;
    FaultReport report;
    std::unique_ptr<sim::AlertFeed> alerts;
    Instant begun{};
    std::set<std::string> ran;  ///< workflows that were started for its incident
    bool done = false;
};

struct DemoWorld::Place {
    std::string name;
    Environment environment;
    std::unique_ptr<sim::SimCluster> cluster;  ///< null for an outside cluster
    sim::Stage stage;
    std::shared_ptr<kube::Transport> transport;
    std::vector<std::unique_ptr<Act>> together, alone;  ///< `alone`: it needs the cluster for itself
};

DemoWorld::DemoWorld(async::EventLoop& loop, DemoOptions options)
    : loop_(loop), options_(std::move(options)), random_(options_.seed), scope_(loop.executor()) {}
DemoWorld::~DemoWorld() = default;

Result<std::unique_ptr<DemoWorld>> DemoWorld::create(async::EventLoop& loop, DemoOptions options) {
    std::unique_ptr<DemoWorld> world(new DemoWorld(loop, std::move(options)));
    const DemoOptions& o = world->options_;
    KN_TRY(world->stores_, open_store("sqlite::memory:", {}, loop));
    world->notifier_ =
        std::make_unique<notify::ChannelNotifier>(loop, world->metrics_, nullptr, std::vector<notify::Channel>{}, std::vector<notify::Route>{});

    for (const OutsideCluster& outside : o.outside) {
        auto place = std::make_unique<Place>();
        place->name = outside.name;
        place->environment = outside.environment;
        place->stage = outside.stage;
        place->transport = outside.transport;
        world->places_.push_back(std::move(place));
    }
    for (const auto& [name, environment] :
         {std::pair("eu-prod", Environment::prod), std::pair("us-prod", Environment::prod), std::pair("staging", Environment::staging)}) {
        if (!o.outside.empty()) break;
        auto place = std::make_unique<Place>();
        place->name = name;
        place->environment = environment;
        sim::ClusterSpec spec;
        spec.name = name;
        spec.environment = to_string(environment);
        spec.kubelet.hurry = o.hurry;
        place->cluster = std::make_unique<sim::SimCluster>(loop, world->random_, spec);
        place->stage = place->cluster->stage();
        place->transport = place->cluster->transport("kubernaut", {"system:masters"});
        world->places_.push_back(std::move(place));
    }
    std::size_t next = 0, next_alone = 0;
    std::uint64_t number = 0;
    for (const auto& builtin : sim::builtin_scenarios()) {
        // A seed of its own for each, or two scenarios would choose the same namespace.
        KN_TRY(auto scenario, sim::Scenario::parse(builtin.text, o.seed * 1000 + ++number));
        const bool wanted = o.only.empty() || std::find(o.only.begin(), o.only.end(), scenario.id()) != o.only.end();
        if (!wanted) continue;
        const auto needs = [&](const char* word) {
            return std::find(scenario.needs().begin(), scenario.needs().end(), word) != scenario.needs().end();
        };
        if (!o.outside.empty() && needs("mem")) continue;
        if (o.only.empty() && !o.all && needs("time")) continue;
        const bool own = o.one_after_another || needs("own-cluster");
        auto& place = *world->places_[(own ? next_alone++ : next++) % world->places_.size()];
        auto act = std::make_unique<Act>(Act{std::move(scenario), {}, nullptr, {}, {}, false});
        act->report.id = act->scenario.id();
        act->report.cluster = place.name;
        act->report.target = act->scenario.target();
        act->report.title = act->scenario.title();
        const auto& expect = act->scenario.expect();
        act->report.leave_alone = expect.leave_alone || expect.outcome == "escalated" || expect.outcome == "no_action_required";
        (own ? place.alone : place.together).push_back(std::move(act));
    }

    HubOptions hub;
    hub.version = "demo";
    hub.auth.allow_loopback("you");
    // Every Secret of that namespace may be copied to where it is missing.
    hub.decision.policy = json::Object{{"secret_sources", true}};
    hub.actions.secret_sources = {{.ns = "platform-secrets", .name = "*", .namespaces = {"*"}}};
    // Many faults within an hour are the point of a demo; a storm of them is not.
    hub.guard.ns = {4, 60};
    hub.guard.cluster = {10, 300};
    hub.guard.fleet = {30, 1000};
    if (o.hurry > 1) {
        const auto hurried = [&](Duration d) { return std::max(Duration{1000}, std::chrono::duration_cast<Duration>(d / o.hurry)); };
        hub.actions.rollout_quiet = hurried(hub.actions.rollout_quiet);
        hub.actions.oom_quiet = hurried(hub.actions.oom_quiet);
        hub.actions.probe_quiet = hurried(hub.actions.probe_quiet);
        hub.actions.good_revision = hurried(hub.actions.good_revision);
        hub.decision.ages.good_revision = hub.actions.good_revision;
        hub.decision.correlate = 2s;
        for (Duration* rest : {&hub.guard.cooldown_ok, &hub.guard.cooldown_incident, &hub.engine.cooldown_ok}) *rest = hurried(*rest);
        hub.actions.failed_pod_age = hurried(hub.actions.failed_pod_age);
        hub.actions.terminating_slack = hurried(hub.actions.terminating_slack);
        for (Duration* wait : {&hub.decision.evidence_gone, &hub.decision.settle, &hub.decision.unknown_crash_limit, &hub.decision.incomplete_limit,
                               &hub.decision.confirm})
            *wait = hurried(*wait);
        auto& ages = hub.decision.ages;
        // Those that bound how long ago a change may be stay as they are: the world is not older than it is.
        for (Duration* age : {&ages.node_not_ready, &ages.pvc_pending, &ages.no_endpoints, &ages.stuck, &ages.misscheduled, &ages.litter,
                              &ages.hpa_maxed, &ages.terminating})
            *age = hurried(*age);
    }
    hub.threads = o.threads;
    if (o.foresight && o.outside.empty()) {
        Foresight::prepare(hub, o.hurry);
        world->foresight_ = std::make_unique<Foresight>(loop, world->stores_->ports(), o.seed, o.hurry);
    }
    KN_TRY(world->hub_,
           Hub::create(loop, world->random_, world->stores_->ports(), *world->notifier_, &world->metrics_source_, world->metrics_, std::move(hub)));
    for (const auto& place : world->places_) {
        ClusterRecord record{.id = ClusterId(place->name), .kind = "simulated", .environment = place->environment, .mode = Mode::automatic};
        KN_CHECK(world->hub_->add_cluster({.record = std::move(record), .transport = place->transport, .probe_transport = place->transport}));
        world->metrics_source_.add(ClusterId(place->name), place->stage.metrics);
    }
    return world;
}

async::Task<Result<>> DemoWorld::start() {
    for (auto& place : places_) {
        if (place->cluster != nullptr) KN_CO_CHECK(co_await place->cluster->start());
    }
    if (options_.story) {
        hub_->feed().subscribe([this](std::string_view kind, const json::Value& document) {
            if (kind == "incident") tell(document);
        });
    }
    if (foresight_) KN_CO_CHECK(co_await foresight_->write_past(ClusterId(places_.front()->name)));
    KN_CO_CHECK(co_await hub_->start());
    if (options_.approver_delay > Duration{0}) scope_.spawn("approver", approve());
    co_return Result<>{};
}

void DemoWorld::tell(const json::Value& incident) {
    static const client::Style style = client::Style::for_stdout();
    const auto& story = json::array_at(incident, "story");
    std::size_t& told = told_[std::string(json::string_at(incident, "id"))];
    for (; told < story.size(); ++told) {
        const auto at = json::string_at(story[told], "at");
        const auto kind = json::string_at(story[told], "kind");
        std::string mark(kind);
        mark.resize(12, ' ');
        const std::string coloured = kind == "done" || kind == "verified" || kind == "assessed" ? style.good(mark)
                                     : kind == "guard" || kind == "approval"                    ? style.warn(mark)
                                     : kind == "error"                                          ? style.bad(mark)
                                                                                                : style.dim(mark);
        std::cout << style.dim(at.substr(11, 8)) << "  " << style.bold(json::string_at(incident, "cluster")) << "  "
                  << json::string_at(incident, "target", "key") << "\n          " << coloured << json::string_at(story[told], "text") << "\n"
                  << std::flush;
    }
}

async::Task<> DemoWorld::play_foresight() {
    // Staging acts by itself; the timetable has other things to do there, and so has it.
    const Duration limit{static_cast<std::int64_t>(90 * 60'000 / options_.hurry)};
    auto played = co_await foresight_->play(places_.back()->stage, limit);
    if (!played && first_error_.empty()) first_error_ = "foresight: " + played.error().describe();
}

async::Task<Result<std::optional<ForesightReport>>> DemoWorld::foresight() {
    if (!foresight_) co_return std::nullopt;
    KN_CO_TRY(auto report, co_await foresight_->report(*hub_));
    co_return std::optional(std::move(report));
}

async::Task<Result<std::vector<FaultReport>>> DemoWorld::run() {
    async::TaskScope places(loop_.executor());
    if (foresight_) places.spawn("foresight", play_foresight());
    for (auto& place : places_) places.spawn("place " + place->name, run_place_in_scope(*place));
    co_await places.join();
    if (!first_error_.empty()) co_return fail(ErrorCode::internal, first_error_);
    std::vector<FaultReport> reports;
    for (auto& place : places_) {
        for (auto* group : {&place->together, &place->alone}) {
            for (auto& act : *group) reports.push_back(act->report);
        }
    }
    std::sort(reports.begin(), reports.end(), [](const auto& a, const auto& b) { return std::pair(a.injected, a.id) < std::pair(b.injected, b.id); });
    co_return reports;
}

async::Task<> DemoWorld::run_place_in_scope(Place& place) {
    auto result = co_await run_place(place);
    if (!result && first_error_.empty()) first_error_ = place.name + ": " + result.error().describe();
}

async::Task<Result<>> DemoWorld::run_place(Place& place) {
    async::Clock& clock = loop_.clock();
    for (auto& act : place.together) KN_CO_CHECK(co_await act->scenario.deploy(place.stage, clock.deadline_in(deploy_limit)));
    {
        async::TaskScope acts(loop_.executor());
        for (auto& act : place.together) {
            acts.spawn("act " + act->report.id, play_in_scope(place, *act));
            co_await async::sleep_for(clock, std::chrono::duration_cast<Duration>(between_faults / options_.hurry));
        }
        co_await acts.join();
    }
    for (auto& act : place.together) KN_CO_CHECK(co_await act->scenario.clean_up(place.stage, clock.deadline_in(deploy_limit)));
    for (auto& act : place.alone) {
        KN_CO_CHECK(co_await act->scenario.deploy(place.stage, clock.deadline_in(deploy_limit)));
        KN_CO_CHECK(co_await play(place, *act));
        KN_CO_CHECK(co_await act->scenario.clean_up(place.stage, clock.deadline_in(deploy_limit)));
    }
    co_return Result<>{};
}

async::Task<> DemoWorld::play_in_scope(Place& place, Act& act) {
    auto played = co_await play(place, act);
    if (!played && first_error_.empty()) first_error_ = act.report.id + " in " + place.name + ": " + played.error().describe();
}

async::Task<Result<>> DemoWorld::play(Place& place, Act& act) {
    async::Clock& clock = loop_.clock();
    const sim::Stage& stage = place.stage;
    act.alerts = act.scenario.alerts(stage);
    act.begun = clock.now();
    act.report.injected = clock.now();
    KN_CO_CHECK(co_await act.scenario.inject(stage, clock.deadline_in(inject_limit)));
    act.report.injected = clock.now();  // a scenario waits before it breaks something
    const auto& expect = act.scenario.expect();
    const auto hurried = [this](Duration d) { return std::max(Duration{1000}, std::chrono::duration_cast<Duration>(d / options_.hurry)); };
    const Duration limit = expect.leave_alone ? hurried(watch_left_alone) : std::max(hurried(expect.cured_within), Duration{std::chrono::minutes{4}});
    std::optional<Instant> cured_at;
    while (clock.now() < act.report.injected + limit) {
        co_await async::sleep_for(clock, hurried(look_every));
        KN_CO_CHECK(co_await send_alerts(act));
        KN_CO_TRY(const auto verdict, co_await act.scenario.check(stage, clock.deadline_in(60s)));
        act.report.cured = verdict.cured;
        act.report.missing = verdict.missing;
        cured_at = verdict.cured ? verdict.cured_at : std::nullopt;
        // The product has its say as well: the incident should end, but truth does not wait for it.
        KN_CO_CHECK(co_await describe(place, act));
        // What nobody can cure is right when people are told.
        if (act.report.leave_alone && !expect.leave_alone && act.report.outcome == expect.outcome) break;
        if (act.report.leave_alone || !cured_at) continue;
        const bool ended = !act.report.outcome.empty() && act.report.outcome != "none";
        if ((ended && clock.now() > *cured_at + hurried(1min)) || clock.now() > *cured_at + hurried(settle_after_cure)) break;
    }
    KN_CO_TRY(const auto verdict, co_await act.scenario.check(stage, clock.deadline_in(60s)));
    act.report.cured = verdict.cured;
    act.report.missing = verdict.missing;
    for (const auto& violation : verdict.violations) act.report.harm.push_back(violation.object + " " + violation.what);
    KN_CO_CHECK(co_await describe(place, act));
    if (place.cluster != nullptr) {
        for (const auto& write : place.cluster->api().writes()) {
            const bool ours = write.user == "kubernaut" && !write.dry_run && write.changed && write.subresource.empty();
            const bool workload =
                write.resource == "deployments.apps" || write.resource == "statefulsets.apps" || write.resource == "daemonsets.apps";
            const auto& spaces = act.scenario.namespaces();
            if (ours && workload && std::find(spaces.begin(), spaces.end(), write.ns) != spaces.end()) ++act.report.rollouts;
        }
    }
    const auto& right = expect.workflows;
    const bool acted =
        right.empty() || std::any_of(right.begin(), right.end(), [&](const std::string& workflow) { return act.ran.contains(workflow); });
    if (act.report.cured && !act.report.leave_alone && !acted) {
        // A world that is well although nobody did the right thing is no success of ours.
        act.report.cured = false;
        act.report.missing.push_back("none of the right workflows ran");
    }
    if (act.report.leave_alone && !expect.leave_alone && act.report.outcome != expect.outcome) {
        act.report.harm.push_back("ended as \"" + act.report.outcome + "\" where \"" + expect.outcome + "\" is right");
    }
    act.report.verified = act.report.cured && act.report.outcome == "remediated";
    act.report.virtual_seconds = static_cast<double>(((cured_at ? *cured_at : clock.now()) - act.report.injected).count()) / 1000.0;
    // A forbidden plan is harm even when the world looks fine afterwards.
    for (const auto& wrong : expect.must_not) {
        if (act.ran.contains(wrong)) act.report.harm.push_back("ran " + wrong);
    }
    act.done = true;
    co_return Result<>{};
}

async::Task<Result<>> DemoWorld::send_alerts(Act& act) {
    KN_CO_TRY(const auto alerts, co_await act.alerts->evaluate(loop_.clock().deadline_in(30s)));
    if (alerts.empty()) co_return Result<>{};
    intake::IntakeRequest request{.kind = "alerts",
                                  .method = "POST",
                                  .content_type = "application/json",
                                  .body = json::dump(sim::webhook_body(alerts, "kubernaut")),
                                  .loopback = true};
    const auto answer = co_await hub_->intake().handle(std::move(request));
    if (answer.status != 200) co_return fail(ErrorCode::unavailable, "the intake answered " + std::to_string(answer.status) + ": " + answer.body);
    co_return Result<>{};
}

async::Task<Result<>> DemoWorld::describe(Place& place, Act& act) {
    const Deadline deadline = loop_.clock().deadline_in(10s);
    KN_CO_TRY(const auto found, co_await stores_->ports().incidents.list({.cluster = place.name}, {.limit = 500}, deadline));
    const Incident* best = nullptr;
    for (const Incident& incident : found.items) {
        if (incident.opened_at < act.begun || incident.state == IncidentState::duplicate) continue;
        const ObjectKey& key = incident.target.key;
        const std::string target = key.ns.empty() ? key.kind_group() + "/" + key.name : key.kind_group() + "/" + key.ns + "/" + key.name;
        const bool own = target == act.report.target;
        const bool near = !key.ns.empty() &&
                          std::find(act.scenario.namespaces().begin(), act.scenario.namespaces().end(), key.ns) != act.scenario.namespaces().end();
        if (!own && !near) continue;
        // The incident on the target itself, else the one that did something, else the oldest.
        const auto rank = [&](const Incident& i, bool is_own) {
            return (is_own ? 4 : 0) + (i.execution ? 2 : 0) + (i.fault_class == act.scenario.expect().fault_class ? 1 : 0);
        };
        const bool best_own = best != nullptr && (best->target.key.ns.empty() ? best->target.key.kind_group() + "/" + best->target.key.name
                                                                              : best->target.key.kind_group() + "/" + best->target.key.ns + "/" +
                                                                                    best->target.key.name) == act.report.target;
        if (best == nullptr || rank(incident, own) > rank(*best, best_own)) best = &incident;
    }
    if (best == nullptr) co_return Result<>{};
    // A late alert may open a cured incident again: what was found and done before then stays what was found and done.
    if (!best->fault_class.empty() || act.report.classified.empty()) act.report.classified = best->fault_class;
    if (best->outcome != Outcome::none || act.report.outcome.empty()) act.report.outcome = to_string(best->outcome);
    if (best->plan && act.ran.empty()) act.report.workflow = best->plan->workflow;
    KN_CO_TRY(const auto executions,
              co_await stores_->ports().executions.list({.cluster = place.name, .incident = best->id.str()}, {.limit = 50}, deadline));
    for (const Execution& execution : executions.items) {
        if (execution.dry_run) continue;
        act.ran.insert(execution.plan.workflow);
        const auto& right = act.scenario.expect().workflows;
        if (std::find(right.begin(), right.end(), execution.plan.workflow) != right.end()) act.report.workflow = execution.plan.workflow;
    }
    co_return Result<>{};
}

async::Task<> DemoWorld::approve() {
    async::Clock& clock = loop_.clock();
    auto& incidents = stores_->ports().incidents;
    while (true) {
        co_await async::sleep_for(clock, 1s);
        const auto pending = co_await incidents.approvals("", ApprovalState::pending, clock.deadline_in(5s));
        if (!pending) continue;
        for (const Approval& approval : *pending) {
            if (clock.now() < approval.asked_at + options_.approver_delay || approval.expires_at <= clock.now()) continue;
            const std::string name = approval.votes.empty() ? "demo-approver" : "demo-approver-" + std::to_string(approval.votes.size() + 1);
            auto voted =
                co_await incidents.vote(approval.id, {.by = name, .granted = true, .comment = "scripted", .at = clock.now()}, clock.deadline_in(5s));
            if (!voted) continue;
            if (auto incident = co_await incidents.get(approval.cluster, approval.incident, clock.deadline_in(5s))) {
                incident->next_look_at = clock.now();
                ports::IncidentCommit commit;
                commit.incidents.push_back(*std::move(incident));
                (void)co_await incidents.commit(std::move(commit), clock.deadline_in(5s));
            }
            hub_->wakeups().incidents.notify();
        }
    }
}

async::Task<> DemoWorld::stop() {
    scope_.cancel();
    co_await scope_.join();
    co_await hub_->stop();
    for (auto& place : places_) {
        if (place->cluster == nullptr) continue;
        place->cluster->stop();
        co_await place->cluster->join();
    }
}

}  // namespace kn::app
