// Prints the rows of the benchmarks without the app, for whoever works on a method: kn_judge DATA [SET] [THREADS]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kubernaut/analytics/judging/quality_sets.hpp"

int main(int count, char** words) {
    using namespace kn::analytics::judging;
    if (count < 2) {
        std::printf("usage: %s DATA [SET] [THREADS]; sets:", words[0]);
        for (const QualitySet& set : quality_sets()) std::printf(" %.*s", static_cast<int>(set.name.size()), set.name.data());
        std::printf("\n");
        return 2;
    }
    const std::string only = count > 2 ? words[2] : "";
    const unsigned threads = count > 3 ? static_cast<unsigned>(std::strtoul(words[3], nullptr, 10)) : 1;
    for (const QualitySet& set : quality_sets()) {
        if (!only.empty() && only != set.name) continue;
        const auto rows = set.measure(words[1], threads);
        if (!rows) {
            std::printf("%.*s: skipped: %s\n", static_cast<int>(set.name.size()), set.name.data(), rows.error().describe().c_str());
            continue;
        }
        for (const Row& row : *rows)
            std::printf("%-12s %-48s %9.4f  best %9.4f  goal %9.4f  %-6s %s\n", row.set.c_str(), row.metric.c_str(), row.value,
                        row.best_known.value_or(0), row.goal.value_or(0), row.goal ? (row.holds() ? "holds" : "short") : "", row.note.c_str());
        std::fflush(stdout);
    }
    return 0;
}
