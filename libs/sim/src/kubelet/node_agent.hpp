#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/work_queue.hpp"
#include "common/writer.hpp"
#include "kubernaut/sim/kubelet/kubelet.hpp"

namespace kn::sim {

/// The Node side of one kubelet: registration, Lease, node status.
class NodeAgent {
public:
    NodeAgent(std::shared_ptr<kube::Client> client, const KubeletOptions& options, NodeSpec spec, int number);

    async::Task<Result<>> register_node();
    /// Lease and status until cancelled.
    async::Task<> run();
    void set_condition(const std::string& type, bool status);

    void switch_off() { on_ = false; }
    void switch_on();
    [[nodiscard]] bool on() const { return on_; }
    [[nodiscard]] const NodeSpec& spec() const { return spec_; }
    [[nodiscard]] std::string host_ip() const;
    std::string next_pod_ip();
    /// The Node object as last written, for Events about it.
    [[nodiscard]] const json::Value& object() const { return object_; }

    std::set<std::string, std::less<>> images;
    WorkQueue pods;

private:
    [[nodiscard]] json::Value status() const;
    async::Task<Result<>> write_status();
    async::Task<Result<>> renew_lease();
    std::shared_ptr<kube::Client> client_;
    const KubeletOptions& options_;
    NodeSpec spec_;
    int number_, pod_ips_ = 1;
    bool on_ = true, status_due_ = true, lease_due_ = false;
    async::Signal wake_;
    json::Value object_;
    struct ConditionState {
        bool status;
        Instant since;
    };
    std::map<std::string, ConditionState> conditions_;
};

}  // namespace kn::sim
