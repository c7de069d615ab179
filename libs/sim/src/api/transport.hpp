#pragma once

#include "api/core.hpp"

namespace kn::sim::api {

/// Requests of one identity to a Core in the same process, through its NetworkFaults.
std::shared_ptr<kube::Transport> make_transport(const std::shared_ptr<Core>& core, Identity identity);

}  // namespace kn::sim::api
