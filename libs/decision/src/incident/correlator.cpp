#include "kubernaut/decision/correlator.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "has.hpp"
#include "incident/story.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"

namespace kn::decision {
namespace {

using async::Task;

// A resolved notice may overtake its firing twin on the way: it waits this long for it.
constexpr Duration twin_wait = 30s;
// Owner resolution is tried again this long while the cluster cannot be asked.
constexpr Duration resolve_wait = 2min;

std::string seen_text(const Signal& signal) {
    return signal.name + (signal.object ? " on " + signal.object->kind + " " + signal.object->name : std::string{});
}

/// Some rules name what labels alone do not: a namespace, a Service.
std::optional<ObjectKey> object_of(const Signal& signal, const SignalMeaning* meaning) {
    if (meaning != nullptr && (meaning->target_label == "namespace" || meaning->target_label == "service")) {
        const auto label = [&](const char* name) {
            const auto found = signal.labels.find(name);
            return found == signal.labels.end() ? std::string{} : found->second;
        };
        const auto exported = label("exported_namespace");
        const auto ns = exported.empty() ? label("namespace") : exported;
        if (meaning->target_label == "namespace" && !ns.empty() && !signal.object) return ObjectKey{signal.cluster, "", "Namespace", "", ns};
        if (meaning->target_label == "service" && !ns.empty() && !label("service").empty() && signal.source == SignalSource::alertmanager) {
            return ObjectKey{signal.cluster, ns, "Service", "", label("service")};
        }
    }
    return signal.object;
}

ObjectKey cluster_itself(const ClusterId& cluster) { return {cluster, "", "Cluster", "", cluster.str()}; }

}  // namespace

std::string family_of(std::string_view kind, std::string_view meant) {
    static const std::map<std::string_view, std::string_view> by_kind{{"Node", "node"},
                                                                      {"PersistentVolumeClaim", "pvc"},
                                                                      {"PersistentVolume", "pv"},
                                                                      {"HorizontalPodAutoscaler", "hpa"},
                                                                      {"PodDisruptionBudget", "pdb"},
                                                                      {"ResourceQuota", "quota"},
                                                                      {"Service", "service"},
                                                                      {"Namespace", "namespace"},
                                                                      {"Job", "job"},
                                                                      {"CronJob", "job"},
                                                                      {"Cluster", "cluster"}};
    if (const auto found = by_kind.find(kind); found != by_kind.end())
        return std::string{found->second} + (kind == "Cluster" ? "." + std::string{meant} : "");
    static const std::set<std::string_view> apart{"controller", "throttling", "slo", "litter", "terminating", "daemonset"};
    return apart.contains(meant) ? std::string{meant} : "pods";
}

struct Correlator::Impl {
    async::EventLoop& loop;
    RandomSource& random;
    ports::SignalStore& signals;
    ports::IncidentStore& incidents;
    ports::ClusterGateway& gateway;
    const SignalMap& map;
    ports::Wakeups& wakeups;
    ports::LiveFeed& feed;
    DecisionOptions options;
    bool started = false;
    async::TaskScope scope;

    Impl(async::EventLoop& l, RandomSource& rnd, ports::SignalStore& s, ports::IncidentStore& i, ports::ClusterGateway& g, const SignalMap& m,
         ports::Wakeups& w, ports::LiveFeed& f, DecisionOptions o)
        : loop(l), random(rnd), signals(s), incidents(i), gateway(g), map(m), wakeups(w), feed(f), options(std::move(o)), scope(l.executor()) {}

    [[nodiscard]] async::Clock& clock() { return loop.clock(); }
    [[nodiscard]] Deadline store_limit() { return clock().deadline_in(options.store_timeout); }

    /// What one pass has gathered for one incident: written together, since thousands of pods of one owner may speak at once.
    struct Group {
        Incident incident;
        std::vector<Signal> signals;
        std::string verb;
    };
    using Groups = std::map<std::string, Group>;

    Task<> run();
    Task<Result<int>> pass();
    Task<Result<bool>> settle(Signal signal, Groups& groups);
    Task<Result<bool>> settle_resolved(Signal signal);
    Task<Result<bool>> join_or_open(Signal signal, OwnerAnswer owner, Groups& groups);
    Task<Result<>> put(Incident incident, std::vector<Signal> changed, std::string verb);
    Task<Result<std::int64_t>> firing_of(Incident incident, Signal extra);
    Task<Result<bool>> ignore(Signal signal, std::string why);
};

Task<Result<bool>> Correlator::Impl::ignore(Signal signal, std::string why) {
    signal.state = SignalState::ignored;
    signal.error = std::move(why);
    ports::IncidentCommit commit;
    commit.signals.push_back(std::move(signal));
    KN_CO_CHECK(co_await incidents.commit(std::move(commit), store_limit()));
    co_return true;
}

Task<Result<>> Correlator::Impl::put(Incident incident, std::vector<Signal> changed, std::string verb) {
    const auto now = clock().now();
    ports::IncidentCommit commit;
    commit.signals = std::move(changed);
    commit.audit.push_back(audit_of(incident, now, std::move(verb)));
    const auto document = feed.watched() ? to_json(incident) : json::Value(nullptr);
    commit.incidents.push_back(std::move(incident));
    KN_CO_CHECK(co_await incidents.commit(std::move(commit), store_limit()));
    if (!document.is_null()) feed.publish("incident", document);
    wakeups.incidents.notify();
    co_return Result<>{};
}

/// How many different alerts of the incident fire now, `extra` counted as it is.
Task<Result<std::int64_t>> Correlator::Impl::firing_of(Incident incident, Signal extra) {
    KN_CO_TRY(auto all, co_await signals.of_incident(incident.cluster, incident.id, 2000, store_limit()));
    all.push_back(std::move(extra));
    // The newest word about each alert counts; a resolved notice ends everything of that alert that began before it ended.
    std::map<std::string, Instant> fires, ended;
    for (const auto& each : all) {
        auto& at = each.status == SignalStatus::firing ? fires[each.alert_fp] : ended[each.alert_fp];
        at = std::max(at, each.status == SignalStatus::firing ? each.starts_at : each.ends_at.value_or(each.received_at));
    }
    std::int64_t count = 0;
    for (const auto& [fp, at] : fires) {
        const auto end = ended.find(fp);
        if (end == ended.end() || end->second < at) ++count;
    }
    co_return count;
}

Task<Result<bool>> Correlator::Impl::settle_resolved(Signal signal) {
    const auto now = clock().now();
    KN_CO_TRY(auto twins, co_await signals.by_fingerprint(signal.cluster, signal.alert_fp, now - std::chrono::hours{24 * 7}, store_limit()));
    const auto twin = std::ranges::find_if(twins, [](const Signal& s) { return s.status == SignalStatus::firing && s.incident.has_value(); });
    if (twin == twins.end()) {
        const bool pending_twin = std::ranges::any_of(twins, [](const Signal& s) { return s.state == SignalState::pending; });
        if (pending_twin || now - signal.received_at < twin_wait) co_return false;
        co_return co_await ignore(std::move(signal), "no firing twin is known");
    }
    auto incident = co_await incidents.get(signal.cluster, *twin->incident, store_limit());
    if (!incident) co_return std::unexpected(std::move(incident).error());
    signal.state = SignalState::correlated;
    signal.incident = incident->id;
    KN_CO_TRY(incident->signals_firing, co_await firing_of(*incident, signal));
    ++incident->signals_total;
    incident->updated_at = now;
    if (!is_terminal(incident->state)) {
        incident->next_look_at = std::min(incident->next_look_at, now);
        tell(*incident, now, "seen", signal.name + " is resolved");
    }
    std::vector<Signal> changed{std::move(signal)};
    KN_CO_CHECK(co_await put(*std::move(incident), std::move(changed), "signal.resolved"));
    co_return true;
}

Task<Result<bool>> Correlator::Impl::join_or_open(Signal signal, OwnerAnswer owner, Groups& groups) {
    const auto now = clock().now();
    const auto* meaning = map.find(signal.name);
    const auto family = family_of(owner.target.key.kind, meaning != nullptr                   ? meaning->family
                                                         : owner.target.key.kind == "Cluster" ? signal.name
                                                                                              : "pods");
    const auto key = make_correlation_key(owner.target.key, family);
    if (const auto group = groups.find(key); group != groups.end()) {
        auto& incident = group->second.incident;
        signal.state = SignalState::correlated;
        signal.incident = incident.id;
        ++incident.signals_total;
        incident.severity = std::max(incident.severity, signal.severity);
        if (!has(group->second.signals, signal.alert_fp, &Signal::alert_fp)) ++incident.signals_firing;
        if (!has(group->second.signals, signal.name, &Signal::name)) tell(incident, now, "seen", seen_text(signal));
        if (owner.resolution == Resolution::exact && incident.resolution != Resolution::exact) {
            incident.resolution = owner.resolution;
            incident.target = owner.target;
        }
        group->second.signals.push_back(std::move(signal));
        co_return true;
    }
    KN_CO_TRY(auto known, co_await incidents.by_correlation(signal.cluster, key, now - options.linked_limit, store_limit()));
    std::ranges::sort(known, [](const Incident& a, const Incident& b) { return std::tie(a.opened_at, a.id) < std::tie(b.opened_at, b.id); });
    signal.state = SignalState::correlated;
    for (auto& incident : known) {
        const bool open = !is_terminal(incident.state);
        const bool recent = incident.closed_at && now - *incident.closed_at <= options.reopen;
        const bool reopens = incident.state == IncidentState::resolved && recent && signal.starts_at >= *incident.closed_at - options.evidence_gone;
        // What people were told about stays theirs while it goes on: another alert of it is no news.
        const bool told = incident.state == IncidentState::escalated || incident.state == IncidentState::suppressed;
        // A late copy of what was cured already.
        const bool late = incident.state == IncidentState::resolved && recent && !reopens;
        if (!open && !reopens && !told && !late) continue;
        signal.incident = incident.id;
        ++incident.signals_total;
        KN_CO_TRY(const auto twins,
                  co_await signals.by_fingerprint(signal.cluster, signal.alert_fp, now - std::chrono::hours{24 * 7}, store_limit()));
        const bool counted = std::ranges::any_of(twins, [&](const Signal& s) { return s.incident == incident.id; });
        if (!counted)
            ++incident.signals_firing;
        else {
            KN_CO_TRY(incident.signals_firing, co_await firing_of(incident, signal));
        }
        incident.severity = std::max(incident.severity, signal.severity);
        incident.updated_at = now;
        if (open || reopens) tell(incident, now, "seen", seen_text(signal));
        if (owner.resolution == Resolution::exact && incident.resolution != Resolution::exact) {
            incident.resolution = owner.resolution;
            incident.target = owner.target;
        }
        if (reopens) {
            incident.closed_at.reset();
            incident.evidence_gone_since.reset();
            incident.outcome = Outcome::none;
            move_to(incident, IncidentState::open, now, "reopened", "it came back");
            incident.next_look_at = now + options.correlate;
        }
        auto& group = groups[key];
        group.incident = std::move(incident);
        group.signals.push_back(std::move(signal));
        group.verb = reopens ? "incident.reopened" : "signal.joined";
        co_return true;
    }
    Incident incident;
    incident.id = IncidentId{make_id("inc_", now, random)};
    incident.cluster = signal.cluster;
    if (const auto cluster = gateway.cluster(signal.cluster)) incident.environment = cluster->environment;
    incident.target = owner.target;
    incident.target.observed_at = now;
    incident.resolution = owner.resolution;
    incident.correlation_key = key;
    incident.severity = signal.severity;
    incident.alert_name = map.canonical(signal.name);
    incident.signals_firing = incident.signals_total = 1;
    incident.opened_at = incident.updated_at = now;
    KN_CO_TRY(const auto opened, co_await incidents.opened_since(signal.cluster.str(), now - 60s, store_limit()));
    incident.next_look_at = now + (opened > options.storm_per_minute ? options.correlate_storm : options.correlate);
    if (!known.empty()) incident.previous = known.back().id;
    tell(incident, now, "seen", seen_text(signal) + " → " + incident.target.key.str());
    signal.incident = incident.id;
    log::info("incident opened", {{"incident", incident.id.str()}, {"target", incident.target.key.str()}, {"alert", incident.alert_name}});
    auto& group = groups[key];
    group.incident = std::move(incident);
    group.signals.push_back(std::move(signal));
    group.verb = "incident.opened";
    co_return true;
}

Task<Result<bool>> Correlator::Impl::settle(Signal signal, Groups& groups) {
    if (map.ignored(signal.name)) co_return co_await ignore(std::move(signal), "never opens an incident");
    if (!gateway.cluster(signal.cluster)) co_return co_await ignore(std::move(signal), "cluster is not registered: shown only");
    OwnerAnswer owner{ObjectRef{.key = cluster_itself(signal.cluster)}, Resolution::unresolved};
    if (auto named = object_of(signal, map.find(signal.name))) {
        auto object = *std::move(named);
        object.cluster = signal.cluster;
        auto resolved = co_await resolve_owner(gateway, object, clock().deadline_in(options.call_timeout));
        if (resolved) {
            owner = *std::move(resolved);
        } else {
            if (clock().now() - signal.received_at < resolve_wait) co_return false;
            owner = {ObjectRef{.key = object}, Resolution::unresolved};
        }
    }
    co_return co_await join_or_open(std::move(signal), std::move(owner), groups);
}

Task<Result<int>> Correlator::Impl::pass() {
    int settled = 0;
    KN_CO_TRY(auto pending, co_await signals.pending(options.batch, store_limit()));
    Groups groups;
    const auto report = [](const std::string& id, const Error& error) {
        // The signal stays pending; the next pass takes it up again.
        if (error.code != ErrorCode::aborted) log::warning("signal could not be correlated", {{"signal", id}, {"error", error.describe()}});
    };
    std::vector<Signal> resolved;
    for (auto& signal : pending) {
        if (signal.status == SignalStatus::resolved && !map.ignored(signal.name) && gateway.cluster(signal.cluster)) {
            resolved.push_back(std::move(signal));
            continue;
        }
        const auto id = signal.id.str();
        auto done = co_await settle(std::move(signal), groups);
        if (!done)
            report(id, done.error());
        else
            settled += *done ? 1 : 0;
    }
    for (auto& [key, group] : groups) {
        const auto id = group.signals.front().id.str();
        auto written = co_await put(std::move(group.incident), std::move(group.signals), std::move(group.verb));
        if (!written) report(id, written.error());
    }
    for (auto& signal : resolved) {
        const auto id = signal.id.str();
        auto done = co_await settle_resolved(std::move(signal));
        if (!done)
            report(id, done.error());
        else
            settled += *done ? 1 : 0;
    }
    co_return settled;
}

Task<> Correlator::Impl::run() {
    while (true) {
        const auto settled = co_await pass();
        if (settled && *settled >= options.batch / 2) {
            co_await async::yield();
            continue;
        }
        (void)co_await wakeups.signals.wait(clock(), clock().deadline_in(1s));
    }
}

Correlator::Correlator(async::EventLoop& loop, RandomSource& random, ports::SignalStore& signals, ports::IncidentStore& incidents,
                       ports::ClusterGateway& gateway, const SignalMap& map, ports::Wakeups& wakeups, ports::LiveFeed& feed, DecisionOptions options)
    : impl_(std::make_unique<Impl>(loop, random, signals, incidents, gateway, map, wakeups, feed, std::move(options))) {}
Correlator::~Correlator() = default;

void Correlator::start() {
    if (impl_->started) return;
    impl_->started = true;
    impl_->scope.spawn("correlator", impl_->run());
}
void Correlator::set_options(DecisionOptions options) { impl_->options = std::move(options); }
void Correlator::stop() { impl_->scope.cancel(); }
Task<> Correlator::join() { return impl_->scope.join(); }
Task<Result<int>> Correlator::run_once() { return impl_->pass(); }

}  // namespace kn::decision
