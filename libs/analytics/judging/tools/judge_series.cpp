// Prints the benchmark rows of the series room: kn_judge_series DATA [seasons|changes|forecasts|generated] [-v]
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

#include "kubernaut/analytics/judging/forecast_scores.hpp"
#include "kubernaut/analytics/judging/season_scores.hpp"
#include "kubernaut/analytics/judging/tcpd_scores.hpp"

using namespace kn::analytics::judging;  // NOLINT

namespace {
void print(const char* what, const kn::Result<std::vector<Row>>& rows) {
    if (!rows) {
        std::printf("%s: skipped: %s\n", what, rows.error().describe().c_str());
        return;
    }
    for (const Row& row : *rows)
        std::printf("%-14s %-16.16s %10.4f  best %8.4f  goal %8.4f  %s  %s\n", row.set.c_str(), row.metric.c_str(), row.value,
                    row.best_known.value_or(0), row.goal.value_or(0), row.goal ? (row.holds() ? "holds" : "MISSES") : "", row.note.c_str());
}
}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::printf("usage: kn_judge_series DATA [seasons|changes|forecasts|generated] [-v]\n");
        return 2;
    }
    const std::string data = argv[1], what = argc > 2 ? argv[2] : "all";
    const bool verbose = std::strcmp(argv[argc - 1], "-v") == 0;
    if (what == "all" || what == "seasons") {
        if (verbose)
            if (const auto cases = season_cases(data))
                for (const auto& one : *cases) {
                    std::printf("%s %-12s n %6zu found %8.0f accepted", season_is_right(one.found, one.accepted) ? "ok " : "BAD", one.name.c_str(),
                                one.values.size(), one.found);
                    for (const double p : one.accepted) std::printf(" %.0f", p);
                    std::printf("\n");
                }
        print("SeasonLength", season_rows(data));
    }
    if (what == "all" || what == "changes") {
        if (verbose)
            if (const auto cases = tcpd_cases(data))
                for (const auto& one : *cases) {
                    std::printf("%-20s n %5zu F1 %.3f cover %.3f found", one.name.c_str(), one.values.size(), change_f1(one.annotators, one.found),
                                change_cover(one.annotators, one.found, one.values.size()));
                    for (const auto i : one.found) std::printf(" %zu", i);
                    std::printf("  truth");
                    for (const auto& marks : one.annotators) {
                        std::printf(" |");
                        for (const auto i : marks) std::printf(" %zu", i);
                    }
                    std::printf("\n");
                }
        print("TCPD", tcpd_rows(data));
    }
    if (what == "all" || what == "m4" || what == "forecasts") print("M4", m4_rows(data, 2));
    if (what == "all" || what == "m3" || what == "forecasts") print("M3", m3_rows(data, 2));
    return 0;
}
