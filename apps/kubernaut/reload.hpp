#pragma once

#include <string>
#include <system_error>

#include "hub.hpp"
#include "kubernaut/config/config.hpp"
#include "notify_channels.hpp"
#include "settings.hpp"

namespace kn::app {

/// Brings a changed settings file into a running hub: on SIGHUP, and when the file's time has changed. A bad file changes nothing; what needs a
/// restart is named. Environment variables are those of the start.
class Reloader {
public:
    /// `transport` reaches the channels of notifications.
    Reloader(std::string file, EnvironmentVariables environment, config::Config current, Hub& hub, notify::ChannelNotifier& notifier,
             TransportTo transport);

    /// Reads and applies now.
    void reload();
    /// Looks at the file every few seconds, for ever.
    async::Task<> watch(async::Clock& clock);

private:
    [[nodiscard]] std::int64_t stamp() const;
    void apply_modes(const config::Config& fresh);
    std::string file_;
    EnvironmentVariables environment_;
    config::Config current_;
    Hub& hub_;
    notify::ChannelNotifier& notifier_;
    TransportTo transport_;
    std::int64_t stamp_ = 0;
};

}  // namespace kn::app
