#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "commands.hpp"
#include "hub.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/config/config.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "kubernaut/prometheus_client/source.hpp"
#include "kubernaut/store/open_store.hpp"
#include "notify_channels.hpp"
#include "reload.hpp"
#include "settings.hpp"

namespace kn::app {
namespace {

/// Everything that serve owns, in the order in which it is made.
struct Server {
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::real();
    SystemRandom random;
    metrics::Registry metrics;
    std::unique_ptr<sql::SqlStores> stores;
    std::unique_ptr<notify::ChannelNotifier> notifier;
    std::unique_ptr<Housekeeper> housekeeper;
    std::unique_ptr<ports::MetricsSource> metrics_source;
    std::unique_ptr<Hub> hub;
    std::unique_ptr<net::HttpServer> http;
};

struct Url {
    std::string origin, path;
};
Url split_url(const std::string& url) {
    const auto scheme = url.find("://");
    const auto slash = url.find('/', scheme == std::string::npos ? 0 : scheme + 3);
    if (slash == std::string::npos) return {url, "/"};
    return {url.substr(0, slash), url.substr(slash)};
}

std::shared_ptr<kube::Transport> plain_transport(const std::string& origin, async::EventLoop& loop) {
    kube::ConnectionConfig config;
    config.server = origin;
    return kube::make_http_transport(config, {}, loop);
}

Result<fleet::ClusterSource> connect(const config::Config& settings, const config::ClusterEntry& entry, const EnvironmentVariables& environment,
                                     async::EventLoop& loop) {
    kube::ConnectionConfig connection;
    if (entry.in_cluster) {
        KN_TRY(connection, kube::in_cluster_config());
    } else if (!entry.server.empty()) {
        connection.server = entry.server;
        KN_TRY(connection.token, config::resolve_secret(entry.token, environment));
        connection.token_file = entry.token_file;
        connection.ca_file = entry.ca_file;
    } else {
        KN_TRY(connection, kube::load_kubeconfig(entry.kubeconfig, entry.context));
    }
    connection.insecure_skip_tls_verify = connection.insecure_skip_tls_verify || entry.insecure_skip_tls_verify;
    const bool strict = entry.environment == Environment::prod || entry.environment == Environment::unknown;
    if (connection.insecure_skip_tls_verify && strict) {
        return fail(
            ErrorCode::invalid_argument,
            "cluster " + entry.id + ": its kubeconfig skips the verification of the server, which is refused for prod and unknown environments");
    }
    fleet::ClusterSource source;
    source.record.id = ClusterId(entry.id);
    source.record.kind = entry.kind;
    source.record.environment = entry.environment;
    source.record.mode = settings.mode_of(entry);
    for (const auto& [name, value] : entry.labels) source.record.labels.emplace_back(name, value);
    kube::HttpOptions options;
    options.max_connections = std::max(4, settings.fleet.lane_connections);
    source.transport = kube::make_http_transport(connection, options, loop);
    // The probe has connections of its own: a stuck one of the lane must not look like a dead cluster, nor hide one.
    source.probe_transport =
        kube::make_http_transport(connection, {.connect_timeout = settings.fleet.probe_timeout, .max_connections = 4, .http2 = false}, loop);
    return source;
}

Result<std::string> read_file(const std::string& path, const char* field) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(ErrorCode::not_found, "cannot read " + path, field);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

Result<std::unique_ptr<Server>> build(const config::Config& settings, const EnvironmentVariables& environment) {
    auto server = std::make_unique<Server>();
    async::EventLoop& loop = *server->loop;
    KN_TRY(server->stores, open_store(settings.store.url,
                                      {.query_timeout = settings.store.query_timeout,
                                       .pool_max = static_cast<std::size_t>(settings.store.pool_max),
                                       .pool_wait = settings.store.pool_wait,
                                       .inbox_rows = settings.intake.inbox_rows,
                                       .inbox_bytes = settings.intake.inbox_bytes,
                                       .poison_kills = std::max(1, settings.engine.poison)},
                                      loop));
    KN_TRY(auto channels, notify_channels(settings, environment, [&loop](const std::string& origin) { return plain_transport(origin, loop); }));
    server->notifier = std::make_unique<notify::ChannelNotifier>(loop, server->metrics, &server->stores->outbox(), std::move(channels),
                                                                 notify_routes(settings), notify::NotifyOptions{.digest = settings.notify.digest});
    server->housekeeper = std::make_unique<Housekeeper>(loop, *server->stores, server->metrics, housekeeping_options(settings));

    std::map<ClusterId, prometheus::PrometheusSource::Server> prometheus_servers;
    for (const auto& entry : settings.clusters) {
        if (entry.prometheus.empty()) continue;
        const Url parts = split_url(entry.prometheus);
        prometheus_servers[ClusterId(entry.id)] = {plain_transport(parts.origin, loop), parts.path == "/" ? "" : parts.path};
    }
    prometheus::PrometheusSource::Server shared;
    if (!settings.prometheus.url.empty()) {
        const Url parts = split_url(settings.prometheus.url);
        shared = {plain_transport(parts.origin, loop), parts.path == "/" ? "" : parts.path};
    }
    if (!prometheus_servers.empty() || shared.transport != nullptr) {
        server->metrics_source = std::make_unique<prometheus::PrometheusSource>(std::move(prometheus_servers), std::move(shared), loop.clock(),
                                                                                settings.prometheus.timeout);
    }
    KN_TRY(HubOptions options, hub_options(settings, environment));
    options.threads = true;
    KN_TRY(server->hub, Hub::create(loop, server->random, server->stores->ports(), *server->notifier, server->metrics_source.get(), server->metrics,
                                    std::move(options)));
    for (const auto& entry : settings.clusters) {
        KN_TRY(auto source, connect(settings, entry, environment, loop));
        KN_CHECK(server->hub->add_cluster(std::move(source)));
    }
    net::ServerOptions http{.listen = settings.http.listen, .body_limit = static_cast<std::uint64_t>(settings.http.body_limit)};
    if (!settings.http.cert.empty()) {
        net::TlsFiles tls;
        KN_TRY(tls.cert_pem, read_file(settings.http.cert, "http.tls.cert"));
        KN_TRY(tls.key_pem, read_file(settings.http.key, "http.tls.key"));
        if (!settings.http.client_ca.empty()) {
            KN_TRY(tls.client_ca_pem, read_file(settings.http.client_ca, "http.tls.client_ca"));
        }
        http.tls = std::move(tls);
    }
    server->http = std::make_unique<net::HttpServer>(loop, std::move(http),
                                                     [hub = server->hub.get()](net::HttpRequest request) { return hub->handle(std::move(request)); });
    return server;
}

async::Task<> end(Server& server) {
    log::info("stopping: no new alerts, calls in flight are finished");
    co_await server.http->stop(5s);
    co_await server.hub->stop();
    server.housekeeper->stop();
    co_await server.housekeeper->join();
    server.notifier->stop();
    co_await server.notifier->join();
    server.stores->stop();
    server.loop->stop();
}

async::Task<> on_hangup(boost::asio::signal_set& hangup, Reloader& reloader) {
    while (true) {
        co_await hangup.async_wait(boost::asio::use_awaitable);
        reloader.reload();
    }
}

int serve(const std::string& file, const std::string& ready_file) {
    const EnvironmentVariables environment = environment_of_process();
    auto settings = load_settings(file, environment);
    if (!settings) return 2;
    log::configure(level_of(settings->log.level), settings->log.format == "json" ? log::Format::json : log::Format::text);
    if (settings->clusters.empty()) {
        std::cerr << "error: no clusters are configured. Name at least one under `clusters`, or try `kubernaut demo`.\n";
        return 2;
    }
    auto server = build(*settings, environment);
    if (!server) {
        std::cerr << "error: " << (server.error().field.empty() ? "" : server.error().field + ": ") << server.error().message << "\n";
        return 1;
    }
    Server& s = **server;
    s.notifier->start();
    s.housekeeper->start();
    // Listening comes first: alerts are durable from now on, whatever the clusters do.
    if (auto listening = s.http->start(); !listening) {
        std::cerr << "error: " << listening.error().message << "\n";
        return 1;
    }
    if (auto started = s.loop->block_on(s.hub->start()); !started) {
        std::cerr << "error: " << started.error().describe() << "\n";
        return 1;
    }
    log::info("ready", {{"listen", settings->http.listen}, {"port", s.http->port()}, {"clusters", settings->clusters.size()}, {"version", version}});
    if (!ready_file.empty()) std::ofstream(ready_file) << s.http->port() << "\n";
    boost::asio::signal_set signals(s.loop->context(), SIGINT, SIGTERM);
    async::TaskScope ending(s.loop->executor()), reloading(s.loop->executor());
    Reloader reloader(file, environment, *settings, *s.hub, *s.notifier,
                      [&s](const std::string& origin) { return plain_transport(origin, *s.loop); });
    if (!file.empty()) reloading.spawn("settings", reloader.watch(s.loop->clock()));
    boost::asio::signal_set hangup(s.loop->context(), SIGHUP);
    reloading.spawn("hangup", on_hangup(hangup, reloader));
    signals.async_wait([&](boost::system::error_code ec, int) {
        if (ec) return;
        reloading.cancel();
        ending.spawn("end", end(s));
    });
    s.loop->run();
    return 0;
}

}  // namespace

void add_serve(CLI::App& app, int& exit_code) {
    auto file = std::make_shared<std::string>();
    auto ready = std::make_shared<std::string>();
    auto* command = app.add_subcommand("serve", "Serve real clusters");
    command->add_option("-c,--config", *file,
                        "settings (kubernaut config default shows them all); without it: defaults and KUBERNAUT_* of the environment");
    command->add_option("--port-file", *ready, "write the port here once ready; for scripts that let the system choose it (listen on port 0)");
    command->callback([file, ready, &exit_code] { exit_code = serve(*file, *ready); });
}

}  // namespace kn::app
