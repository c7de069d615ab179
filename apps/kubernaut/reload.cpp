#include "reload.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include "kubernaut/base/log.hpp"

namespace kn::app {
namespace {

constexpr Duration look_every = 5s;

/// Whether a changed key takes effect without a restart.
bool is_live(std::string_view path) {
    constexpr std::array fixed{"decision.catalog", "decision.secret_sources", "intake.inbox.rows", "intake.inbox.bytes", "log.format",
                               "notify.digest"};
    constexpr std::array live{"log.", "auth.", "intake.", "decision.", "guard.", "patterns.", "profiles", "notify."};
    return std::ranges::find(fixed, path) == fixed.end() && std::ranges::any_of(live, [&](std::string_view part) { return path.starts_with(part); });
}

std::string changed_at_restart(const config::Config& before, const config::Config& after) {
    const auto was = config::explain(before), is = config::explain(after);
    std::string names;
    for (std::size_t i = 0; i < is.size(); ++i) {
        if (is[i].value != was[i].value && !is_live(is[i].path)) names += (names.empty() ? "" : ", ") + is[i].path;
    }
    const auto ids = [](const config::Config& config) {
        std::vector<std::string> out;
        for (const auto& cluster : config.clusters) out.push_back(cluster.id);
        std::ranges::sort(out);
        return out;
    };
    if (ids(before) != ids(after)) names += names.empty() ? "clusters" : ", clusters";
    return names;
}

}  // namespace

Reloader::Reloader(std::string file, EnvironmentVariables environment, config::Config current, Hub& hub, notify::ChannelNotifier& notifier,
                   TransportTo transport)
    : file_(std::move(file)),
      environment_(std::move(environment)),
      current_(std::move(current)),
      hub_(hub),
      notifier_(notifier),
      transport_(std::move(transport)),
      stamp_(stamp()) {}

std::int64_t Reloader::stamp() const {
    std::error_code ec;
    const auto at = std::filesystem::last_write_time(file_, ec);
    return ec ? 0 : at.time_since_epoch().count();
}

void Reloader::reload() {
    if (file_.empty()) return log::warning("there is no settings file to read again");
    stamp_ = stamp();
    auto fresh = load_settings(file_, environment_);
    if (!fresh) return log::error("the settings are wrong: the last good ones stay", {{"file", file_}});
    const auto options = hub_options(*fresh, environment_);
    if (!options) return log::error("the settings are wrong: the last good ones stay", {{"file", file_}, {"error", options.error().describe()}});
    auto channels = notify_channels(*fresh, environment_, transport_);
    if (!channels) return log::error("the settings are wrong: the last good ones stay", {{"file", file_}, {"error", channels.error().describe()}});
    const std::string left = changed_at_restart(current_, *fresh);
    log::configure(level_of(fresh->log.level), current_.log.format == "json" ? log::Format::json : log::Format::text);
    hub_.reload(*options);
    notifier_.replace(*std::move(channels), notify_routes(*fresh));
    apply_modes(*fresh);
    log::info("settings read again", {{"file", file_}});
    if (!left.empty()) log::warning("these changed settings need a restart", {{"settings", left}});
    current_ = *std::move(fresh);
}

void Reloader::apply_modes(const config::Config& fresh) {
    for (const auto& cluster : fresh.clusters) hub_.fleet().set_mode(ClusterId(cluster.id), fresh.mode_of(cluster));
}

async::Task<> Reloader::watch(async::Clock& clock) {
    while (true) {
        co_await async::sleep_for(clock, look_every);
        // A file that is gone for a moment (an editor, a mounted ConfigMap that is swapped) is no change.
        if (const auto now = stamp(); now != 0 && now != stamp_) reload();
    }
}

}  // namespace kn::app
