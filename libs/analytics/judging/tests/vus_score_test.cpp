#include "kubernaut/analytics/judging/anomaly/vus_score.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <vector>

#include "kubernaut/analytics/judging/anomaly/nab_files.hpp"
#include "kubernaut/analytics/judging/anomaly/smd_score.hpp"
#include "kubernaut/analytics/judging/data_files.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics::judging {
namespace {

TEST(VusPr, OfWidthZeroIsTheRangeAwareAveragePrecision) {
    const std::vector<double> scores{0, 0, 3, 2, 0, 0, 1, 0};
    const std::vector<std::uint8_t> labels{0, 0, 1, 1, 0, 0, 0, 0};
    EXPECT_NEAR(vus_pr(scores, labels, 0), 1.0, 1e-12);
    const std::vector<double> late{0, 0, 0, 2, 0, 0, 3, 0};
    // At 3: one false point, recall 0. At 2: half of the anomaly, precision 1/2. At 0: everything, precision 2/8.
    EXPECT_NEAR(vus_pr(late, labels, 0), 0.5 * 0.5 + 0.5 * 0.25, 1e-12);
}

TEST(VusPr, CountsTheBufferBeforeAnAnomalySoftly) {
    const std::vector<double> scores{0, 5, 4, 3, 0, 0};
    const std::vector<std::uint8_t> labels{0, 0, 1, 1, 0, 0};
    // Width 2, one point of buffer before: soft sqrt(1/2). At 5: TP = s, M = 2 + s, recall s / (2 + s/2), precision s.
    const double s = std::sqrt(0.5);
    const double r1 = s / (2 + s / 2), r2 = (1 + s) / (2 + s / 2), r3 = std::min(1.0, (2 + s) / (2 + s / 2));
    const double at_two = r1 * s + (r2 - r1) * (1 + s) / 2 + (r3 - r2) * (2 + s) / 3;
    const double at_zero = 0.5 * 0.5 + 0.5 * 2 / 3;  // the same for width 1, whose buffer is empty
    EXPECT_NEAR(vus_pr(scores, labels, 2), (at_two + 2 * at_zero) / 3, 1e-12);
}

TEST(VusPr, IsZeroWithoutLabelsAndTakesNanAsTheLowestScore) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(vus_pr(std::vector<double>{1, 2}, std::vector<std::uint8_t>{0, 0}, 5), 0);
    EXPECT_NEAR(vus_pr(std::vector<double>{nan, 2, nan}, std::vector<std::uint8_t>{0, 1, 0}, 0), 1, 1e-12);
}

TEST(RocAuc, CountsTiesHalf) {
    EXPECT_DOUBLE_EQ(roc_auc(std::vector<double>{1, 1, 1}, std::vector<std::uint8_t>{0, 1, 0}), 0.5);
    EXPECT_DOUBLE_EQ(roc_auc(std::vector<double>{1, 3, 2}, std::vector<std::uint8_t>{0, 1, 0}), 1);
    EXPECT_DOUBLE_EQ(average_precision(std::vector<double>{3, 2, 1}, std::vector<std::uint8_t>{0, 1, 0}), 0.5);
}

TEST(EventScore, HitsAnEventWithAnyOfItsRows) {
    const std::vector<double> scores{0, 9, 0, 0, 9, 0, 0};
    const std::vector<std::uint8_t> labels{1, 1, 0, 0, 0, 1, 1};
    const auto score = event_score(scores, labels, 5);
    EXPECT_EQ(score.events, 2U);
    EXPECT_EQ(score.hit, 1U);
    EXPECT_DOUBLE_EQ(score.fpr(), 1.0 / 3);
    EXPECT_DOUBLE_EQ(best_f1(std::vector<double>{1, 2, 0}, std::vector<std::uint8_t>{1, 1, 0}), 1);
}

TEST(VusPr, EqualsTheReferenceOnPublishedFiles) {
    const char* shared = std::getenv("KN_SHARED");
    if (shared == nullptr || !std::filesystem::exists(std::filesystem::path(shared) / "data/golden"))
        GTEST_SKIP() << "the golden vectors are not here (KN_SHARED names their folder)";
    const auto data = std::filesystem::path(shared) / "data";
    const auto files = read_nab(data / "NAB");
    ASSERT_TRUE(files) << files.error().describe();
    const auto text = read_text(data / "golden/vus_golden_medianresid.csv");
    ASSERT_TRUE(text);
    const auto rows = csv_cells(*text);
    ASSERT_GT(rows.size(), 5U);
    for (std::size_t r = 1; r < rows.size(); ++r) {
        const auto file = std::ranges::find(*files, rows[r][0], &NabFile::name);
        ASSERT_NE(file, files->end());
        const auto n = static_cast<std::size_t>(number(rows[r][1]));
        ASSERT_LE(n, file->values.size());
        std::vector<std::uint8_t> labels(n, 0);
        for (const NabWindow& w : file->windows)
            for (std::size_t i = w.first; i <= std::min(w.last, n - 1); ++i) labels[i] = 1;
        // The fixed rule: the distance from the median of the 48 values before.
        std::vector<double> scores(n, 0);
        for (std::size_t i = 1; i < n; ++i) {
            const std::size_t first = i - std::min<std::size_t>(i, 48);
            scores[i] = std::abs(file->values[i] - median(std::span(file->values).subspan(first, i - first)));
        }
        const std::size_t width = vus_width(std::span(file->values).first(n));
        EXPECT_EQ(width, static_cast<std::size_t>(number(rows[r][3]))) << rows[r][0];
        EXPECT_NEAR(roc_auc(scores, labels), number(rows[r][4]), 0.0005) << rows[r][0];
        EXPECT_NEAR(average_precision(scores, labels), number(rows[r][5]), 0.0005) << rows[r][0];
        EXPECT_NEAR(vus_pr(scores, labels, width), number(rows[r][7]), 0.0005) << rows[r][0];
    }
}

}  // namespace
}  // namespace kn::analytics::judging
