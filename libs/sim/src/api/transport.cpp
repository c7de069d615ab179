#include "api/transport.hpp"

namespace kn::sim::api {
namespace {

std::unexpected<Error> lost(ErrorCode code, std::string message, Applied applied) {
    return std::unexpected(Error{.code = code, .message = std::move(message), .applied = applied});
}

bool changes_something(kube::Method method) { return method != kube::Method::get; }

/// The answer of a server (or of what stands before it) that is overloaded or broken; nothing was applied.
kube::Response fault_response(const NetworkFaults::Decision& decision) {
    Refusal refusal{.code = decision.status};
    if (decision.fate == NetworkFaults::Fate::throttle) {
        refusal.reason = "TooManyRequests";
        refusal.message = "Too many requests, please try again later.";
    } else if (decision.status == 503) {
        refusal.reason = "ServiceUnavailable";
        refusal.message = "apiserver is shutting down";
    } else if (decision.status == 504) {
        refusal.reason = "Timeout";
        refusal.message = "Timeout: request did not complete within the allotted timeout";
    } else {
        refusal.reason = "InternalError";
        refusal.message = "Internal error occurred: etcdserver: request timed out";
    }
    const auto wait = decision.retry_after ? std::chrono::ceil<std::chrono::seconds>(*decision.retry_after).count() : 0;
    refusal.retry_after = decision.fate == NetworkFaults::Fate::throttle || decision.status == 503 ? static_cast<int>(wait) : 0;
    return refusal.response();
}

class InProcessTransport final : public kube::Transport {
public:
    InProcessTransport(const std::shared_ptr<Core>& core, Identity identity)
        : core_(core), clock_(&core->loop.clock()), identity_(std::make_shared<const Identity>(std::move(identity))) {}

    async::Task<Result<kube::Response>> send(kube::Request request, Deadline deadline) override {
        return exchange(core_, clock_, identity_, std::move(request), deadline);
    }

    async::Task<Result<std::unique_ptr<kube::Stream>>> open(kube::Request request, Deadline deadline) override {
        return open_stream(core_, clock_, identity_, std::move(request), deadline);
    }

private:
    using Who = std::shared_ptr<const Identity>;

    static NetworkFaults::Decision decide(Core& core, const Identity& identity, const kube::Request& request) {
        const auto info = read_request(request, {});
        const auto resource = info.traffic_resource();
        return core.faults.decide({identity.user, info.verb, resource});
    }

    static async::Task<> wait(async::Clock& clock, Duration d, Deadline deadline) {
        const auto until = std::min(clock.steady() + d, deadline.at);
        co_await async::sleep_until(clock, until);
    }

    // Free of `this`: a caller may drop the transport while its request is under way.
    static async::Task<Result<kube::Response>> exchange(std::weak_ptr<Core> weak, async::Clock* clock, Who identity, kube::Request request,
                                                        Deadline deadline) {
        using Fate = NetworkFaults::Fate;
        co_await async::yield();
        auto core = weak.lock();
        if (!core) co_return lost(ErrorCode::unavailable, "connection refused: the API server is gone", Applied::no);
        if (deadline.passed(clock->steady())) co_return lost(ErrorCode::deadline_exceeded, "no time left to send the request", Applied::no);
        const auto decision = decide(*core, *identity, request);
        core.reset();
        const auto maybe = changes_something(request.method) ? Applied::maybe : Applied::no;
        if (decision.fate == Fate::refuse) co_return lost(ErrorCode::unavailable, "connection refused", Applied::no);
        if (decision.fate == Fate::black_hole) {
            co_await async::sleep_until(*clock, deadline.at);
            co_return lost(ErrorCode::deadline_exceeded, "no answer in time", maybe);
        }
        if (decision.before > Duration::zero()) {
            const auto arrives = clock->steady() + decision.before;
            if (arrives > deadline.at) {
                // The caller gives up, the request travels on: its effect comes although nobody hears of it.
                const bool reaches = decision.fate == Fate::deliver || decision.fate == Fate::lose_reply || decision.fate == Fate::hang_reply;
                if (reaches) {
                    clock->call_at(arrives, [weak, identity, request] {
                        if (const auto later = weak.lock()) (void)later->handle(request, *identity, {});
                    });
                }
                co_await async::sleep_until(*clock, deadline.at);
                co_return lost(ErrorCode::deadline_exceeded, "no answer in time", maybe);
            }
            co_await async::sleep_until(*clock, arrives);
        }
        if (decision.fate == Fate::lose_request) co_return lost(ErrorCode::unavailable, "connection reset by peer", maybe);
        core = weak.lock();
        if (!core) co_return lost(ErrorCode::unavailable, "connection reset: the API server is gone", Applied::no);
        kube::Response response =
            decision.fate == Fate::error || decision.fate == Fate::throttle ? fault_response(decision) : core->handle(request, *identity, {});
        core.reset();
        if (decision.after > Duration::zero()) {
            co_await wait(*clock, decision.after, deadline);
            if (deadline.passed(clock->steady())) co_return lost(ErrorCode::deadline_exceeded, "no answer in time", maybe);
        }
        if (decision.fate == Fate::lose_reply) co_return lost(ErrorCode::unavailable, "connection reset by peer", maybe);
        if (decision.fate == Fate::hang_reply) {
            co_await async::sleep_until(*clock, deadline.at);
            co_return lost(ErrorCode::deadline_exceeded, "no answer in time", maybe);
        }
        co_return response;
    }

    static async::Task<Result<std::unique_ptr<kube::Stream>>> open_stream(std::weak_ptr<Core> weak, async::Clock* clock, Who identity,
                                                                          kube::Request request, Deadline deadline) {
        using Fate = NetworkFaults::Fate;
        co_await async::yield();
        auto core = weak.lock();
        if (!core) co_return lost(ErrorCode::unavailable, "connection refused: the API server is gone", Applied::no);
        if (deadline.passed(clock->steady())) co_return lost(ErrorCode::deadline_exceeded, "no time left to send the request", Applied::no);
        const auto decision = decide(*core, *identity, request);
        core.reset();
        if (decision.fate == Fate::refuse) co_return lost(ErrorCode::unavailable, "connection refused", Applied::no);
        if (decision.fate == Fate::black_hole || decision.fate == Fate::hang_reply) {
            co_await async::sleep_until(*clock, deadline.at);
            co_return lost(ErrorCode::deadline_exceeded, "no answer in time", Applied::no);
        }
        if (decision.before + decision.after > Duration::zero()) {
            co_await wait(*clock, decision.before + decision.after, deadline);
            if (deadline.passed(clock->steady())) co_return lost(ErrorCode::deadline_exceeded, "no answer in time", Applied::no);
        }
        if (decision.fate == Fate::lose_request || decision.fate == Fate::lose_reply)
            co_return lost(ErrorCode::unavailable, "connection reset by peer", Applied::no);
        if (decision.fate == Fate::error || decision.fate == Fate::throttle) co_return refused_stream(fault_response(decision));
        core = weak.lock();
        if (!core) co_return lost(ErrorCode::unavailable, "connection reset: the API server is gone", Applied::no);
        co_return core->open(request, *identity);
    }

    std::weak_ptr<Core> core_;
    async::Clock* clock_;
    Who identity_;
};

}  // namespace

std::shared_ptr<kube::Transport> make_transport(const std::shared_ptr<Core>& core, Identity identity) {
    return std::make_shared<InProcessTransport>(core, std::move(identity));
}

}  // namespace kn::sim::api
