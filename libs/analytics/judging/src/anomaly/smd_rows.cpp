#include "kubernaut/analytics/anomaly/series/metrics_detector.hpp"
#include "kubernaut/analytics/judging/anomaly/anomaly_rows.hpp"
#include "kubernaut/analytics/judging/anomaly/smd_score.hpp"
#include "kubernaut/analytics/judging/anomaly/vus_score.hpp"

namespace kn::analytics::judging {
namespace {
Result<std::vector<Row>> rows_of(const std::filesystem::path& dir, const std::string& set, double best_vus, double goal_vus, double goal_tpr) {
    constexpr std::size_t width = 20;
    KN_TRY(const auto servers, read_servers(dir / set));
    double vus = 0, ap = 0, f1 = 0;
    EventScore own, at_one, at_five;
    for (const ServerFile& server : servers) {
        KN_TRY(const MetricsDetector detector, MetricsDetector::fit(server.train));
        KN_TRY(const MetricsJudgement judgement, detector.judge(server.test));
        const auto share = 1 / static_cast<double>(servers.size());
        vus += share * vus_pr(judgement.score, server.labels, width);
        ap += share * average_precision(judgement.score, server.labels);
        f1 += share * best_f1(judgement.score, server.labels);
        std::vector<double> surprise;
        for (const double p : judgement.p_value) surprise.push_back(-p);
        own += event_score(surprise, server.labels, -MetricsOptions{}.false_positive_rate);
        at_one += event_score_at_fpr(surprise, server.labels, 0.01);
        at_five += event_score_at_fpr(surprise, server.labels, 0.05);
    }
    const std::string counted = std::to_string(own.hit) + " of " + std::to_string(own.events) + " events, threshold from training rows alone";
    return std::vector<Row>{
        {.set = set,
         .metric = "VUS-PR",
         .value = vus,
         .best_known = best_vus,
         .goal = goal_vus,
         .note = "mean of " + std::to_string(servers.size()) + " servers"},
        {.set = set, .metric = "average precision", .value = ap},
        {.set = set, .metric = "best point F1", .value = f1},
        {.set = set, .metric = "event TPR, own threshold", .value = own.tpr(), .goal = goal_tpr, .note = counted},
        {.set = set, .metric = "realised point FPR, own threshold", .value = own.fpr(), .goal = 0.02, .larger_is_better = false},
        {.set = set, .metric = "event TPR at 1 % FPR", .value = at_one.tpr(), .note = "threshold from the labels"},
        {.set = set, .metric = "event TPR at 5 % FPR", .value = at_five.tpr(), .note = "threshold from the labels"},
    };
}
}  // namespace

Result<std::vector<Row>> server_rows(const std::filesystem::path& dir) {
    KN_TRY(auto rows, rows_of(dir, "SMD", 0.610, 0.72, 0.95));
    KN_TRY(const auto more, rows_of(dir, "ASD", 0.436, 0.56, 0.90));
    rows.insert(rows.end(), more.begin(), more.end());
    return rows;
}

}  // namespace kn::analytics::judging
