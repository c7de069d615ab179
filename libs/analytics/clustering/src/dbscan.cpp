#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <string>

#include "kubernaut/analytics/clustering/density.hpp"
#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/scaling.hpp"
#include "labels.hpp"

namespace kn::analytics {
namespace {
constexpr std::size_t block = 256;
constexpr std::uint32_t mixed = std::numeric_limits<std::uint32_t>::max();

// Disjoint sets that several threads may unite at once (Anderson, Woll 1991): the lowest member is the root, so the sets and their roots do
// not depend on the order of the unions.
class SharedUnionFind {
public:
    explicit SharedUnionFind(std::uint32_t n) : parent_(n) {
        for (std::uint32_t i = 0; i < n; ++i) parent_[i].store(i, std::memory_order_relaxed);
    }
    std::uint32_t find(std::uint32_t x) {
        for (;;) {
            std::uint32_t up = parent_[x].load(std::memory_order_relaxed);
            if (up == x) return x;
            const std::uint32_t above = parent_[up].load(std::memory_order_relaxed);
            if (above != up) parent_[x].compare_exchange_weak(up, above, std::memory_order_relaxed);
            x = above;
        }
    }
    void unite(std::uint32_t a, std::uint32_t b) {
        for (;;) {
            a = find(a);
            b = find(b);
            if (a == b) return;
            if (a > b) std::swap(a, b);
            std::uint32_t expected = b;
            if (parent_[b].compare_exchange_strong(expected, a, std::memory_order_relaxed)) return;
        }
    }

private:
    std::vector<std::atomic<std::uint32_t>> parent_;
};

class Dbscan {
public:
    Dbscan(const KdTree& tree, double eps, std::size_t min_points, unsigned threads)
        : tree_(tree),
          n_(static_cast<std::uint32_t>(tree.size())),
          squared_(eps * eps),
          min_points_(min_points),
          threads_(threads),
          small_(tree.nodes().size()),
          core_(n_, 0),
          node_cores_(tree.nodes().size(), 0),
          node_set_(tree.nodes().size()),
          sets_(n_) {}

    DensityClusters run() {
        find_small_boxes();
        mark_cores();
        unite_leaves();
        unite_cores();
        return label();
    }

private:
    // Calls leaf(node, distances) for each leaf that reaches into the ball, and inside(node) for each node wholly in it; both say whether to
    // go on. Nodes for which skip(node) holds are left out.
    template <class Skip, class Inside, class Leaf> void walk(const double* query, Skip skip, Inside inside, Leaf leaf) const {
        std::array<std::uint32_t, 64> stack;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled before it is read
        std::array<double, KdTree::leaf_size> near{};
        std::size_t top = 0;
        const auto nodes = tree_.nodes();
        if (out_of_reach(query, 0) > squared_) return;
        stack[top++] = 0;
        while (top > 0) {
            const std::uint32_t v = stack[--top];
            if (skip(v)) continue;
            if (small_[v] != 0 && tree_.across_box(query, v) <= squared_) {
                if (!inside(v)) return;
                continue;
            }
            if (nodes[v].right == 0) {
                tree_.leaf_distances(nodes[v], query, near.data());
                if (!leaf(v, near.data())) return;
                continue;
            }
            std::uint32_t nearer = v + 1, farther = nodes[v].right;
            double to_nearer = out_of_reach(query, nearer), to_farther = out_of_reach(query, farther);
            if (to_farther < to_nearer) {
                std::swap(nearer, farther);
                std::swap(to_nearer, to_farther);
            }
            if (to_farther <= squared_) stack[top++] = farther;
            if (to_nearer <= squared_) stack[top++] = nearer;
        }
    }

    // Squared distance to a node's box, or some number above eps squared: most boxes are known to be too far after a few dimensions.
    [[nodiscard]] double out_of_reach(const double* query, std::size_t node) const {
        const double *low = tree_.low(node), *high = tree_.high(node);
        const std::size_t dims = tree_.dims();
        double sum = 0;
        constexpr std::size_t at_once = 4;
        std::size_t d = 0;
        for (; d + at_once <= dims; d += at_once) {
            for (std::size_t i = d; i < d + at_once; ++i) {
                const double outside = std::max(std::max(low[i] - query[i], query[i] - high[i]), 0.0);
                sum += outside * outside;
            }
            if (sum > squared_) return sum;
        }
        for (; d < dims; ++d) {
            const double outside = std::max(std::max(low[d] - query[d], query[d] - high[d]), 0.0);
            sum += outside * outside;
        }
        return sum;
    }

    // Only boxes at most two eps across can lie wholly in a ball.
    void find_small_boxes() {
        for (std::size_t v = 0; v < small_.size(); ++v) {
            double across = 0;
            for (std::size_t d = 0; d < tree_.dims(); ++d) across += (tree_.high(v)[d] - tree_.low(v)[d]) * (tree_.high(v)[d] - tree_.low(v)[d]);
            small_[v] = across <= 4 * squared_ * (1 + 1e-12) ? 1 : 0;
        }
    }

    void mark_cores() {
        const auto nodes = tree_.nodes();
        parallel_blocks(n_, block, threads_, [&](std::size_t begin, std::size_t end) {
            for (auto p = static_cast<std::uint32_t>(begin); p < end; ++p) {
                std::size_t count = 0;
                walk(
                    tree_.at(p), [](std::uint32_t) { return false; },
                    [&](std::uint32_t v) { return (count += nodes[v].end - nodes[v].begin) < min_points_; },
                    [&](std::uint32_t v, const double* near) {
                        for (std::uint32_t i = 0; i < nodes[v].end - nodes[v].begin; ++i) count += near[i] <= squared_ ? 1 : 0;
                        return count < min_points_;
                    });
                core_[p] = count >= min_points_ ? 1 : 0;
            }
        });
        for (std::size_t v = nodes.size(); v-- > 0;) {
            if (nodes[v].right != 0)
                node_cores_[v] = node_cores_[v + 1] + node_cores_[nodes[v].right];
            else
                for (std::uint32_t p = nodes[v].begin; p < nodes[v].end; ++p) node_cores_[v] += static_cast<std::uint32_t>(core_[p]);
        }
    }

    // Boxes no wider than eps hold one set each; from then on whole boxes can be skipped or united at once.
    void unite_leaves() {
        const auto nodes = tree_.nodes();
        for (std::size_t v = 0; v < nodes.size(); ++v) {
            if (node_cores_[v] < 2) continue;
            double across = 0;
            for (std::size_t d = 0; d < tree_.dims(); ++d) across += (tree_.high(v)[d] - tree_.low(v)[d]) * (tree_.high(v)[d] - tree_.low(v)[d]);
            if (across > squared_) continue;
            std::uint32_t first = mixed;
            for (std::uint32_t p = nodes[v].begin; p < nodes[v].end; ++p) {
                if (core_[p] == 0) continue;
                if (first == mixed) first = p;
                sets_.unite(first, p);
            }
        }
        name_nodes();
    }

    // The one set that all cores of a node belong to, if so; stays true, as sets only grow.
    void name_nodes() {
        const auto nodes = tree_.nodes();
        for (std::size_t v = nodes.size(); v-- > 0;) {
            std::uint32_t name = mixed;
            if (node_cores_[v] > 0 && nodes[v].right != 0) {
                const std::size_t a = v + 1, b = nodes[v].right;
                if (node_cores_[a] == 0 || node_cores_[b] == 0 || set_of(a) == set_of(b)) name = set_of(node_cores_[a] == 0 ? b : a);
            } else if (node_cores_[v] > 0) {
                bool same = true;
                for (std::uint32_t p = nodes[v].begin; p < nodes[v].end && same; ++p) {
                    if (core_[p] == 0) continue;
                    const std::uint32_t set = sets_.find(p);
                    same = name == mixed || set == name;
                    name = set;
                }
                if (!same) name = mixed;
            }
            node_set_[v].store(name, std::memory_order_relaxed);
        }
    }

    [[nodiscard]] std::uint32_t set_of(std::size_t node) const { return node_set_[node].load(std::memory_order_relaxed); }

    void unite_cores() {
        const auto nodes = tree_.nodes();
        // In passes, so that what one pass joined lets the next skip whole nodes.
        constexpr std::uint32_t passes = 8;
        for (std::uint32_t pass = 0; pass < passes; ++pass) {
            parallel_blocks((n_ + passes - 1 - pass) / passes, block, threads_, [&](std::size_t begin, std::size_t end) {
                for (std::size_t i = begin; i < end; ++i) {
                    const auto p = static_cast<std::uint32_t>(i * passes + pass);
                    if (core_[p] == 0) continue;
                    const auto skip = [&](std::uint32_t v) {
                        return node_cores_[v] == 0 || nodes[v].begin > p || (set_of(v) != mixed && sets_.find(set_of(v)) == sets_.find(p));
                    };
                    const auto inside = [&](std::uint32_t v) {
                        if (set_of(v) != mixed) {
                            sets_.unite(p, set_of(v));
                            return true;
                        }
                        for (std::uint32_t q = nodes[v].begin; q < nodes[v].end; ++q)
                            if (core_[q] != 0) sets_.unite(p, q);
                        node_set_[v].store(p, std::memory_order_relaxed);
                        return true;
                    };
                    walk(tree_.at(p), skip, inside, [&](std::uint32_t v, const double* near) {
                        for (std::uint32_t q = nodes[v].begin; q < nodes[v].end; ++q)
                            if (core_[q] != 0 && near[q - nodes[v].begin] <= squared_) {
                                sets_.unite(p, q);
                                if (set_of(v) != mixed) break;
                            }
                        return true;
                    });
                }
            });
            name_nodes();
        }
    }

    DensityClusters label() {
        const auto nodes = tree_.nodes();
        DensityClusters result{.labels = std::vector<Label>(n_, noise), .membership = std::vector<double>(n_, 0)};
        parallel_blocks(n_, block, threads_, [&](std::size_t begin, std::size_t end) {
            for (auto p = static_cast<std::uint32_t>(begin); p < end; ++p) {
                const std::uint32_t row = tree_.order()[p];
                if (core_[p] != 0) {
                    result.labels[row] = static_cast<Label>(sets_.find(p));
                    result.membership[row] = 1;
                    continue;
                }
                std::pair<double, std::uint32_t> nearest{std::numeric_limits<double>::infinity(), mixed};
                std::uint32_t at = mixed;
                const auto consider = [&](std::uint32_t q, double squared) {
                    if (core_[q] == 0 || squared > squared_ || std::pair(squared, tree_.order()[q]) >= nearest) return;
                    nearest = {squared, tree_.order()[q]};
                    at = q;
                };
                std::array<double, KdTree::leaf_size> near{};
                walk(
                    tree_.at(p), [&](std::uint32_t v) { return node_cores_[v] == 0; },
                    [&](std::uint32_t v) {
                        for (std::uint32_t q = nodes[v].begin; q < nodes[v].end; q += KdTree::leaf_size) {
                            const KdTree::Node part{q, std::min<std::uint32_t>(nodes[v].end, q + KdTree::leaf_size), 0};
                            tree_.leaf_distances(part, tree_.at(p), near.data());
                            for (std::uint32_t i = q; i < part.end; ++i) consider(i, near[i - q]);
                        }
                        return true;
                    },
                    [&](std::uint32_t v, const double* distances) {
                        for (std::uint32_t q = nodes[v].begin; q < nodes[v].end; ++q) consider(q, distances[q - nodes[v].begin]);
                        return true;
                    });
                if (at == mixed) continue;
                result.labels[row] = static_cast<Label>(sets_.find(at));
                result.membership[row] = squared_ > 0 ? 1 - 0.5 * std::sqrt(nearest.first / squared_) : 1;
            }
        });
        result.clusters = name_by_first_row(result.labels);
        return result;
    }

    const KdTree& tree_;
    std::uint32_t n_;
    double squared_;
    std::size_t min_points_;
    unsigned threads_;
    std::vector<char> small_;  // by node
    std::vector<char> core_;   // by position, like the sets
    std::vector<std::uint32_t> node_cores_;
    std::vector<std::atomic<std::uint32_t>> node_set_;
    SharedUnionFind sets_;
};
}  // namespace

DensityClusters dbscan(const KdTree& points, double eps, std::size_t min_points, unsigned threads) {
    if (points.size() == 0) return {};
    return Dbscan(points, eps, min_points, threads).run();
}

Result<DensityClusters> dbscan(MatrixView rows, double eps, std::size_t min_points, unsigned threads) {
    if (!(eps >= 0) || !std::isfinite(eps)) return fail(ErrorCode::invalid_argument, "eps must be a distance, not negative and finite");
    if (min_points == 0) return fail(ErrorCode::invalid_argument, "min_points must be at least 1");
    if (const auto bad = first_row_not_finite(rows))
        return fail(ErrorCode::invalid_argument, "row " + std::to_string(*bad) + " has a value that is not finite");
    return dbscan(KdTree(rows, threads), eps, min_points, threads);
}

double knee_eps(const KdTree& points, std::size_t neighbour, unsigned threads) {
    if (points.size() < 2) return 0;
    const std::size_t k = std::clamp<std::size_t>(neighbour, 1, points.size() - 1);
    const auto near = points.nearest_others(k, threads);
    std::vector<double> distances(points.size());
    for (std::size_t r = 0; r < distances.size(); ++r) distances[r] = near.distances_of(r)[k - 1];
    std::ranges::sort(distances);
    // The last percent would stretch the axis to the farthest outlier.
    const std::size_t last = std::max<std::size_t>(1, (distances.size() - 1) * 99 / 100);
    const double low = distances.front(), high = distances[last];
    if (high <= low) return high;
    std::size_t knee = last;
    double deepest = -1;
    for (std::size_t i = 0; i <= last; ++i) {
        const double below = static_cast<double>(i) / static_cast<double>(last) - (distances[i] - low) / (high - low);
        if (below > deepest) {
            deepest = below;
            knee = i;
        }
    }
    return distances[knee];
}

}  // namespace kn::analytics
