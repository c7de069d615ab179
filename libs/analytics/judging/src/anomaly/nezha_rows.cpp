#include <array>

#include "kubernaut/analytics/anomaly/series/metrics_detector.hpp"
#include "kubernaut/analytics/judging/anomaly/anomaly_rows.hpp"
#include "kubernaut/analytics/judging/anomaly/nezha_score.hpp"

namespace kn::analytics::judging {
namespace {
struct Kind {
    const char* name;
    double best, goal;  // 0: none
};
constexpr std::array<Kind, 5> kinds{
    {{"cpu_consumed", 0.90, 0.97}, {"cpu_contention", 0.83, 0.97}, {"network_delay", 0.07, 0.60}, {"exception", 0, 0}, {"return", 0, 0}}};
}  // namespace

Result<std::vector<Row>> pod_rows(const std::filesystem::path& dir) {
    KN_TRY(const auto pods, read_pods(dir / "Nezha_k8s"));
    std::array<EventScore, kinds.size()> scores;
    for (const PodFile& pod : pods) {
        if (pod.faults.empty()) continue;
        const auto surprise = surprise_among_neighbours(pod.values);
        for (std::size_t k = 0; k < kinds.size(); ++k) scores[k] += pod_score(pod, surprise, kinds[k].name, 0.01);
    }
    std::vector<Row> rows;
    for (std::size_t k = 0; k < kinds.size(); ++k) {
        const std::string counted = std::to_string(scores[k].hit) + " of " + std::to_string(scores[k].events) + " events; the pod's own metrics only";
        Row row{.set = "Nezha", .metric = std::string(kinds[k].name) + ", event TPR at 1 % FPR", .value = scores[k].tpr(), .note = counted};
        if (kinds[k].goal > 0) row.best_known = kinds[k].best, row.goal = kinds[k].goal;
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace kn::analytics::judging
