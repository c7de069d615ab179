#include "kubernaut/analytics/clustering/spanning_tree.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <tuple>

#include "kubernaut/analytics/numerics/parallel.hpp"
#include "union_find.hpp"

namespace kn::analytics {
namespace {
constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr std::uint32_t mixed = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t block = 256;

// An edge in squared distances; the order is total, without which Borůvka's rounds could close a circle.
struct Candidate {
    double weight = infinite, plain = infinite;
    std::uint32_t low = mixed, high = mixed;
    auto operator<=>(const Candidate&) const = default;
};

class Boruvka {
public:
    Boruvka(const KdTree& tree, std::size_t reach, unsigned threads)
        : tree_(tree),
          n_(static_cast<std::uint32_t>(tree.size())),
          threads_(threads),
          core_(n_, 0),
          nothing_below_(n_, 0),
          found_(n_),
          exact_(n_, 0),
          component_(n_),
          node_component_(tree.nodes().size()),
          node_core_(tree.nodes().size(), 0),
          bound_(n_),
          sets_(n_) {
        position_.resize(n_);
        for (std::uint32_t p = 0; p < n_; ++p) position_[tree.order()[p]] = p;
        const std::size_t k = std::min<std::size_t>(std::max<std::size_t>(reach, 1), n_ - 1);
        const auto near = tree.nearest_others(k, threads);
        if (reach > 0)
            for (std::uint32_t p = 0; p < n_; ++p) core_[p] = square(near.distances_of(tree.order()[p])[k - 1]);
        const auto nodes = tree.nodes();
        for (std::size_t v = nodes.size(); v-- > 0;) {
            if (nodes[v].right != 0)
                node_core_[v] = std::min(node_core_[v + 1], node_core_[nodes[v].right]);
            else
                node_core_[v] = *std::min_element(core_.begin() + nodes[v].begin, core_.begin() + nodes[v].end);
        }
        for (std::uint32_t p = 0; p < n_; ++p) {
            const std::uint32_t row = tree.order()[p];
            nothing_below_[p] = core_[p];
            for (std::size_t i = 0; i < k; ++i) {
                const std::uint32_t q = position_[near.indices_of(row)[i]];
                found_[p] = std::min(found_[p], candidate(p, q, square(near.distances_of(row)[i])));
            }
            // All that is not among the k nearest is at least as far as the last of them.
            const double last = square(near.distances_of(row)[k - 1]);
            exact_[p] = reach == 0 || (found_[p].plain < last && found_[p].weight <= last) ? 1 : 0;
        }
    }

    std::vector<TreeEdge> run() {
        std::vector<Candidate> chosen;
        chosen.reserve(n_ - 1);
        while (chosen.size() + 1 < n_) {
            name_components();
            parallel_blocks(n_, block, threads_, [&](std::size_t begin, std::size_t end) {
                for (auto p = static_cast<std::uint32_t>(begin); p < end; ++p) search(p);
            });
            std::vector<Candidate> best(n_);
            for (std::uint32_t p = 0; p < n_; ++p)
                if (foreign(p)) best[component_[p]] = std::min(best[component_[p]], found_[p]);
            for (const Candidate& c : best)
                if (c.low != mixed && sets_.unite(position_[c.low], position_[c.high])) chosen.push_back(c);
        }
        std::sort(chosen.begin(), chosen.end());
        std::vector<TreeEdge> edges;
        edges.reserve(chosen.size());
        for (const auto& c : chosen) edges.push_back({c.low, c.high, std::sqrt(c.weight)});
        return edges;
    }

    [[nodiscard]] std::vector<double> core() const {
        std::vector<double> by_row(n_);
        for (std::uint32_t p = 0; p < n_; ++p) by_row[tree_.order()[p]] = std::sqrt(core_[p]);
        return by_row;
    }

private:
    static double square(double x) { return x * x; }

    [[nodiscard]] Candidate candidate(std::uint32_t p, std::uint32_t q, double plain) const {
        const auto [low, high] = std::minmax(tree_.order()[p], tree_.order()[q]);
        return {std::max({core_[p], core_[q], plain}), plain, low, high};
    }

    // Whether the edge kept for p still leads out of p's component.
    [[nodiscard]] bool foreign(std::uint32_t p) const {
        if (found_[p].low == mixed) return false;
        return component_[position_[found_[p].low]] != component_[position_[found_[p].high]];
    }

    void name_components() {
        for (std::uint32_t p = 0; p < n_; ++p) component_[p] = sets_.find(p);
        const auto nodes = tree_.nodes();
        for (std::size_t v = nodes.size(); v-- > 0;) {
            if (nodes[v].right != 0) {
                const auto a = node_component_[v + 1], b = node_component_[nodes[v].right];
                node_component_[v] = a == b ? a : mixed;
            } else {
                const auto a = component_[nodes[v].begin];
                bool same = true;
                for (std::uint32_t p = nodes[v].begin; p < nodes[v].end && same; ++p) same = component_[p] == a;
                node_component_[v] = same ? a : mixed;
            }
        }
        for (std::uint32_t p = 0; p < n_; ++p) bound_[p].store(infinite, std::memory_order_relaxed);
        for (std::uint32_t p = 0; p < n_; ++p)
            if (foreign(p)) lower_bound_of(component_[p], found_[p].weight);
    }

    void lower_bound_of(std::uint32_t component, double to) {
        auto& bound = bound_[component];
        double now = bound.load(std::memory_order_relaxed);
        while (to < now && !bound.compare_exchange_weak(now, to, std::memory_order_relaxed)) {
        }
    }

    // Finds p's lightest edge out of its component unless the component has a lighter one already. What other threads find in the meantime
    // only cuts off searches that could not win: edges as light as the bound are still looked at.
    void search(std::uint32_t p) {
        const std::uint32_t own = component_[p];
        const auto limit = [&] { return bound_[own].load(std::memory_order_relaxed); };
        if (nothing_below_[p] > limit()) return;
        if (exact_[p] != 0 && foreign(p)) return;
        Candidate best = foreign(p) ? found_[p] : Candidate{};
        const double* query = tree_.at(p);
        struct Pending {
            double bound;
            std::uint32_t node;
        };
        std::array<Pending, 64> stack;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled before it is read
        std::size_t top = 0;
        const auto nodes = tree_.nodes();
        const auto floor_of = [&](std::uint32_t v) { return std::max({tree_.to_box(query, v), core_[p], node_core_[v]}); };
        double cut = infinite;  // the least that was not looked at
        stack[top++] = {0, 0};
        std::array<double, KdTree::leaf_size> near{};
        while (top > 0) {
            const auto [bound, v] = stack[--top];
            if (node_component_[v] == own) continue;
            if (bound > std::min(limit(), best.weight)) {
                cut = std::min(cut, bound);
                continue;
            }
            const auto& node = nodes[v];
            if (node.right != 0) {
                Pending nearer{floor_of(v + 1), v + 1}, farther{floor_of(node.right), node.right};
                if (farther.bound < nearer.bound ||
                    (farther.bound == nearer.bound && tree_.to_box(query, farther.node) < tree_.to_box(query, nearer.node)))
                    std::swap(nearer, farther);
                stack[top++] = farther;
                stack[top++] = nearer;
                continue;
            }
            tree_.leaf_distances(node, query, near.data());
            for (std::uint32_t q = node.begin; q < node.end; ++q) {
                if (component_[q] == own || near[q - node.begin] > best.weight) continue;
                best = std::min(best, candidate(p, q, near[q - node.begin]));
            }
            if (best.weight < limit()) lower_bound_of(own, best.weight);
        }
        nothing_below_[p] = std::max(nothing_below_[p], std::min(cut, best.weight));
        if (best.low == mixed) return;
        found_[p] = best;
        exact_[p] = cut > best.weight ? 1 : 0;
    }

    const KdTree& tree_;
    std::uint32_t n_;
    unsigned threads_;
    std::vector<std::uint32_t> position_;  // row -> position; all else is by position
    std::vector<double> core_;             // squared
    std::vector<double> nothing_below_;    // no foreign edge of the point is lighter; holds on, as components only grow
    std::vector<Candidate> found_;
    std::vector<char> exact_;  // found_ is the point's lightest edge as long as it is foreign
    std::vector<std::uint32_t> component_, node_component_;
    std::vector<double> node_core_;
    std::vector<std::atomic<double>> bound_;  // of each component: its lightest edge so far
    UnionFind sets_;
};
}  // namespace

SpanningTree spanning_tree(const KdTree& points, std::size_t reach, unsigned threads) {
    if (points.size() < 2) return {.edges = {}, .core = std::vector<double>(points.size(), 0)};
    Boruvka rounds(points, reach, threads);
    auto edges = rounds.run();
    return {.edges = std::move(edges), .core = rounds.core()};
}

}  // namespace kn::analytics
