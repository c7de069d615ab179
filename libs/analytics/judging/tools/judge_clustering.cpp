// Prints the benchmark rows of clustering and of anomalies in tables: kn_judge_clustering DATA [clustering|executions|adbench] [threads]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kubernaut/analytics/judging/clustering_rows.hpp"

using namespace kn::analytics::judging;  // NOLINT

namespace {
void print(const char* what, const kn::Result<std::vector<Row>>& rows) {
    if (!rows) {
        std::printf("%s: skipped: %s\n", what, rows.error().describe().c_str());
        return;
    }
    for (const Row& row : *rows)
        std::printf("%-12s %-32s %8.4f  best %7.4f  goal %7.4f  %-6s %s\n", row.set.c_str(), row.metric.c_str(), row.value,
                    row.best_known.value_or(0), row.goal.value_or(0), row.goal ? (row.holds() ? "holds" : "MISSES") : "", row.note.c_str());
    std::fflush(stdout);
}
}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::printf("usage: kn_judge_clustering DATA [clustering|executions|adbench] [threads]\n");
        return 2;
    }
    const std::string data = argv[1], what = argc > 2 ? argv[2] : "all";
    const unsigned threads = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1;
    constexpr std::size_t most_rows = 10'000;
    if (what == "all" || what == "clustering") print("clustering", clustering_rows(data, threads));
    if (what == "all" || what == "executions") print("WfInstances", executions_rows(data, threads));
    if (what == "all" || what == "adbench") print("ADBench", adbench_rows(data, most_rows, threads));
    return 0;
}
