#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/kube/request.hpp"

namespace kn::kube {

/// A connection after its upgrade to WebSocket: raw bytes in both directions. Destroying it closes it.
class Duplex {
public:
    virtual ~Duplex() = default;
    /// The subprotocol that the server chose of those offered.
    [[nodiscard]] virtual const std::string& protocol() const = 0;
    virtual async::Task<Result<>> send(std::string bytes, Deadline deadline) = 0;
    /// The next bytes; nullopt at the clean end; deadline_exceeded: silence until then, the connection stays usable.
    virtual async::Task<Result<std::optional<std::string>>> next(Deadline deadline) = 0;
};

/// Transports that can also upgrade: those over sockets. Found by dynamic_cast, because only exec and port-forward ask.
class Upgrader {
public:
    virtual ~Upgrader() = default;
    /// An answer other than 101 is an error as of any request.
    virtual async::Task<Result<std::unique_ptr<Duplex>>> upgrade(Request request, std::vector<std::string> protocols, Deadline deadline) = 0;
};

}  // namespace kn::kube
