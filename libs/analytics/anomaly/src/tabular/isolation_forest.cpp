#include "kubernaut/analytics/anomaly/isolation_forest.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/tiles.hpp"
#include "tabular/columns.hpp"

namespace kn::analytics {
namespace {
// Mean depth of a failed search in a random binary tree of n values.
double expected_depth(std::size_t n) {
    if (n < 2) return 0;
    if (n == 2) return 1;
    const auto m = static_cast<double>(n - 1);
    constexpr double euler = 0.57721566490153286;
    return 2 * (std::log(m) + euler) - 2 * m / static_cast<double>(n);
}

/// The rows of a tree's sample without replacement (Floyd's algorithm would order them; the order does not matter here).
std::vector<std::size_t> draw(std::size_t rows, std::size_t count, Rng& rng) {
    std::vector<std::size_t> drawn;
    if (count * 2 > rows) {
        drawn.resize(rows);
        std::iota(drawn.begin(), drawn.end(), 0U);
        for (std::size_t i = 0; i < count; ++i) std::swap(drawn[i], drawn[i + rng.below(rows - i)]);
        drawn.resize(count);
        return drawn;
    }
    while (drawn.size() < count) {
        for (std::size_t missing = count - drawn.size(); missing > 0; --missing) drawn.push_back(rng.below(rows));
        std::ranges::sort(drawn);
        drawn.erase(std::ranges::unique(drawn).begin(), drawn.end());
    }
    return drawn;
}
}  // namespace

struct IsolationForest::Builder {
    MatrixView rows;
    IsolationForest& forest;
    std::size_t tree;
    Rng rng;
    std::vector<float> values;  // sample x columns
    std::vector<std::uint32_t> members;

    void split(std::size_t node, std::size_t level, std::size_t begin, std::size_t end) {
        const std::size_t cols = forest.columns(), cuts = (std::size_t{1} << forest.levels_) - 1;
        const std::size_t size = end - begin;
        if (level == forest.levels_ || size < 2) return stop(node, level, size);
        // A column that varies here: tried in random order, so that every one of them is as likely.
        std::vector<std::uint32_t> order(cols);
        std::iota(order.begin(), order.end(), 0U);
        for (std::size_t i = 0; i < cols; ++i) {
            std::swap(order[i], order[i + rng.below(cols - i)]);
            const std::uint32_t c = order[i];
            float low = value(begin, c), high = low;
            for (std::size_t m = begin + 1; m < end; ++m) {
                low = std::min(low, value(m, c));
                high = std::max(high, value(m, c));
            }
            if (low == high) continue;
            float at = low + static_cast<float>(rng.uniform()) * (high - low);
            if (at <= low) at = std::nextafter(low, high);  // both sides get a row
            forest.feature_[tree * cuts + node] = c;
            forest.threshold_[tree * cuts + node] = at;
            const auto middle =
                std::partition(members.begin() + static_cast<std::ptrdiff_t>(begin), members.begin() + static_cast<std::ptrdiff_t>(end),
                               [&](std::uint32_t m) { return values[m * cols + c] < at; });
            const auto cut = static_cast<std::size_t>(middle - members.begin());
            split(2 * node + 1, level + 1, begin, cut);
            split(2 * node + 2, level + 1, cut, end);
            return;
        }
        stop(node, level, size);
    }

    [[nodiscard]] float value(std::size_t member, std::size_t c) const { return values[members[member] * forest.columns() + c]; }

    // All below goes left, to the leaf that holds the answer.
    void stop(std::size_t node, std::size_t level, std::size_t size) {
        const std::size_t leaves = std::size_t{1} << forest.levels_;
        while (2 * node + 1 < 2 * leaves - 1) node = 2 * node + 1;
        forest.depth_[tree * leaves + node - (leaves - 1)] = static_cast<float>(static_cast<double>(level) + expected_depth(size));
    }
};

Result<IsolationForest> IsolationForest::fit(MatrixView rows, const IsolationForestOptions& options) {
    KN_CHECK(enough_to_fit(rows));
    constexpr std::size_t largest_sample = 1024;
    if (options.trees == 0 || options.sample < 2 || options.sample > largest_sample)
        return fail(ErrorCode::invalid_argument, "an isolation forest has at least one tree and samples of 2 to 1024 rows");
    const std::size_t sample = std::min(options.sample, rows.rows);
    IsolationForest forest;
    forest.trees_ = options.trees;
    forest.levels_ = static_cast<std::size_t>(std::bit_width(sample - 1));
    forest.expected_depth_ = std::max(expected_depth(sample), 1.0);
    auto centers = column_centers(rows);
    forest.median_ = std::move(centers.median);
    forest.scale_ = std::move(centers.scale);
    const std::size_t leaves = std::size_t{1} << forest.levels_;
    forest.feature_.assign(options.trees * (leaves - 1), 0);
    forest.threshold_.assign(options.trees * (leaves - 1), std::numeric_limits<float>::infinity());
    forest.depth_.assign(options.trees * leaves, 0);
    const Rng seeds(options.seed);
    parallel_blocks(options.trees, 4, options.threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t t = begin; t < end; ++t) {
            Builder builder{.rows = rows, .forest = forest, .tree = t, .rng = seeds.split(t)};
            for (const std::size_t r : draw(rows.rows, sample, builder.rng)) {
                builder.members.push_back(static_cast<std::uint32_t>(builder.members.size()));
                for (std::size_t c = 0; c < rows.cols; ++c)
                    builder.values.push_back(centred_value(rows.at(r, c), forest.median_[c], forest.scale_[c]));
            }
            builder.split(0, 0, 0, sample);
        }
    });
    return forest;
}

Result<std::vector<double>> IsolationForest::score(MatrixView rows, unsigned threads) const {
    KN_CHECK(same_columns(rows, columns()));
    const std::size_t cols = columns(), leaves = std::size_t{1} << levels_, cuts = leaves - 1;
    std::vector<double> scores(rows.rows);
    constexpr std::size_t block = 16 * tile_width;  // rows that stay in the nearest cache while all trees pass over them
    parallel_blocks(rows.rows, block, threads, [&](std::size_t begin, std::size_t end) {
        std::vector<float> values(tiles_for(end - begin) * tile_width * cols, 0);
        std::vector<float> depths(tiles_for(end - begin) * tile_width, 0);
        for (std::size_t r = begin; r < end; ++r) {
            const std::size_t i = r - begin;
            float* to = values.data() + i / tile_width * cols * tile_width + i % tile_width;
            for (std::size_t c = 0; c < cols; ++c) to[c * tile_width] = centred_value(rows.at(r, c), median_[c], scale_[c]);
        }
        for (std::size_t t = 0; t < trees_; ++t) {
            const std::uint32_t* feature = feature_.data() + t * cuts;
            const float* threshold = threshold_.data() + t * cuts;
            const float* depth = depth_.data() + t * leaves;
            for (std::size_t tile = 0; tile < tiles_for(end - begin); ++tile) {
                // Sixteen independent walks at once hide each other's waits.
                const float* x = values.data() + tile * cols * tile_width;
                std::array<std::uint32_t, tile_width> node{};
                for (std::size_t level = 0; level < levels_; ++level)
                    for (std::size_t lane = 0; lane < tile_width; ++lane) {
                        const std::uint32_t at = node[lane];
                        node[lane] = 2 * at + 1 + (x[feature[at] * tile_width + lane] >= threshold[at] ? 1U : 0U);
                    }
                float* sum = depths.data() + tile * tile_width;
                for (std::size_t lane = 0; lane < tile_width; ++lane) sum[lane] += depth[node[lane] - cuts];
            }
        }
        for (std::size_t r = begin; r < end; ++r)
            scores[r] = std::exp2(-static_cast<double>(depths[r - begin]) / (static_cast<double>(trees_) * expected_depth_));
    });
    return scores;
}

Result<Matrix> IsolationForest::contributions(MatrixView rows, unsigned threads) const {
    KN_TRY(const auto whole, score(rows, threads));
    Matrix out(rows.rows, columns());
    Matrix changed(rows.rows, columns());
    for (std::size_t r = 0; r < rows.rows; ++r) std::ranges::copy(rows.row(r), changed.row(r).begin());
    for (std::size_t c = 0; c < columns(); ++c) {
        for (std::size_t r = 0; r < rows.rows; ++r) changed.at(r, c) = median_[c];
        KN_TRY(const auto without, score(changed, threads));
        for (std::size_t r = 0; r < rows.rows; ++r) {
            out.at(r, c) = whole[r] - without[r];
            changed.at(r, c) = rows.at(r, c);
        }
    }
    return out;
}

}  // namespace kn::analytics
