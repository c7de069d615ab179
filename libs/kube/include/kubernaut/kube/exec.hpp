#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/kube/transport.hpp"
#include "kubernaut/kube/upgrade.hpp"
#include "kubernaut/kube/websocket.hpp"

namespace kn::kube {

using async::Task;

/// What may be run in other people's containers. Empty = nothing.
struct ExecPolicy {
    std::set<std::string, std::less<>> programs{};  ///< first words of commands, compared whole: "df", "/bin/cat"
    Duration longest = 30s;                         ///< an earlier deadline of the call wins
};

struct ExecRequest {
    std::string ns, pod, container;
    std::vector<std::string> command;    ///< argv, no shell
    std::optional<std::string> input{};  ///< told whole, then its end (v5 only)
    std::size_t max_output = 1U << 20U;  ///< of standard output and of standard error each; more is dropped
};

struct ExecResult {
    std::string out, err;
    int exit_code = 0;
    bool truncated = false;
};

/// Runs a program in a container over WebSocket, v5.channel.k8s.io or v4. A program that ran and failed is a result with its exit code; an error means that
/// it could not be started or that its end is unknown (Applied::maybe). permission_denied: not in the policy, nothing was sent.
Task<Result<ExecResult>> exec(std::shared_ptr<Transport> transport, async::Clock& clock, RandomSource& random, ExecPolicy policy, ExecRequest request,
                              Deadline deadline);

/// Bytes to and from one port of a pod, over WebSocket (v4.channel.k8s.io). One caller at a time for each direction.
class PortForward {
public:
    static Task<Result<std::unique_ptr<PortForward>>> open(std::shared_ptr<Transport> transport, RandomSource& random, std::string ns,
                                                           std::string pod, int port, Deadline deadline);
    Task<Result<>> send(std::string bytes, Deadline deadline);
    /// Bytes from the port; nullopt when the other side has closed. `unavailable` with the kubelet's words when it could not connect.
    Task<Result<std::optional<std::string>>> next(Deadline deadline);

private:
    PortForward(std::unique_ptr<Duplex> duplex, RandomSource& random) : duplex_(std::move(duplex)), random_(random) {}
    std::unique_ptr<Duplex> duplex_;
    RandomSource& random_;
    WsDecoder decoder_;
    std::vector<WsMessage> ready_;
    std::size_t port_bytes_left_[2] = {2, 2};
    bool ended_ = false;
};

/// The state of an exec connection, message by message; what exec() does between reads.
class ExecChannels {
public:
    explicit ExecChannels(std::size_t max_output) : max_output_(max_output) {}
    /// True when the Status has come: result() is final.
    Result<bool> on(const WsMessage& message);
    [[nodiscard]] const ExecResult& result() const { return result_; }

private:
    std::size_t max_output_;
    ExecResult result_;
};

}  // namespace kn::kube
