#include "sender.hpp"

#include "kubernaut/kube_http/http_transport.hpp"

namespace kn::chaos {
namespace {

constexpr int workers = 4;
constexpr Duration try_limit = 5s, pause = 50ms;

}  // namespace

AlertSender::AlertSender(async::EventLoop& loop, int port, std::string token, std::function<void()> on_post)
    : loop_(loop), token_(std::move(token)), on_post_(std::move(on_post)), scope_(loop.executor()) {
    kube::ConnectionConfig config;
    config.server = "http://127.0.0.1:" + std::to_string(port);
    transport_ = kube::make_http_transport(config, {.user_agent = "alert-sender", .connect_timeout = 1s}, loop);
}

void AlertSender::start() {
    for (int i = 0; i < workers; ++i) scope_.spawn("sender", work());
}

void AlertSender::send(std::vector<sim::Alert> alerts) {
    queue_.push_back(std::move(alerts));
    more_.notify();
}

async::Task<> AlertSender::work() {
    async::Clock& clock = loop_.clock();
    while (true) {
        if (queue_.empty()) {
            co_await more_.wait(clock, clock.deadline_in(200ms));
            continue;
        }
        const auto batch = std::move(queue_.front());
        queue_.pop_front();
        ++in_flight_;
        const std::string body = json::dump(sim::webhook_body(batch, "kubernaut"));
        while (true) {
            ++tries_;
            kube::Request request{.method = kube::Method::post, .path = "/api/v1/alerts"};
            request.content_type = "application/json";
            request.body = body;
            request.headers = {{"Authorization", "Bearer " + token_}};
            on_post_();
            const auto answer = co_await transport_->send(std::move(request), clock.deadline_in(try_limit));
            if (answer && answer->status / 100 == 2) {
                accepted_.insert(accepted_.end(), batch.begin(), batch.end());
                break;
            }
            if (answer && answer->status / 100 == 4) {
                refused_.push_back(std::to_string(answer->status) + " " + answer->body);
                break;
            }
            co_await async::sleep_for(clock, pause);
        }
        --in_flight_;
    }
}

async::Task<> AlertSender::stop() {
    scope_.cancel();
    co_await scope_.join();
}

}  // namespace kn::chaos
