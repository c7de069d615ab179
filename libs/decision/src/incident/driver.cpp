#include "incident/driver_impl.hpp"

#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"

namespace kn::decision {
namespace {

constexpr std::size_t at_once = 16;  // incidents moved at the same time; each waits mostly for its cluster

}  // namespace

Task<Result<>> IncidentDriver::Impl::save(Incident& incident, std::string verb, std::optional<Approval> approval,
                                          std::optional<ports::Notification> note) {
    incident.updated_at = now();
    const bool commit_is_silent = verb.empty() && !approval;
    ports::IncidentCommit commit;
    commit.incidents.push_back(incident);
    if (approval) commit.approvals.push_back(*approval);
    if (note) commit.notices.push_back(*std::move(note));
    if (!verb.empty()) commit.audit.push_back(audit_of(incident, now(), std::move(verb)));
    KN_CO_CHECK(co_await stores.incidents.commit(std::move(commit), store_limit()));
    ++incident.version;
    // A later look alone is nothing to see.
    if (feed.watched() && !commit_is_silent) {
        feed.publish("incident", to_json(incident));
        if (approval) feed.publish("approval", to_json(*approval));
    }
    co_return Result<>{};
}

ports::Notification IncidentDriver::Impl::note_of(const Incident& incident, std::string kind, std::string title, std::string text) {
    ports::Notification note;
    note.key = incident.id.str() + " " + kind + " " + std::to_string(incident.version + 1);
    note.kind = std::move(kind);
    note.cluster = incident.cluster;
    note.ns = incident.target.key.ns;
    note.title = std::move(title);
    note.text = std::move(text);
    note.severity = incident.severity;
    return note;
}

Task<> IncidentDriver::Impl::notify(ports::Notification note) {
    const std::string key = note.key;
    auto sent = co_await notifier.send(std::move(note), store_limit());
    // Telling people never blocks a cure, and the message is stored with the change already.
    if (!sent) log::warning("notification not accepted", {{"key", key}, {"error", sent.error().describe()}});
}

Task<Result<>> IncidentDriver::Impl::close(Incident incident, IncidentState state, Outcome outcome, std::string reason, std::string text) {
    incident.outcome = outcome;
    move_to(incident, state, now(), std::move(reason), text);
    const bool resolved = state == IncidentState::resolved;
    auto note = note_of(incident, resolved ? "incident_resolved" : "incident_escalated",
                        std::string{to_string(outcome)} + ": " + incident.target.key.str(), text);
    KN_CO_CHECK(co_await save(incident, "incident.closed", std::nullopt, note));
    log::info("incident closed",
              {{"incident", incident.id.str()}, {"state", to_string(state)}, {"outcome", to_string(outcome)}, {"reason", incident.state_reason}});
    co_await notify(std::move(note));
    wakeups.incidents.notify();  // incidents that are linked to this one
    co_return Result<>{};
}

Task<Result<>> IncidentDriver::Impl::look_later(Incident incident, Duration in, std::string reason) {
    incident.next_look_at = now() + in;
    if (!reason.empty()) incident.state_reason = std::move(reason);
    co_return co_await save(incident, {});
}

Task<Result<>> IncidentDriver::Impl::advance(Incident incident) {
    switch (incident.state) {
        case IncidentState::open: {
            move_to(incident, IncidentState::diagnosing, now(), {}, {});
            auto note = note_of(incident, "incident_opened", incident.alert_name + ": " + incident.target.key.str(), {});
            KN_CO_CHECK(co_await save(incident, "incident.diagnosing", std::nullopt, note));
            co_await notify(std::move(note));
            co_return co_await on_diagnosing(std::move(incident));
        }
        case IncidentState::diagnosing: co_return co_await on_diagnosing(std::move(incident));
        case IncidentState::planned: co_return co_await on_planned(std::move(incident));
        case IncidentState::held: co_return co_await on_held(std::move(incident));
        case IncidentState::linked: co_return co_await on_linked(std::move(incident));
        case IncidentState::awaiting_approval: co_return co_await on_awaiting_approval(std::move(incident));
        case IncidentState::remediating: co_return co_await on_remediating(std::move(incident));
        case IncidentState::verifying: co_return co_await on_verifying(std::move(incident));
        default: co_return Result<>{};
    }
}

Task<> IncidentDriver::Impl::advance_alone(Incident incident) {
    const auto id = incident.id.str();
    auto moved = co_await advance(std::move(incident));
    busy.erase(id);
    // aborted: a signal joined meanwhile; the next turn reads the incident anew.
    if (!moved && moved.error().code != ErrorCode::aborted) {
        log::warning("incident could not be moved", {{"incident", id}, {"error", moved.error().describe()}});
        co_await async::sleep_for(clock(), 500ms);
    }
    wakeups.incidents.notify();
}

Task<Result<int>> IncidentDriver::Impl::pass(bool parallel) {
    KN_CO_TRY(auto due, co_await stores.incidents.due(now(), options.batch, store_limit()));
    int moved = 0;
    for (auto& incident : due) {
        const auto id = incident.id.str();
        if (busy.contains(id)) continue;
        if (parallel) {
            if (busy.size() >= at_once) break;
            busy.insert(id);
            scope.spawn("incident", advance_alone(std::move(incident)));
        } else {
            auto done = co_await advance(std::move(incident));
            if (!done && done.error().code != ErrorCode::aborted) co_return std::unexpected(std::move(done).error());
        }
        ++moved;
    }
    co_return moved;
}

Task<> IncidentDriver::Impl::run() {
    while (true) {
        auto moved = co_await pass(true);
        if (!moved) log::warning("due incidents could not be read", {{"error", moved.error().describe()}});
        (void)co_await wakeups.incidents.wait(clock(), clock().deadline_in(1s));
    }
}

IncidentDriver::IncidentDriver(async::EventLoop& loop, RandomSource& random, ports::Stores stores, ports::ClusterGateway& gateway,
                               EvidenceCollector& evidence, const Classifier& classifier, const Planner& planner, WorkflowLookup workflows,
                               ports::Gatekeeper& gatekeeper, ports::Notifier& notifier, ports::Wakeups& wakeups, ports::LiveFeed& feed,
                               DecisionOptions options)
    : impl_(std::make_unique<Impl>(loop, random, stores, gateway, evidence, classifier, planner, std::move(workflows), gatekeeper, notifier, wakeups,
                                   feed, std::move(options))) {}
IncidentDriver::~IncidentDriver() = default;

void IncidentDriver::start() {
    if (impl_->started) return;
    impl_->started = true;
    impl_->scope.spawn("incident driver", impl_->run());
}
void IncidentDriver::set_advisor(const ports::FamilyAdvisor* advisor) { impl_->advisor = advisor; }
void IncidentDriver::set_options(DecisionOptions options) { impl_->options = std::move(options); }
void IncidentDriver::stop() { impl_->scope.cancel(); }
Task<> IncidentDriver::join() { return impl_->scope.join(); }
Task<Result<int>> IncidentDriver::run_once() { return impl_->pass(false); }

Task<Result<IncidentDriver::Analysis>> IncidentDriver::analyze(ObjectRef target, std::vector<std::string> alerts, Deadline deadline) {
    Incident incident;
    incident.cluster = target.key.cluster;
    incident.target = std::move(target);
    incident.resolution = Resolution::exact;
    if (const auto cluster = impl_->gateway.cluster(incident.cluster)) incident.environment = cluster->environment;
    if (!alerts.empty()) incident.alert_name = alerts.front();
    KN_CO_TRY(auto look, co_await impl_->look(incident, deadline));
    for (auto& alert : alerts) look.alerts.push_back(std::move(alert));
    look.diagnosis = impl_->classifier.diagnose(look.facts, incident.target.key.kind, look.alerts, look.snapshot.taken_at);
    Analysis out;
    out.diagnosis = look.diagnosis;
    KN_CO_TRY(out.plan, co_await impl_->plan(std::move(incident), std::move(look)));
    co_return out;
}

}  // namespace kn::decision
