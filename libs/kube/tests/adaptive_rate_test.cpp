#include "kubernaut/kube/adaptive_rate.hpp"

#include <gtest/gtest.h>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/kube/status.hpp"
#include "scripted_transport.hpp"

namespace kn::kube {
namespace {

Response answer_of(int status, std::string level, std::string retry_after = {}) {
    Response response = json_response(status, status == 429 ? make_status(429, "TooManyRequests", "busy") : json::Value(json::Object{}));
    response.headers.emplace_back("x-kubernetes-pf-prioritylevel-uid", std::move(level));
    if (!retry_after.empty()) response.headers.emplace_back("retry-after", std::move(retry_after));
    return response;
}

class AdaptiveRateTest : public testing::Test {
protected:
    /// Asks `per_second` times for some seconds; how many got their turn within it.
    int ask(const Request& request, int per_second, int seconds) {
        int done = 0;
        for (int i = 0; i < per_second * seconds; ++i, now += 1'000'000'000ns / per_second) {
            if (rate.reserve(request, now) > now) continue;
            rate.heard(request, answer_of(200, "workload"), now);
            ++done;
        }
        return done;
    }
    AdaptiveRate rate;
    SteadyTime now{SteadyTime::duration(std::chrono::hours(1))};
    const Request pods{.path = "/api/v1/namespaces/shop/pods/web-1"}, other_pods{.path = "/api/v1/pods"};
    const Request nodes{.path = "/api/v1/nodes/n1"};
};

TEST_F(AdaptiveRateTest, ThereIsNoLimitUntilTheServerRefuses) {
    EXPECT_EQ(ask(pods, 500, 5), 2500);
    EXPECT_EQ(rate.limit_of(pods), 0);
}

TEST_F(AdaptiveRateTest, ARefusalHalvesTheRateOfItsPriorityLevelOnly) {
    rate.heard(pods, answer_of(200, "workload"), now);
    rate.heard(other_pods, answer_of(200, "workload"), now);
    rate.heard(nodes, answer_of(200, "system"), now);
    ask(pods, 100, 3);
    rate.heard(pods, answer_of(429, "workload"), now);
    EXPECT_NEAR(rate.limit_of(pods), 50, 2);
    EXPECT_EQ(rate.limit_of(other_pods), rate.limit_of(pods)) << "another path of the same level";
    EXPECT_EQ(rate.limit_of(nodes), 0);
    rate.heard(pods, answer_of(429, "workload"), now + 10ms);
    EXPECT_NEAR(rate.limit_of(pods), 50, 2) << "requests that were on their way together count once";
    for (const auto end = now + 3s; now < end;) {
        now = rate.reserve(pods, now);
        rate.heard(pods, answer_of(200, "workload"), now);
    }
    rate.heard(pods, answer_of(429, "workload"), now);
    EXPECT_NEAR(rate.limit_of(pods), 37, 6) << "half of what it came to in three seconds";
}

TEST_F(AdaptiveRateTest, TheRateRecovers) {
    ask(pods, 100, 3);
    rate.heard(pods, answer_of(429, "workload"), now);
    now += 5s;
    (void)rate.reserve(pods, now);
    EXPECT_NEAR(rate.limit_of(pods), 100, 3);
    now += 11s;
    (void)rate.reserve(pods, now);
    EXPECT_EQ(rate.limit_of(pods), 0);
}

TEST_F(AdaptiveRateTest, RetryAfterIsWaitedForByTheWholeLevel) {
    rate.heard(pods, answer_of(429, "workload", "3"), now);
    EXPECT_GE(rate.reserve(pods, now) - now, 3s);
    rate.heard(nodes, answer_of(200, "system"), now);
    EXPECT_EQ(rate.reserve(nodes, now), now);
}

TEST_F(AdaptiveRateTest, ABudgetsRefusalIsNoOverload) {
    auto refused = answer_of(429, "workload");
    refused.body = json::dump(
        make_status(429, "TooManyRequests", "budget", json::Object{{"causes", json::Array{json::Object{{"reason", "DisruptionBudget"}}}}}));
    rate.heard(pods, refused, now);
    EXPECT_EQ(rate.limit_of(pods), 0);
}

async::Task<> keep_asking(Client& client, int& done, SteadyTime until) {
    while (client.clock().steady() < until) {
        if (co_await client.get(resources::pods, "shop", "web-1", client.clock().deadline_in(10s))) ++done;
    }
}

/// A server that serves forty requests a second and refuses the rest, and forty callers that ask as often as they may.
TEST_F(AdaptiveRateTest, ACallersRateSettlesBelowWhatTheServerGives) {
    const auto loop = async::EventLoop::simulated(Instant{Duration{1'700'000'000'000}});
    const auto transport = std::make_shared<ScriptedTransport>(loop->clock());
    Client client(transport, loop->clock());
    int served = 0, refused = 0, in_second = 0;
    SteadyTime second{};
    transport->answer = [&](const Request&) {
        const auto at = loop->clock().steady();
        if (at - second >= 1s) second = at, in_second = 0;
        return ++in_second <= 40 ? (++served, answer_of(200, "workload")) : (++refused, answer_of(429, "workload", "1"));
    };
    async::TaskScope scope(loop->executor());
    int done = 0;
    const auto end = loop->clock().steady() + 60s;
    for (int i = 0; i < 40; ++i) scope.spawn("caller", keep_asking(client, done, end));
    loop->run_for(90s);
    loop->block_on(scope.join());
    EXPECT_EQ(done, served);
    EXPECT_GT(served, 60 * 40 / 4) << "most of what the server gives is used";
    EXPECT_LT(refused, served / 2) << "and it is not flooded";
}

}  // namespace
}  // namespace kn::kube
