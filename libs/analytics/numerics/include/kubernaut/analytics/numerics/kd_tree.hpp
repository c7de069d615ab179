#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/analytics/numerics/tiles.hpp"

namespace kn::analytics {

/// The k nearest of each query, nearest first, ties by the lower index. Where there are fewer than k: distance infinity, index `nobody`.
struct Neighbours {
    static constexpr std::uint32_t nobody = std::numeric_limits<std::uint32_t>::max();
    std::size_t k = 0;
    std::vector<double> distances;       ///< queries x k, Euclidean
    std::vector<std::uint32_t> indices;  ///< queries x k, rows of the tree's points

    [[nodiscard]] std::span<const double> distances_of(std::size_t query) const { return std::span(distances).subspan(query * k, k); }
    [[nodiscard]] std::span<const std::uint32_t> indices_of(std::size_t query) const { return std::span(indices).subspan(query * k, k); }
};

/// A balanced k-d tree (Bentley 1975) with boxes that fit (Friedman, Bentley, Finkel 1977) and leaves of two SIMD tiles. Values must be
/// finite. Build O(n log n) plus n log n comparisons of one dimension; memory two copies of the points. Owns its points.
class KdTree {
public:
    static constexpr std::size_t leaf_size = 2 * tile_width;
    struct Node {
        std::uint32_t begin = 0, end = 0;  ///< positions of its points
        std::uint32_t right = 0;           ///< its right child; the left one is the next node; 0 = leaf
    };

    KdTree(MatrixView points, unsigned threads);

    [[nodiscard]] std::size_t size() const { return order_.size(); }
    [[nodiscard]] std::size_t dims() const { return dims_; }
    /// k nearest of each row of `queries`.
    [[nodiscard]] Neighbours nearest(MatrixView queries, std::size_t k, unsigned threads) const;
    /// k nearest others of each of the tree's own points, in the order of the points given.
    [[nodiscard]] Neighbours nearest_others(std::size_t k, unsigned threads) const;

    // For algorithms that walk the tree themselves. A position is a place in the tree's order of points.
    [[nodiscard]] std::span<const Node> nodes() const { return nodes_; }
    [[nodiscard]] std::span<const std::uint32_t> order() const { return order_; }  ///< position -> row
    [[nodiscard]] const double* at(std::size_t position) const { return points_.data() + position * dims_; }
    [[nodiscard]] const double* tile(std::size_t position) const { return tiles_.tile(position / tile_width); }
    [[nodiscard]] const double* low(std::size_t node) const { return boxes_.data() + node * 2 * dims_; }
    [[nodiscard]] const double* high(std::size_t node) const { return low(node) + dims_; }
    /// Squared distance from a point to a node's box; 0 inside.
    [[nodiscard]] double to_box(const double* point, std::size_t node) const;
    /// Squared distance from a point to the farthest corner of a node's box.
    [[nodiscard]] double across_box(const double* point, std::size_t node) const;
    /// Squared distances from `query` to the points of a leaf, out[0 .. leaf_size).
    void leaf_distances(const Node& leaf, const double* query, double* out) const {
        squared_distances(tile(leaf.begin), tiles_for(leaf.end - leaf.begin), dims_, query, out);
    }

private:
    void build(MatrixView points, std::uint32_t node, std::uint32_t begin, std::uint32_t end, unsigned threads);
    void search(const double* query, std::uint32_t self, std::size_t k, double* distances, std::uint32_t* indices) const;

    std::size_t dims_ = 0;
    std::vector<Node> nodes_;
    std::vector<double> boxes_;
    std::vector<std::uint32_t> order_;
    std::vector<double> points_;  // in tree order, row-major
    Tiles<double> tiles_;         // the same, in tiles
};

}  // namespace kn::analytics
