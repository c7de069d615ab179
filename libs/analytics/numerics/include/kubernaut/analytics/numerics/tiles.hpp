#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"

namespace kn::analytics {

/// Points are compared in tiles of this many: within a tile the values of one dimension lie side by side, so that a vector unit works on
/// several points at once while every point's sum is added up in the order of the dimensions. The sum so has the same bits for every
/// width of the vector unit, and no multiply-add is fused.
inline constexpr std::size_t tile_width = 16;

/// How many tiles hold `points` points.
constexpr std::size_t tiles_for(std::size_t points) { return (points + tile_width - 1) / tile_width; }

/// Rows laid out in tiles: value d of row r at [(r / tile_width) * dims + d][r % tile_width]. The lanes behind the last row hold
/// infinity (distance infinity to everything finite).
template <class T> class Tiles {
public:
    Tiles() = default;
    Tiles(std::size_t rows, std::size_t dims);
    /// Value = (row's value - shift[d]) * scale[d]; empty spans: no shift, scale 1.
    Tiles(MatrixView rows, std::span<const double> shift, std::span<const double> scale, unsigned threads);

    [[nodiscard]] std::size_t rows() const { return rows_; }
    [[nodiscard]] std::size_t dims() const { return dims_; }
    [[nodiscard]] std::size_t tiles() const { return tiles_for(rows_); }
    [[nodiscard]] const T* tile(std::size_t t) const { return values_.data() + t * dims_ * tile_width; }
    [[nodiscard]] T at(std::size_t r, std::size_t d) const { return tile(r / tile_width)[d * tile_width + r % tile_width]; }
    void set(std::size_t r, std::size_t d, T value) { values_[((r / tile_width) * dims_ + d) * tile_width + r % tile_width] = value; }

private:
    std::size_t rows_ = 0;
    std::size_t dims_ = 0;
    std::vector<T> values_;
};

extern template class Tiles<float>;
extern template class Tiles<double>;

/// Squared Euclidean distances from `query` (dims values) to every lane of `count` tiles; out: count * tile_width values.
void squared_distances(const double* tiles, std::size_t count, std::size_t dims, const double* query, double* out);

/// For the tile_width points of a tile the nearest of k centers (row-major, k x dims) by squared distance, the lower index on ties, and the
/// distance to the second nearest (infinity for k = 1).
struct TileNearest {
    float best[tile_width];
    float second[tile_width];
    std::uint32_t index[tile_width];
};
void nearest_two(const float* tile, std::size_t dims, const float* centers, std::size_t k, TileNearest& out);

/// Squared distance of each lane to its own center: centers + assigned[lane] * dims.
void squared_to_assigned(const float* tile, std::size_t dims, const float* centers, const std::uint32_t* assigned, float* out);

/// best[lane] = min(best[lane], squared distance to `center`), returns nothing; one step of k-means++.
void lower_to_center(const float* tile, std::size_t dims, const float* center, float* best);

/// The vector units that this machine could use, best first, and the one in use; for reports and for tests that compare them.
std::vector<std::string> vector_units();
/// Uses only the named unit from now on; empty: the best. Returns false when the machine has not got it. Not thread-safe: for tests.
bool use_vector_unit(const std::string& name);

}  // namespace kn::analytics
