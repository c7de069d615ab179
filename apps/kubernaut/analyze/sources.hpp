#pragma once

#include <string>

#include "kubernaut/base/time.hpp"
#include "kubernaut/tabular/time_table.hpp"

namespace kn::app {

/// All of a file, or of standard input for "-". not_found, resource_exhausted (over 1 GiB).
Result<std::string> read_input(const std::string& file);

/// "local", "UTC", an offset, or a name of the system's time zones ("Europe/Berlin").
Result<tabular::Zone> find_zone(const std::string& name);

struct PrometheusQuery {
    std::string url, query, token;
    Duration last{}, step{};
    Instant now{};
};
/// The answer of a range query, cut into pieces that Prometheus allows. Series are called by what tells them apart.
Result<tabular::TimeTable> ask_prometheus(const PrometheusQuery& query);

}  // namespace kn::app
