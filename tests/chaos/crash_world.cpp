#include "crash_world.hpp"

#include <algorithm>
#include <array>
#include <iostream>

#include "kubernaut/kube/object.hpp"

namespace kn::chaos {
namespace {

constexpr double hurry = 60;
constexpr const char *cluster_name = "sim1", *sender_token = "the-sender", *hub_user = "kubernaut";
constexpr std::array scenario_ids{"S01", "X02", "S04", "X08", "X05", "X07", "S19", "S10"};
/// Only a hub that does not get anywhere uses it up: on a busy machine everything takes long, and that is no failure.
constexpr Duration finish_limit = 10min;

/// Every wait and age is shortened as far as the simulated cluster's; the guardrails that limit the number of changes are set wide, because this is a
/// test of what a crash does, not of them.
constexpr const char* configuration = R"(
http: {listen: "127.0.0.1:$PORT"}
log: {level: info, format: text}
store: {url: "$STORE"}
auth: {tokens: [{name: reader, token: $READER}], bindings: [{subject: reader, role: admin}]}
intake: {sources: [{name: sender, auth: bearer, token: $TOKEN}]}
decision:
  correlate: 300ms
  secret_sources: {"*/pull-player": platform-secrets/pull-player, "*/pull-upload": platform-secrets/pull-upload, "*/pull-cart": platform-secrets/pull-cart}
  waits: {correlate_storm: 1s, confirm: 500ms, look_every: 1s, evidence_gone: 2s, reopen: 5s, settle: 3s, unknown_crash: 20s, incomplete: 20s, verify: 60s, linked: 60s, held: 5m}
  ages: {good_revision: 3s, litter: 5s, rollout_to_fault: 15m}
actions: {waits: {rollout_quiet: 1s}}
guard:
  mode: auto
  cooldown: {ok: 1s, bad: 1s, max: 1s}
  budgets: {object: [4, 1000], namespace: [50, 10000], cluster: [200, 100000], fleet: [200, 100000]}
  storm: {incidents_per_minute: 100000}
# A storm of kills from outside looks like one execution that kills its worker; this run is about the storm.
engine: {poison: 1000, lease: 1500ms, backoff: {base: 200ms, cap: 1s}}
assess: {settle: 1s, final: 2s, give_up: 5s}
fleet: {lane: {qps: 2000, burst: 2000, concurrency: 16, connections: 8}}
clusters: [{id: $CLUSTER, kind: simulated, environment: dev, mode: auto, kubeconfig: "$FOLDER/kubeconfig"}]
)";

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) text.replace(at, what.size(), with);
    return text;
}

bool is_dry_run(const kube::Request& request) {
    return std::any_of(request.query.begin(), request.query.end(), [](const auto& q) { return q.first == "dryRun"; });
}

/// What the hub writes for itself (Events, its Lease and the namespace of that) is no effect on anybody's workloads.
bool is_effect(const sim::WriteRecord& write) {
    static const std::set<std::string> own{"events", "events.events.k8s.io", "leases.coordination.k8s.io"};
    const bool own_namespace = write.resource == "namespaces" && write.name == "kubernaut-system";
    return write.user == hub_user && write.changed && !write.dry_run && !own.contains(write.resource) && !own_namespace;
}

}  // namespace

struct CrashWorld::Fault {
    sim::Scenario scenario;
    bool injected = false, cured = false;

    /// "resource ns/name" → how often the API server must have seen it changed by the hub. Pods are counted apart: each at most once.
    [[nodiscard]] std::map<std::string, int> expected() const {
        const auto& vars = scenario.variables();
        const auto var = [&](const char* name) { return vars.contains(name) ? vars.at(name) : std::string(); };
        const std::string ns = var("ns"), app = var("app"), id = scenario.id();
        const std::string deployment = "deployments.apps " + ns + "/" + app;
        if (id == "S01" || id == "S04" || id == "X07") return {{deployment, 1}};
        if (id == "X02" || id == "X08") return {{"configmaps " + ns + "/" + app + "-config", 1}, {deployment, 1}};
        if (id == "S19") return {{"secrets " + ns + "/pull-" + app, 1}};
        if (id == "S10") return {{"nodes /" + var("pool") + "-1", 1}};
        return {};
    }
};

CrashWorld::CrashWorld(async::EventLoop& loop, CrashPlan plan)
    : loop_(loop),
      plan_(std::move(plan)),
      random_(plan_.seed),
      port_(testing::free_port()),
      hub_(loop, random_, plan_.binary, folder_.path()),
      sender_(loop, port_, sender_token,
              [this] {
                  const auto soon = loop_.clock().steady() + Duration{static_cast<std::int64_t>(random_.next() % 30)};
                  loop_.clock().call_at(soon, [this] { hub_.event(Doom::At::during_post); });
              }),
      scope_(loop.executor()) {}

CrashWorld::~CrashWorld() = default;

void CrashWorld::write_configuration() {
    std::string text = configuration;
    for (const auto& [what, with] : {std::pair<std::string, std::string>{"$PORT", std::to_string(port_)},
                                     {"$STORE", store_url()},
                                     {"$TOKEN", sender_token},
                                     {"$READER", reader_token},
                                     {"$CLUSTER", cluster_name},
                                     {"$FOLDER", folder_.path()}}) {
        text = replaced(text, what, with);
    }
    testing::write_file(folder_.path() + "/kubernaut.yaml", text);
}

async::Task<Result<>> CrashWorld::set_up() {
    sim::ClusterSpec spec{.name = cluster_name, .environment = "dev", .nodes = 6};
    spec.kubelet.hurry = hurry;
    cluster_ = std::make_unique<sim::SimCluster>(loop_, random_, spec);
    const std::string token = make_id("sim_", loop_.clock().now(), random_);
    cluster_->api().add_token(token, {.user = hub_user, .groups = {"system:masters"}});
    KN_CO_CHECK(co_await cluster_->start());
    KN_CO_TRY(const auto tls, app::self_signed());
    const auto tap = [this](Doom::At write, Doom::At dry_run) {
        return [this, write, dry_run](const kube::Request& request, const sim::Identity& who) {
            if (who.user != hub_user || request.method == kube::Method::get || request.path.find("reviews") != std::string::npos) return;
            hub_.event(is_dry_run(request) ? dry_run : write);
        };
    };
    front_ = std::make_unique<app::SimFront>(
        loop_, cluster_->api(), "127.0.0.1:0", tls,
        app::SimTap{tap(Doom::At::before_write, Doom::At::before_dry_run), tap(Doom::At::after_write, Doom::At::after_dry_run)});
    KN_CO_CHECK(front_->start());
    testing::write_file(folder_.path() + "/kubeconfig",
                        app::kubeconfig_of({{cluster_name, "https://127.0.0.1:" + std::to_string(front_->port()), token}}, tls.cert_pem));
    write_configuration();

    std::map<std::string, std::string> registry_of;
    for (int i = 0; i < plan_.faults; ++i) {
        const auto* builtin = sim::find_scenario(scenario_ids[static_cast<std::size_t>(i) % scenario_ids.size()]);
        if (builtin == nullptr) co_return fail(ErrorCode::not_found, "a scenario file is missing");
        // Scenarios share the namespace of the source Secrets: one Secret cannot be for two registries, so another variant is drawn then.
        std::optional<sim::Scenario> scenario;
        for (std::uint64_t variant = 0; !scenario; ++variant) {
            KN_CO_TRY(auto drawn, sim::Scenario::parse(builtin->text, plan_.seed * 10'000 + static_cast<std::uint64_t>(i) + variant * 1'000'000'007));
            const auto& vars = drawn.variables();
            const auto host = vars.find("host");
            const bool fits = host == vars.end() || registry_of.try_emplace(vars.at("app"), host->second).first->second == host->second;
            if (fits) scenario.emplace(std::move(drawn));
        }
        faults_.push_back(std::make_unique<Fault>(Fault{*std::move(scenario), false, false}));
    }
    async::TaskScope deploying(loop_.executor());
    for (auto& fault : faults_) deploying.spawn("deploy", deploy_in_scope(*fault));
    co_await deploying.join();
    if (!first_error_.empty()) co_return fail(ErrorCode::internal, first_error_);
    std::set<std::string> targets;
    for (const auto& fault : faults_)
        targets.insert(fault->scenario.variables().at("ns") + "/" +
                       (fault->scenario.variables().contains("app") ? fault->scenario.variables().at("app") : ""));
    for (const auto* object : cluster_->api().peek_all(kube::resources::deployments)) {
        const std::string name = std::string(kube::namespace_of(*object)) + "/" + std::string(kube::name_of(*object));
        if (!targets.contains(name)) quiet_.push_back(name);
    }
    cluster_->api().clear_writes();
    co_return Result<>{};
}

async::Task<> CrashWorld::deploy_in_scope(Fault& fault) {
    const auto done = co_await fault.scenario.deploy(cluster_->stage(), loop_.clock().deadline_in(3min));
    if (!done) first_error_ = fault.scenario.id() + ": " + done.error().describe();
}

/// One fault after another, spread over all the kills.
async::Task<> CrashWorld::break_things() {
    for (std::size_t i = 0; i < faults_.size(); ++i) {
        const int due = static_cast<int>(i * static_cast<std::size_t>(plan_.kills) / faults_.size());
        while (hub_.kills() < due) co_await async::sleep_for(loop_.clock(), 100ms);
        scope_.spawn("fault", break_in_scope(*faults_[i]));
    }
}

async::Task<> CrashWorld::break_in_scope(Fault& fault) {
    const auto done = co_await fault.scenario.inject(cluster_->stage(), loop_.clock().deadline_in(2min));
    if (!done) first_error_ = fault.scenario.id() + ": " + done.error().describe();
    fault.injected = true;
}

/// The rules of the whole cluster, as Prometheus would evaluate them.
async::Task<> CrashWorld::watch_alerts() {
    sim::AlertFeed feed(cluster_->client(), cluster_->metrics(), cluster_name, 1s);
    while (true) {
        auto alerts = co_await feed.evaluate(loop_.clock().deadline_in(20s));
        if (!alerts)
            first_error_ = "rules: " + alerts.error().describe();
        else if (!alerts->empty())
            sender_.send(*std::move(alerts));
        co_await async::sleep_for(loop_.clock(), 1s);
    }
}

/// Alerts about workloads that are well, about objects that are not there, and about nothing that can be found.
async::Task<> CrashWorld::make_noise() {
    while (hub_.kills() < plan_.kills) {
        std::vector<sim::Alert> batch;
        for (int i = 0; i < 3; ++i) {
            const std::string& where = quiet_[random_.next() % quiet_.size()];
            const auto slash = where.find('/');
            sim::Alert alert{.name = "KubeDeploymentReplicasMismatch",
                             .labels = {},
                             .annotations = {{"summary", "noise"}},
                             .starts_at = loop_.clock().now(),
                             .ends_at = {}};
            alert.labels = {{"alertname", alert.name},
                            {"cluster", cluster_name},
                            {"severity", "warning"},
                            {"namespace", where.substr(0, slash)},
                            {"deployment", where.substr(slash + 1)}};
            if (i == 2) alert.labels["deployment"] += "-gone";
            batch.push_back(std::move(alert));
        }
        sender_.send(std::move(batch));
        co_await async::sleep_for(loop_.clock(), 250ms);
    }
}

async::Task<Result<bool>> CrashWorld::all_done(CrashReport& report) {
    bool done = true;
    report.cured = 0;
    for (const auto& fault : faults_) {
        if (fault->injected && !fault->cured) {
            KN_CO_TRY(const auto verdict, co_await fault->scenario.check(cluster_->stage(), loop_.clock().deadline_in(20s)));
            fault->cured = verdict.cured;
        }
        report.cured += fault->cured ? 1 : 0;
        done = done && fault->cured;
    }
    co_return done&& sender_.waiting() == 0;
}

void CrashWorld::judge_effects(CrashReport& report) {
    std::map<std::string, int> seen;
    std::map<std::string, std::vector<const sim::WriteRecord*>> records;
    for (const auto& write : cluster_->api().writes()) {
        if (!is_effect(write)) continue;
        const std::string object = write.resource + " " + write.ns + "/" + write.name;
        ++seen[object];
        records[object].push_back(&write);
        ++report.effects;
    }
    std::set<std::string> known;
    for (const auto& fault : faults_) {
        for (const auto& [object, times] : fault->expected()) {
            known.insert(object);
            const int found = seen.contains(object) ? seen.at(object) : 0;
            std::string line =
                fault->scenario.id() + ": " + object + " was changed " + std::to_string(found) + " times, not " + std::to_string(times);
            for (const auto* write : records[object])
                line += "\n      " + format_rfc3339(write->time) + " " + write->verb + " " + std::to_string(write->code) + " " +
                        write->body.substr(0, 600);
            if (found > times)
                report.doubled.push_back(line);
            else if (found < times)
                report.lost.push_back(line);
        }
    }
    for (const auto& [object, times] : seen) {
        const bool pod = object.starts_with("pods ");
        if (pod && times > 1) report.doubled.push_back(object + " was deleted " + std::to_string(times) + " times");
        if (!pod && !known.contains(object))
            report.harmed.push_back(object + ": " + records[object][0]->verb + " " + records[object][0]->body.substr(0, 600));
    }
}

async::Task<Result<CrashReport>> CrashWorld::run() {
    async::Clock& clock = loop_.clock();
    CrashReport report;
    KN_CO_CHECK(co_await set_up());
    sender_.start();
    scope_.spawn("faults", break_things());
    scope_.spawn("rules", watch_alerts());
    scope_.spawn("noise", make_noise());
    KN_CO_CHECK(co_await hub_.run(plan_.kills));
    // No more kills: what is under way must come to its end.
    const Deadline end = clock.deadline_in(finish_limit);
    while (true) {
        KN_CO_TRY(const bool done, co_await all_done(report));
        if (!first_error_.empty()) co_return fail(ErrorCode::internal, first_error_);
        if (done || end.passed(clock.steady())) break;
        co_await async::sleep_for(clock, 1s);
    }
    KN_CO_CHECK(co_await judge_records(report));
    report.kills = hub_.kills();
    report.causes = hub_.causes();
    report.faults = static_cast<int>(faults_.size());
    report.posted = sender_.accepted().size();
    report.tries = static_cast<std::size_t>(sender_.tries());
    report.cured = 0;
    for (const auto& fault : faults_) {
        // The world has the last word, not the look of some time ago.
        KN_CO_TRY(const auto verdict, co_await fault->scenario.check(cluster_->stage(), clock.deadline_in(20s)));
        report.cured += verdict.cured ? 1 : 0;
        if (!verdict.cured) {
            report.lost.push_back(fault->scenario.id() + " " + fault->scenario.target() +
                                  " is not cured: " + (verdict.missing.empty() ? "?" : verdict.missing.front()));
        }
        for (const auto& violation : verdict.violations)
            report.harmed.push_back(fault->scenario.id() + ": " + violation.object + " " + violation.what);
    }
    for (const auto& refused : sender_.refused()) report.lost.push_back("the hub refused alerts: " + refused);
    judge_effects(report);
    co_return report;
}

}  // namespace kn::chaos
