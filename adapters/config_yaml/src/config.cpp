#include "kubernaut/config/config.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <set>

#include "bindings.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/json/yaml.hpp"

namespace kn::config {
namespace {

std::string pointer_of(std::string path) {
    std::replace(path.begin(), path.end(), '.', '/');
    return "/" + path;
}

/// Levenshtein distance, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t up = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = up;
        }
    }
    return row[b.size()];
}

std::string nearest(const std::string& path) {
    const Binding* best = nullptr;
    std::size_t least = 1 + path.size() / 3;
    for (const Binding& binding : bindings()) {
        const std::size_t d = distance(path, binding.path);
        if (d <= least) {
            least = d;
            best = &binding;
        }
    }
    return best == nullptr ? std::string{} : " (did you mean " + best->path + "?)";
}

/// Keys that no binding knows, walking only as deep as bindings go.
void find_unknown(const json::Value& value, const std::string& path, Problems& problems) {
    for (const auto& [key, member] : value.get_object()) {
        const std::string name(key.data(), key.size());
        const std::string here = path.empty() ? name : path + "." + name;
        const bool known = std::any_of(bindings().begin(), bindings().end(), [&](const Binding& b) { return b.path == here; });
        if (known) continue;
        const bool section = std::any_of(bindings().begin(), bindings().end(), [&](const Binding& b) { return b.path.starts_with(here + "."); });
        if (section && member.is_object())
            find_unknown(member, here, problems);
        else if (section && !member.is_null())
            problems.push_back(Error{.code = ErrorCode::invalid_argument, .message = "a map expected", .field = pointer_of(here)});
        else if (!section)
            problems.push_back(
                Error{.code = ErrorCode::invalid_argument, .message = "unknown key \"" + name + "\"" + nearest(here), .field = pointer_of(here)});
    }
}

void check_whole(const Config& config, Problems& problems, std::vector<std::string>& warnings) {
    const auto problem = [&](std::string pointer, std::string message) {
        problems.push_back(Error{.code = ErrorCode::invalid_argument, .message = std::move(message), .field = std::move(pointer)});
    };
    std::set<std::string> ids;
    for (std::size_t i = 0; i < config.clusters.size(); ++i) {
        const ClusterEntry& cluster = config.clusters[i];
        const std::string at = "/clusters/" + std::to_string(i);
        if (const auto id = parse_cluster_id(cluster.id); !cluster.id.empty() && !id) problem(at + "/id", id.error().message);
        if (!ids.insert(cluster.id).second) problem(at + "/id", "two clusters have the id " + cluster.id);
        if (!cluster.profile.empty() && !config.profiles.contains(cluster.profile))
            problem(at + "/profile", "there is no profile " + cluster.profile);
        if (cluster.environment == Environment::unknown)
            warnings.push_back("cluster " + cluster.id + " has no environment: it is treated like production");
    }
    if (config.decision.p_ask > config.decision.p_auto) problem("/decision/p_ask", "must not be above decision.p_auto");
    if (config.decision.p_auto > 1) problem("/decision/p_auto", "a probability is at most 1");
    if (!config.http.cert.empty() != !config.http.key.empty()) problem("/http/tls", "cert and key come together");
    if (config.http.cert.empty() && !config.http.client_ca.empty())
        problem("/http/tls/client_ca", "client certificates need TLS: set http.tls.cert and key");
    if (!config.store.url.starts_with("sqlite:") && !config.store.url.starts_with("postgres://") && !config.store.url.starts_with("postgresql://")) {
        problem("/store/url", "sqlite:///path or postgres://... expected");
    }
    static const std::set<std::string> levels{"debug", "info", "warning", "error"}, formats{"json", "text"};
    if (!levels.contains(config.log.level)) problem("/log/level", "debug, info, warning or error expected");
    if (!formats.contains(config.log.format)) problem("/log/format", "json or text expected");
    std::set<std::string> names;
    for (const Token& token : config.auth.tokens) names.insert(token.name);
    for (const auto& [cn, name] : config.auth.mtls) names.insert(name);
    for (std::size_t i = 0; i < config.auth.bindings.size(); ++i) {
        if (!names.contains(config.auth.bindings[i].subject)) {
            warnings.push_back("auth.bindings[" + std::to_string(i) + "]: nobody can log in as " + config.auth.bindings[i].subject);
        }
    }
    for (std::size_t i = 0; i < config.notify.routes.size(); ++i) {
        if (!config.notify.channels.contains(config.notify.routes[i].channel)) {
            problem("/notify/routes/" + std::to_string(i) + "/channel", "there is no channel " + config.notify.routes[i].channel);
        }
    }
    if (config.intake.sources.empty()) warnings.emplace_back("intake.sources is empty: alerts are taken from loopback only");
}

std::string env_name(std::string path) {
    std::string out = "KUBERNAUT_";
    for (const char c : path) out += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

}  // namespace

Mode Config::mode_of(const ClusterEntry& cluster) const {
    if (cluster.mode) return *cluster.mode;
    const std::string profile = !cluster.profile.empty() ? cluster.profile : std::string(to_string(cluster.environment));
    const auto found = profiles.find(profile);
    return found == profiles.end() ? guard.mode : found->second;
}

Loaded load(std::string_view yaml, const std::map<std::string, std::string>& environment) {
    Loaded loaded;
    auto document = json::parse_yaml(yaml);
    if (!document) {
        loaded.problems.push_back(document.error());
        return loaded;
    }
    if (document->value.is_null()) document->value.emplace_object();
    if (!document->value.is_object()) {
        loaded.problems.push_back(Error{.code = ErrorCode::invalid_argument, .message = "a map of settings expected", .field = "line 1"});
        return loaded;
    }
    Problems problems;
    find_unknown(document->value, "", problems);
    for (const Binding& binding : bindings()) {
        const std::string pointer = pointer_of(binding.path);
        if (const auto* value = json::at_pointer(document->value, pointer)) binding.read(loaded.config, *value, pointer, problems);
        if (const auto override_ = environment.find(env_name(binding.path)); override_ != environment.end()) {
            auto value = json::parse_yaml(override_->second);
            if (!value) value->value = nullptr;
            // A text setting takes the text as it is: a password of digits stays one.
            const bool text = binding.write(loaded.config).is_string() && !value->value.is_string() && !value->value.is_object();
            Problems own;
            binding.read(loaded.config, text ? json::Value(boost::json::string_view(override_->second)) : value->value, "", own);
            for (Error& error : own) {
                error.field = "environment " + override_->first;
                loaded.problems.push_back(std::move(error));
            }
        }
    }
    check_whole(loaded.config, problems, loaded.warnings);
    for (Error& error : problems) error.field = document->place(error.field);
    loaded.problems.insert(loaded.problems.end(), problems.begin(), problems.end());
    return loaded;
}

std::vector<KeyDoc> explain(const Config& config) {
    std::vector<KeyDoc> docs;
    for (const Binding& binding : bindings()) {
        docs.push_back({binding.path, binding.type, json::dump(binding.write(config)), binding.help});
    }
    return docs;
}

std::string default_yaml() {
    const Config defaults;
    std::string out =
        "# Kubernaut's settings with their defaults. An unknown key is an error. Every key can be set by the environment as well:\n"
        "# KUBERNAUT_<PATH>, e.g. KUBERNAUT_HTTP_LISTEN. Settings are read at start.\n";
    std::vector<std::string> open;
    for (const Binding& binding : bindings()) {
        std::vector<std::string> parts{""};
        for (const char c : binding.path) {
            if (c == '.')
                parts.emplace_back();
            else
                parts.back() += c;
        }
        std::size_t depth = 0;
        while (depth + 1 < parts.size() && depth < open.size() && open[depth] == parts[depth]) ++depth;
        open.resize(depth);
        for (; depth + 1 < parts.size(); ++depth) {
            out += std::string(2 * depth, ' ') + parts[depth] + ":\n";
            open.push_back(parts[depth]);
        }
        out += std::string(2 * depth, ' ') + parts.back() + ": " + json::dump(binding.write(defaults)) + "  # " + binding.help + "\n";
    }
    return out;
}

Result<std::string> resolve_secret(std::string_view reference, const std::map<std::string, std::string>& environment) {
    constexpr std::string_view env = "secret://env/", file = "secret://file/";
    if (reference.starts_with(env)) {
        const auto found = environment.find(std::string(reference.substr(env.size())));
        if (found == environment.end() || found->second.empty()) {
            return fail(ErrorCode::not_found, "environment variable " + std::string(reference.substr(env.size())) + " is not set");
        }
        return found->second;
    }
    if (reference.starts_with(file)) {
        const std::string path = "/" + std::string(reference.substr(file.size()));
        std::ifstream in(path, std::ios::binary);
        if (!in) return fail(ErrorCode::not_found, "secret file " + path + " cannot be read");
        std::string text{std::istreambuf_iterator<char>(in), {}};
        while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
        if (text.empty()) return fail(ErrorCode::invalid_argument, "secret file " + path + " is empty");
        return text;
    }
    if (reference.starts_with("secret://")) return fail(ErrorCode::invalid_argument, "secret://env/NAME or secret://file/PATH expected");
    return std::string(reference);
}

Result<std::int64_t> parse_size(std::string_view text) {
    double number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    double factor = 0;
    if (unit == "B")
        factor = 1;
    else if (unit == "KiB")
        factor = 1024;
    else if (unit == "MiB")
        factor = 1024.0 * 1024;
    else if (unit == "GiB")
        factor = 1024.0 * 1024 * 1024;
    if (ec != std::errc{} || factor == 0 || number < 0 || number * factor > 1e15) {
        return fail(ErrorCode::invalid_argument, "a size such as 512KiB, 10MiB or 2GiB expected, not \"" + std::string(text.substr(0, 32)) + "\"");
    }
    return static_cast<std::int64_t>(number * factor);
}

}  // namespace kn::config
