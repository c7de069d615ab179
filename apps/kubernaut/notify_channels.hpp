#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kubernaut/config/config.hpp"
#include "kubernaut/kube/transport.hpp"
#include "kubernaut/notify/notifier.hpp"
#include "kubernaut/store/housekeeper.hpp"
#include "settings.hpp"

namespace kn::app {

using TransportTo = std::function<std::shared_ptr<kube::Transport>(const std::string& origin)>;

/// The channels of the settings, their secrets resolved. No I/O but reading secrets.
Result<std::vector<notify::Channel>> notify_channels(const config::Config& settings, const EnvironmentVariables& environment,
                                                     const TransportTo& transport);
std::vector<notify::Route> notify_routes(const config::Config& settings);
HousekeepingOptions housekeeping_options(const config::Config& settings);

}  // namespace kn::app
