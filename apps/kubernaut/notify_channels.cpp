#include "notify_channels.hpp"

namespace kn::app {

Result<std::vector<notify::Channel>> notify_channels(const config::Config& settings, const EnvironmentVariables& environment,
                                                     const TransportTo& transport) {
    std::vector<notify::Channel> channels;
    for (const auto& [name, channel] : settings.notify.channels) {
        KN_TRY(const std::string url, config::resolve_secret(channel.url, environment));
        KN_TRY(const std::string token, config::resolve_secret(channel.token, environment));
        if (channel.type == "email") {
            notify::MailChannel mail{
                .url = url, .from = channel.from, .user = channel.user, .password = token, .to = channel.to, .plain = channel.plain};
            channels.push_back({.name = name, .courier = notify::make_mail_courier(std::move(mail))});
            continue;
        }
        const auto scheme = url.find("://");
        const auto slash = url.find('/', scheme == std::string::npos ? 0 : scheme + 3);
        const std::string path = slash == std::string::npos ? std::string("/") : url.substr(slash);
        channels.push_back(
            {.name = name,
             .courier = notify::make_http_courier({.type = channel.type, .path = path, .secret = token}, transport(url.substr(0, slash)))});
    }
    return channels;
}

std::vector<notify::Route> notify_routes(const config::Config& settings) {
    std::vector<notify::Route> routes;
    for (const auto& route : settings.notify.routes) {
        routes.push_back({.channel = route.channel,
                          .kinds = {route.kinds.begin(), route.kinds.end()},
                          .clusters = {route.clusters.begin(), route.clusters.end()},
                          .namespaces = {route.namespaces.begin(), route.namespaces.end()},
                          .min_severity = parse_enum<Severity>(route.min_severity).value_or(Severity::info)});
    }
    return routes;
}

HousekeepingOptions housekeeping_options(const config::Config& settings) {
    const auto& r = settings.retention;
    return {.retention = {.inbox = r.inbox, .signals = r.signals, .history = r.history, .snapshots = r.snapshots, .notifications = r.notifications},
            .every = r.every,
            .batch = r.batch};
}

}  // namespace kn::app
