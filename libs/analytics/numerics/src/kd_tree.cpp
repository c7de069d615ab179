#include "kubernaut/analytics/numerics/kd_tree.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <thread>

#include "kubernaut/analytics/numerics/parallel.hpp"

namespace kn::analytics {
namespace {
constexpr std::size_t deepest = 64;  // a balanced tree over 2^32 points has fewer levels
constexpr std::uint32_t parallel_from = 16'384;
}  // namespace

KdTree::KdTree(MatrixView points, unsigned threads) : dims_(points.cols), order_(points.rows), tiles_(points.rows, points.cols) {
    std::iota(order_.begin(), order_.end(), 0U);
    if (points.rows == 0) return;
    const std::size_t leaves = (points.rows + leaf_size - 1) / leaf_size;
    nodes_.resize(2 * leaves - 1);
    boxes_.resize(nodes_.size() * 2 * dims_);
    build(points, 0, 0, static_cast<std::uint32_t>(points.rows), threads);
    points_.resize(points.rows * dims_);
    parallel_blocks(points.rows, 4096, threads, [&](std::size_t begin, std::size_t end) {  // a block is a whole number of tiles
        for (std::size_t p = begin; p < end; ++p)
            for (std::size_t d = 0; d < dims_; ++d) {
                const double v = points.at(order_[p], d);
                points_[p * dims_ + d] = v;
                tiles_.set(p, d, v);
            }
    });
}

void KdTree::build(MatrixView points, std::uint32_t node, std::uint32_t begin, std::uint32_t end, unsigned threads) {
    double* low = boxes_.data() + node * 2 * dims_;
    double* high = low + dims_;
    std::fill_n(low, dims_, std::numeric_limits<double>::infinity());
    std::fill_n(high, dims_, -std::numeric_limits<double>::infinity());
    for (std::uint32_t p = begin; p < end; ++p) {
        const double* row = points.data + order_[p] * points.stride;
        for (std::size_t d = 0; d < dims_; ++d) {
            low[d] = std::min(low[d], row[d]);
            high[d] = std::max(high[d], row[d]);
        }
    }
    nodes_[node] = {begin, end, 0};
    const std::uint32_t count = end - begin;
    if (count <= leaf_size) return;

    std::size_t widest = 0;
    for (std::size_t d = 1; d < dims_; ++d)
        if (high[d] - low[d] > high[widest] - low[widest]) widest = d;
    // Left gets a whole number of full leaves, so that every leaf starts at a tile and only the last one may be short.
    const std::uint32_t leaves = (count + leaf_size - 1) / leaf_size;
    const std::uint32_t left_leaves = (leaves + 1) / 2;
    const std::uint32_t middle = begin + static_cast<std::uint32_t>(left_leaves * leaf_size);
    std::vector<std::pair<double, std::uint32_t>> keys(count);
    for (std::uint32_t i = 0; i < count; ++i) keys[i] = {points.at(order_[begin + i], widest), order_[begin + i]};
    std::nth_element(keys.begin(), keys.begin() + (middle - begin), keys.end());
    for (std::uint32_t i = 0; i < count; ++i) order_[begin + i] = keys[i].second;
    keys = {};

    const std::uint32_t right = node + 2 * left_leaves;  // a subtree with m leaves takes 2 m - 1 nodes
    nodes_[node].right = right;
    if (threads > 1 && count >= parallel_from) {
        const std::jthread other([&] { build(points, right, middle, end, threads - threads / 2); });
        build(points, node + 1, begin, middle, threads / 2);
    } else {
        build(points, node + 1, begin, middle, 1);
        build(points, right, middle, end, 1);
    }
}

double KdTree::to_box(const double* point, std::size_t node) const {
    const double* lo = low(node);
    const double* hi = high(node);
    double sum = 0;
    for (std::size_t d = 0; d < dims_; ++d) {
        const double outside = std::max(std::max(lo[d] - point[d], point[d] - hi[d]), 0.0);
        sum += outside * outside;
    }
    return sum;
}

double KdTree::across_box(const double* point, std::size_t node) const {
    const double* lo = low(node);
    const double* hi = high(node);
    double sum = 0;
    for (std::size_t d = 0; d < dims_; ++d) {
        const double far = std::max(hi[d] - point[d], point[d] - lo[d]);
        sum += far * far;
    }
    return sum;
}

// Keeps the k best, sorted; squared distances. `self` is left out.
void KdTree::search(const double* query, std::uint32_t self, std::size_t k, double* distances, std::uint32_t* indices) const {
    std::fill_n(distances, k, std::numeric_limits<double>::infinity());
    std::fill_n(indices, k, Neighbours::nobody);
    if (nodes_.empty() || k == 0) return;
    struct Pending {
        double bound;
        std::uint32_t node;
    };
    std::array<Pending, deepest> stack;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled before it is read
    std::size_t top = 0;
    stack[top++] = {to_box(query, 0), 0};
    std::array<double, leaf_size> near{};
    while (top > 0) {
        const auto [bound, first] = stack[--top];
        if (bound > distances[k - 1]) continue;
        std::uint32_t at = first;
        bool useful = true;
        while (nodes_[at].right != 0) {
            std::uint32_t nearer = at + 1, farther = nodes_[at].right;
            double to_nearer = to_box(query, nearer), to_farther = to_box(query, farther);
            if (to_farther < to_nearer) {
                std::swap(nearer, farther);
                std::swap(to_nearer, to_farther);
            }
            if (to_farther <= distances[k - 1]) stack[top++] = {to_farther, farther};
            at = nearer;
            useful = to_nearer <= distances[k - 1];
            if (!useful) break;
        }
        if (!useful) continue;
        const Node& leaf = nodes_[at];
        leaf_distances(leaf, query, near.data());
        for (std::uint32_t i = 0; i < leaf.end - leaf.begin; ++i) {
            if (near[i] > distances[k - 1]) continue;
            const std::uint32_t row = order_[leaf.begin + i];
            if (row == self || (near[i] == distances[k - 1] && row > indices[k - 1])) continue;
            std::size_t place = k - 1;
            for (; place > 0 && (near[i] < distances[place - 1] || (near[i] == distances[place - 1] && row < indices[place - 1])); --place) {
                distances[place] = distances[place - 1];
                indices[place] = indices[place - 1];
            }
            distances[place] = near[i];
            indices[place] = row;
        }
    }
    for (std::size_t i = 0; i < k; ++i) distances[i] = std::sqrt(distances[i]);
}

Neighbours KdTree::nearest(MatrixView queries, std::size_t k, unsigned threads) const {
    Neighbours found{.k = k, .distances = std::vector<double>(queries.rows * k), .indices = std::vector<std::uint32_t>(queries.rows * k)};
    parallel_blocks(queries.rows, 256, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t q = begin; q < end; ++q)
            search(queries.data + q * queries.stride, Neighbours::nobody, k, found.distances.data() + q * k, found.indices.data() + q * k);
    });
    return found;
}

Neighbours KdTree::nearest_others(std::size_t k, unsigned threads) const {
    Neighbours found{.k = k, .distances = std::vector<double>(size() * k), .indices = std::vector<std::uint32_t>(size() * k)};
    parallel_blocks(size(), 256, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t p = begin; p < end; ++p)
            search(at(p), order_[p], k, found.distances.data() + order_[p] * k, found.indices.data() + order_[p] * k);
    });
    return found;
}

}  // namespace kn::analytics
