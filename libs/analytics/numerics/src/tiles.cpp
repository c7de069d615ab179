#include "kubernaut/analytics/numerics/tiles.hpp"

#include <limits>

#include "kubernaut/analytics/numerics/parallel.hpp"

namespace kn::analytics {

template <class T>
Tiles<T>::Tiles(std::size_t rows, std::size_t dims)
    : rows_(rows), dims_(dims), values_(tiles_for(rows) * dims * tile_width, std::numeric_limits<T>::infinity()) {}

template <class T>
Tiles<T>::Tiles(MatrixView rows, std::span<const double> shift, std::span<const double> scale, unsigned threads) : Tiles(rows.rows, rows.cols) {
    constexpr std::size_t tiles_in_block = 512;
    parallel_blocks(tiles(), tiles_in_block, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin * tile_width; r < std::min(rows.rows, end * tile_width); ++r) {
            const double* row = rows.data + r * rows.stride;
            T* to = values_.data() + (r / tile_width) * dims_ * tile_width + r % tile_width;
            for (std::size_t d = 0; d < dims_; ++d) {
                double v = row[d];
                if (!shift.empty()) v -= shift[d];
                if (!scale.empty()) v *= scale[d];
                to[d * tile_width] = static_cast<T>(v);
            }
        }
    });
}

template class Tiles<float>;
template class Tiles<double>;

}  // namespace kn::analytics
