#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/kube/transport.hpp"
#include "kubernaut/sim/faults/alerts.hpp"

namespace kn::chaos {

/// What Alertmanager does: a batch is posted again until the hub has answered 2xx, and given up on 4xx. Several at a time.
class AlertSender {
public:
    AlertSender(async::EventLoop& loop, int port, std::string token, std::function<void()> on_post);
    void start();
    void send(std::vector<sim::Alert> alerts);
    async::Task<> stop();

    [[nodiscard]] std::size_t waiting() const { return queue_.size() + static_cast<std::size_t>(in_flight_); }
    /// Every alert that the hub has answered 2xx for.
    [[nodiscard]] const std::vector<sim::Alert>& accepted() const { return accepted_; }
    [[nodiscard]] int tries() const { return tries_; }
    /// Refusals that a sender does not repeat: there must be none.
    [[nodiscard]] const std::vector<std::string>& refused() const { return refused_; }

private:
    async::Task<> work();
    async::EventLoop& loop_;
    std::string token_;
    std::shared_ptr<kube::Transport> transport_;
    std::function<void()> on_post_;
    std::deque<std::vector<sim::Alert>> queue_;
    async::Signal more_;
    int in_flight_ = 0, tries_ = 0;
    std::vector<sim::Alert> accepted_;
    std::vector<std::string> refused_;
    async::TaskScope scope_;
};

}  // namespace kn::chaos
