#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "kubernaut/analytics/anomaly/tabular_detector.hpp"
#include "kubernaut/analytics/judging/tabular/adbench_files.hpp"
#include "kubernaut/analytics/judging/tabular/adbench_scores.hpp"
#include "kubernaut/analytics/judging/tabular/clustering_rows.hpp"
#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics::judging {
namespace {
struct Split {
    Matrix baseline, test;
    std::vector<char> anomalous;
};

// Half of the normal rows against the other half and all anomalies.
Split clean_split(const LabelledTable& table, std::uint64_t seed) {
    std::vector<std::size_t> normal, anomalies;
    for (std::size_t r = 0; r < table.anomalous.size(); ++r) (table.anomalous[r] != 0 ? anomalies : normal).push_back(r);
    Rng rng(seed);
    for (std::size_t i = normal.size(); i > 1; --i) std::swap(normal[i - 1], normal[rng.below(i)]);
    const std::size_t half = normal.size() / 2, cols = table.rows.cols();
    Split split{.baseline = Matrix(half, cols), .test = Matrix(normal.size() - half + anomalies.size(), cols)};
    for (std::size_t i = 0; i < half; ++i) std::ranges::copy(table.rows.row(normal[i]), split.baseline.row(i).begin());
    const auto add = [&](std::size_t row, char anomalous) {
        std::ranges::copy(table.rows.row(row), split.test.row(split.anomalous.size()).begin());
        split.anomalous.push_back(anomalous);
    };
    for (std::size_t i = half; i < normal.size(); ++i) add(normal[i], 0);
    for (const std::size_t row : anomalies) add(row, 1);
    return split;
}
}  // namespace

Result<std::vector<Row>> adbench_rows(const std::filesystem::path& data, std::size_t most_rows, unsigned threads) {
    std::set<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(data / "ADBench_classical", error))
        if (entry.path().extension() == ".npz") files.insert(entry.path());
    if (files.empty()) return fail(ErrorCode::not_found, "no .npz tables in ADBench_classical");
    double scored_tables = 0, roc = 0, ap = 0, clean_roc = 0, clean_ap = 0, clean_tpr = 0;
    for (const auto& file : files) {
        KN_TRY(const auto whole, read_adbench(file));
        const auto table = sample_rows(whole, most_rows, 0);
        const auto anomalies = std::ranges::count(table.anomalous, 1);
        if (anomalies == 0 || table.anomalous.size() < static_cast<std::size_t>(anomalies) + 4) continue;  // so small a sample has none: not scored
        scored_tables += 1;
        KN_TRY(const auto all, TabularDetector::fit(table.rows, {.clean_baseline = false, .threads = threads}));
        roc += roc_auc(all.own().scores, table.anomalous);
        ap += average_precision(all.own().scores, table.anomalous);
        const auto split = clean_split(table, 0);
        KN_TRY(const auto fitted, TabularDetector::fit(split.baseline, {.threads = threads}));
        KN_TRY(const auto scored, fitted.score(split.test));
        clean_roc += roc_auc(scored.scores, split.anomalous);
        clean_ap += average_precision(scored.scores, split.anomalous);
        clean_tpr += true_positive_rate_at(scored.scores, split.anomalous, 0.05);
    }
    const double n = scored_tables;
    if (n == 0) return fail(ErrorCode::failed_precondition, "no table holds an anomaly in so few rows");
    const std::string on =
        std::to_string(static_cast<int>(n)) + " of " + std::to_string(files.size()) + " tables, at most " + std::to_string(most_rows) + " rows";
    return std::vector<Row>{
        {.set = "ADBench", .metric = "ROC, all rows", .value = roc / n, .best_known = 0.831, .goal = 0.845, .note = on},
        {.set = "ADBench", .metric = "AP, all rows", .value = ap / n, .best_known = 0.438, .goal = 0.47, .note = on},
        {.set = "ADBench", .metric = "ROC, clean baseline", .value = clean_roc / n, .best_known = 0.902, .goal = 0.915, .note = on},
        {.set = "ADBench", .metric = "AP, clean baseline", .value = clean_ap / n, .best_known = 0.691, .goal = 0.73, .note = on},
        {.set = "ADBench", .metric = "TPR at 5 % FPR, clean baseline", .value = clean_tpr / n, .best_known = 0.657, .goal = 0.70, .note = on},
    };
}

}  // namespace kn::analytics::judging
