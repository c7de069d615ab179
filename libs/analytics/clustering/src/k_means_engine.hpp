#pragma once

#include <vector>

#include "kubernaut/analytics/clustering/k_means.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/tiles.hpp"

namespace kn::analytics {

/// The points of a k-means in float tiles, to be clustered several times.
class KMeansEngine {
public:
    KMeansEngine(MatrixView rows, unsigned threads);

    /// One run from one seeding. Precondition: 0 < clusters <= rows.
    [[nodiscard]] KMeans run(const KMeansOptions& options, std::uint64_t seed) const;

private:
    struct State;
    [[nodiscard]] std::vector<float> seed_centers(std::size_t clusters, Rng rng) const;
    bool assign(State& state, bool everything) const;
    void move_centers(State& state) const;
    void mini_batches(State& state, const KMeansOptions& options, Rng rng) const;
    [[nodiscard]] KMeans finish(State& state) const;

    unsigned threads_;
    std::vector<double> shift_;
    double scale_ = 1;
    Tiles<float> tiles_;
};

}  // namespace kn::analytics
