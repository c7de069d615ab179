// Prints how the anomaly detectors do on the benchmark files of a folder: kn_judge_anomaly DIR [nab|servers|pods]
#include <cstdio>
#include <string>

#include "kubernaut/analytics/judging/anomaly_rows.hpp"

namespace {
int print(const kn::Result<std::vector<kn::analytics::judging::Row>>& rows) {
    if (!rows) {
        std::printf("skipped: %s\n", rows.error().describe().c_str());
        return 1;
    }
    for (const auto& row : *rows) {
        std::printf("%-10s %-44s %8.3f", row.set.c_str(), row.metric.c_str(), row.value);
        if (row.best_known) std::printf("  best known %8.3f", *row.best_known);
        if (row.goal) std::printf("  goal %8.3f %s", *row.goal, row.holds() ? "holds" : "short");
        std::printf("  %s\n", row.note.c_str());
    }
    return 0;
}
}  // namespace

int main(int count, char** words) {
    using namespace kn::analytics::judging;
    if (count < 2) return std::printf("usage: %s DIR [nab|servers|pods]\n", words[0]), 2;
    const std::filesystem::path dir = words[1];
    const std::string only = count > 2 ? words[2] : "";
    int failed = 0;
    if (only.empty() || only == "nab") failed |= print(nab_rows(dir));
    if (only.empty() || only == "servers") failed |= print(server_rows(dir));
    if (only.empty() || only == "pods") failed |= print(pod_rows(dir));
    return failed;
}
