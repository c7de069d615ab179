#include "credentials.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "exec_plugin.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/json/json.hpp"

extern char** environ;

namespace kn::kube::http {
namespace {

constexpr std::size_t max_file = 1U << 20U;

Result<std::string> read_small_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(ErrorCode::unauthenticated, "cannot read " + path);
    std::string text(max_file + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.empty() || text.size() > max_file) return fail(ErrorCode::unauthenticated, path + " is empty or too large");
    return text;
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// A credential goes into a header line: it must be one line.
Result<> check_token(std::string_view token) {
    const bool clean = std::ranges::all_of(token, [](char c) { return c > 32 && c < 127; });
    if (!clean) return fail(ErrorCode::unauthenticated, "the token has characters that a token cannot have");
    return {};
}

/// The plug-in sees our environment (PATH, HOME, a cloud's variables) without our own settings, which hold secrets.
std::map<std::string, std::string> inherited_environment() {
    std::map<std::string, std::string> out;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const auto sign = text.find('=');
        if (sign == std::string_view::npos || text.starts_with("KUBERNAUT_") || text.starts_with("PGPASS")) continue;
        out.emplace(text.substr(0, sign), text.substr(sign + 1));
    }
    return out;
}

}  // namespace

Result<PluginCredential> parse_exec_credential(std::string_view text, std::string_view api_version) {
    const auto parsed = json::parse(text);
    if (!parsed) return fail(ErrorCode::unauthenticated, "the plug-in's answer is not JSON");  // no place, no text: it may be a secret
    if (json::string_at(*parsed, "kind") != "ExecCredential" || json::string_at(*parsed, "apiVersion") != api_version) {
        return fail(ErrorCode::unauthenticated, "the plug-in's answer is not an ExecCredential of " + std::string(api_version));
    }
    PluginCredential credential;
    credential.token = json::string_at(*parsed, "status", "token");
    credential.cert_pem = json::string_at(*parsed, "status", "clientCertificateData");
    credential.key_pem = json::string_at(*parsed, "status", "clientKeyData");
    if (credential.cert_pem.empty() != credential.key_pem.empty()) {
        return fail(ErrorCode::unauthenticated, "the plug-in gave a certificate without its key, or a key without its certificate");
    }
    if (credential.token.empty() && credential.cert_pem.empty()) return fail(ErrorCode::unauthenticated, "the plug-in gave no credential");
    KN_CHECK(check_token(credential.token));
    if (const auto expires = json::string_at(*parsed, "status", "expirationTimestamp"); !expires.empty()) {
        const auto time = parse_rfc3339(expires);
        if (!time) return fail(ErrorCode::unauthenticated, "the plug-in's expirationTimestamp is not a time");
        credential.expires = *time;
    }
    return credential;
}

std::string exec_info(const ExecCredential& exec, const ConnectionConfig& config, std::string_view ca_pem) {
    json::Object spec{{"interactive", false}};
    if (exec.provide_cluster_info) {
        json::Object cluster{{"server", config.server}};
        if (!ca_pem.empty()) cluster["certificate-authority-data"] = base64_encode(ca_pem);
        if (!config.tls_server_name.empty()) cluster["tls-server-name"] = config.tls_server_name;
        if (config.insecure_skip_tls_verify) cluster["insecure-skip-tls-verify"] = true;
        if (!config.proxy_url.empty()) cluster["proxy-url"] = config.proxy_url;
        spec["cluster"] = std::move(cluster);
    }
    return json::dump(json::Object{{"kind", "ExecCredential"}, {"apiVersion", exec.api_version}, {"spec", std::move(spec)}});
}

/// The plug-in's runs. Shared with the thread of a run, which posts its result back.
struct Credentials::Plugin : std::enable_shared_from_this<Plugin> {
    Plugin(async::EventLoop& event_loop, std::string name, Duration rest)
        : loop(event_loop), context(std::move(name)), pause(rest), stop_fd(::eventfd(0, EFD_CLOEXEC)) {}
    ~Plugin() {
        if (stop_fd >= 0) ::close(stop_fd);
    }
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;

    void start(PluginCommand command, std::string api_version) {
        if (thread.joinable()) thread.join();  // the last run has posted its result: nothing to wait for
        running = true;
        command.stop_fd = stop_fd;
        thread = std::thread([weak = weak_from_this(), executor = loop.executor(), command = std::move(command), version = std::move(api_version)] {
            auto output = run_plugin(command);
            Result<PluginCredential> result = output ? parse_exec_credential(*output, version) : std::unexpected(output.error());
            boost::asio::post(executor, [weak, result = std::move(result)]() mutable {
                if (const auto self = weak.lock()) self->ended(std::move(result));
            });
        });
    }
    void ended(Result<PluginCredential> result) {
        running = false;
        const auto now = loop.clock().now();
        if (result) {
            credential = *std::move(result);
            obtained = now;
            // A plug-in that gives what has ended already (or a clock that is wrong) must not be run in a circle: the server is the judge of a token.
            if (credential->expires && *credential->expires <= now) {
                log::warning("a credential plug-in gave a credential that has ended", {{"context", context}});
                credential->expires = now + std::max<Duration>(1s, pause);
            }
            failure.reset();
            ++generation;
        } else {
            failure = std::move(result).error().with_context("credential plug-in");
            failed_at = loop.clock().steady();
            log::warning("a credential plug-in failed", {{"context", context}, {"error", failure->describe()}});
        }
        changed.notify();
    }
    void stop() {
        const std::uint64_t one = 1;
        if (stop_fd >= 0) (void)!::write(stop_fd, &one, sizeof one);
        if (thread.joinable()) thread.join();
    }

    [[nodiscard]] bool valid(Instant now) const { return credential && (!credential->expires || now < *credential->expires); }
    /// At 80 % of its life a credential is renewed while the old one is still in use.
    [[nodiscard]] bool aging(Instant now) const {
        return credential && credential->expires && now >= obtained + (*credential->expires - obtained) * 4 / 5;
    }

    async::EventLoop& loop;
    const std::string context;
    const Duration pause;
    int stop_fd;
    std::thread thread;
    bool running = false;
    std::optional<PluginCredential> credential;
    Instant obtained{};
    std::optional<Error> failure;
    SteadyTime failed_at{};
    std::uint64_t generation = 0, built = 0;
    async::Signal changed;
};

Credentials::Credentials(std::shared_ptr<const ConnectionConfig> config, HttpOptions options, async::EventLoop& loop, Fetcher& fetcher)
    : config_(std::move(config)), options_(std::move(options)), loop_(loop) {
    if (config_->oidc) {
        oidc_ = std::make_unique<OidcToken>(*config_->oidc, OidcToken::Options{.timeout = options_.exec_timeout, .pause = options_.exec_retry_pause},
                                            fetcher, loop_);
    }
    if (config_->exec) plugin_ = std::make_shared<Plugin>(loop_, config_->context, options_.exec_retry_pause);
}

Credentials::~Credentials() {
    if (plugin_) plugin_->stop();
}

/// Reads the files that the configuration names when they have not been read lately. A file that cannot be read now keeps its last content.
Result<> Credentials::read_files(bool force) {
    const auto now = loop_.clock().steady();
    if (!force && files_read_ && now - *files_read_ < options_.file_reread) return {};
    struct Item {
        const std::string &path, &fixed;
        std::string& into;
    };
    static const std::string none;
    const Item items[] = {{config_->token_file, none, file_token_},
                          {config_->ca_file, config_->ca_pem, ca_pem_},
                          {config_->client_cert_file, config_->client_cert_pem, cert_pem_},
                          {config_->client_key_file, config_->client_key_pem, key_pem_}};
    bool changed = !files_read_;
    for (const auto& item : items) {
        std::string text = item.fixed;
        if (text.empty() && !item.path.empty()) {
            auto read = read_small_file(item.path);
            if (!read && item.into.empty()) return std::unexpected(std::move(read).error());
            text = read ? *std::move(read) : item.into;
        }
        changed = changed || text != item.into;
        item.into = std::move(text);
    }
    files_read_ = now;
    return changed ? rebuild() : Result<>{};
}

Result<> Credentials::rebuild() {
    auto tls = std::make_shared<TlsMaterial>(TlsMaterial{ca_pem_, cert_pem_, key_pem_, !config_->insecure_skip_tls_verify});
    std::string token(trimmed(file_token_));
    if (token.empty()) token = config_->token;
    if (plugin_ && plugin_->credential) {
        const auto& given = *plugin_->credential;
        if (!given.token.empty()) token = given.token;
        if (!given.cert_pem.empty()) tls->cert_pem = given.cert_pem, tls->key_pem = given.key_pem;
        plugin_->built = plugin_->generation;
    }
    if (oidc_) {
        token = oidc_->token();
        oidc_built_ = oidc_->generation();
    }
    KN_CHECK(check_token(token));
    std::string authorization;
    if (!token.empty())
        authorization = "Bearer " + token;
    else if (!config_->username.empty())
        authorization = "Basic " + base64_encode(config_->username + ":" + config_->password);
    const bool same = identity_.tls != nullptr && identity_.authorization == authorization && identity_.tls->ca_pem == tls->ca_pem &&
                      identity_.tls->cert_pem == tls->cert_pem && identity_.tls->key_pem == tls->key_pem;
    if (same) return {};
    identity_.authorization = std::move(authorization);
    identity_.tls = std::move(tls);
    ++identity_.generation;
    return {};
}

async::Task<Result<>> Credentials::ensure_plugin(bool force, Deadline deadline) {
    const auto plugin = plugin_;
    auto& clock = loop_.clock();
    const auto wanted = plugin->generation + (force ? 1 : 0);
    while (true) {
        const bool usable = plugin->valid(clock.now()) && plugin->generation >= wanted;
        const bool resting = plugin->failure && clock.steady() - plugin->failed_at < options_.exec_retry_pause;
        if (!plugin->running && !resting && (!usable || plugin->aging(clock.now()))) {
            PluginCommand command{config_->exec->command, config_->exec->args, inherited_environment(), options_.exec_timeout,
                                  options_.exec_max_output};
            for (const auto& [name, value] : config_->exec->env) command.environment[name] = value;
            command.environment["KUBERNETES_EXEC_INFO"] = exec_info(*config_->exec, *config_, ca_pem_);
            plugin->start(std::move(command), config_->exec->api_version);
        }
        if (usable) co_return Result<>{};
        if (!plugin->running) co_return std::unexpected(plugin->failure.value_or(Error{ErrorCode::unauthenticated, "no credential"}));
        if (!co_await plugin->changed.wait(clock, deadline) && deadline.passed(clock.steady())) {
            co_return fail(ErrorCode::deadline_exceeded, "waiting for the credential plug-in");
        }
    }
}

async::Task<Result<Identity>> Credentials::current(Deadline deadline) {
    KN_CO_CHECK(read_files(false));
    if (plugin_) {
        KN_CO_CHECK(co_await ensure_plugin(false, deadline));
        if (plugin_->built != plugin_->generation) KN_CO_CHECK(rebuild());
    }
    if (oidc_) {
        KN_CO_CHECK(co_await oidc_->ensure(false, deadline));
        if (oidc_built_ != oidc_->generation()) KN_CO_CHECK(rebuild());
    }
    co_return identity_;
}

async::Task<Result<std::optional<Identity>>> Credentials::renewed(std::uint64_t used_generation, Deadline deadline) {
    // Another request may have renewed it in the meantime, or a run may just have ended whose result nobody has taken yet.
    if ((plugin_ && plugin_->built != plugin_->generation) || (oidc_ && oidc_built_ != oidc_->generation())) KN_CO_CHECK(rebuild());
    if (identity_.generation == used_generation) {
        KN_CO_CHECK(read_files(true));
        const bool fresh = plugin_ && loop_.clock().now() - plugin_->obtained < options_.exec_retry_pause;
        if (plugin_ && !fresh && identity_.generation == used_generation) {
            KN_CO_CHECK(co_await ensure_plugin(true, deadline));
            if (plugin_->built != plugin_->generation) KN_CO_CHECK(rebuild());
        }
        if (oidc_ && identity_.generation == used_generation) {
            KN_CO_CHECK(co_await oidc_->ensure(true, deadline));
            if (oidc_built_ != oidc_->generation()) KN_CO_CHECK(rebuild());
        }
    }
    if (identity_.generation == used_generation) co_return std::optional<Identity>{};
    co_return std::optional(identity_);
}

}  // namespace kn::kube::http
