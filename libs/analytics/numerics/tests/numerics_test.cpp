#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics {
namespace {

TEST(Robust, QuantilesInterpolateAndLeaveOutWhatIsNotFinite) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<double> values{4, nan, 1, 3, 2, std::numeric_limits<double>::infinity()};
    EXPECT_DOUBLE_EQ(median(values), 2.5);
    EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
    EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
    EXPECT_DOUBLE_EQ(quantile(values, 0.25), 1.75);
    EXPECT_TRUE(std::isnan(median({})));
}

TEST(Robust, VarianceKeepsItsDigitsUnderAHugeOffset) {
    std::vector<double> values;
    for (int i = 0; i < 1000; ++i) values.push_back(1e9 + (i % 2 == 0 ? 0.001 : -0.001));
    EXPECT_NEAR(variance(values), 1e-6, 1e-8);
}

TEST(Rng, GivesTheSameNumbersForTheSameSeedAndOthersForAnotherStream) {
    Rng a(7), b(7);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(a(), b());
    EXPECT_NE(Rng(7).split(0)(), Rng(7).split(1)());
}

TEST(Rng, NormalNumbersHaveMeanZeroAndDeviationOne) {
    Rng rng(1);
    std::vector<double> values(100'000);
    for (double& v : values) v = rng.normal();
    EXPECT_NEAR(mean(values), 0, 0.02);
    EXPECT_NEAR(variance(values), 1, 0.03);
    EXPECT_NEAR(mad(values), 1, 0.03);
}

TEST(ParallelBlocks, CoversEveryItemOnceForAnyNumberOfThreads) {
    for (const unsigned threads : {0U, 1U, 2U, 5U}) {
        std::vector<int> seen(1003, 0);
        parallel_blocks(seen.size(), 10, threads, [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; ++i) ++seen[i];
        });
        EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), 0), 1003);
    }
}

}  // namespace
}  // namespace kn::analytics
