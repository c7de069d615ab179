#include "kubernaut/analytics/judging/anomaly/nab_score.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>

#include "kubernaut/analytics/judging/anomaly/nab_files.hpp"
#include "kubernaut/analytics/judging/data_files.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::analytics::judging {
namespace {
const NabProfile standard = nab_profiles()[0];

// 20 rows, the first 3 are not judged, one window of four rows.
NabSeries twenty_rows() { return {.name = "small", .windows = {{10, 13}}, .scores = std::vector<double>(20, 0.0)}; }

double sigmoid(double y) { return 2 / (1 + std::exp(5 * y)) - 1; }

TEST(NabScore, GivesAHundredForTheFirstRowOfEveryWindowAndNothingElse) {
    auto series = twenty_rows();
    series.scores[10] = 1;
    EXPECT_NEAR(best_nab_score(std::vector{series}, standard).value, 100, 1e-9);
}

TEST(NabScore, CountsOnlyTheEarliestFlagOfAWindow) {
    auto series = twenty_rows();
    series.scores[11] = series.scores[12] = series.scores[13] = 1;
    // Row 11 is three rows before the end of a window of four: y = -3/4. Null is -1, perfect +1.
    const double expected = 100 * (sigmoid(-0.75) / sigmoid(-1) + 1) / 2;
    EXPECT_NEAR(nab_score_at(std::vector{series}, standard, 0.5).value, expected, 1e-9);
}

TEST(NabScore, PunishesFlagsBeforeTheFirstWindowFullyAndAfterItByDistance) {
    auto series = twenty_rows();
    series.scores[10] = series.scores[5] = series.scores[14] = 1;
    // Row 14 is one row past a window of four: y = 1/3.
    const double expected = 100 * (1 - 0.11 + 0.11 * sigmoid(1.0 / 3) + 1) / 2;
    EXPECT_NEAR(nab_score_at(std::vector{series}, standard, 0.5).value, expected, 1e-9);
}

TEST(NabScore, LeavesOutTheFirstRowsAndMayFlagNothing) {
    auto series = twenty_rows();
    series.scores[0] = series.scores[2] = 1;
    EXPECT_DOUBLE_EQ(nab_score_at(std::vector{series}, standard, 0.5).value, 0);
    series.scores[3] = 2;
    const auto best = best_nab_score(std::vector{series}, standard);
    EXPECT_EQ(best.windows_hit, 1U) << "flagging all rows still hits the window";
    NabSeries quiet{.name = "quiet", .windows = {}, .scores = std::vector<double>(100, 0.5)};
    EXPECT_TRUE(std::isinf(best_nab_score(std::vector{quiet}, standard).threshold));
}

TEST(NabScore, BestThresholdScoresTheSameWhenItIsFixedBeforehand) {
    std::vector<NabSeries> corpus;
    for (std::size_t s = 0; s < 5; ++s) {
        NabSeries series{.name = "s", .windows = {{60, 80}, {140, 150}}, .scores = std::vector<double>(200)};
        for (std::size_t i = 0; i < 200; ++i) series.scores[i] = std::fmod(static_cast<double>((i + 7 * s) * 7919 % 1000) / 1000, 1.0);
        corpus.push_back(std::move(series));
    }
    for (const auto& profile : nab_profiles()) {
        const auto best = best_nab_score(corpus, profile);
        EXPECT_NEAR(nab_score_at(corpus, profile, best.threshold).value, best.value, 1e-9);
        for (double t = 0; t <= 1; t += 0.01) EXPECT_LE(nab_score_at(corpus, profile, t).value, best.value + 1e-9);
    }
}

TEST(NabScore, EqualsThePublishedResultsOfThreeDetectors) {
    const char* shared = std::getenv("KN_SHARED");
    if (shared == nullptr || !std::filesystem::exists(std::filesystem::path(shared) / "data/golden"))
        GTEST_SKIP() << "the golden vectors are not here (KN_SHARED names their folder)";
    const auto data = std::filesystem::path(shared) / "data";
    const auto files = read_nab(data / "NAB");
    ASSERT_TRUE(files) << files.error().describe();
    const auto text = read_text(data / "golden/nab_golden.json");
    ASSERT_TRUE(text);
    const auto golden = json::parse(*text);
    ASSERT_TRUE(golden);
    for (const std::string detector : {"windowedGaussian", "knncad", "ARTime"}) {
        std::vector<NabSeries> corpus;
        std::map<std::string, std::size_t, std::less<>> places;
        for (const NabFile& file : *files) {
            places[file.name] = corpus.size();
            corpus.push_back({file.name, file.windows, std::vector<double>(file.values.size(), 0)});
        }
        const auto scores = read_text(data / "golden" / ("nab_scores_" + detector + ".csv.gz"));
        ASSERT_TRUE(scores);
        for (const auto& cells : csv_cells(*scores)) {
            if (const auto place = places.find(cells[0]); place != places.end())
                corpus[place->second].scores.at(static_cast<std::size_t>(number(cells[1]))) = number(cells[2]);
        }
        const char* names[] = {"standard", "reward_low_FP_rate", "reward_low_FN_rate"};
        for (std::size_t p = 0; p < 3; ++p) {
            const auto best = best_nab_score(corpus, nab_profiles()[p]);
            EXPECT_NEAR(best.value, json::double_at(*golden, "expected", detector, names[p], "score").value_or(0), 0.0006) << detector << names[p];
            EXPECT_NEAR(best.threshold, json::double_at(*golden, "expected", detector, names[p], "threshold").value_or(0), 1e-6) << detector;
        }
    }
}

}  // namespace
}  // namespace kn::analytics::judging
