#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kubernaut/kube/transport.hpp"

namespace kn::actions::testing {

/// Stands before any transport: records the writes, loses answers, and lets somebody else act right before a write.
class Tap final : public kube::Transport {
public:
    struct Write {
        std::string method, target, body;
        bool dry_run = false;
        int status = 0;
    };

    explicit Tap(std::shared_ptr<kube::Transport> inner) : inner_(std::move(inner)) {}

    async::Task<Result<kube::Response>> send(kube::Request request, Deadline deadline) override {
        if (request.method == kube::Method::get || is_question(request)) co_return co_await inner_->send(std::move(request), deadline);
        Write write{.method = std::string(to_string(request.method)), .target = request.target(), .body = request.body};
        write.dry_run = write.target.contains("dryRun=All") || request.body.contains(R"("dryRun":["All"])");
        if (auto act = std::exchange(before_next_write, nullptr)) co_await act();
        auto answer = co_await inner_->send(std::move(request), deadline);
        write.status = answer ? answer->status : 0;
        writes.push_back(write);
        if (answer && lose_replies > 0) {
            --lose_replies;
            co_return fail(Error{.code = ErrorCode::unavailable, .message = "connection reset", .applied = Applied::maybe});
        }
        co_return answer;
    }
    async::Task<Result<std::unique_ptr<kube::Stream>>> open(kube::Request request, Deadline connect_deadline) override {
        co_return co_await inner_->open(std::move(request), connect_deadline);
    }

    /// Writes that reached the server and were accepted, dry runs apart.
    [[nodiscard]] std::size_t effects() const {
        std::size_t count = 0;
        for (const auto& write : writes) count += !write.dry_run && write.status >= 200 && write.status < 300 ? 1U : 0U;
        return count;
    }

    std::vector<Write> writes;
    int lose_replies = 0;
    std::function<async::Task<>()> before_next_write;

private:
    /// A POST that only asks.
    static bool is_question(const kube::Request& request) { return request.path.contains("accessreviews"); }
    std::shared_ptr<kube::Transport> inner_;
};

}  // namespace kn::actions::testing
