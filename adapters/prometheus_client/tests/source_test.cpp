#include "kubernaut/prometheus_client/source.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace kn::prometheus
