#include "kubernaut/analytics/clustering/partition.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "kubernaut/analytics/clustering/cohesion.hpp"
#include "kubernaut/analytics/clustering/density.hpp"
#include "kubernaut/analytics/clustering/gaussian_mixture.hpp"
#include "kubernaut/analytics/clustering/validation.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/scaling.hpp"
#include "labels.hpp"

namespace kn::analytics {
namespace {
constexpr std::array thresholds{0.1, 0.2, 0.3, 0.5, 0.7};
constexpr std::array threshold_names{"genie 0.1", "genie 0.2", "genie 0.3", "genie 0.5", "genie 0.7"};
constexpr std::size_t most_mixture_columns = 20;
// Two halves of one heap are nearly as tied to each other as each is within itself: 0.3 to 0.5.
constexpr double too_loose = 0.3;

class Proposals {
public:
    Proposals(MatrixView rows, const PartitionOptions& options)
        : rows_(rows),
          options_(options),
          points_(rows, options.threads),
          graph_(points_.nearest_others(options.neighbours, options.threads)),
          tree_(spanning_tree(points_, 0, options.threads)) {}

    /// Genie and k-means for every number of clusters, the mixture only where asked: it costs more than all others together.
    Partition::Candidate propose(std::size_t k, bool mixture, std::vector<Label>& labels) {
        std::optional<Partition::Candidate> best;
        const auto consider = [&](const char* method, std::vector<Label> proposed) {
            const std::size_t found = name_by_first_row(proposed);
            double cut = found == k ? normalized_cut(graph_, proposed) : 2 + static_cast<double>(k - found);
            if (std::isnan(cut)) cut = 0;  // one cluster
            if (best && cut >= best->cut) return;
            best = {.clusters = found, .method = method, .cut = cut};
            labels = std::move(proposed);
        };
        if (levels_.empty() || levels_.front().size() < k)
            for (std::size_t t = 0; t < thresholds.size(); ++t) {
                levels_.resize(thresholds.size());
                levels_[t] = genie_levels(tree_, std::max(k, options_.clusters == 0 ? options_.most_clusters : 0), thresholds[t]);
            }
        for (std::size_t t = 0; t < thresholds.size(); ++t) consider(threshold_names[t], levels_[t][k - 1]);
        if (mixture && rows_.cols <= most_mixture_columns)
            if (auto fit = gaussian_mixture(rows_, {.components = k, .restarts = 8, .seed = options_.seed, .threads = options_.threads}))
                consider("mixture", std::move(fit->labels));
        if (auto fit = k_means(rows_, {.clusters = k, .restarts = 4, .seed = options_.seed, .threads = options_.threads}))
            consider("k-means", std::move(fit->labels));
        return *best;
    }

    [[nodiscard]] double judge(const std::vector<Label>& labels) const { return looseness(rows_, graph_, tree_, labels, options_.seed); }

private:
    MatrixView rows_;
    const PartitionOptions& options_;
    KdTree points_;
    Neighbours graph_;
    SpanningTree tree_;
    std::vector<std::vector<std::vector<Label>>> levels_;  // threshold, clusters - 1
};

Partition with_given_number(MatrixView rows, const PartitionOptions& options) {
    Partition result;
    Proposals proposals(rows, options);
    result.chosen = proposals.propose(options.clusters, true, result.labels);
    result.chosen.looseness = options.clusters > 1 ? proposals.judge(result.labels) : 0;
    result.rivals = {result.chosen};
    return result;
}

Partition with_number_found(MatrixView rows, const PartitionOptions& options) {
    Partition result{.labels = std::vector<Label>(rows.rows, 0)};
    result.chosen = {.clusters = 1, .method = "one cluster", .cut = 0, .looseness = too_loose};
    constexpr std::size_t fewest_rows = 8;
    if (rows.rows < fewest_rows) return result;
    Proposals proposals(rows, options);
    std::vector<std::vector<Label>> labels;
    for (std::size_t k = 2; k <= std::min(options.most_clusters, rows.rows / 2); ++k) {
        auto candidate = proposals.propose(k, false, labels.emplace_back());
        candidate.looseness = proposals.judge(labels.back());
        result.rivals.push_back(candidate);
    }
    // The mixture is heard where it could change the answer: at the best few numbers of clusters so far.
    std::vector<std::size_t> order(result.rivals.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(
        order, [&](std::size_t a, std::size_t b) { return std::pair(result.rivals[a].looseness, a) < std::pair(result.rivals[b].looseness, b); });
    constexpr std::size_t heard = 3;
    for (std::size_t i = 0; i < std::min(heard, order.size()); ++i) {
        auto& rival = result.rivals[order[i]];
        std::vector<Label> again;
        auto candidate = proposals.propose(order[i] + 2, true, again);
        if (candidate.method == rival.method) continue;
        candidate.looseness = proposals.judge(again);
        rival = candidate;
        labels[order[i]] = std::move(again);
    }
    for (std::size_t i = 0; i < result.rivals.size(); ++i)
        if (result.rivals[i].looseness < result.chosen.looseness) {
            result.chosen = result.rivals[i];
            result.labels = labels[i];
        }
    return result;
}
}  // namespace

Result<Partition> partition(MatrixView rows, const PartitionOptions& options) {
    if (rows.rows == 0 || rows.cols == 0) return fail(ErrorCode::invalid_argument, "a partition needs at least one row and one column");
    if (options.clusters > rows.rows)
        return fail(ErrorCode::invalid_argument,
                    std::to_string(options.clusters) + " clusters cannot be made of " + std::to_string(rows.rows) + " rows");
    if (options.neighbours == 0 || (options.clusters == 0 && options.most_clusters == 0))
        return fail(ErrorCode::invalid_argument, "neighbours and most_clusters must be at least 1");
    if (const auto bad = first_row_not_finite(rows))
        return fail(ErrorCode::invalid_argument, "row " + std::to_string(*bad) + " has a value that is not finite");
    const std::size_t wanted = options.most_rows > 0 ? options.most_rows : (options.clusters > 0 ? 10'000 : 4'000);
    const std::size_t n = std::min(rows.rows, std::max(wanted, options.clusters));
    const auto decide = [&](MatrixView part) { return options.clusters > 0 ? with_given_number(part, options) : with_number_found(part, options); };
    Partition result;
    if (n == rows.rows) {
        result = decide(rows);
    } else {
        std::vector<std::size_t> drawn(rows.rows);
        std::iota(drawn.begin(), drawn.end(), 0U);
        Rng rng(options.seed);
        for (std::size_t i = 0; i < n; ++i) std::swap(drawn[i], drawn[i + rng.below(rows.rows - i)]);
        std::sort(drawn.begin(), drawn.begin() + static_cast<std::ptrdiff_t>(n));
        Matrix part(n, rows.cols);
        for (std::size_t i = 0; i < n; ++i) std::ranges::copy(rows.row(drawn[i]), part.row(i).begin());
        result = decide(part);
        const auto decided = std::move(result.labels);
        const auto nearest = KdTree(part, options.threads).nearest(rows, 1, options.threads);
        result.labels.resize(rows.rows);
        for (std::size_t r = 0; r < rows.rows; ++r) result.labels[r] = decided[nearest.indices[r]];
    }
    result.clusters = name_by_first_row(result.labels);
    result.confidence = result.clusters > 1 ? std::clamp(1 - 2 * result.chosen.looseness, 0.0, 1.0) : 0;
    return result;
}

}  // namespace kn::analytics
