#include "kubernaut/analytics/judging/tabular/adbench_scores.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace kn::analytics::judging {
namespace {
// Counts of anomalies and normal rows at or above each distinct score, highest first.
struct Step {
    double anomalies = 0, normals = 0;
};

std::vector<Step> steps(std::span<const double> scores, std::span<const char> anomalous) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    std::vector<Step> out;
    Step now;
    for (std::size_t i = 0; i < order.size(); ++i) {
        (anomalous[order[i]] != 0 ? now.anomalies : now.normals) += 1;
        if (i + 1 == order.size() || scores[order[i + 1]] != scores[order[i]]) out.push_back(now);
    }
    return out;
}
constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
}  // namespace

double roc_auc(std::span<const double> scores, std::span<const char> anomalous) {
    const auto curve = steps(scores, anomalous);
    if (curve.empty() || curve.back().anomalies == 0 || curve.back().normals == 0) return undefined;
    double area = 0;
    Step before;
    for (const auto& at : curve) {
        area += (at.normals - before.normals) * (at.anomalies + before.anomalies) / 2;
        before = at;
    }
    return area / (before.anomalies * before.normals);
}

double average_precision(std::span<const double> scores, std::span<const char> anomalous) {
    const auto curve = steps(scores, anomalous);
    if (curve.empty() || curve.back().anomalies == 0) return undefined;
    double sum = 0, before = 0;
    for (const auto& at : curve) {
        sum += (at.anomalies - before) * at.anomalies / (at.anomalies + at.normals);
        before = at.anomalies;
    }
    return sum / before;
}

double true_positive_rate_at(std::span<const double> scores, std::span<const char> anomalous, double rate) {
    const auto curve = steps(scores, anomalous);
    if (curve.empty() || curve.back().anomalies == 0 || curve.back().normals == 0) return undefined;
    double best = 0;
    for (const auto& at : curve)
        if (at.normals <= rate * curve.back().normals) best = std::max(best, at.anomalies / curve.back().anomalies);
    return best;
}

}  // namespace kn::analytics::judging
