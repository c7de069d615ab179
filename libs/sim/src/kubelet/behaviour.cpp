// The BehaviourBook document:
//
//   registries:
//     registry.example: {private: true, closed: true, down: false, tags: {shop/cart: ["1.*", "2.0"]}}
//   behaviours:
//     - name: cart-needs-a-valid-config          # for remove_rule
//       match:                                   # all given parts must hold; texts are globs
//         namespace: shop
//         container: app
//         image: "*/cart:*"
//         labels: {app: cart}
//         command: "*--strict*"                  # command and args, joined by spaces
//         env: {MODE: "prod*"}
//         config: {object: ConfigMap/cart-config, key: app.conf, contains: "timeout=-1"}   # or equals, lacks, absent: true
//         memory_limit: {below: 256Mi}           # or at_least; no limit counts as endless
//       run:                                     # sets what it names, leaves the rest
//         exit: {code: 1, after: 3s}             # null takes an exit away
//         stop: {code: 143, takes: 5s}
//         start_error: "exec format error"
//         startup: 10s
//         ready: false
//         alive: false
//         memory: {start: 20Mi, base: 80Mi, ramp: 10s, growth: 1Mi}    # growth a second
//         cpu: 0.2
//         probe: {paths: [/healthz], latency: 200ms}
//         dependencies: {services: [infra/db], on_down: crash, lag: 20s}
//         needs_access: ["list configmaps"]      # of its ServiceAccount, in its namespace
//         log: ["reading configuration"]
#include "kubernaut/sim/kubelet/behaviour.hpp"

#include <algorithm>
#include <cmath>

#include "common/text.hpp"
#include "kubelet/command_line.hpp"
#include "kubernaut/json/yaml.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim {

double MemoryCurve::at(Duration age) const {
    const double seconds = std::max(0.0, std::chrono::duration<double>(age).count());
    const double half = std::max(0.001, std::chrono::duration<double>(ramp).count());
    return base + (start - base) * std::exp2(-seconds / half) + growth * seconds;
}

std::optional<Duration> MemoryCurve::reaches(double bytes) const {
    if (at(Duration::zero()) >= bytes) return Duration::zero();
    // Monotone for start <= base and growth >= 0: double the age until it is beyond, then halve the interval.
    constexpr std::int64_t longest = std::chrono::duration_cast<Duration>(std::chrono::hours{24 * 30}).count();
    std::int64_t high = 1000;
    while (at(Duration{high}) < bytes) {
        if (high > longest) return std::nullopt;
        high *= 2;
    }
    std::int64_t low = 0;
    while (high - low > 50) {
        const std::int64_t middle = low + (high - low) / 2;
        (at(Duration{middle}) < bytes ? low : high) = middle;
    }
    return Duration{high};
}

bool Behaviour::operator==(const Behaviour& other) const {
    const auto same_memory = [](const std::optional<MemoryCurve>& a, const std::optional<MemoryCurve>& b) {
        if (a.has_value() != b.has_value()) return false;
        return !a || (a->start == b->start && a->base == b->base && a->ramp == b->ramp && a->growth == b->growth);
    };
    return exit_code == other.exit_code && exit_after == other.exit_after && stop_code == other.stop_code && stop_takes == other.stop_takes &&
           start_error == other.start_error && startup == other.startup && ready == other.ready && alive == other.alive &&
           same_memory(memory, other.memory) && cpu == other.cpu && probe_paths == other.probe_paths && probe_latency == other.probe_latency &&
           on_dependency == other.on_dependency && dependencies == other.dependencies && dependency_lag == other.dependency_lag &&
           access == other.access;
}

std::optional<ImageName> ImageName::parse(std::string_view text) {
    if (text.empty() || text.find_first_of(" \t\"'") != std::string_view::npos) return std::nullopt;
    ImageName name;
    std::string_view rest = text;
    if (const auto at = rest.find('@'); at != std::string_view::npos) {
        name.tag = rest.substr(at);
        rest = rest.substr(0, at);
    } else if (const auto colon = rest.find_last_of(':'); colon != std::string_view::npos && rest.find('/', colon) == std::string_view::npos) {
        name.tag = rest.substr(colon + 1);
        rest = rest.substr(0, colon);
        if (name.tag.empty()) return std::nullopt;
    } else {
        name.tag = "latest";
    }
    const auto slash = rest.find('/');
    const std::string_view first = rest.substr(0, slash);
    if (slash != std::string_view::npos && (first.find_first_of(".:") != std::string_view::npos || first == "localhost")) {
        name.host = first;
        name.repository = rest.substr(slash + 1);
    } else {
        name.host = "docker.io";
        name.repository = slash == std::string_view::npos ? "library/" + std::string(rest) : std::string(rest);
    }
    for (const char c : name.repository) {
        if ((c >= 'A' && c <= 'Z') || c == ':') return std::nullopt;
    }
    if (name.repository.empty()) return std::nullopt;
    return name;
}

namespace {

struct ConfigTest {
    std::string object, key;
    std::optional<std::string> contains, equals, lacks;
    bool absent = false;

    [[nodiscard]] bool holds(const ContainerView& view) const {
        bool seen = false;
        for (const auto& [path, content] : view.config) {
            const auto slash = path.rfind('/');
            if (!glob_matches(object, path.substr(0, slash)) || !glob_matches(key.empty() ? "*" : key, path.substr(slash + 1))) continue;
            seen = true;
            if (contains && !content.contains(*contains)) continue;
            if (equals && trimmed(content) != trimmed(*equals)) continue;
            if (lacks && content.contains(*lacks)) continue;
            if (!absent) return true;
        }
        return absent && !seen;
    }
};

struct Match {
    std::string ns = "*", container = "*", image = "*", command = "*";
    std::map<std::string, std::string> labels, env;
    std::vector<ConfigTest> config;
    std::optional<double> limit_below, limit_at_least;

    [[nodiscard]] bool holds(const ContainerView& view, const std::string& line) const {
        if (!glob_matches(ns, view.ns) || !glob_matches(container, view.container) || !glob_matches(image, view.image) ||
            !glob_matches(command, line))
            return false;
        for (const auto& [key, pattern] : labels) {
            const auto* found = view.labels == nullptr ? nullptr : view.labels->if_contains(key);
            if (found == nullptr || !found->is_string() || !glob_matches(pattern, json::view(found->get_string()))) return false;
        }
        for (const auto& [key, pattern] : env) {
            const auto found = view.env.find(key);
            if (found == view.env.end() || !glob_matches(pattern, found->second)) return false;
        }
        for (const auto& test : config) {
            if (!test.holds(view)) return false;
        }
        if (limit_below && (view.memory_limit <= 0 || view.memory_limit >= *limit_below)) return false;
        return !limit_at_least || view.memory_limit <= 0 || view.memory_limit >= *limit_at_least;
    }
};

struct Rule {
    std::string name;
    Match match;
    json::Object run;
};

Result<Duration> duration_of(const json::Value& value, std::string_view field) {
    if (const auto* text = value.if_string()) {
        auto parsed = parse_duration(json::view(*text));
        if (parsed) return *parsed;
    }
    if (const auto number = json::to_double(&value)) return Duration{static_cast<std::int64_t>(*number * 1000)};
    return fail(ErrorCode::invalid_argument, "expected a duration such as \"5s\"", std::string(field));
}

Result<double> bytes_of(const json::Value& value, std::string_view field) {
    if (const auto bytes = kube::quantity_at(&value)) return *bytes;
    return fail(ErrorCode::invalid_argument, "expected a quantity such as 64Mi", std::string(field));
}

Result<> only(const json::Object& object, std::initializer_list<std::string_view> known, std::string_view where) {
    for (const auto& [key, value] : object) {
        if (std::ranges::find(known, std::string_view(key.data(), key.size())) == known.end()) {
            return fail(ErrorCode::invalid_argument, "unknown key '" + std::string(key) + "'", std::string(where));
        }
    }
    return {};
}

/// Sets what `run` names. Called at load with a scratch value, so that errors show then and never later.
Result<> apply_run(const json::Object& run, Behaviour& out) {
    KN_CHECK(only(run, {"exit", "stop", "start_error", "startup", "ready", "alive", "memory", "cpu", "probe", "dependencies", "needs_access", "log"},
                  "run"));
    for (const auto& [key, value] : run) {
        if (key == "exit") {
            if (value.is_null()) {
                out.exit_code.reset();
                continue;
            }
            out.exit_code = static_cast<int>(json::int_at(value, "code").value_or(1));
            out.exit_after = 2s;
            if (const auto* after = json::at(value, "after")) {
                KN_TRY(out.exit_after, duration_of(*after, "run.exit.after"));
            }
        } else if (key == "stop") {
            out.stop_code = static_cast<int>(json::int_at(value, "code").value_or(0));
            if (const auto* takes = json::at(value, "takes")) {
                KN_TRY(out.stop_takes, duration_of(*takes, "run.stop.takes"));
            }
        } else if (key == "start_error") {
            out.start_error.reset();
            if (const auto* text = value.if_string()) out.start_error = std::string(json::view(*text));
        } else if (key == "startup") {
            KN_TRY(out.startup, duration_of(value, "run.startup"));
        } else if (key == "ready" || key == "alive") {
            if (!value.is_bool()) return fail(ErrorCode::invalid_argument, "expected true or false", "run." + std::string(key));
            (key == "ready" ? out.ready : out.alive) = value.get_bool();
        } else if (key == "memory") {
            MemoryCurve curve;
            if (const auto* base = json::at(value, "base")) {
                KN_TRY(curve.base, bytes_of(*base, "run.memory.base"));
            }
            curve.start = curve.base / 4;
            if (const auto* start = json::at(value, "start")) {
                KN_TRY(curve.start, bytes_of(*start, "run.memory.start"));
            }
            if (const auto* growth = json::at(value, "growth")) {
                KN_TRY(curve.growth, bytes_of(*growth, "run.memory.growth"));
            }
            if (const auto* ramp = json::at(value, "ramp")) {
                KN_TRY(curve.ramp, duration_of(*ramp, "run.memory.ramp"));
            }
            if (curve.start > curve.base) curve.start = curve.base;
            out.memory = curve;
        } else if (key == "cpu") {
            KN_TRY(out.cpu, bytes_of(value, "run.cpu"));
        } else if (key == "probe") {
            if (json::at(value, "paths") != nullptr) out.probe_paths = strings_of(json::array_at(value, "paths"));
            if (const auto* latency = json::at(value, "latency")) {
                KN_TRY(out.probe_latency, duration_of(*latency, "run.probe.latency"));
            }
        } else if (key == "dependencies") {
            if (json::at(value, "services") != nullptr) out.dependencies = strings_of(json::array_at(value, "services"));
            const auto on_down = json::string_at(value, "on_down");
            if (on_down == "crash")
                out.on_dependency = OnDependencyDown::crash;
            else if (on_down == "unready")
                out.on_dependency = OnDependencyDown::unready;
            else if (on_down == "ignore")
                out.on_dependency = OnDependencyDown::ignore;
            else if (!on_down.empty())
                return fail(ErrorCode::invalid_argument, "expected crash, unready or ignore", "run.dependencies.on_down");
            if (const auto* lag = json::at(value, "lag")) {
                KN_TRY(out.dependency_lag, duration_of(*lag, "run.dependencies.lag"));
            }
        } else if (key == "needs_access") {
            if (!value.is_array()) return fail(ErrorCode::invalid_argument, "expected a list such as [\"list configmaps\"]", "run.needs_access");
            out.access = strings_of(value.get_array());
        } else if (key == "log") {
            if (!value.is_array()) return fail(ErrorCode::invalid_argument, "expected a list of lines", "run.log");
            out.log = strings_of(value.get_array());
        }
    }
    return {};
}

std::map<std::string, std::string> text_map(const json::Object& object) {
    std::map<std::string, std::string> out;
    for (const auto& [key, value] : object) {
        out[std::string(key)] = value.is_string() ? std::string(json::view(value.get_string())) : json::dump(value);
    }
    return out;
}

Result<ConfigTest> read_config_test(const json::Value& value) {
    ConfigTest test;
    if (!value.is_object()) return fail(ErrorCode::invalid_argument, "expected {object, key, contains | equals | lacks | absent}", "match.config");
    KN_CHECK(only(value.get_object(), {"object", "key", "contains", "equals", "lacks", "absent"}, "match.config"));
    test.object = json::string_at(value, "object");
    test.key = json::string_at(value, "key");
    if (!test.object.contains('/')) return fail(ErrorCode::invalid_argument, "expected ConfigMap/name or Secret/name", "match.config.object");
    const auto text = [&](std::string_view key) {
        return json::at(value, key) == nullptr ? std::nullopt : std::optional(std::string(json::string_at(value, key)));
    };
    test.contains = text("contains");
    test.equals = text("equals");
    test.lacks = text("lacks");
    test.absent = json::bool_at(value, "absent").value_or(false);
    return test;
}

Result<Rule> read_rule(const json::Value& document) {
    if (!document.is_object()) return fail(ErrorCode::invalid_argument, "a behaviour is {name, match, run}");
    KN_CHECK(only(document.get_object(), {"name", "match", "run"}, "behaviour"));
    Rule rule;
    rule.name = json::string_at(document, "name");
    const auto& match = json::object_at(document, "match");
    KN_CHECK(only(match, {"namespace", "container", "image", "labels", "command", "env", "config", "memory_limit"}, "match"));
    const json::Value holder(match);
    const auto glob = [&](std::string_view key) {
        const auto text = json::string_at(holder, key);
        return text.empty() ? std::string("*") : std::string(text);
    };
    rule.match.ns = glob("namespace");
    rule.match.container = glob("container");
    rule.match.image = glob("image");
    rule.match.command = glob("command");
    rule.match.labels = text_map(json::object_at(holder, "labels"));
    rule.match.env = text_map(json::object_at(holder, "env"));
    if (const auto* config = json::at(holder, "config")) {
        if (config->is_array()) {
            for (const auto& each : config->get_array()) {
                KN_TRY(auto test, read_config_test(each));
                rule.match.config.push_back(std::move(test));
            }
        } else {
            KN_TRY(auto test, read_config_test(*config));
            rule.match.config.push_back(std::move(test));
        }
    }
    if (const auto* below = json::at(holder, "memory_limit", "below")) {
        KN_TRY(rule.match.limit_below, bytes_of(*below, "match.memory_limit.below"));
    }
    if (const auto* at_least = json::at(holder, "memory_limit", "at_least")) {
        KN_TRY(rule.match.limit_at_least, bytes_of(*at_least, "match.memory_limit.at_least"));
    }
    rule.run = json::object_at(document, "run");
    Behaviour scratch;
    KN_CHECK(apply_run(rule.run, scratch));
    return rule;
}

/// Configuration that does not even parse stops any program that reads it.
std::optional<std::string> broken_config(const ContainerView& view) {
    for (const auto& [path, content] : view.config) {
        if (!path.starts_with("ConfigMap/")) continue;
        if (path.ends_with(".json") && !json::parse(content)) return path;
        if ((path.ends_with(".yaml") || path.ends_with(".yml")) && !json::parse_yaml_stream(content)) return path;
    }
    return std::nullopt;
}

}  // namespace

struct BehaviourBook::State {
    std::vector<Rule> rules;
    std::map<std::string, RegistryState, std::less<>> registries;
    std::uint64_t version = 0;
    std::vector<std::function<void()>> listeners;
    void changed() {
        ++version;
        for (const auto& listener : listeners) listener();
    }
};

BehaviourBook::BehaviourBook() : state_(std::make_unique<State>()) {}
BehaviourBook::~BehaviourBook() = default;

Result<> BehaviourBook::load(const json::Value& document) {
    if (!document.is_object()) return fail(ErrorCode::invalid_argument, "a behaviour book is {registries, behaviours}");
    KN_CHECK(only(document.get_object(), {"registries", "behaviours"}, "behaviour book"));
    for (const auto& [host, value] : json::object_at(document, "registries")) {
        if (!value.is_object()) return fail(ErrorCode::invalid_argument, "expected {private, closed, down, tags}", "registries." + std::string(host));
        KN_CHECK(only(value.get_object(), {"private", "closed", "down", "tags"}, "registries." + std::string(host)));
        auto& registry = state_->registries[std::string(host)];
        if (const auto flag = json::bool_at(value, "private")) registry.is_private = *flag;
        if (const auto flag = json::bool_at(value, "closed")) registry.closed = *flag;
        if (const auto flag = json::bool_at(value, "down")) registry.down = *flag;
        for (const auto& [repository, tags] : json::object_at(value, "tags")) {
            if (tags.is_array()) registry.tags[std::string(repository)] = strings_of(tags.get_array());
        }
    }
    const auto& rules = json::array_at(document, "behaviours");
    for (std::size_t i = 0; i < rules.size(); ++i) {
        auto added = add_rule(rules[i]);
        if (!added) return fail(added.error().with_context("behaviours[" + std::to_string(i) + "]"));
    }
    state_->changed();
    return {};
}

Result<> BehaviourBook::load_yaml(std::string_view text) {
    KN_TRY(auto document, json::parse_yaml(text));
    return load(document.value);
}

Result<> BehaviourBook::add_rule(const json::Value& rule) {
    KN_TRY(auto read, read_rule(rule));
    state_->rules.push_back(std::move(read));
    state_->changed();
    return {};
}

void BehaviourBook::remove_rule(std::string_view name) {
    if (std::erase_if(state_->rules, [&](const Rule& rule) { return rule.name == name; }) > 0) state_->changed();
}

Behaviour BehaviourBook::behaviour_of(const ContainerView& view) const {
    Behaviour out;
    out.memory = MemoryCurve{.start = 12.0 * (1 << 20), .base = 40.0 * (1 << 20), .ramp = 10s, .growth = 0};
    // A program of which nothing is known fits into its limit.
    if (view.memory_limit > 0 && out.memory->base > view.memory_limit * 0.6) {
        out.memory->base = view.memory_limit * 0.6;
        out.memory->start = view.memory_limit * 0.2;
    }
    auto effect = read_command(view.command, view.args);
    out.exit_code = effect.exit_code;
    if (effect.exit_code) out.exit_after = std::max<Duration>(effect.after, 200ms);
    out.start_error = std::move(effect.start_error);
    out.log = std::move(effect.output);
    if (const auto broken = broken_config(view); broken && !out.exit_code) {
        out.exit_code = 1;
        out.exit_after = 2s;
        out.log = {"fatal: cannot parse " + *broken};
    }
    std::vector<std::string> words = view.command;
    words.insert(words.end(), view.args.begin(), view.args.end());
    const std::string line = join(words, " ");
    for (const Rule& rule : state_->rules) {
        if (rule.match.holds(view, line)) (void)apply_run(rule.run, out);
    }
    return out;
}

PullVerdict BehaviourBook::pull(std::string_view image, const std::vector<std::string>& docker_configs) const {
    const auto name = ImageName::parse(image);
    if (!name) return PullVerdict::invalid_name;
    const auto found = state_->registries.find(name->host);
    if (found == state_->registries.end()) return PullVerdict::ok;
    const RegistryState& registry = found->second;
    if (registry.down) return PullVerdict::unavailable;
    if (registry.is_private) {
        bool allowed = false;
        for (const auto& config : docker_configs) {
            const auto parsed = json::parse(config);
            if (!parsed) continue;
            for (const auto& [host, auth] : json::object_at(*parsed, "auths")) {
                const std::string_view server(host.data(), host.size());
                allowed = allowed || server == name->host || server == "https://" + name->host || server.starts_with(name->host + "/");
            }
        }
        if (!allowed) return PullVerdict::unauthorized;
    }
    if (!registry.closed) return PullVerdict::ok;
    const auto tags = registry.tags.find(name->repository);
    if (tags == registry.tags.end()) return PullVerdict::not_found;
    for (const auto& pattern : tags->second) {
        if (glob_matches(pattern, name->tag)) return PullVerdict::ok;
    }
    return PullVerdict::not_found;
}

RegistryState& BehaviourBook::registry(std::string_view host) {
    ++state_->version;
    return state_->registries[std::string(host)];
}

void BehaviourBook::add_image(std::string_view image) {
    const auto name = ImageName::parse(image);
    if (!name) return;
    auto& tags = state_->registries[name->host].tags[name->repository];
    if (std::ranges::find(tags, name->tag) == tags.end()) tags.push_back(name->tag);
    state_->changed();
}

std::uint64_t BehaviourBook::version() const { return state_->version; }
void BehaviourBook::subscribe(std::function<void()> listener) { state_->listeners.push_back(std::move(listener)); }

}  // namespace kn::sim
