#include "kubernaut/prometheus_client/source.hpp"

#include <gtest/gtest.h>

#include "kubernaut/async/loop.hpp"

namespace kn::prometheus {
namespace {

TEST(PrometheusSource, ReadsAMatrixAndLeavesOutWhatIsNoMeasurement) {
    const auto series =
        PrometheusSource::parse(
            R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"a"},"values":[[1700000000.5,"1.5"],[1700000030,"NaN"],[1700000060,"+Inf"],[1700000090,"2"]]}]}})")
            .value();
    ASSERT_EQ(series.size(), 1U);
    ASSERT_EQ(series[0].samples.size(), 2U);
    EXPECT_EQ(to_millis(series[0].samples[0].at), 1700000000500);
    EXPECT_EQ(series[0].samples[1].value, 2);
}

TEST(PrometheusSource, RefusesOtherAnswers) {
    EXPECT_FALSE(PrometheusSource::parse("{}"));
    EXPECT_FALSE(PrometheusSource::parse(R"({"status":"error","error":"x"})"));
    EXPECT_FALSE(PrometheusSource::parse("<html>"));
}

/// Answers every query with series of two clusters and one that names none.
class TwoClusters final : public kube::Transport {
public:
    async::Task<Result<kube::Response>> send(kube::Request, Deadline) override {
        kube::Response response;
        response.status = 200;
        response.body =
            R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{"cluster":"eu1"},"values":[[1,"1"]]},{"metric":{"cluster":"us1"},"values":[[1,"2"]]},{"metric":{"pod":"a"},"values":[[1,"3"]]}]}})";
        co_return response;
    }
    async::Task<Result<std::unique_ptr<kube::Stream>>> open(kube::Request, Deadline) override {
        co_return fail(ErrorCode::unimplemented, "no streams here");
    }
};

TEST(PrometheusSource, ASharedServerGivesAClusterNothingOfAnother) {
    const auto loop = async::EventLoop::simulated(from_millis(1'790'000'000'000));
    const auto transport = std::make_shared<TwoClusters>();
    PrometheusSource source({{ClusterId("us1"), {transport, ""}}}, {transport, ""}, loop->clock(), 5s);
    const auto ask = [&](const char* cluster) {
        const Instant now = loop->clock().now();
        return loop->block_on(source.range(ClusterId(cluster), "up", now - 1h, now, 1min, loop->clock().deadline_in(5s))).value();
    };
    const auto shared = ask("eu1");
    ASSERT_EQ(shared.size(), 2U);
    EXPECT_EQ(shared[0].samples.at(0).value, 1);
    EXPECT_EQ(shared[1].samples.at(0).value, 3);
    EXPECT_EQ(ask("us1").size(), 3U) << "a server of its own holds nothing else, whatever it calls it";
}

}  // namespace
}  // namespace kn::prometheus
