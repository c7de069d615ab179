#include "kubernaut/analytics/anomaly/fair_cut_forest.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "tabular/columns.hpp"

namespace kn::analytics {

struct FairCutForest::Builder {
    std::size_t cols;
    std::size_t columns_a_cut;
    Rng rng;
    std::vector<float> values;  // sample x cols
    std::vector<std::uint32_t> members;
    std::vector<Cut> cuts{};

    struct Projected {
        float value;
        std::uint32_t member;
        bool operator<(const Projected& other) const { return value < other.value || (value == other.value && member < other.member); }
    };

    // A random direction over columns that vary among the members, each weighed by the inverse of its deviation there.
    std::size_t direction(std::size_t begin, std::size_t end, Cut& cut) {
        std::vector<std::uint32_t> order(cols);
        std::iota(order.begin(), order.end(), 0U);
        std::size_t found = 0;
        for (std::size_t i = 0; i < cols && found < columns_a_cut; ++i) {
            std::swap(order[i], order[i + rng.below(cols - i)]);
            const std::uint32_t c = order[i];
            const double shift = static_cast<double>(values[members[begin] * cols + c]);
            double sum = 0, squares = 0;
            for (std::size_t m = begin; m < end; ++m) {
                const double x = static_cast<double>(values[members[m] * cols + c]) - shift;
                sum += x;
                squares += x * x;
            }
            const auto n = static_cast<double>(end - begin);
            const double variance = squares / n - sum / n * (sum / n);
            if (!(variance > 1e-12 * squares / n) || squares == 0) continue;
            cut.columns[found] = c;
            cut.coefficients[found] = static_cast<float>(rng.normal() / std::sqrt(variance));
            ++found;
        }
        if (found == 1) cut.coefficients[0] = 1;
        return found;
    }

    // The last member of the lower side under the split that leaves the least deviation pooled over both sides; empty range: no split.
    static std::size_t best_split(const std::vector<Projected>& sorted) {
        const std::size_t n = sorted.size();
        const double shift = static_cast<double>(sorted[n / 2].value);
        double total = 0, total_squares = 0;
        for (const auto& p : sorted) {
            const double x = static_cast<double>(p.value) - shift;
            total += x;
            total_squares += x * x;
        }
        double sum = 0, squares = 0, best = std::numeric_limits<double>::infinity();
        std::size_t at = n;
        const auto spread = [](double s, double q, double count) { return std::sqrt(std::max(0.0, q * count - s * s)); };  // count x deviation
        for (std::size_t i = 0; i + 1 < n; ++i) {
            const double x = static_cast<double>(sorted[i].value) - shift;
            sum += x;
            squares += x * x;
            if (sorted[i].value == sorted[i + 1].value) continue;
            const double pooled =
                spread(sum, squares, static_cast<double>(i + 1)) + spread(total - sum, total_squares - squares, static_cast<double>(n - i - 1));
            if (pooled < best) {
                best = pooled;
                at = i;
            }
        }
        return at;
    }

    std::uint32_t grow(std::size_t begin, std::size_t end) {
        Cut cut;
        const std::size_t n = end - begin;
        if (n < 2 || direction(begin, end, cut) == 0) return 0;
        std::vector<Projected> sorted;
        sorted.reserve(n);
        for (std::size_t m = begin; m < end; ++m) {
            float z = 0;
            for (std::size_t j = 0; j < columns_a_cut; ++j) z += cut.coefficients[j] * values[members[m] * cols + cut.columns[j]];
            sorted.push_back({z, members[m]});
        }
        std::ranges::sort(sorted, [](const Projected& a, const Projected& b) { return a < b; });
        const std::size_t last = best_split(sorted);
        if (last == n) return 0;
        const float low = sorted.front().value, high = sorted.back().value;
        cut.at = sorted[last].value + (sorted[last + 1].value - sorted[last].value) / 2;
        if (cut.at <= sorted[last].value) cut.at = sorted[last + 1].value;  // below: value < at
        cut.low = low;
        cut.high = high;
        cut.rows = static_cast<float>(n);
        const double range = static_cast<double>(high) - static_cast<double>(low);
        const double least = 1e-9;  // a side of no width at all would be infinitely dense
        const double share_below = static_cast<double>(last + 1) / static_cast<double>(n);
        const double width_below = std::clamp((static_cast<double>(cut.at) - static_cast<double>(low)) / range, least, 1 - least);
        cut.density_below = static_cast<float>(std::log(share_below / width_below));
        cut.density_above = static_cast<float>(std::log((1 - share_below) / (1 - width_below)));
        for (std::size_t i = 0; i < n; ++i) members[begin + i] = sorted[i].member;
        const auto own = static_cast<std::uint32_t>(cuts.size());
        cuts.push_back(cut);
        const std::uint32_t below = grow(begin, begin + last + 1), above = grow(begin + last + 1, end);
        cuts[own].below = below;
        cuts[own].above = above;
        return own;
    }
};

Result<FairCutForest> FairCutForest::fit(MatrixView rows, const FairCutForestOptions& options) {
    KN_CHECK(enough_to_fit(rows));
    constexpr std::size_t largest_sample = 65'536;
    if (options.trees == 0 || options.sample < 2 || options.sample > largest_sample || options.columns_a_cut == 0 ||
        options.columns_a_cut > most_columns)
        return fail(ErrorCode::invalid_argument, "a fair-cut forest has at least one tree, samples of 2 to 65536 rows and cuts over 1 to 4 columns");
    FairCutForest forest;
    forest.columns_a_cut_ = std::min(options.columns_a_cut, rows.cols);
    auto centers = column_centers(rows);
    forest.median_ = std::move(centers.median);
    forest.scale_ = std::move(centers.scale);
    forest.trees_.resize(options.trees);
    const std::size_t sample = std::min(options.sample, rows.rows);
    const Rng seeds(options.seed);
    parallel_blocks(options.trees, 2, options.threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t t = begin; t < end; ++t) {
            Builder builder{.cols = rows.cols, .columns_a_cut = forest.columns_a_cut_, .rng = seeds.split(t)};
            std::vector<std::uint32_t> order(rows.rows);
            std::iota(order.begin(), order.end(), 0U);
            for (std::size_t i = 0; i < sample; ++i) {
                std::swap(order[i], order[i + builder.rng.below(rows.rows - i)]);
                builder.members.push_back(static_cast<std::uint32_t>(i));
                for (std::size_t c = 0; c < rows.cols; ++c)
                    builder.values.push_back(centred_value(rows.at(order[i], c), forest.median_[c], forest.scale_[c]));
            }
            builder.grow(0, sample);
            forest.trees_[t] = std::move(builder.cuts);
        }
    });
    return forest;
}

template <class Visit> void FairCutForest::walk(const float* values, std::size_t tree, Visit visit) const {
    const auto& cuts = trees_[tree];
    if (cuts.empty()) return;
    std::uint32_t at = 0;
    do {
        const Cut& cut = cuts[at];
        float z = 0;
        for (std::size_t j = 0; j < columns_a_cut_; ++j) z += cut.coefficients[j] * values[cut.columns[j]];
        // Outside of what the sample covers: as if a cut at its edge had left the row alone in the empty part.
        const float outside = std::max(cut.low - z, z - cut.high);
        if (outside > 0) {
            const float density = std::log((cut.high - cut.low + outside) / (outside * (cut.rows + 1)));
            if (density < 0) {
                visit(cut, density);
                return;
            }
        }
        const bool below = z < cut.at;
        visit(cut, below ? cut.density_below : cut.density_above);
        at = below ? cut.below : cut.above;
    } while (at != 0);
}

std::vector<float> FairCutForest::prepared(const double* row) const {
    std::vector<float> values(columns());
    for (std::size_t c = 0; c < values.size(); ++c) values[c] = centred_value(row[c], median_[c], scale_[c]);
    return values;
}

Result<std::vector<double>> FairCutForest::score(MatrixView rows, unsigned threads) const {
    KN_CHECK(same_columns(rows, columns()));
    std::vector<double> scores(rows.rows, 0);
    parallel_blocks(rows.rows, 128, threads, [&](std::size_t begin, std::size_t end) {
        std::vector<std::vector<float>> values;
        for (std::size_t r = begin; r < end; ++r) values.push_back(prepared(rows.data + r * rows.stride));
        for (std::size_t t = 0; t < trees_.size(); ++t)
            for (std::size_t r = begin; r < end; ++r)
                walk(values[r - begin].data(), t, [&](const Cut&, float density) { scores[r] -= static_cast<double>(density); });
        for (std::size_t r = begin; r < end; ++r) scores[r] /= static_cast<double>(trees_.size());
    });
    return scores;
}

Result<Matrix> FairCutForest::contributions(MatrixView rows, unsigned threads) const {
    KN_CHECK(same_columns(rows, columns()));
    Matrix out(rows.rows, columns());
    parallel_blocks(rows.rows, 64, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r < end; ++r) {
            const auto values = prepared(rows.data + r * rows.stride);
            for (std::size_t t = 0; t < trees_.size(); ++t)
                walk(values.data(), t, [&](const Cut& cut, float density) {
                    // A cut over several columns is shared out by how far each moved the row along it.
                    double total = 0;
                    std::array<double, most_columns> moved{};
                    for (std::size_t j = 0; j < columns_a_cut_; ++j)
                        total += moved[j] = std::abs(static_cast<double>(cut.coefficients[j] * values[cut.columns[j]]));
                    for (std::size_t j = 0; j < columns_a_cut_; ++j) {
                        const double share = total > 0 ? moved[j] / total : 1 / static_cast<double>(columns_a_cut_);
                        out.at(r, cut.columns[j]) -= share * static_cast<double>(density) / static_cast<double>(trees_.size());
                    }
                });
        }
    });
    return out;
}

}  // namespace kn::analytics
