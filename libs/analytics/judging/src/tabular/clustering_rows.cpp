#include "kubernaut/analytics/judging/tabular/clustering_rows.hpp"

#include <algorithm>
#include <cstdio>

#include "kubernaut/analytics/clustering/partition.hpp"
#include "kubernaut/analytics/judging/tabular/clustering_files.hpp"
#include "kubernaut/analytics/judging/tabular/clustering_scores.hpp"

namespace kn::analytics::judging {
namespace {
struct Scored {
    double ari = -1, nca = -1;
};

Scored score(const std::vector<std::int32_t>& reference, const std::vector<Label>& labels) {
    std::vector<std::int32_t> truth, found;
    for (std::size_t r = 0; r < reference.size(); ++r) {
        if (reference[r] == 0) continue;
        truth.push_back(reference[r]);
        found.push_back(labels[r]);
    }
    return {adjusted_rand_index(truth, found), normalized_clustering_accuracy(truth, found)};
}
}  // namespace

Result<std::vector<Row>> clustering_rows(const std::filesystem::path& data, unsigned threads) {
    KN_TRY(const auto sets, read_reference_sets(data / "clustering"));
    double ari = 0, nca = 0, unknown = 0, right_number = 0;
    for (const auto& set : sets) {
        KN_TRY(const auto found, partition(set.points, {.threads = threads}));
        Scored best;
        double best_unknown = -1;
        bool right = false;
        for (const auto& reference : set.references) {
            const auto k = static_cast<std::size_t>(*std::ranges::max_element(reference));
            KN_TRY(const auto given, partition(set.points, {.clusters = k, .threads = threads}));
            const auto now = score(reference, given.labels);
            best = {std::max(best.ari, now.ari), std::max(best.nca, now.nca)};
            best_unknown = std::max(best_unknown, score(reference, found.labels).ari);
            right |= found.clusters == k;
        }
        ari += best.ari;
        nca += best.nca;
        unknown += best_unknown;
        right_number += right ? 1 : 0;
    }
    const auto n = static_cast<double>(sets.size());
    const std::string on = std::to_string(sets.size()) + " sets";
    std::vector<Row> rows;
    rows.push_back({.set = "clustering", .metric = "ARI, number given", .value = ari / n, .best_known = 0.823, .goal = 0.85, .note = on});
    rows.push_back({.set = "clustering", .metric = "NCA, number given", .value = nca / n, .best_known = 0.861, .goal = 0.88, .note = on});
    rows.push_back({.set = "clustering",
                    .metric = "ARI, number found out",
                    .value = unknown / n,
                    .note = "right number in " + std::to_string(static_cast<int>(right_number)) + " of " + on});
    return rows;
}

}  // namespace kn::analytics::judging
