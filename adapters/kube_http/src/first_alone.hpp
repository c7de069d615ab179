#pragma once

#include <memory>
#include <utility>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::kube::http {

/// Of transfers that begin together over fresh connections the first goes alone: only when its connection stands is it known whether the others can share
/// it (HTTP/2), and each connection that is opened in vain takes 150 kB. (libcurl's own way to wait, PIPEWAIT, would send the others one after the other to
/// a server without HTTP/2: a second watch would never begin.) Loop thread only.
class FirstAlone : public std::enable_shared_from_this<FirstAlone> {
public:
    /// Held by the first until it knows; by all others it is empty.
    class Turn {
    public:
        Turn() = default;
        explicit Turn(std::shared_ptr<FirstAlone> gate) : gate_(std::move(gate)) {}
        Turn(Turn&& other) noexcept : gate_(std::move(other.gate_)) {}
        Turn& operator=(Turn&& other) noexcept {
            if (this != &other) {
                end(false);
                gate_ = std::move(other.gate_);
            }
            return *this;
        }
        ~Turn() { end(false); }
        [[nodiscard]] bool first() const { return gate_ != nullptr; }
        /// The connection stands; or this came to nothing, and another is the first.
        void end(bool stands) {
            if (const auto gate = std::exchange(gate_, nullptr)) gate->ended(stands);
        }

    private:
        std::shared_ptr<FirstAlone> gate_;
    };

    async::Task<Result<Turn>> enter(async::Clock& clock, Deadline deadline) {
        const auto self = shared_from_this();
        while (busy_) {
            const bool told = co_await ended_.wait(clock, deadline);
            if (!told && deadline.passed(clock.steady())) co_return fail(ErrorCode::deadline_exceeded, "no connection in time");
        }
        if (known_) co_return Turn();
        busy_ = true;
        co_return Turn(self);
    }

private:
    void ended(bool stands) {
        busy_ = false;
        known_ = stands;
        ended_.notify();
    }
    bool busy_ = false, known_ = false;
    async::Signal ended_;
};

}  // namespace kn::kube::http
