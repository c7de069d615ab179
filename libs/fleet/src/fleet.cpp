#include "kubernaut/fleet/fleet.hpp"

#include <algorithm>
#include <cstdio>
#include <deque>

#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/domain/codec.hpp"
#include "kubernaut/fleet/change_recorder.hpp"
#include "kubernaut/kube/object.hpp"
#include "owner_lease.hpp"

namespace kn::fleet {

namespace {

/// "Tue, 24 Nov 2026 20:06:52 GMT" (RFC 9110 §5.6.7), the only form that servers send today.
std::optional<Instant> parse_http_date(std::string_view text) {
    static constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4] = {};
    int day = 0, year = 0, hour = 0, minute = 0, second = 0;
    if (std::sscanf(std::string(text).c_str(), "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, month, &year, &hour, &minute, &second) != 6)
        return std::nullopt;
    const auto at = months.find(month);
    if (at == std::string_view::npos || at % 3 != 0) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(at / 3 + 1)},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days{date} + std::chrono::hours{hour} + std::chrono::minutes{minute} + std::chrono::seconds{second};
}

std::unexpected<Error> refused(std::string reason, std::string message) {
    return fail(Error{.code = ErrorCode::failed_precondition, .message = std::move(message), .reason = std::move(reason), .retry_after = 5s});
}

}  // namespace

struct Fleet::Member {
    struct Watch {
        std::shared_ptr<kube::ObjectCache> cache;
        std::unique_ptr<kube::Reflector> reflector;
    };
    ClusterRecord record;
    std::shared_ptr<LaneTransport> lane;
    std::shared_ptr<kube::Transport> probe_transport;
    std::shared_ptr<kube::Client> client, watch_client;
    std::vector<Watch> watches;
    std::unique_ptr<ChangeRecorder> changes;
    HealthMachine health;
    std::unique_ptr<OwnerLease> owner;
    std::optional<SteadyTime> uid_read_at;
    std::chrono::seconds clock_skew{0};  ///< the cluster's clock minus ours, as far as its answers tell
    std::string probe_error;             ///< why the last probe failed: "" after one that did not
    bool wrong_cluster = false;
    std::string told;  ///< the trouble that people were told about and that is not over; "" = none
    std::deque<std::pair<SteadyTime, ClusterVerdict>> verdicts;
    struct Tombstone {
        SteadyTime at;
        ObjectRef owner;
    };
    std::map<std::string, Tombstone, std::less<>> tombstones;
};

const std::vector<const kube::Resource*>& Fleet::watched() {
    namespace r = kube::resources;
    static const std::vector<const kube::Resource*> all{&r::pods,
                                                        &r::nodes,
                                                        &r::events,
                                                        &r::deployments,
                                                        &r::replica_sets,
                                                        &r::stateful_sets,
                                                        &r::daemon_sets,
                                                        &r::jobs,
                                                        &r::config_maps,
                                                        &r::services,
                                                        &r::endpoint_slices,
                                                        &r::persistent_volume_claims,
                                                        &r::storage_classes,
                                                        &r::horizontal_pod_autoscalers,
                                                        &r::pod_disruption_budgets,
                                                        &r::resource_quotas,
                                                        &r::roles,
                                                        &r::role_bindings,
                                                        &r::cluster_roles,
                                                        &r::cluster_role_bindings,
                                                        &r::network_policies};
    return all;
}

Fleet::Fleet(async::EventLoop& loop, RandomSource& random, ports::RegistryStore& registry, ports::Notifier& notifier, ports::LiveFeed& feed,
             metrics::Registry& metrics, FleetOptions options)
    : loop_(loop),
      random_(random),
      registry_(registry),
      notifier_(notifier),
      feed_(feed),
      metrics_(metrics),
      options_(options),
      scope_(loop.executor()) {}

Fleet::~Fleet() = default;

Result<> Fleet::add(ClusterSource source) {
    const ClusterId id = source.record.id;
    if (members_.contains(id)) return fail(ErrorCode::already_exists, "cluster " + id.str() + " is registered twice");
    auto member = std::make_unique<Member>();
    member->record = std::move(source.record);
    member->record.verdict = ClusterVerdict::unknown;
    member->record.verdict_since = loop_.clock().now();
    member->lane = std::make_shared<LaneTransport>(source.transport, loop_.clock(), options_.lane, metrics_, id.str());
    member->probe_transport = source.probe_transport != nullptr ? source.probe_transport : source.transport;
    member->client = std::make_shared<kube::Client>(member->lane, loop_.clock());
    member->watch_client = std::make_shared<kube::Client>(source.transport, loop_.clock());
    member->owner = std::make_unique<OwnerLease>(member->client, loop_.clock());
    member->health = HealthMachine(options_.health);
    member->changes = std::make_unique<ChangeRecorder>(id, registry_, loop_.clock());
    for (const kube::Resource* resource : watched()) {
        auto cache = std::make_shared<kube::ObjectCache>(*resource);
        if (options_.record_changes) member->changes->observe(*cache);
        auto reflector = std::make_unique<kube::Reflector>(member->watch_client, cache, kube::ReflectorOptions{}, random_);
        member->watches.push_back({std::move(cache), std::move(reflector)});
    }
    Member& added = *member;
    members_.emplace(id, std::move(member));
    for (auto& watch : added.watches) {
        const std::string kind = watch.cache->resource().kind;
        if (kind != "Pod" && kind != "ReplicaSet" && kind != "Job") continue;
        watch.cache->subscribe([this, &added, kind](kube::WatchEventType type, const kube::ObjectPtr& object, const kube::ObjectPtr&) {
            if (type != kube::WatchEventType::deleted) return;
            const auto owner = kube::controller_of(*object);
            if (!owner) return;
            const auto slash = owner->api_version.find('/');
            ObjectKey key{added.record.id, std::string(kube::namespace_of(*object)), owner->kind,
                          slash == std::string::npos ? std::string{} : owner->api_version.substr(0, slash), owner->name};
            const SteadyTime now = loop_.clock().steady();
            std::erase_if(added.tombstones, [&](const auto& entry) { return entry.second.at + options_.tombstone_age < now; });
            added.tombstones[kind + "/" + std::string(kube::namespace_of(*object)) + "/" + std::string(kube::name_of(*object))] = {
                now, ObjectRef{.key = std::move(key), .uid = owner->uid, .observed_at = loop_.clock().now()}};
        });
    }
    for (const auto& hook : hooks_) hook(id);
    if (started_) start_member(added);
    return {};
}

Task<Result<>> Fleet::start() {
    // What was learned about a cluster's identity survives a restart: the uid is bound at the first contact, for ever.
    KN_CO_TRY(auto known, co_await registry_.clusters(loop_.clock().deadline_in(10s)));
    for (const auto& record : known) {
        const auto found = members_.find(record.id);
        if (found == members_.end()) continue;
        if (found->second->record.uid.empty()) found->second->record.uid = record.uid;
        found->second->record.epoch = record.epoch;
    }
    KN_CO_CHECK(co_await learn_identity());
    started_ = true;
    for (auto& [id, member] : members_) start_member(*member);
    scope_.spawn("fleet", look_at_fleet());
    co_return Result<>{};
}

void Fleet::start_member(Member& member) {
    for (auto& watch : member.watches) scope_.spawn("watch " + member.record.id.str() + " " + watch.cache->resource().plural, watch.reflector->run());
    if (options_.record_changes) scope_.spawn("changes " + member.record.id.str(), member.changes->run());
    scope_.spawn("probe " + member.record.id.str(), probe(member));
    member.owner->set_owner(identity_);
    if (options_.owner_lease) scope_.spawn("own " + member.record.id.str(), own(member));
}

/// The installation has a record of its own beside its clusters: the name under which it holds Leases.
Task<Result<>> Fleet::learn_identity() {
    KN_CO_TRY(identity_,
              co_await registry_.bind_uid(ClusterId("_fleet"), make_id("hub_", loop_.clock().now(), random_), loop_.clock().deadline_in(10s)));
    co_return Result<>{};
}

Task<> Fleet::own(Member& member) {
    async::Clock& clock = loop_.clock();
    std::string told;
    while (true) {
        if (member.record.mode >= Mode::approve && member.record.verdict == ClusterVerdict::healthy && !member.wrong_cluster) {
            const Deadline deadline = clock.deadline_in(OwnerLease::renew_every);
            // Read now: an address may have turned to another cluster since the last probe.
            Result<> kept = co_await check_identity(member, Duration{0}, deadline);
            if (kept) kept = co_await member.owner->keep(deadline);
            const std::string trouble = kept ? "" : kept.error().message;
            if (!kept && trouble != told) log::warning("this cluster cannot be changed", {{"cluster", member.record.id.str()}, {"why", trouble}});
            told = trouble;
        }
        co_await async::sleep_for(clock, told.empty() && member.owner->epoch() == 0 ? Duration{1s} : OwnerLease::renew_every);
    }
}

void Fleet::stop() { scope_.cancel(); }

Task<> Fleet::probe(Member& member) {
    async::Clock& clock = loop_.clock();
    kube::Client prober(member.probe_transport, clock);
    while (true) {
        const SteadyTime began = clock.steady();
        const Deadline deadline = clock.deadline_in(options_.probe_timeout);
        kube::Request request{.method = kube::Method::get, .path = "/readyz"};
        request.accept = "*/*";
        auto answer = co_await member.probe_transport->send(request, deadline);
        metrics_.histogram("kubernaut_cluster_probe_duration_seconds", "health probes", {{"cluster", member.record.id.str()}})
            .observe(std::chrono::duration<double>(clock.steady() - began).count());
        if (const auto theirs = answer ? parse_http_date(answer->header("date")) : std::nullopt) {
            member.clock_skew = std::chrono::floor<std::chrono::seconds>(*theirs - clock.now());
            metrics_.gauge("kubernaut_clock_skew_seconds", "the cluster's clock minus ours", {{"cluster", member.record.id.str()}})
                .set(static_cast<double>(member.clock_skew.count()));
        }
        member.probe_error = !answer                 ? answer.error().message
                             : answer->status == 200 ? std::string()
                                                     : "/readyz answers " + std::to_string(answer->status);
        if (answer && answer->status == 200) {
            // Who answers matters as much as that somebody answers.
            auto uid = co_await prober.cluster_uid(deadline.earlier(clock.deadline_in(options_.probe_timeout)));
            Result<std::string> bound = member.record.uid;
            if (uid && member.record.uid.empty()) bound = co_await registry_.bind_uid(member.record.id, *uid, clock.deadline_in(5s));
            if (uid && bound) {
                member.uid_read_at = clock.steady();
                member.record.uid = *bound;
                member.wrong_cluster = member.record.uid != *uid;
                member.health.on_probe(HealthMachine::Probe::success, clock.steady());
            } else if (uid) {
                // Without a bound identity nothing can be fenced: as good as no answer.
                member.probe_error = "its identity could not be stored: " + bound.error().message;
                member.health.on_probe(HealthMachine::Probe::failure, clock.steady());
            } else if (uid.error().code == ErrorCode::unauthenticated || uid.error().code == ErrorCode::permission_denied) {
                member.health.on_probe(HealthMachine::Probe::auth_failed, clock.steady());
            } else {
                member.probe_error = uid.error().message;
                member.health.on_probe(HealthMachine::Probe::failure, clock.steady());
            }
        } else if (answer && (answer->status == 401 || answer->status == 403)) {
            member.health.on_probe(HealthMachine::Probe::auth_failed, clock.steady());
        } else {
            if (member.lane->last_answer() > began - options_.health.silence) member.health.on_answer(member.lane->last_answer());
            member.health.on_probe(HealthMachine::Probe::failure, clock.steady());
        }
        set_verdict(member);
        const SteadyTime next = began + options_.probe_every;
        co_await async::sleep_until(clock, std::max(next, clock.steady() + 100ms));
    }
}

void Fleet::set_verdict(Member& member) {
    const ClusterVerdict verdict = member.wrong_cluster    ? ClusterVerdict::wrong_cluster
                                   : suspicion_.isolated() ? ClusterVerdict::isolated_hub
                                                           : member.health.verdict();
    const std::string reason = member.wrong_cluster    ? "another cluster answers at this address"
                               : suspicion_.isolated() ? "this hub is cut off from most clusters"
                               : member.probe_error.empty() || member.health.verdict() == ClusterVerdict::healthy
                                   ? member.health.reason()
                                   : member.health.reason() + ": " + member.probe_error;
    if (verdict == member.record.verdict) {
        member.record.verdict_reason = reason;
        return;
    }
    log::info("cluster verdict",
              {{"cluster", member.record.id.str()}, {"verdict", to_string(verdict)}, {"was", to_string(member.record.verdict)}, {"reason", reason}});
    metrics_.counter("kubernaut_cluster_verdict_changes_total", "changes of verdict", {{"cluster", member.record.id.str()}}).add();
    metrics_
        .gauge("kubernaut_cluster_verdict", "1 for the current verdict",
               {{"cluster", member.record.id.str()}, {"verdict", to_string(member.record.verdict)}})
        .set(0);
    metrics_.gauge("kubernaut_cluster_verdict", "1 for the current verdict", {{"cluster", member.record.id.str()}, {"verdict", to_string(verdict)}})
        .set(1);
    member.record.verdict = verdict;
    member.record.verdict_reason = reason;
    member.record.verdict_since = loop_.clock().now();
    ++member.record.epoch;
    member.verdicts.emplace_back(loop_.clock().steady(), verdict);
    if (member.verdicts.size() > 64) member.verdicts.pop_front();
    feed_.publish("cluster", to_json(member.record));
    tell_verdict(member);
    scope_.spawn("store verdict", [](ports::RegistryStore& registry, ClusterRecord record, Deadline deadline) -> Task<> {
        if (auto stored = co_await registry.put_cluster(record, deadline); !stored) {
            log::warning("cluster verdict could not be stored", {{"cluster", record.id.str()}, {"error", stored.error().describe()}});
        }
    }(registry_, member.record, loop_.clock().deadline_in(5s)));
}

void Fleet::tell(ports::Notification notice) {
    scope_.spawn("tell", [](ports::Notifier& notifier, ports::Notification message, Deadline deadline) -> Task<> {
        const std::string key = message.key;
        const auto sent = co_await notifier.send(std::move(message), deadline);
        if (!sent) log::warning("notification not accepted", {{"key", key}, {"error", sent.error().describe()}});
    }(notifier_, std::move(notice), loop_.clock().deadline_in(5s)));
}

/// One notice when trouble begins and one when it is over. A suspect cluster is nothing to wake people for, and what the whole hub suffers is told once.
void Fleet::tell_verdict(Member& member) {
    const ClusterVerdict verdict = member.record.verdict;
    const bool refused = verdict == ClusterVerdict::unknown && member.health.reason() == HealthMachine::auth_failed;
    std::string trouble;
    if (verdict == ClusterVerdict::lost) trouble = "cluster_lost";
    if (verdict == ClusterVerdict::wrong_cluster) trouble = "wrong_cluster";
    if (refused) trouble = "cluster_refuses";
    const bool over = verdict == ClusterVerdict::healthy && !member.told.empty();
    if (!over && (trouble.empty() || trouble == member.told)) return;
    const std::string& name = member.record.id.str();
    ports::Notification notice{.kind = over ? "cluster_recovered" : trouble,
                               .key = "cluster/" + std::to_string(member.record.epoch) + "/" + (over ? "recovered" : trouble),
                               .cluster = member.record.id,
                               .severity = over ? Severity::info : Severity::critical};
    notice.title = over                                       ? "Cluster " + name + " is healthy again"
                   : verdict == ClusterVerdict::lost          ? "Cluster " + name + " is lost"
                   : verdict == ClusterVerdict::wrong_cluster ? "Another cluster answers at the address of " + name
                                                              : "Cluster " + name + " refuses our credentials";
    notice.text = over ? "Incidents there are looked at again."
                       : member.record.verdict_reason + ". Nothing is changed there until it is healthy; its alerts are taken in and kept.";
    member.told = over ? std::string() : trouble;
    tell(std::move(notice));
}

Task<> Fleet::look_at_fleet() {
    async::Clock& clock = loop_.clock();
    while (true) {
        co_await async::sleep_for(clock, 1s);
        const SteadyTime now = clock.steady();
        std::size_t healthy_before = 0, turned_bad = 0;
        for (const auto& [id, member] : members_) {
            // Health of the cluster itself, whatever the hub thinks of itself meanwhile.
            ClusterVerdict before = ClusterVerdict::unknown;
            std::optional<SteadyTime> last_change;
            for (const auto& [at, verdict] : member->verdicts) {
                if (at <= now - 60s) before = verdict;
                last_change = at;
            }
            const bool bad = member->health.verdict() == ClusterVerdict::suspect || member->health.verdict() == ClusterVerdict::lost;
            const bool was_healthy = before == ClusterVerdict::healthy || before == ClusterVerdict::isolated_hub ||
                                     std::any_of(member->verdicts.begin(), member->verdicts.end(),
                                                 [&](const auto& v) { return v.second == ClusterVerdict::healthy && v.first >= now - 60s; });
            if (was_healthy) ++healthy_before;
            if (was_healthy && bad && last_change && *last_change >= now - SuspicionMachine::window) ++turned_bad;
            metrics_.gauge("kubernaut_cluster_verdict_age_seconds", "age of the verdict", {{"cluster", id.str()}})
                .set(static_cast<double>((clock.now() - member->record.verdict_since).count()) / 1000.0);
        }
        const bool before = suspicion_.isolated();
        suspicion_.on_look(healthy_before, turned_bad, now);
        metrics_.gauge("kubernaut_hub_isolated", "1 while this hub distrusts itself").set(suspicion_.isolated() ? 1 : 0);
        if (before != suspicion_.isolated()) {
            log::warning(suspicion_.isolated() ? "most clusters vanished at once: this hub is cut off, nothing will be changed"
                                               : "the hub is connected again");
            const bool isolated = suspicion_.isolated();
            tell({.kind = isolated ? "hub_isolated" : "hub_connected",
                  .key = "hub/" + std::to_string(clock.now().time_since_epoch().count()),
                  .cluster = ClusterId("_fleet"),
                  .title = isolated ? "This hub is cut off: most clusters vanished at once" : "This hub is connected again",
                  .text = isolated ? "Nothing is changed anywhere until most clusters answer again." : "Held incidents go on.",
                  .severity = isolated ? Severity::critical : Severity::info});
            for (auto& [id, member] : members_) set_verdict(*member);
        }
    }
}

void Fleet::set_mode(const ClusterId& id, Mode mode) {
    const auto found = members_.find(id);
    if (found == members_.end() || found->second->record.mode == mode) return;
    log::info("cluster mode", {{"cluster", id.str()}, {"mode", to_string(mode)}, {"was", to_string(found->second->record.mode)}});
    found->second->record.mode = mode;
    feed_.publish("cluster", to_json(found->second->record));
}

std::vector<ClusterRecord> Fleet::clusters() const {
    std::vector<ClusterRecord> all;
    all.reserve(members_.size());
    for (const auto& [id, member] : members_) all.push_back(member->record);
    return all;
}

std::optional<ClusterRecord> Fleet::cluster(const ClusterId& id) const {
    const auto found = members_.find(id);
    return found == members_.end() ? std::nullopt : std::optional(found->second->record);
}

std::shared_ptr<kube::Client> Fleet::client(const ClusterId& id) {
    const auto found = members_.find(id);
    return found == members_.end() ? nullptr : found->second->client;
}

std::shared_ptr<const kube::ObjectCache> Fleet::cache(const ClusterId& id, const kube::Resource& resource) {
    const auto found = members_.find(id);
    if (found == members_.end()) return nullptr;
    for (const auto& watch : found->second->watches) {
        if (watch.cache->resource() == resource) return watch.cache;
    }
    return nullptr;
}

std::optional<ObjectRef> Fleet::tombstone(const ClusterId& id, std::string_view kind, std::string_view ns, std::string_view name) {
    const auto found = members_.find(id);
    if (found == members_.end()) return std::nullopt;
    const auto stone = found->second->tombstones.find(std::string(kind) + "/" + std::string(ns) + "/" + std::string(name));
    if (stone == found->second->tombstones.end() || stone->second.at + options_.tombstone_age < loop_.clock().steady()) return std::nullopt;
    return stone->second.owner;
}

bool Fleet::synced(const ClusterId& id) const {
    const auto found = members_.find(id);
    if (found == members_.end()) return false;
    return std::all_of(found->second->watches.begin(), found->second->watches.end(), [](const auto& watch) { return watch.cache->synced(); });
}

Task<Result<>> Fleet::check_identity(Member& member, Duration age, Deadline deadline) {
    if (member.uid_read_at && *member.uid_read_at + age > loop_.clock().steady()) co_return Result<>{};
    const std::string& name = member.record.id.str();
    auto uid = co_await member.client->cluster_uid(deadline);
    if (!uid) co_return fail(uid.error().with_context("reading the identity of cluster " + name));
    if (member.record.uid.empty() || *uid != member.record.uid) {
        member.wrong_cluster = !member.record.uid.empty();
        set_verdict(member);
        co_return refused("wrong_cluster", "another cluster answers at the address of " + name);
    }
    member.uid_read_at = loop_.clock().steady();
    co_return Result<>{};
}

Task<Result<>> Fleet::check_fence(const ClusterId& id, Deadline deadline) {
    const auto found = members_.find(id);
    if (found == members_.end()) co_return fail(ErrorCode::not_found, "cluster " + id.str() + " is not registered");
    Member& member = *found->second;
    if (suspicion_.isolated()) co_return refused("hub_isolated", "this hub is cut off from most clusters: nothing is changed anywhere");
    if (member.wrong_cluster) co_return refused("wrong_cluster", "another cluster answers at the address of " + id.str());
    if (member.record.verdict != ClusterVerdict::healthy) {
        co_return refused("cluster_not_healthy",
                          "cluster " + id.str() + " is " + std::string(to_string(member.record.verdict)) + ": " + member.record.verdict_reason);
    }
    if (member.clock_skew > options_.clock_skew || member.clock_skew < -options_.clock_skew) {
        co_return refused("clock_suspect",
                          "the clock of cluster " + id.str() + " and ours are " + std::to_string(member.clock_skew.count()) + " s apart");
    }
    // Who answers comes first: to hold the Lease may mean to write it, and that must not happen in another cluster.
    KN_CO_CHECK(co_await check_identity(member, options_.fence_age, deadline));
    if (options_.owner_lease) co_return co_await member.owner->check(deadline);
    co_return Result<>{};
}

}  // namespace kn::fleet
