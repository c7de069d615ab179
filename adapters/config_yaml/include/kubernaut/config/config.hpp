#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kubernaut/actions/registry.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/decision/options.hpp"
#include "kubernaut/domain/enums.hpp"

namespace kn::config {

struct Token {
    std::string name;   ///< the person or service it stands for
    std::string token;  ///< plain, or `secret://env/NAME`, `secret://file/PATH`
};
/// subject × role × clusters × namespaces. "*" and empty lists mean all.
struct RoleBinding {
    std::string subject, role;
    std::vector<std::string> clusters, namespaces;
    Risk approve_up_to = Risk::critical;
};
struct IntakeSource {
    std::string name, auth = "bearer", token;
    std::vector<std::string> clusters;  ///< it may speak for; empty = all
};
struct ClusterEntry {
    std::string id, kind = "other", profile, kubeconfig, context, server, token, token_file, ca_file, prometheus;
    Environment environment = Environment::unknown;
    std::optional<Mode> mode;
    std::map<std::string, std::string> labels;
    bool in_cluster = false, insecure_skip_tls_verify = false;
};
struct FreezeWindow {
    std::string name, cluster, ns, weekday, from, to;
};
struct Channel {
    std::string type, url,
        token;  ///< webhook, slack, teams, pagerduty or email; token = signing key, routing key or password; url and token may be secret://
    std::string from, user;  ///< email
    std::vector<std::string> to;
    bool plain = false;  ///< email: without TLS is all right (a relay on this machine)
};
struct NotifyRoute {
    std::string channel;
    std::vector<std::string> kinds, clusters, namespaces;
    std::string min_severity = "info";
};
/// A measurement that pattern discovery follows on every cluster.
struct PatternSeries {
    std::string name, query, limit_query, warn;
    double limit = 0;
    Duration step = 5min;
};
/// How far an analyzer's findings go: off, shadow (computed and checked, not shown), on; of so many percent of its subjects.
struct AnalyzerFlag {
    std::string mode = "on";
    int percent = 100;
};
struct Budget {
    int in_flight = 0, per_hour = 0;
};

struct Config {
    struct {
        std::string listen = "0.0.0.0:8080";
        std::string cert, key, client_ca;
        std::int64_t body_limit = 10 << 20;
        Duration request_timeout = 8s;
    } http;
    struct {
        std::string level = "info", format = "json";
    } log;
    struct {
        std::string url = "sqlite:///var/lib/kubernaut/kubernaut.db";
        int pool_max = 16;
        Duration pool_wait = 250ms, query_timeout = 2s;
    } store;
    struct {
        std::vector<Token> tokens;
        std::vector<RoleBinding> bindings;
        std::map<std::string, std::string> mtls;  ///< certificate subject CN → person
    } auth;
    struct {
        std::vector<IntakeSource> sources;
        std::vector<std::string> cluster_labels{"cluster", "k8s_cluster"};
        std::map<std::string, std::string> aliases;
        std::int64_t inbox_rows = 100'000, inbox_bytes = 512LL << 20;
        bool events = true, watch = true;
    } intake;
    struct {
        double p_auto = 0.80, p_ask = 0.50, margin = 0.15;
        Duration correlate = 5s, fact_status = 30s, fact_metrics = 90s;
        std::vector<std::string> catalog{"builtin"};
        std::map<std::string, std::string> secret_sources;  ///< "ns/name" (or "*/name") that may be copied → "ns/name" of the source
        decision::DecisionOptions waits;                    ///< only its times are read from the file: decision.waits.*
        decision::RuleAges ages;
    } decision;
    actions::ActionSettings actions;  ///< only its times and bounds: actions.*
    struct {
        Mode mode = Mode::shadow;
        std::string scope = "opt_out";
        std::vector<std::string> protected_namespaces{"kube-system", "kube-public", "kube-node-lease", "kubernaut-system"};
        std::vector<FreezeWindow> freeze;
        Duration cooldown_ok = 5min, cooldown_bad = 10min, cooldown_max = 4h;
        Duration oscillation_window = 120min, oscillation_hold = 30min;
        Budget object{1, 3}, ns{2, 10}, cluster{5, 30}, fleet{20, 120};
        double clusters_ratio = 0.10, min_ready_nodes = 0.51;
        int storm_incidents_per_minute = 20;
        Duration storm_cooldown = 10min;
        Duration approval_ttl = 15min;
        double prod_p = 0.90, min_q10 = 0.6;
        int min_n = 10;
    } guard;
    struct {
        Duration lease = 15s, backoff_base = 1s, backoff_cap = 60s, workflow_timeout = 30min;
        int tries = 3, slots = 64, poison = 3;
        double backoff_factor = 2;
    } engine;
    struct {
        Duration settle = 5min, final_after = 15min, give_up = 30min, recurrence = 24h, half_life = 30 * 24h;
        int batch = 500;
    } assess;
    struct {
        bool enabled = true, warnings = true, default_series = true;
        AnalyzerFlag timeseries, forecast, clustering, anomaly{"shadow", 100}, sequence{"shadow", 100};
        Duration every = 15min, history = 30 * 24h, horizon = 96h, deadline = 60s, analyzer_timeout = 20s, recurrence_lead = 1h, again = 24h;
        double target_fpr = 0.01, least_confidence = 0.8;
        int warnings_per_run = 3, warnings_per_hour = 10, breaker_failures = 3;
        Duration breaker_pause = 10min;
        std::vector<PatternSeries> series;
    } patterns;
    struct {
        std::string url;
        Duration timeout = 5s, step = 30s;
    } prometheus;
    struct {
        Duration probe_every = 1500ms, probe_timeout = 1500ms, silence = 7s;
        int suspect = 2, lost = 4, lane_queue = 1000, lane_connections = 4, lane_qps = 40, lane_burst = 60, lane_concurrency = 4;
        bool owner_lease = true;
    } fleet;
    std::map<std::string, Mode> profiles{{"dev", Mode::automatic}, {"staging", Mode::approve}, {"prod", Mode::shadow}};
    std::vector<ClusterEntry> clusters;
    struct {
        std::map<std::string, Channel> channels;
        std::vector<NotifyRoute> routes;
        Duration digest = 1min;
    } notify;
    struct {
        Duration inbox = 7 * 24h, signals = 90 * 24h, history = 400 * 24h, snapshots = 30 * 24h, notifications = 30 * 24h, every = 1h;
        int batch = 500;
    } retention;

    /// The effective mode of a cluster: its own, else its profile's, else its environment's profile, else guard.mode.
    [[nodiscard]] Mode mode_of(const ClusterEntry& cluster) const;
};

/// What is wrong, with `line N, path` in `field`.
using Problems = std::vector<Error>;

struct Loaded {
    Config config;
    Problems problems;                  ///< errors: the configuration must not be used
    std::vector<std::string> warnings;  ///< accepted but worth a word
};

/// Text of the file ("" = defaults) and environment overrides (name → value, e.g. from environ).
Loaded load(std::string_view yaml, const std::map<std::string, std::string>& environment);

struct KeyDoc {
    std::string path, type, value, help;
};
/// Every key with its present value and meaning, in the order of the documentation.
std::vector<KeyDoc> explain(const Config& config);
/// The defaults as a commented file that load() accepts.
std::string default_yaml();

/// `secret://env/NAME`, `secret://file/PATH`, or the text itself.
Result<std::string> resolve_secret(std::string_view reference, const std::map<std::string, std::string>& environment);

/// "10MiB" → bytes.
Result<std::int64_t> parse_size(std::string_view text);

}  // namespace kn::config
