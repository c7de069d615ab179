#include "kubernaut/analytics/clustering/k_means.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "k_means_engine.hpp"
#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/numerics/scaling.hpp"

namespace kn::analytics {
namespace {
constexpr std::size_t tiles_in_block = 512;
constexpr std::size_t block_rows = tiles_in_block * tile_width;
constexpr std::size_t seed_sample = 32'768;
// Bounds are kept in float; they are trusted only where they hold by more than the rounding of a hundred steps.
constexpr float rounding_margin = 1.00002F;
constexpr float infinite = std::numeric_limits<float>::infinity();

std::vector<double> column_medians(MatrixView rows) {
    constexpr std::size_t enough = 1001;
    const std::size_t step = std::max<std::size_t>(1, rows.rows / enough);
    std::vector<double> medians(rows.cols), values;
    for (std::size_t c = 0; c < rows.cols; ++c) {
        values.clear();
        for (std::size_t r = 0; r < rows.rows; r += step) values.push_back(rows.at(r, c));
        medians[c] = median(values);
    }
    return medians;
}

// A power of two that brings the largest deviation near 2^20: squares neither overflow nor vanish in float.
double common_scale(MatrixView rows, const std::vector<double>& shift) {
    double largest = 0;
    for (std::size_t r = 0; r < rows.rows; ++r) {
        const double* row = rows.data + r * rows.stride;
        for (std::size_t c = 0; c < rows.cols; ++c) largest = std::max(largest, std::abs(row[c] - shift[c]));
    }
    if (largest == 0) return 1;
    int exponent = 0;
    std::frexp(largest, &exponent);
    return std::ldexp(1.0, 20 - exponent);
}
}  // namespace

struct KMeansEngine::State {
    std::size_t k = 0, dims = 0, rows = 0;
    std::vector<float> centers;           // k x dims
    std::vector<std::uint32_t> assigned;  // padded to whole tiles, like the bounds
    std::vector<float> upper, lower;      // distance to own center at most, to any other at least
    std::vector<double> sums;             // k x dims of the rows assigned
    std::vector<double> counts;           // k
    std::vector<float> moved;             // how far each center went in the last step
    std::vector<double> block_sums;       // blocks x k x (dims + 1): changes of sums and counts of the last assignment

    State(std::size_t rows_, std::size_t dims_, std::vector<float> seeds)
        : k(seeds.size() / std::max<std::size_t>(dims_, 1)),
          dims(dims_),
          rows(rows_),
          centers(std::move(seeds)),
          assigned(tiles_for(rows) * tile_width, 0),
          upper(assigned.size(), infinite),
          lower(assigned.size(), 0),
          sums(k * dims, 0),
          counts(k, 0),
          moved(k, 0) {}
};

KMeansEngine::KMeansEngine(MatrixView rows, unsigned threads) : threads_(threads), shift_(column_medians(rows)), scale_(common_scale(rows, shift_)) {
    const std::vector<double> scales(rows.cols, scale_);
    tiles_ = Tiles<float>(rows, shift_, scales, threads);
}

std::vector<float> KMeansEngine::seed_centers(std::size_t clusters, Rng rng) const {
    const std::size_t dims = tiles_.dims(), n = std::min(tiles_.rows(), seed_sample);
    // The sample: tiles of their own, drawn without order when there are more rows than it holds.
    Tiles<float> drawn;
    const Tiles<float>* from = &tiles_;
    if (n < tiles_.rows()) {
        drawn = Tiles<float>(n, dims);
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t r = rng.below(tiles_.rows());
            for (std::size_t d = 0; d < dims; ++d) drawn.set(i, d, tiles_.at(r, d));
        }
        from = &drawn;
    }
    std::vector<float> centers;
    const auto point = [&](std::size_t r) {
        std::vector<float> values(dims);
        for (std::size_t d = 0; d < dims; ++d) values[d] = from->at(r, d);
        return values;
    };
    const auto lowered = [&](const std::vector<float>& best, const std::vector<float>& center) {
        auto next = best;
        for (std::size_t t = 0; t < from->tiles(); ++t) lower_to_center(from->tile(t), dims, center.data(), next.data() + t * tile_width);
        double potential = 0;
        for (std::size_t r = 0; r < n; ++r) potential += static_cast<double>(next[r]);
        return std::pair(std::move(next), potential);
    };
    const auto first = point(rng.below(n));
    centers.insert(centers.end(), first.begin(), first.end());
    auto [best, potential] = lowered(std::vector<float>(from->tiles() * tile_width, infinite), first);
    const auto tries = static_cast<std::size_t>(2 + std::log(static_cast<double>(clusters)));
    for (std::size_t c = 1; c < clusters && potential > 0; ++c) {
        std::vector<double> targets(tries);
        for (double& t : targets) t = rng.uniform() * potential;
        std::vector<std::size_t> candidates(tries, n);
        double sum = 0;
        for (std::size_t r = 0; r < n; ++r) {
            sum += static_cast<double>(best[r]);
            for (std::size_t t = 0; t < tries; ++t)
                if (candidates[t] == n && best[r] > 0 && sum > targets[t]) candidates[t] = r;
        }
        std::vector<float> winner, winner_best;
        double winner_potential = std::numeric_limits<double>::infinity();
        for (const std::size_t r : candidates) {
            if (r == n) continue;
            auto center = point(r);
            auto [next, left] = lowered(best, center);
            if (left >= winner_potential) continue;
            winner_potential = left;
            winner = std::move(center);
            winner_best = std::move(next);
        }
        if (winner.empty()) break;
        centers.insert(centers.end(), winner.begin(), winner.end());
        best = std::move(winner_best);
        potential = winner_potential;
    }
    return centers;
}

// Assigns rows to their nearest centers, all of them or only those whose bounds do not exclude a change, and notes per block how the sums
// change. Returns whether any row changed its cluster.
bool KMeansEngine::assign(State& s, bool everything) const {
    const std::size_t k = s.k, dims = s.dims, width = k * (dims + 1);
    std::vector<float> half_gap(k, infinite);  // half the distance to the nearest other center: nearer than that, no other can be nearest
    for (std::size_t a = 0; a < k; ++a)
        for (std::size_t b = 0; b < k; ++b) {
            if (a == b) continue;
            float sum = 0;
            for (std::size_t d = 0; d < dims; ++d) {
                const float x = s.centers[a * dims + d] - s.centers[b * dims + d];
                sum += x * x;
            }
            half_gap[a] = std::min(half_gap[a], std::sqrt(sum) / 2);
        }
    float farthest = 0, second_farthest = 0;
    std::size_t mover = 0;
    for (std::size_t c = 0; c < k; ++c) {
        if (s.moved[c] > farthest) {
            second_farthest = farthest;
            farthest = s.moved[c];
            mover = c;
        } else {
            second_farthest = std::max(second_farthest, s.moved[c]);
        }
    }
    const std::size_t blocks = (tiles_.tiles() + tiles_in_block - 1) / tiles_in_block;
    s.block_sums.assign(blocks * width, 0);
    std::vector<char> changed(blocks, 0);
    parallel_blocks(tiles_.tiles(), tiles_in_block, threads_, [&](std::size_t begin, std::size_t end) {
        double* sums = s.block_sums.data() + begin / tiles_in_block * width;
        TileNearest found;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled before it is read
        for (std::size_t t = begin; t < end; ++t) {
            const std::size_t first = t * tile_width, lanes = std::min(tile_width, s.rows - first);
            bool open = everything;
            if (!everything) {
                for (std::size_t i = 0; i < lanes; ++i) {
                    const std::size_t r = first + i;
                    const std::uint32_t own = s.assigned[r];
                    s.upper[r] += s.moved[own];
                    s.lower[r] -= own == mover ? second_farthest : farthest;
                    open |= s.upper[r] * rounding_margin >= std::max(half_gap[own], s.lower[r]);
                }
            }
            if (!open) continue;
            nearest_two(tiles_.tile(t), dims, s.centers.data(), k, found);
            for (std::size_t i = 0; i < lanes; ++i) {
                const std::size_t r = first + i;
                s.upper[r] = std::sqrt(found.best[i]);
                s.lower[r] = std::sqrt(found.second[i]);
                const std::uint32_t to = found.index[i], from = s.assigned[r];
                if (!everything && to == from) continue;
                changed[begin / tiles_in_block] = 1;
                s.assigned[r] = to;
                const float* x = tiles_.tile(t) + i;
                double* gains = sums + to * (dims + 1);
                for (std::size_t d = 0; d < dims; ++d) gains[d] += static_cast<double>(x[d * tile_width]);
                gains[dims] += 1;
                if (everything) continue;
                double* loses = sums + from * (dims + 1);
                for (std::size_t d = 0; d < dims; ++d) loses[d] -= static_cast<double>(x[d * tile_width]);
                loses[dims] -= 1;
            }
        }
    });
    if (everything) {
        std::ranges::fill(s.sums, 0);
        std::ranges::fill(s.counts, 0);
    }
    for (std::size_t b = 0; b < blocks; ++b)
        for (std::size_t c = 0; c < k; ++c) {
            const double* change = s.block_sums.data() + b * width + c * (dims + 1);
            for (std::size_t d = 0; d < dims; ++d) s.sums[c * dims + d] += change[d];
            s.counts[c] += change[dims];
        }
    return std::ranges::find(changed, 1) != changed.end();
}

// A center that lost all its rows stays where it is.
void KMeansEngine::move_centers(State& s) const {
    for (std::size_t c = 0; c < s.k; ++c) {
        float sum = 0;
        for (std::size_t d = 0; d < s.dims && s.counts[c] > 0; ++d) {
            const auto to = static_cast<float>(s.sums[c * s.dims + d] / s.counts[c]);
            const float by = to - s.centers[c * s.dims + d];
            sum += by * by;
            s.centers[c * s.dims + d] = to;
        }
        s.moved[c] = std::sqrt(sum) * rounding_margin;
    }
}

void KMeansEngine::mini_batches(State& s, const KMeansOptions& options, Rng rng) const {
    std::vector<double> seen(s.k, 0), centers(s.centers.begin(), s.centers.end());
    Tiles<float> batch(options.mini_batch, s.dims);
    std::vector<TileNearest> found(batch.tiles());
    for (unsigned step = 0; step < options.max_steps; ++step) {
        for (std::size_t i = 0; i < batch.rows(); ++i) {
            const std::size_t r = rng.below(s.rows);
            for (std::size_t d = 0; d < s.dims; ++d) batch.set(i, d, tiles_.at(r, d));
        }
        for (std::size_t t = 0; t < batch.tiles(); ++t) nearest_two(batch.tile(t), s.dims, s.centers.data(), s.k, found[t]);
        for (std::size_t i = 0; i < batch.rows(); ++i) {
            const std::uint32_t c = found[i / tile_width].index[i % tile_width];
            const double rate = 1 / (seen[c] += 1);
            for (std::size_t d = 0; d < s.dims; ++d) {
                double& at = centers[c * s.dims + d];
                at += (static_cast<double>(batch.at(i, d)) - at) * rate;
            }
        }
        for (std::size_t i = 0; i < centers.size(); ++i) s.centers[i] = static_cast<float>(centers[i]);
    }
}

KMeans KMeansEngine::finish(State& s) const {
    KMeans result{.centers = Matrix(s.k, s.dims),
                  .labels = std::vector<Label>(s.assigned.begin(), s.assigned.begin() + static_cast<std::ptrdiff_t>(s.rows))};
    for (std::size_t c = 0; c < s.k; ++c)
        for (std::size_t d = 0; d < s.dims; ++d) result.centers.at(c, d) = static_cast<double>(s.centers[c * s.dims + d]) / scale_ + shift_[d];
    std::vector<double> parts((s.rows + block_rows - 1) / block_rows, 0);
    parallel_blocks(tiles_.tiles(), tiles_in_block, threads_, [&](std::size_t begin, std::size_t end) {
        std::array<float, tile_width> squared{};
        double sum = 0;
        for (std::size_t t = begin; t < end; ++t) {
            squared_to_assigned(tiles_.tile(t), s.dims, s.centers.data(), s.assigned.data() + t * tile_width, squared.data());
            for (std::size_t i = 0; i < std::min(tile_width, s.rows - t * tile_width); ++i) sum += static_cast<double>(squared[i]);
        }
        parts[begin / tiles_in_block] = sum;
    });
    for (const double part : parts) result.inertia += part;
    result.inertia /= scale_ * scale_;
    return result;
}

KMeans KMeansEngine::run(const KMeansOptions& options, std::uint64_t seed) const {
    const Rng rng(seed);
    State state(tiles_.rows(), tiles_.dims(), seed_centers(options.clusters, rng.split(0)));
    unsigned steps = 0;
    bool converged = false;
    if (options.mini_batch > 0 && options.mini_batch < state.rows) {
        mini_batches(state, options, rng.split(1));
        assign(state, true);
        steps = options.max_steps;
    } else {
        assign(state, true);
        for (; steps < options.max_steps && !converged; ++steps) {
            move_centers(state);
            converged = !assign(state, false);
        }
    }
    auto result = finish(state);
    result.steps = steps;
    result.converged = converged;
    return result;
}

Result<KMeans> k_means(MatrixView rows, const KMeansOptions& options) {
    if (rows.rows == 0 || rows.cols == 0) return fail(ErrorCode::invalid_argument, "k-means needs at least one row and one column");
    if (options.clusters == 0 || options.clusters > rows.rows)
        return fail(ErrorCode::invalid_argument,
                    "k-means cannot make " + std::to_string(options.clusters) + " clusters of " + std::to_string(rows.rows) + " rows");
    if (const auto bad = first_row_not_finite(rows))
        return fail(ErrorCode::invalid_argument, "row " + std::to_string(*bad) + " has a value that is not finite");
    const KMeansEngine engine(rows, options.threads);
    KMeans best = engine.run(options, options.seed);
    for (unsigned again = 1; again < options.restarts; ++again) {
        auto next = engine.run(options, options.seed + again * 0x9e3779b97f4a7c15U);
        if (next.inertia < best.inertia) best = std::move(next);
    }
    return best;
}

}  // namespace kn::analytics
