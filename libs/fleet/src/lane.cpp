#include "kubernaut/fleet/lane.hpp"

#include <algorithm>
#include <charconv>

namespace kn::fleet {

LaneTransport::LaneTransport(std::shared_ptr<kube::Transport> inner, async::Clock& clock, LaneOptions options, metrics::Registry& metrics,
                             std::string cluster)
    : inner_(std::move(inner)),
      clock_(&clock),
      options_(options),
      metrics_(metrics),
      cluster_(std::move(cluster)),
      slots_(options.concurrency),
      tokens_(options.burst),
      filled_at_(clock.steady()) {}

bool LaneTransport::breaker_open() const { return clock_->steady() < open_until_; }

void LaneTransport::record(bool failed) {
    const SteadyTime now = clock_->steady();
    results_.emplace_back(now, failed);
    while (!results_.empty() && results_.front().first < now - options_.breaker_window) results_.pop_front();
    const auto failures = std::count_if(results_.begin(), results_.end(), [](const auto& r) { return r.second; });
    if (static_cast<int>(results_.size()) >= options_.breaker_calls &&
        static_cast<double>(failures) > options_.breaker_share * static_cast<double>(results_.size())) {
        open_until_ = now + options_.breaker_open;
        results_.clear();
    }
    if (!failed) last_answer_ = now;
}

Task<Result<kube::Response>> LaneTransport::send(kube::Request request, Deadline deadline) {
    if (breaker_open()) {
        co_return fail(Error{.code = ErrorCode::unavailable,
                             .message = "the lane of cluster " + cluster_ + " is resting after many failures",
                             .reason = "breaker_open",
                             .retry_after = std::chrono::ceil<Duration>(open_until_ - clock_->steady())});
    }
    if (waiting_ >= options_.queue) {
        co_return fail(Error{.code = ErrorCode::resource_exhausted,
                             .message = "the lane of cluster " + cluster_ + " is full",
                             .reason = "lane_full",
                             .retry_after = 1s});
    }
    ++waiting_;
    const SteadyTime asked = clock_->steady();
    auto permit = co_await slots_.acquire(*clock_, deadline);
    --waiting_;
    if (!permit) co_return fail(permit.error());

    // Token bucket and Retry-After: wait for the next slot in time, or fail without having sent anything.
    SteadyTime now = clock_->steady();
    const double refill = std::chrono::duration<double>(now - filled_at_).count() * options_.qps;
    tokens_ = std::min(options_.burst, tokens_ + refill);
    filled_at_ = now;
    tokens_ -= 1;
    SteadyTime start = std::max(now, hold_until_);
    if (tokens_ < 0) start = std::max(start, now + std::chrono::nanoseconds(static_cast<std::int64_t>(-tokens_ / options_.qps * 1e9)));
    if (start > now) {
        if (deadline.passed(start)) co_return fail(ErrorCode::deadline_exceeded, "rate limit of cluster " + cluster_);
        co_await async::sleep_until(*clock_, start);
    }
    metrics_.histogram("kubernaut_lane_wait_seconds", "time a call waits for its lane", {{"cluster", cluster_}})
        .observe(std::chrono::duration<double>(clock_->steady() - asked).count());

    const std::string verb{to_string(request.method)};
    const SteadyTime sent = clock_->steady();
    auto response = co_await inner_->send(std::move(request), deadline);
    metrics_.histogram("kubernaut_kube_request_duration_seconds", "Kubernetes API calls", {{"cluster", cluster_}, {"verb", verb}})
        .observe(std::chrono::duration<double>(clock_->steady() - sent).count());
    const std::string code = response ? std::to_string(response->status) : std::string(kn::to_string(response.error().code));
    metrics_.counter("kubernaut_kube_requests_total", "Kubernetes API calls", {{"cluster", cluster_}, {"verb", verb}, {"code", code}}).add();
    record(!response || response->status >= 500);
    if (response && (response->status == 429 || response->status == 503)) {
        int seconds = 0;
        const auto text = response->header("retry-after");
        std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (seconds > 0) hold_until_ = clock_->steady() + std::chrono::seconds(std::min(seconds, 30));
    }
    co_return response;
}

Task<Result<std::unique_ptr<kube::Stream>>> LaneTransport::open(kube::Request request, Deadline connect_deadline) {
    if (breaker_open()) co_return fail(ErrorCode::unavailable, "the lane of cluster " + cluster_ + " is resting after many failures");
    auto stream = co_await inner_->open(std::move(request), connect_deadline);
    record(!stream);
    co_return stream;
}

}  // namespace kn::fleet
