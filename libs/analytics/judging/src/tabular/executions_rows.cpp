#include <algorithm>
#include <array>
#include <cstdio>

#include "kubernaut/analytics/clustering/partition.hpp"
#include "kubernaut/analytics/judging/tabular/clustering_rows.hpp"
#include "kubernaut/analytics/judging/tabular/clustering_scores.hpp"
#include "kubernaut/analytics/judging/tabular/executions_files.hpp"

namespace kn::analytics::judging {

Result<std::vector<Row>> executions_rows(const std::filesystem::path& data, unsigned threads) {
    KN_TRY(const auto families, read_task_families(data / "WfInstances" / "tasks.csv.gz"));
    double sum = 0, weighted = 0, tasks = 0;
    std::string each;
    for (const auto& family : families) {
        const auto embedded = embed(family.tasks);
        KN_TRY(const auto found, partition(embedded.values, {.clusters = family.program_count, .threads = threads}));
        const double ari = adjusted_rand_index(family.programs, found.labels);
        sum += ari;
        weighted += ari * static_cast<double>(family.programs.size());
        tasks += static_cast<double>(family.programs.size());
        std::array<char, 64> text{};
        std::snprintf(text.data(), text.size(), "%s %.3f (%s); ", family.name.c_str(), ari, found.chosen.method.c_str());
        each += text.data();
    }
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "weighed by tasks %.3f", weighted / tasks);
    return std::vector<Row>{{.set = "WfInstances",
                             .metric = "ARI",
                             .value = sum / static_cast<double>(families.size()),
                             .best_known = 0.836,
                             .goal = 0.90,
                             .note = each + text.data()}};
}

}  // namespace kn::analytics::judging
