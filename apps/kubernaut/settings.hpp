#pragma once

#include <map>
#include <optional>
#include <string>

#include "hub.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/config/config.hpp"

namespace kn::app {

using EnvironmentVariables = std::map<std::string, std::string>;

/// All variables of this process.
EnvironmentVariables environment_of_process();
/// Reads and checks; problems and warnings go to standard error, all at once.
std::optional<config::Config> load_settings(const std::string& file, const EnvironmentVariables& environment);
/// The settings as the options of the core; secrets are resolved here.
Result<HubOptions> hub_options(const config::Config& settings, const EnvironmentVariables& environment);
log::Level level_of(const std::string& word);

}  // namespace kn::app
