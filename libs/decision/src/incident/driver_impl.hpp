#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "incident/story.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/decision/incident_driver.hpp"
#include "kubernaut/ports/execution_store.hpp"
#include "kubernaut/ports/learning_store.hpp"
#include "kubernaut/ports/signal_store.hpp"

namespace kn::decision {

using async::Task;

/// A person's agreement to a plan: not asked for (the gates may still ask), needed whatever the gates say, or given.
enum class Consent : std::uint8_t { if_gates_ask, needed, given };

/// What one look at the world showed about an incident.
struct Look {
    EvidenceSnapshot snapshot;
    FactSet facts;
    Diagnosis diagnosis;
    std::vector<std::string> alerts;
    bool forecast_only = false;  ///< only early warnings speak of it, and one still does
    bool has_alert = false;      ///< one of its signals came from outside, not from our own watches
};

constexpr Duration forecast_look = 1min;  ///< how often to look at what is only foretold

struct IncidentDriver::Impl {
    async::EventLoop& loop;
    RandomSource& random;
    ports::Stores stores;
    ports::ClusterGateway& gateway;
    EvidenceCollector& evidence;
    const Classifier& classifier;
    const Planner& planner;
    WorkflowLookup workflows;
    ports::Gatekeeper& gatekeeper;
    ports::Notifier& notifier;
    ports::Wakeups& wakeups;
    ports::LiveFeed& feed;
    DecisionOptions options;
    const ports::FamilyAdvisor* advisor = nullptr;
    std::set<std::string> busy;  ///< incidents that are being moved now
    bool started = false;
    async::TaskScope scope;

    Impl(async::EventLoop& l, RandomSource& rnd, ports::Stores st, ports::ClusterGateway& g, EvidenceCollector& e, const Classifier& c,
         const Planner& p, WorkflowLookup w, ports::Gatekeeper& k, ports::Notifier& n, ports::Wakeups& wk, ports::LiveFeed& f, DecisionOptions o)
        : loop(l),
          random(rnd),
          stores(st),
          gateway(g),
          evidence(e),
          classifier(c),
          planner(p),
          workflows(std::move(w)),
          gatekeeper(k),
          notifier(n),
          wakeups(wk),
          feed(f),
          options(std::move(o)),
          scope(l.executor()) {}

    [[nodiscard]] async::Clock& clock() { return loop.clock(); }
    [[nodiscard]] Instant now() { return loop.clock().now(); }
    [[nodiscard]] Deadline store_limit() { return clock().deadline_in(options.store_timeout); }
    [[nodiscard]] Deadline look_limit() { return clock().deadline_in(4 * options.call_timeout); }

    // driver.cpp: the loop, and what every change goes through
    Task<> run();
    Task<Result<int>> pass(bool parallel);
    Task<> advance_alone(Incident incident);
    Task<Result<>> advance(Incident incident);
    /// Writes the incident (and an approval), publishes it and tells people. On return `incident.version` is the stored one.
    Task<Result<>> save(Incident& incident, std::string verb, std::optional<Approval> approval = std::nullopt,
                        std::optional<ports::Notification> note = std::nullopt);
    /// The message about what is saved next: it goes with that commit and then to the notifier.
    [[nodiscard]] static ports::Notification note_of(const Incident& incident, std::string kind, std::string title, std::string text);
    Task<> notify(ports::Notification note);
    Task<Result<>> close(Incident incident, IncidentState state, Outcome outcome, std::string reason, std::string text);
    Task<Result<>> look_later(Incident incident, Duration in, std::string reason = {});

    // look.cpp: reading the world and deciding
    Task<Result<Look>> look(Incident incident, Deadline deadline);
    Task<Result<std::map<std::string, int>>> done_lately(Incident incident);
    Task<Result<PlanResult>> plan(Incident incident, Look look);
    Task<Result<std::optional<Incident>>> cause_of(Incident incident, Look look);
    [[nodiscard]] std::vector<std::string> selected_workloads(const ObjectKey& service, const json::Value& object);

    // states.cpp, waiting.cpp: one function a state
    Task<Result<>> on_diagnosing(Incident incident);
    Task<Result<>> on_planned(Incident incident);
    Task<Result<>> on_held(Incident incident);
    Task<Result<>> on_linked(Incident incident);
    Task<Result<>> on_awaiting_approval(Incident incident);
    Task<Result<>> on_remediating(Incident incident);
    Task<Result<>> on_verifying(Incident incident);
    /// A forecast that nothing may be done about yet: it waits, visible, until another source speaks of it or its time is over.
    Task<Result<>> watch_forecast(Incident incident, Look look, PlanResult result);
    Task<Result<>> try_start(Incident incident, Look look, Consent consent);
    Task<Result<>> start_execution(Incident incident, Look look, ports::GateReport report);
    Task<Result<>> ask_people(Incident incident, int needed, Risk risk, std::string text);
    /// A plan for what was seen is written into the incident (state unchanged).
    void take_plan(Incident& incident, const Look& look, PlanResult result);
    Task<std::pair<Outcome, std::string>> who_healed(Incident incident, EvidenceSnapshot snapshot, std::string otherwise);
    /// Resolves when the evidence is gone for long enough; true when it did.
    Task<Result<bool>> resolve_if_gone(Incident& incident, const Look& look);
};

/// Whole contents (a ConfigMap's good data) live in the plan; the stored evidence only says that they are known.
Diagnosis without_contents(Diagnosis diagnosis);

std::string changed_by_person(const EvidenceSnapshot& snapshot, Instant since);

}  // namespace kn::decision
