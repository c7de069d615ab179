#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::integration {

struct TestCluster {
    std::string name, server, kubeconfig, alice_token, viewer_token, pki;
};

/// Real control planes for one test program; they end with this object, or with the process.
class Testbed {
public:
    /// The binary: $KUBERNAUT_TESTBED, or bin/kubernaut-testbed of the source tree; nullopt when there is none. With a version such as "v1.33":
    /// bin/kubernaut-testbed-v1.33 in the same folder.
    static std::optional<std::string> find_binary(std::string_view version = {});
    /// Waits until all clusters are ready.
    static Result<Testbed> up(const std::string& binary, std::vector<std::string> arguments);
    ~Testbed();
    Testbed(Testbed&& other) noexcept;
    Testbed& operator=(Testbed&&) = delete;

    [[nodiscard]] const std::vector<TestCluster>& clusters() const { return clusters_; }
    /// kill, start, pause or resume, such as command("kill c1 apiserver").
    Result<> command(std::string_view text);

private:
    Testbed() = default;
    Result<std::string> read_line(std::chrono::milliseconds limit);
    int in_ = -1, out_ = -1, pid_ = -1;
    std::string buffer_, folder_;
    std::vector<TestCluster> clusters_;
};

}  // namespace kn::integration
