#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/kube/kubeconfig.hpp"
#include "kubernaut/kube/transport.hpp"

namespace kn::conformance {

/// Who asks: all rights, a user without rights, one with the role `view`, a token that nobody issued, nobody.
enum class Who { admin, alice, viewer, bad_token, anonymous };

/// A cluster that the suite runs against: the simulator in virtual time, or a real control plane.
class Backend {
public:
    virtual ~Backend() = default;
    [[nodiscard]] virtual bool simulated() const = 0;
    /// 33 for Kubernetes 1.33.
    [[nodiscard]] virtual int minor() const = 0;
    virtual async::EventLoop& loop() = 0;
    /// A connection under this identity; one for each, kept.
    virtual std::shared_ptr<kube::Transport> transport(Who who) = 0;
    /// A connection with this bearer token.
    virtual std::shared_ptr<kube::Transport> with_token(std::string token) = 0;
    /// Everything older than now is compacted away. In a real cluster this takes a few compaction intervals of etcd, during which something is written.
    virtual void compact() = 0;
    /// The API server ends (its watches end, its watch cache is gone) and serves again.
    virtual void restart() = 0;
    /// A request by any method; only status, headers and body come back.
    virtual kube::Response raw(std::string_view method, const std::string& target, const kube::Headers& headers) = 0;
    /// How to reach it over sockets; nullopt: it has none.
    [[nodiscard]] virtual std::optional<kube::ConnectionConfig> connection() const = 0;
    /// Kills or starts the server of the aggregated API things.testbed.example/v1 (it runs at first); false: this cluster has none.
    virtual bool run_aggregated(bool running) = 0;
};

struct BackendName {
    const char* name;  ///< "simulator", "v1_36"
    int minor;         ///< 0: the newest that the simulator imitates
};

/// Brought up on first use, ended with the program. An error says why it is not there; `absent` means that it was not built.
struct BackendResult {
    Backend* backend = nullptr;
    std::string why;
    bool absent = false;
};
BackendResult backend(const std::string& name);

}  // namespace kn::conformance
