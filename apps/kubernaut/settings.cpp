#include "settings.hpp"

#include <fstream>
#include <iostream>
#include <iterator>

#include "commands.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace kn::app {
namespace {

int minute_of_day(const std::string& text) { return std::stoi(text.substr(0, 2)) * 60 + std::stoi(text.substr(3, 2)); }

int weekday_of(const std::string& word) {
    static const char* names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    for (int i = 0; i < 7; ++i) {
        if (word.substr(0, 3) == names[i]) return i;
    }
    return -1;
}

patterns::AnalyzerSetting analyzer_of(const config::AnalyzerFlag& flag) {
    return {.flag = flag.mode == "on"       ? patterns::Flag::on
                    : flag.mode == "shadow" ? patterns::Flag::shadow
                                            : patterns::Flag::off,
            .percent = flag.percent};
}

void apply_patterns(const config::Config& settings, HubOptions& o) {
    const auto& p = settings.patterns;
    auto& engine = o.patterns.engine;
    for (const char* name : {"trend", "recurrence", "burst", "fleet", "duration"}) engine.analyzers[name] = analyzer_of(p.timeseries);
    engine.analyzers["forecast"] = analyzer_of(p.forecast);
    engine.analyzers["family"] = analyzer_of(p.clustering);
    engine.analyzers["anomaly"] = analyzer_of(p.anomaly);
    engine.analyzers["chain"] = analyzer_of(p.sequence);
    engine.time_limit = p.analyzer_timeout;
    engine.breaker_failures = static_cast<std::size_t>(std::max(1, p.breaker_failures));
    engine.breaker_pause = p.breaker_pause;
    engine.false_discovery_rate = p.target_fpr;
    o.patterns.enabled = p.enabled;
    o.patterns.every = std::max<Duration>(p.every, 10s);
    o.patterns.window = p.history;
    o.patterns.horizon = p.horizon;
    o.patterns.deadline = p.deadline;
    o.patterns.query_timeout = settings.prometheus.timeout;
    o.patterns.warnings = p.warnings;
    o.patterns.least_confidence = p.least_confidence;
    o.patterns.warnings_per_run = p.warnings_per_run;
    o.patterns.warnings_per_hour = p.warnings_per_hour;
    o.patterns.recurrence_lead = p.recurrence_lead;
    o.patterns.again = p.again;
    o.patterns.storm_per_minute = settings.guard.storm_incidents_per_minute;
    if (p.default_series) o.patterns.series = discovery::builtin_series();
    for (const auto& each : p.series) {
        std::erase_if(o.patterns.series, [&](const auto& known) { return known.name == each.name; });
        o.patterns.series.push_back(
            {.name = each.name, .query = each.query, .limit_query = each.limit_query, .limit = each.limit, .step = each.step, .warn = each.warn});
    }
}

}  // namespace

EnvironmentVariables environment_of_process() {
    EnvironmentVariables all;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string text = *entry;
        const auto equals = text.find('=');
        if (equals != std::string::npos) all.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return all;
}

std::optional<config::Config> load_settings(const std::string& file, const EnvironmentVariables& environment) {
    std::string text;
    if (!file.empty()) {
        std::ifstream in(file, std::ios::binary);
        if (!in) {
            std::cerr << "error: cannot read " << file << "\n";
            return std::nullopt;
        }
        text.assign(std::istreambuf_iterator<char>(in), {});
    }
    auto loaded = config::load(text, environment);
    for (const auto& warning : loaded.warnings) std::cerr << "warning: " << warning << "\n";
    for (const auto& problem : loaded.problems)
        std::cerr << "error: " << (file.empty() ? "" : file + ": ") << problem.field << ": " << problem.message << "\n";
    if (!loaded.problems.empty()) return std::nullopt;
    return std::move(loaded.config);
}

log::Level level_of(const std::string& word) {
    return word == "debug" ? log::Level::debug : word == "warning" ? log::Level::warning : word == "error" ? log::Level::error : log::Level::info;
}

Result<HubOptions> hub_options(const config::Config& settings, const EnvironmentVariables& environment) {
    HubOptions o;
    o.version = version;
    o.catalog = settings.decision.catalog;
    o.watch_signals = settings.intake.watch || settings.intake.events;
    o.workflow_timeout = settings.engine.workflow_timeout;
    for (const auto& source : settings.intake.sources) {
        KN_TRY(const std::string token, config::resolve_secret(source.token, environment));
        o.intake.sources.push_back(
            {.name = source.name, .auth = source.auth, .token = token, .clusters = {source.clusters.begin(), source.clusters.end()}});
    }
    o.intake.cluster_labels = settings.intake.cluster_labels;
    o.intake.aliases = settings.intake.aliases;
    o.intake.inbox_rows = settings.intake.inbox_rows;
    o.intake.commit_timeout = settings.http.request_timeout;

    // One setting stands for each age, whether a rule or an action reads it.
    o.decision = settings.decision.waits;
    o.decision.ages = settings.decision.ages;
    o.decision.status_age = settings.decision.fact_status;
    o.decision.metric_age = settings.decision.fact_metrics;
    o.decision.events = settings.intake.events;
    o.decision.watch = settings.intake.watch;
    o.actions = settings.actions;
    o.actions.good_revision = settings.decision.ages.good_revision;
    o.actions.failed_pod_age = settings.decision.ages.litter;
    o.actions.terminating_slack = settings.decision.ages.terminating;
    o.actions.min_ready_nodes = settings.guard.min_ready_nodes;
    o.decision.p_auto = settings.decision.p_auto;
    o.decision.p_ask = settings.decision.p_ask;
    o.decision.margin = settings.decision.margin;
    o.decision.correlate = settings.decision.correlate;
    o.decision.approval_ttl = settings.guard.approval_ttl;
    o.decision.storm_per_minute = settings.guard.storm_incidents_per_minute;

    const auto& g = settings.guard;
    o.guard.opt_in = g.scope == "opt_in";
    o.guard.protected_namespaces = {g.protected_namespaces.begin(), g.protected_namespaces.end()};
    for (const auto& window : g.freeze) {
        o.guard.freeze.push_back({.name = window.name,
                                  .cluster = window.cluster,
                                  .ns = window.ns,
                                  .weekday = weekday_of(window.weekday),
                                  .from_minute = minute_of_day(window.from),
                                  .to_minute = minute_of_day(window.to)});
    }
    o.guard.cooldown_ok = g.cooldown_ok;
    o.guard.cooldown_bad = g.cooldown_bad;
    o.guard.cooldown_max = g.cooldown_max;
    o.guard.oscillation_window = g.oscillation_window;
    o.guard.storm_cooldown = g.storm_cooldown;
    o.guard.oscillation_hold = g.oscillation_hold;
    const auto budget = [](const config::Budget& b) { return guard::BudgetLimit{b.in_flight, b.per_hour}; };
    o.guard.object = budget(g.object);
    o.guard.ns = budget(g.ns);
    o.guard.cluster = budget(g.cluster);
    o.guard.fleet = budget(g.fleet);
    o.guard.min_ready_nodes = g.min_ready_nodes;
    o.guard.clusters_ratio = g.clusters_ratio;
    o.guard.storm_incidents_per_minute = g.storm_incidents_per_minute;
    o.guard.approval_ttl = g.approval_ttl;
    o.guard.prod_p = g.prod_p;
    o.guard.auto_p = settings.decision.p_auto;
    o.guard.min_q10 = g.min_q10;
    o.guard.min_n = g.min_n;

    o.engine.lease = settings.engine.lease;
    o.engine.renew_every = settings.engine.lease / 3;
    o.engine.tries = settings.engine.tries;
    o.engine.backoff_base = settings.engine.backoff_base;
    o.engine.backoff_cap = settings.engine.backoff_cap;
    o.engine.backoff_factor = settings.engine.backoff_factor;
    o.engine.slots = settings.engine.slots;
    o.engine.settle = settings.assess.settle;
    o.engine.settle_restart = std::min(o.engine.settle_restart, settings.assess.settle);
    o.engine.cooldown_ok = g.cooldown_ok;
    o.engine.cooldown_bad = g.cooldown_bad;

    o.assess.final_after = settings.assess.final_after;
    o.assess.give_up = settings.assess.give_up;
    o.assess.recurrence = settings.assess.recurrence;
    o.assess.half_life = settings.assess.half_life;
    o.assess.batch = settings.assess.batch;
    o.assess.metric_step = settings.prometheus.step;

    o.fleet.probe_every = settings.fleet.probe_every;
    o.fleet.owner_lease = settings.fleet.owner_lease;
    o.fleet.probe_timeout = settings.fleet.probe_timeout;
    o.fleet.health.suspect_after = settings.fleet.suspect;
    o.fleet.health.lost_after = settings.fleet.lost;
    o.fleet.health.silence = settings.fleet.silence;
    o.fleet.lane.queue = static_cast<std::size_t>(settings.fleet.lane_queue);
    o.fleet.lane.concurrency = static_cast<std::size_t>(settings.fleet.lane_concurrency);
    o.fleet.lane.qps = settings.fleet.lane_qps;
    o.fleet.lane.burst = settings.fleet.lane_burst;

    apply_patterns(settings, o);
    for (const auto& [to, from] : settings.decision.secret_sources) {
        const auto to_slash = to.find('/'), from_slash = from.find('/');
        if (to_slash == std::string::npos || from_slash == std::string::npos) {
            return fail(ErrorCode::invalid_argument, "namespace/name: namespace/name expected, not " + to + ": " + from, "decision.secret_sources");
        }
        actions::SecretSource source{.ns = from.substr(0, from_slash),
                                     .name = from.substr(from_slash + 1),
                                     .as_name = to.substr(to_slash + 1),
                                     .namespaces = {to.substr(0, to_slash)}};
        o.actions.secret_sources.push_back(std::move(source));
    }

    for (const auto& token : settings.auth.tokens) {
        KN_TRY(const std::string secret, config::resolve_secret(token.token, environment));
        if (secret.empty()) return fail(ErrorCode::invalid_argument, "the token of " + token.name + " is empty", "auth.tokens");
        o.auth.add_token(token.name, secret);
    }
    for (const auto& [cn, name] : settings.auth.mtls) o.auth.add_certificate(cn, name);
    for (const auto& binding : settings.auth.bindings) {
        o.auth.add_binding({.subject = binding.subject,
                            .role = binding.role,
                            .clusters = binding.clusters,
                            .namespaces = binding.namespaces,
                            .approve_up_to = binding.approve_up_to});
    }
    return o;
}

}  // namespace kn::app
