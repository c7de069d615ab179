#pragma once

#include <memory>
#include <string>
#include <vector>

#include "exchange.hpp"
#include "kubernaut/async/loop.hpp"
#include "kubernaut/kube/upgrade.hpp"

namespace kn::kube::http {

/// Connects as for a request (TLS, proxy, client certificate), upgrades to WebSocket and hands on the raw connection. A thread of its own for each: exec and
/// port-forward are rare.
async::Task<Result<std::unique_ptr<Duplex>>> upgrade(ExchangeSpec spec, std::vector<std::string> protocols, async::EventLoop& loop,
                                                     Deadline deadline);

}  // namespace kn::kube::http
