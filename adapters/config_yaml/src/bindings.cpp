#include "bindings.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "kubernaut/json/yaml.hpp"

namespace kn::config {
namespace {

using json::Value;
using Read = std::function<void(Config&, const Value&, const std::string&, Problems&)>;
using Write = std::function<Value(const Config&)>;

void problem(Problems& problems, const std::string& pointer, std::string message) {
    problems.push_back(Error{.code = ErrorCode::invalid_argument, .message = std::move(message), .field = pointer});
}

std::string kind_of(const Value& value) {
    if (value.is_null()) return "nothing";
    if (value.is_bool()) return "a boolean";
    if (value.is_number()) return "a number";
    if (value.is_string()) return "text";
    return value.is_array() ? "a list" : "a map";
}

void read_value(Channel& out, const Value& v, const std::string& at, Problems& p);

// One reader a type; `what` in the message tells what was expected.
void read_value(std::string& out, const Value& v, const std::string& at, Problems& p) {
    if (const auto* text = v.if_string())
        out = json::view(*text);
    else
        problem(p, at, "text expected, not " + kind_of(v) + (v.is_bool() || v.is_number() ? " (put it in quotes)" : ""));
}
void read_value(bool& out, const Value& v, const std::string& at, Problems& p) {
    if (const auto* flag = v.if_bool())
        out = *flag;
    else
        problem(p, at, "true or false expected, not " + kind_of(v));
}
void read_value(int& out, const Value& v, const std::string& at, Problems& p) {
    const auto number = json::to_int(&v);
    if (number && *number >= 0 && *number <= 1'000'000'000)
        out = static_cast<int>(*number);
    else
        problem(p, at, "a whole number from 0 expected, not " + kind_of(v));
}
void read_value(double& out, const Value& v, const std::string& at, Problems& p) {
    const auto number = json::to_double(&v);
    if (number && *number >= 0)
        out = *number;
    else
        problem(p, at, "a number from 0 expected, not " + kind_of(v));
}
void read_value(Duration& out, const Value& v, const std::string& at, Problems& p) {
    const auto* text = v.if_string();
    const auto parsed = text != nullptr ? parse_duration(json::view(*text))
                                        : Result<Duration>(fail(ErrorCode::invalid_argument, "a duration such as 30s expected, not " + kind_of(v)));
    if (parsed)
        out = *parsed;
    else
        problem(p, at, parsed.error().message);
}
void read_value(Mode& out, const Value& v, const std::string& at, Problems& p) {
    const auto* text = v.if_string();
    // YAML 1.1 reads a bare `off` as false.
    const auto mode = text != nullptr ? parse_enum<Mode>(json::view(*text)) : v.is_bool() && !v.get_bool() ? std::optional(Mode::off) : std::nullopt;
    if (mode)
        out = *mode;
    else
        problem(p, at, "one of off, observe, shadow, approve, auto expected");
}
void read_value(Environment& out, const Value& v, const std::string& at, Problems& p) {
    const auto* text = v.if_string();
    const auto parsed = text != nullptr ? parse_enum<Environment>(json::view(*text)) : std::nullopt;
    if (parsed)
        out = *parsed;
    else
        problem(p, at, "one of dev, staging, prod, unknown expected");
}
void read_value(Risk& out, const Value& v, const std::string& at, Problems& p) {
    const auto* text = v.if_string();
    const auto parsed = text != nullptr ? parse_enum<Risk>(json::view(*text)) : std::nullopt;
    if (parsed)
        out = *parsed;
    else
        problem(p, at, "one of none, low, medium, high, critical expected");
}
void read_value(std::optional<Mode>& out, const Value& v, const std::string& at, Problems& p) {
    Mode mode = Mode::shadow;
    read_value(mode, v, at, p);
    out = mode;
}
void read_value(std::vector<std::string>& out, const Value& v, const std::string& at, Problems& p) {
    const auto* array = v.if_array();
    if (array == nullptr) return problem(p, at, "a list of texts expected, not " + kind_of(v));
    out.clear();
    for (std::size_t i = 0; i < array->size(); ++i) read_value(out.emplace_back(), (*array)[i], at + "/" + std::to_string(i), p);
}
template <class T> void read_value(std::map<std::string, T>& out, const Value& v, const std::string& at, Problems& p) {
    const auto* object = v.if_object();
    if (object == nullptr) return problem(p, at, "a map expected, not " + kind_of(v));
    out.clear();
    for (const auto& [key, member] : *object) {
        read_value(out[std::string(key.data(), key.size())], member, at + "/" + json::escape_pointer_token({key.data(), key.size()}), p);
    }
}
void read_value(Budget& out, const Value& v, const std::string& at, Problems& p) {
    const auto* pair = v.if_array();
    if (pair == nullptr || pair->size() != 2) return problem(p, at, "[in flight, started per hour] expected");
    read_value(out.in_flight, (*pair)[0], at + "/0", p);
    read_value(out.per_hour, (*pair)[1], at + "/1", p);
}

/// A map with known keys: every member by its reader, unknown ones refused, `needed` ones asked for.
class Fields {
public:
    Fields(const Value& v, std::string at, Problems& p) : value_(v), at_(std::move(at)), problems_(p) {
        if (!v.is_object()) problem(p, at_, "a map expected, not " + kind_of(v));
    }
    template <class T> Fields& field(std::string_view name, T& out, bool needed = false) {
        known_.insert(std::string(name));
        const auto* object = value_.if_object();
        if (object == nullptr) return *this;
        if (const auto* member = object->if_contains(name))
            read_value(out, *member, at_ + "/" + std::string(name), problems_);
        else if (needed)
            problem(problems_, at_, "\"" + std::string(name) + "\" is missing");
        return *this;
    }
    ~Fields() {
        const auto* object = value_.if_object();
        if (object == nullptr) return;
        for (const auto& [key, member] : *object) {
            const std::string name(key.data(), key.size());
            if (!known_.contains(name)) problem(problems_, at_ + "/" + json::escape_pointer_token(name), "unknown key \"" + name + "\"");
        }
    }
    Fields(const Fields&) = delete;
    Fields& operator=(const Fields&) = delete;

private:
    const Value& value_;
    std::string at_;
    Problems& problems_;
    std::set<std::string> known_;
};

void read_value(Token& out, const Value& v, const std::string& at, Problems& p) {
    Fields(v, at, p).field("name", out.name, true).field("token", out.token, true);
    if (v.is_object() && v.get_object().contains("token") && out.token.empty()) problem(p, at + "/token", "an empty token would let everybody in");
}
void read_value(RoleBinding& out, const Value& v, const std::string& at, Problems& p) {
    Fields(v, at, p)
        .field("subject", out.subject, true)
        .field("role", out.role, true)
        .field("clusters", out.clusters)
        .field("namespaces", out.namespaces)
        .field("approve_up_to", out.approve_up_to);
    static const std::set<std::string> roles{"viewer", "operator", "approver", "developer", "cluster_admin", "auditor", "admin"};
    if (!out.role.empty() && !roles.contains(out.role))
        problem(p, at + "/role", "one of viewer, operator, approver, developer, cluster_admin, auditor, admin expected");
}
void read_value(IntakeSource& out, const Value& v, const std::string& at, Problems& p) {
    Fields(v, at, p).field("name", out.name, true).field("auth", out.auth).field("token", out.token).field("clusters", out.clusters);
    if (out.auth != "bearer" && out.auth != "mtls") problem(p, at + "/auth", "bearer or mtls expected");
    if (out.auth == "bearer" && out.token.empty()) problem(p, at, "a bearer source needs a token");
}
void read_value(ClusterEntry& out, const Value& v, const std::string& at, Problems& p) {
    Fields(v, at, p)
        .field("id", out.id, true)
        .field("kind", out.kind)
        .field("environment", out.environment)
        .field("labels", out.labels)
        .field("profile", out.profile)
        .field("mode", out.mode)
        .field("kubeconfig", out.kubeconfig)
        .field("context", out.context)
        .field("server", out.server)
        .field("token", out.token)
        .field("token_file", out.token_file)
        .field("ca_file", out.ca_file)
        .field("prometheus", out.prometheus)
        .field("in_cluster", out.in_cluster)
        .field("insecure_skip_tls_verify", out.insecure_skip_tls_verify);
    if (out.kubeconfig.empty() && out.server.empty() && out.context.empty() && !out.in_cluster) {
        problem(p, at, "say how to reach it: kubeconfig (and context), or server with token or token_file, or in_cluster: true");
    }
    if (out.insecure_skip_tls_verify && (out.environment == Environment::prod || out.environment == Environment::unknown)) {
        problem(p, at + "/insecure_skip_tls_verify", "refused for prod and unknown environments: give ca_file instead");
    }
}
void read_value(FreezeWindow& out, const Value& v, const std::string& at, Problems& p) {
    Fields(v, at, p)
        .field("name", out.name, true)
        .field("cluster", out.cluster)
        .field("namespace", out.ns)
        .field("weekday", out.weekday)
        .field("from", out.from, true)
        .field("to", out.to, true);
    for (const auto& [name, text] : {std::pair("from", &out.from), std::pair("to", &out.to)}) {
        const bool ok = text->size() == 5 && (*text)[2] == ':' && *text >= "00:00" && *text <= "24:00";
        if (!text->empty() && !ok) problem(p, at + "/" + name, "a time of day such as \"22:30\" (UTC) expected, in quotes");
    }
}
void read_value(Channel& out, const Value& v, const std::string& at, Problems& p) {
    Fields(v, at, p)
        .field("type", out.type, true)
        .field("url", out.url)
        .field("token", out.token)
        .field("from", out.from)
        .field("user", out.user)
        .field("to", out.to)
        .field("plain", out.plain);
    static constexpr std::array types{"webhook", "slack", "teams", "pagerduty", "email"};
    if (!out.type.empty() && std::ranges::find(types, out.type) == types.end())
        problem(p, at + "/type", "webhook, slack, teams, pagerduty or email expected");
    if (out.type == "pagerduty") {
        if (out.url.empty()) out.url = "https://events.pagerduty.com/v2/enqueue";
        if (out.token.empty()) problem(p, at + "/token", "pagerduty needs the routing key of its service here");
    }
    if (!out.type.empty() && out.url.empty()) problem(p, at + "/url", "is missing");
    if (out.type == "email" && (out.from.empty() || out.to.empty())) problem(p, at, "email needs `from` and `to`, and smtp:// or smtps:// as url");
}
void read_value(NotifyRoute& out, const Value& v, const std::string& at, Problems& p) {
    Fields(v, at, p)
        .field("channel", out.channel, true)
        .field("kinds", out.kinds)
        .field("clusters", out.clusters)
        .field("namespaces", out.namespaces)
        .field("min_severity", out.min_severity);
}
void read_value(PatternSeries& out, const Value& v, const std::string& at, Problems& p) {
    Fields(v, at, p)
        .field("name", out.name, true)
        .field("query", out.query, true)
        .field("limit", out.limit)
        .field("limit_query", out.limit_query)
        .field("step", out.step)
        .field("warn", out.warn);
    const bool plain = !out.name.empty() && out.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    if (!plain && !out.name.empty()) problem(p, at + "/name", "lower-case letters, digits and _ expected: it becomes part of the series' name");
    if (!out.limit_query.empty() && !(out.limit > 0 && out.limit <= 1))
        problem(p, at + "/limit", "with limit_query: a share of it, above 0 and at most 1");
    if (!out.warn.empty() && !(out.limit > 0)) problem(p, at + "/limit", "a warning needs a limit that must not be reached");
    if (out.step < 1s) problem(p, at + "/step", "at least 1s");
}
/// "on", "off", "shadow", or with a share of the subjects: "on 25%".
void read_value(AnalyzerFlag& out, const Value& v, const std::string& at, Problems& p) {
    const auto refuse = [&] { problem(p, at, "off, shadow or on expected, or a share of the subjects as in \"on 25%\""); };
    if (const auto* flag = v.if_bool()) {  // YAML 1.1 reads bare on and off as booleans
        out = {*flag ? "on" : "off", 100};
        return;
    }
    const auto* text = v.if_string();
    if (text == nullptr) return refuse();
    const std::string words(json::view(*text));
    const auto space = words.find(' ');
    AnalyzerFlag read{words.substr(0, space), 100};
    if (space != std::string::npos) {
        const std::string share = words.substr(space + 1);
        if (share.size() < 2 || share.size() > 4 || share.back() != '%' || share.find_first_not_of("0123456789") != share.size() - 1) return refuse();
        read.percent = std::stoi(share);
    }
    if ((read.mode != "on" && read.mode != "off" && read.mode != "shadow") || read.percent > 100) return refuse();
    out = read;
}
template <class T>
    requires(!std::is_same_v<T, std::string>)
void read_value(std::vector<T>& out, const Value& v, const std::string& at, Problems& p) {
    const auto* array = v.if_array();
    if (array == nullptr) return problem(p, at, "a list expected, not " + kind_of(v));
    out.clear();
    for (std::size_t i = 0; i < array->size(); ++i) read_value(out.emplace_back(), (*array)[i], at + "/" + std::to_string(i), p);
}

Value write_value(const std::string& v) { return Value(boost::json::string_view(v)); }
Value write_value(bool v) { return v; }
Value write_value(int v) { return v; }
Value write_value(double v) { return v; }
Value write_value(Duration v) { return write_value(format_duration(v)); }
Value write_value(Mode v) { return write_value(std::string(to_string(v))); }
Value write_value(const AnalyzerFlag& v) { return write_value(v.percent == 100 ? v.mode : v.mode + " " + std::to_string(v.percent) + "%"); }
Value write_value(const Budget& v) { return json::Array{v.in_flight, v.per_hour}; }
Value write_value(const std::vector<std::string>& v) {
    json::Array out;
    for (const auto& each : v) out.push_back(write_value(each));
    return out;
}
template <class T> Value write_value(const std::map<std::string, T>& v) {
    json::Object out;
    for (const auto& [key, member] : v) {
        if constexpr (requires { write_value(member); }) out[key] = write_value(member);
    }
    return out;
}
// Lists of records hold secrets and names of the installation: `explain` shows how many there are, `default` an empty list.
template <class T>
    requires(!std::is_same_v<T, std::string>)
Value write_value(const std::vector<T>&) {
    return json::Array{};
}

template <class Get> Binding bind(std::string path, std::string type, std::string help, Get get) {
    Binding binding{std::move(path), std::move(type), std::move(help), {}, {}};
    binding.read = [get](Config& c, const Value& v, const std::string& at, Problems& p) { read_value(get(c), v, at, p); };
    binding.write = [get](const Config& c) { return write_value(get(const_cast<Config&>(c))); };
    return binding;
}

Binding bind_size(std::string path, std::string help, std::int64_t& (*get)(Config&)) {
    Binding binding{std::move(path), "size", std::move(help), {}, {}};
    binding.read = [get](Config& c, const Value& v, const std::string& at, Problems& p) {
        const auto* text = v.if_string();
        const auto parsed = text != nullptr
                                ? parse_size(json::view(*text))
                                : Result<std::int64_t>(fail(ErrorCode::invalid_argument, "a size such as 10MiB expected, not " + kind_of(v)));
        if (parsed)
            get(c) = *parsed;
        else
            problem(p, at, parsed.error().message);
    };
    binding.write = [get](const Config& c) {
        const std::int64_t bytes = get(const_cast<Config&>(c));
        return write_value(bytes % (1 << 20) == 0 ? std::to_string(bytes >> 20) + "MiB" : std::to_string(bytes) + "B");
    };
    return binding;
}

#define KN_GET(expr) [](Config& c) -> auto& { return c.expr; }

/// The ages in the rules and the waits. The defaults suit production; a trial on a test cluster shortens them.
void bind_times(std::vector<Binding>& all) {
    const auto add = [&](const char* path, const char* help, auto get) { all.push_back(bind(path, "duration", help, get)); };
    add("decision.waits.correlate_storm", "wait for signals that share a cause while a storm is on", KN_GET(decision.waits.correlate_storm));
    add("decision.waits.confirm", "second read of a finding of our own watches", KN_GET(decision.waits.confirm));
    add("decision.waits.look_every", "look at incidents that wait for the world", KN_GET(decision.waits.look_every));
    add("decision.waits.evidence_gone", "a fault whose evidence is gone this long is over", KN_GET(decision.waits.evidence_gone));
    add("decision.waits.reopen", "the same fault within this time reopens its incident", KN_GET(decision.waits.reopen));
    add("decision.waits.verify", "after an execution; then the next candidate", KN_GET(decision.waits.verify_limit));
    add("decision.waits.linked", "an effect waits this long for its cause", KN_GET(decision.waits.linked_limit));
    add("decision.waits.held", "a held incident is escalated after this", KN_GET(decision.waits.held_limit));
    add("decision.waits.settle", "a fault without a plan is looked at again this long before people are told", KN_GET(decision.waits.settle));
    add("decision.waits.unknown_crash", "a crash that nothing explains may heal by itself this long", KN_GET(decision.waits.unknown_crash_limit));
    add("decision.waits.incomplete", "the same while evidence for a named class still grows", KN_GET(decision.waits.incomplete_limit));
    add("decision.ages.good_revision", "an older revision counts as good when it was available this long", KN_GET(decision.ages.good_revision));
    add("decision.ages.rollout_to_fault", "a fault that begins this soon after a rollout belongs to it", KN_GET(decision.ages.rollout_to_fault));
    add("decision.ages.config_to_fault", "the same for a changed ConfigMap or Secret", KN_GET(decision.ages.config_to_fault));
    add("decision.ages.change_to_fault", "the same for bindings, policies and custom resources", KN_GET(decision.ages.change_to_fault));
    add("decision.ages.release_to_fault", "the same for Helm and GitOps releases", KN_GET(decision.ages.release_to_fault));
    add("decision.ages.steady", "a template and configuration untouched this long are unchanged", KN_GET(decision.ages.steady));
    add("decision.ages.node_not_ready", "a node is not ready this long before it counts", KN_GET(decision.ages.node_not_ready));
    add("decision.ages.lease_stale", "a node's Lease is stale after this", KN_GET(decision.ages.lease_stale));
    add("decision.ages.pvc_pending", "a claim is pending this long before it counts", KN_GET(decision.ages.pvc_pending));
    add("decision.ages.no_endpoints", "a Service has no endpoints this long before it counts", KN_GET(decision.ages.no_endpoints));
    add("decision.ages.stuck", "a StatefulSet or DaemonSet without progress this long is stuck", KN_GET(decision.ages.stuck));
    add("decision.ages.misscheduled", "a DaemonSet pod on a wrong node this long counts", KN_GET(decision.ages.misscheduled));
    add("decision.ages.litter", "a Failed pod older than this is litter", KN_GET(decision.ages.litter));
    add("decision.ages.hpa_maxed", "an autoscaler at its maximum this long counts", KN_GET(decision.ages.hpa_maxed));
    add("decision.ages.terminating", "a pod terminating this long beyond its grace period is stuck", KN_GET(decision.ages.terminating));
    add("actions.waits.rollout_quiet", "no restart and no replaced pod this long after a rollout: it holds", KN_GET(actions.rollout_quiet));
    add("actions.waits.oom_quiet", "the same after a raised memory limit", KN_GET(actions.oom_quiet));
    add("actions.waits.probe_quiet", "the same after a relaxed probe", KN_GET(actions.probe_quiet));
    add("actions.waits.job_overdue", "a CronJob's Job that runs this long may be deleted", KN_GET(actions.job_overdue));
    all.push_back(bind("actions.max_replicas", "number", "no action scales beyond", KN_GET(actions.max_replicas)));
}

/// Pattern discovery. Every analyzer is off, in shadow (computed and checked, but not shown) or on.
void bind_patterns(std::vector<Binding>& all) {
    constexpr const char* flag = "off|shadow|on, \"on 25%\"";
    const auto add = [&](const char* path, const char* type, const char* help, auto get) { all.push_back(bind(path, type, help, get)); };
    add("patterns.enabled", "boolean", "look for patterns in the history and in measurements", KN_GET(patterns.enabled));
    add("patterns.timeseries", flag, "trends, seasons, changes, recurring failures, bursts, drifting durations", KN_GET(patterns.timeseries));
    add("patterns.forecast", flag, "limits that will be reached", KN_GET(patterns.forecast));
    add("patterns.clustering", flag, "families of executions, and what worked for them; off also takes them out of the ranking",
        KN_GET(patterns.clustering));
    add("patterns.anomaly", flag, "odd values of the measurements", KN_GET(patterns.anomaly));
    add("patterns.sequence", flag, "faults that follow each other", KN_GET(patterns.sequence));
    add("patterns.every", "duration", "between two runs", KN_GET(patterns.every));
    add("patterns.history", "duration", "how far back a run looks", KN_GET(patterns.history));
    add("patterns.horizon", "duration", "limits that are reached within it are forecast", KN_GET(patterns.horizon));
    add("patterns.deadline", "duration", "computing time of one run; beyond it counts and rates stand in, marked basic", KN_GET(patterns.deadline));
    add("patterns.analyzer_timeout", "duration", "of one analyzer; beyond it counts as a failure", KN_GET(patterns.analyzer_timeout));
    add("patterns.breaker.failures", "number", "failures of an analyzer within five minutes that cut it off", KN_GET(patterns.breaker_failures));
    add("patterns.breaker.pause", "duration", "for so long", KN_GET(patterns.breaker_pause));
    add("patterns.target_fpr", "ratio", "false discoveries of an analyzer over all that it looks at", KN_GET(patterns.target_fpr));
    add("patterns.warnings.enabled", "boolean", "send what is foretold as signals through the intake", KN_GET(patterns.warnings));
    add("patterns.warnings.confidence", "probability", "least confidence of a pattern that warns", KN_GET(patterns.least_confidence));
    add("patterns.warnings.per_run", "number", "at most, over all clusters", KN_GET(patterns.warnings_per_run));
    add("patterns.warnings.per_hour", "number", "at most, over all clusters", KN_GET(patterns.warnings_per_hour));
    add("patterns.warnings.recurrence_lead", "duration", "a recurring failure is announced so long ahead", KN_GET(patterns.recurrence_lead));
    add("patterns.warnings.again", "duration", "a pattern that warned in vain is silent for so long", KN_GET(patterns.again));
    add("patterns.default_series", "boolean", "follow volumes, memory, quotas and node disks", KN_GET(patterns.default_series));
    add("patterns.series", "list of {name, query, limit, limit_query, step, warn}",
        "more measurements: limit is a value, or a share of limit_query; warn names the signal", KN_GET(patterns.series));
}

std::vector<Binding> make_bindings() {
    std::vector<Binding> all;
    const auto add = [&](Binding b) { all.push_back(std::move(b)); };
    add(bind("http.listen", "address", "where the API, the page and the webhook listen", KN_GET(http.listen)));
    add(bind("http.tls.cert", "file", "server certificate (PEM); empty = plain HTTP", KN_GET(http.cert)));
    add(bind("http.tls.key", "file", "its key", KN_GET(http.key)));
    add(bind("http.tls.client_ca", "file", "CA of client certificates (mTLS); empty = none are asked for", KN_GET(http.client_ca)));
    add(bind_size("http.body_limit", "largest request body; larger ones are answered 413",
                  [](Config& c) -> std::int64_t& { return c.http.body_limit; }));
    add(bind("http.request_timeout", "duration", "longest time for one request; intake then answers 503", KN_GET(http.request_timeout)));
    add(bind("log.level", "debug|info|warning|error", "least level that is written", KN_GET(log.level)));
    add(bind("log.format", "json|text", "one line a decision", KN_GET(log.format)));
    add(bind("store.url", "url", "sqlite:///path or postgres://user@host/db", KN_GET(store.url)));
    add(bind("store.pool.max", "number", "PostgreSQL connections", KN_GET(store.pool_max)));
    add(bind("store.pool.wait", "duration", "longest wait for a connection", KN_GET(store.pool_wait)));
    add(bind("store.query_timeout", "duration", "longest query", KN_GET(store.query_timeout)));
    add(bind("auth.tokens", "list of {name, token}", "bearer tokens of people and services; secret://env/X and secret://file/X are resolved",
             KN_GET(auth.tokens)));
    add(bind("auth.bindings", "list of {subject, role, clusters, namespaces, approve_up_to}", "who may do what; no binding = nothing",
             KN_GET(auth.bindings)));
    add(bind("auth.mtls", "map of CN to name", "client certificates as people", KN_GET(auth.mtls)));
    add(bind("intake.sources", "list of {name, auth, token, clusters}", "who may send alerts; none = loopback only", KN_GET(intake.sources)));
    add(bind("intake.cluster_labels", "list", "labels that name the cluster, first wins", KN_GET(intake.cluster_labels)));
    add(bind("intake.aliases", "map", "names that senders use for a cluster → its id", KN_GET(intake.aliases)));
    all.push_back({"intake.inbox.rows", "number", "waiting alerts beyond which intake answers 503",
                   [](Config& c, const Value& v, const std::string& at, Problems& p) {
                       int rows = 0;
                       read_value(rows, v, at, p);
                       c.intake.inbox_rows = rows;
                   },
                   [](const Config& c) { return Value(c.intake.inbox_rows); }});
    add(bind_size("intake.inbox.bytes", "the same in bytes", [](Config& c) -> std::int64_t& { return c.intake.inbox_bytes; }));
    add(bind("intake.events", "boolean", "take Kubernetes Events as signals", KN_GET(intake.events)));
    add(bind("intake.watch", "boolean", "take findings of our own watches as signals", KN_GET(intake.watch)));
    add(bind("decision.p_auto", "probability", "from here a plan is made", KN_GET(decision.p_auto)));
    add(bind("decision.p_ask", "probability", "from here a plan is made that always asks; below it is only diagnosed", KN_GET(decision.p_ask)));
    add(bind("decision.margin", "probability", "least distance to the next class with another plan", KN_GET(decision.margin)));
    add(bind("decision.correlate", "duration", "wait for signals that share a cause", KN_GET(decision.correlate)));
    add(bind("decision.fact_age.status", "duration",
             "oldest cached status that a decision may rest on; older is read live, and an action always reads anew", KN_GET(decision.fact_status)));
    add(bind("decision.fact_age.metrics", "duration", "oldest last sample of a metric that may decide", KN_GET(decision.fact_metrics)));
    add(bind("decision.catalog", "list", "\"builtin\" and folders of workflow files", KN_GET(decision.catalog)));
    add(bind("decision.secret_sources", "map", "Secrets that may be copied to where they are missing: ns/name → ns/name of the source",
             KN_GET(decision.secret_sources)));
    bind_times(all);
    add(bind("guard.mode", "off|observe|shadow|approve|auto", "how far to go on clusters without a mode or profile of their own",
             KN_GET(guard.mode)));
    add(bind("guard.scope", "opt_out|opt_in", "opt_in: only objects that are annotated with kubernaut.io/mode, or whose namespace is, are changed",
             KN_GET(guard.scope)));
    all.back().read = [](Config& c, const Value& v, const std::string& at, Problems& p) {
        const auto* text = v.if_string();
        if (text != nullptr && (*text == "opt_out" || *text == "opt_in"))
            c.guard.scope = json::view(*text);
        else
            problem(p, at, "opt_out or opt_in expected");
    };
    add(bind("guard.protected", "list", "namespaces in which nothing is changed", KN_GET(guard.protected_namespaces)));
    add(bind("guard.freeze", "list of {name, cluster, namespace, weekday, from, to}", "times (UTC) in which nothing above risk none starts",
             KN_GET(guard.freeze)));
    add(bind("guard.cooldown.ok", "duration", "after an effective action on an object", KN_GET(guard.cooldown_ok)));
    add(bind("guard.cooldown.bad", "duration", "after an ineffective one, doubled each time", KN_GET(guard.cooldown_bad)));
    add(bind("guard.cooldown.max", "duration", "longest cooldown", KN_GET(guard.cooldown_max)));
    add(bind("guard.oscillation.window", "duration", "how far back the detectors look", KN_GET(guard.oscillation_window)));
    add(bind("guard.oscillation.hold", "duration", "hold after a high finding", KN_GET(guard.oscillation_hold)));
    add(bind("guard.budgets.object", "[in flight, per hour]", "executions on one object", KN_GET(guard.object)));
    add(bind("guard.budgets.namespace", "[in flight, per hour]", "in one namespace", KN_GET(guard.ns)));
    add(bind("guard.budgets.cluster", "[in flight, per hour]", "in one cluster", KN_GET(guard.cluster)));
    add(bind("guard.budgets.fleet", "[in flight, per hour]", "in all clusters", KN_GET(guard.fleet)));
    add(bind("guard.budgets.clusters_ratio", "ratio", "share of clusters with node work at once, at least one", KN_GET(guard.clusters_ratio)));
    add(bind("guard.budgets.min_ready_nodes", "ratio", "no node is touched below this share of Ready nodes", KN_GET(guard.min_ready_nodes)));
    add(bind("guard.storm.incidents_per_minute", "number", "above it nothing above risk none starts", KN_GET(guard.storm_incidents_per_minute)));
    add(bind("guard.storm.cooldown", "duration", "quiet time after which a storm is over", KN_GET(guard.storm_cooldown)));
    add(bind("guard.approval.ttl", "duration", "an approval that nobody gives expires", KN_GET(guard.approval_ttl)));
    add(bind("guard.approval.prod_p", "probability", "medium risk in production runs alone from here", KN_GET(guard.prod_p)));
    add(bind("guard.approval.min_q10", "probability", "and with this much proven effectiveness (10 % quantile)", KN_GET(guard.min_q10)));
    add(bind("guard.approval.min_n", "number", "from this many judged executions", KN_GET(guard.min_n)));
    add(bind("engine.lease", "duration", "a worker that is silent this long has lost its executions", KN_GET(engine.lease)));
    add(bind("engine.tries", "number", "tries of a step", KN_GET(engine.tries)));
    add(bind("engine.backoff.base", "duration", "first wait between tries", KN_GET(engine.backoff_base)));
    add(bind("engine.backoff.factor", "number", "growth of the wait", KN_GET(engine.backoff_factor)));
    add(bind("engine.backoff.cap", "duration", "longest wait", KN_GET(engine.backoff_cap)));
    add(bind("engine.workflow_timeout", "duration", "longest execution without waits", KN_GET(engine.workflow_timeout)));
    add(bind("engine.poison", "number", "workers that may die with one execution, no step ended in between, before it becomes a dead letter",
             KN_GET(engine.poison)));
    add(bind("engine.slots", "number", "executions at a time", KN_GET(engine.slots)));
    add(bind("assess.settle", "duration", "wait after an execution before its effect is judged", KN_GET(assess.settle)));
    add(bind("assess.final", "duration", "after settling, the final judgement", KN_GET(assess.final_after)));
    add(bind("assess.give_up", "duration", "unknown inputs are waited for this long", KN_GET(assess.give_up)));
    add(bind("assess.recurrence", "duration", "look whether the fault came back", KN_GET(assess.recurrence)));
    add(bind("assess.half_life", "duration", "weight of old judgements", KN_GET(assess.half_life)));
    add(bind("assess.batch", "number", "judgements at a time", KN_GET(assess.batch)));
    bind_patterns(all);
    add(bind("prometheus.url", "url", "for clusters without a Prometheus of their own", KN_GET(prometheus.url)));
    add(bind("prometheus.timeout", "duration", "longest query", KN_GET(prometheus.timeout)));
    add(bind("prometheus.step", "duration", "resolution of range queries", KN_GET(prometheus.step)));
    add(bind("fleet.probe.every", "duration", "health probe of each cluster, on a new connection", KN_GET(fleet.probe_every)));
    add(bind("fleet.probe.timeout", "duration", "longest wait for its answer", KN_GET(fleet.probe_timeout)));
    add(bind("fleet.probe.suspect", "number", "failed probes in a row until suspect", KN_GET(fleet.suspect)));
    add(bind("fleet.probe.lost", "number", "failed probes in a row until lost (with silence)", KN_GET(fleet.lost)));
    add(bind("fleet.probe.silence", "duration", "no success on any signal until lost", KN_GET(fleet.silence)));
    add(bind("fleet.lane.queue", "number", "waiting calls of one cluster", KN_GET(fleet.lane_queue)));
    add(bind("fleet.lane.connections", "number", "connections to one cluster", KN_GET(fleet.lane_connections)));
    add(bind("fleet.lane.qps", "number", "calls a second to one cluster", KN_GET(fleet.lane_qps)));
    add(bind("fleet.lane.burst", "number", "and at once", KN_GET(fleet.lane_burst)));
    add(bind("fleet.lane.concurrency", "number", "calls in flight to one cluster", KN_GET(fleet.lane_concurrency)));
    add(bind("fleet.owner_lease", "boolean",
             "hold the Lease kubernaut-system/kubernaut-owner in clusters that may be changed, so that two installations never change one",
             KN_GET(fleet.owner_lease)));
    add(bind("profiles", "map of name to {mode}", "mode by profile; a cluster without one uses that of its environment", KN_GET(profiles)));
    all.back().read = [](Config& c, const Value& v, const std::string& at, Problems& p) {
        const auto* object = v.if_object();
        if (object == nullptr) return problem(p, at, "a map expected, not " + kind_of(v));
        for (const auto& [key, member] : *object) {
            const std::string name(key.data(), key.size());
            Mode mode = Mode::shadow;
            Fields(member, at + "/" + name, p).field("mode", mode, true);
            c.profiles[name] = mode;
        }
    };
    all.back().write = [](const Config& c) {
        json::Object out;
        for (const auto& [name, mode] : c.profiles) out[name] = json::Object{{"mode", to_string(mode)}};
        return Value(std::move(out));
    };
    add(bind(
        "clusters",
        "list of {id, kind, environment, labels, profile, mode, kubeconfig, context, server, token, token_file, ca_file, in_cluster, prometheus}",
        "the clusters to serve", KN_GET(clusters)));
    add(bind("notify.channels", "map of name to {type, url, token, from, to, user, plain}",
             "where messages go: webhook (token = signing key), slack, teams, pagerduty (token = routing key) or email", KN_GET(notify.channels)));
    add(bind("notify.routes", "list of {channel, kinds, clusters, namespaces, min_severity}",
             "which messages go where; kinds: docs/architecture.md, \"Messages to people\"", KN_GET(notify.routes)));
    add(bind("notify.digest", "duration", "what is more than thirty messages a minute waits this long and goes out as one", KN_GET(notify.digest)));
    add(bind("retention.inbox", "duration", "raw alerts as they came", KN_GET(retention.inbox)));
    add(bind("retention.signals", "duration", "normalised alerts, since they were last seen", KN_GET(retention.signals)));
    add(bind("retention.history", "duration", "ended incidents, executions, actions, approvals and assessments", KN_GET(retention.history)));
    add(bind("retention.snapshots", "duration", "what objects looked like; the newest of each stays", KN_GET(retention.snapshots)));
    add(bind("retention.notifications", "duration", "messages to people, and dead letters", KN_GET(retention.notifications)));
    add(bind("retention.every", "duration", "between two rounds of deleting", KN_GET(retention.every)));
    add(bind("retention.batch", "number", "rows a table in one transaction", KN_GET(retention.batch)));
    return all;
}

}  // namespace

const std::vector<Binding>& bindings() {
    static const std::vector<Binding> all = make_bindings();
    return all;
}

}  // namespace kn::config
