#include <algorithm>
#include <cmath>
#include <string>

#include "kubernaut/analytics/clustering/density.hpp"
#include "kubernaut/analytics/numerics/scaling.hpp"
#include "labels.hpp"
#include "union_find.hpp"

namespace kn::analytics {
namespace {
struct Join {
    std::uint32_t left = 0, right = 0;  // below n: a row, else join number + n
    double distance = 0;
    std::uint32_t size = 0;
};

std::vector<Join> single_linkage(const SpanningTree& tree) {
    const auto n = static_cast<std::uint32_t>(tree.edges.size() + 1);
    UnionFind sets(n);
    std::vector<std::uint32_t> top(n), size(n, 1);
    std::iota(top.begin(), top.end(), 0U);
    std::vector<Join> joins;
    joins.reserve(n - 1);
    for (const auto& e : tree.edges) {
        const std::uint32_t a = sets.find(e.from), b = sets.find(e.to);
        joins.push_back({top[a], top[b], e.weight, size[a] + size[b]});
        const std::uint32_t total = size[a] + size[b];
        sets.unite(a, b);
        const std::uint32_t root = sets.find(a);
        size[root] = total;
        top[root] = n + static_cast<std::uint32_t>(joins.size()) - 1;
    }
    return joins;
}

struct Branch {
    std::size_t parent = 0;
    double birth = 0;    // density (1 / distance) at which it split off
    double densest = 0;  // of its rows
    double stability = 0;
    std::vector<std::size_t> children{};
};

// The hierarchy without the joins of fewer than min_cluster_size rows: branches, and for each row the last branch that it was in.
struct Condensed {
    std::vector<Branch> branches;
    std::vector<std::size_t> branch_of;
    std::vector<double> left_at;  // density at which the row fell out of it
};

Condensed condense(const std::vector<Join>& joins, std::size_t min_size) {
    const std::size_t n = joins.size() + 1;
    double densest = 0;
    for (const auto& j : joins)
        if (j.distance > 0) densest = std::max(densest, 1 / j.distance);
    const double at_zero = densest > 0 ? 2 * densest : 1;  // equal points: denser than any others, but finite
    const auto density = [&](const Join& j) { return j.distance > 0 ? 1 / j.distance : at_zero; };
    const auto size_of = [&](std::uint32_t v) { return v < n ? 1U : joins[v - n].size; };

    Condensed tree{.branches = {Branch{}}, .branch_of = std::vector<std::size_t>(n, 0), .left_at = std::vector<double>(n, 0)};
    std::vector<std::pair<std::uint32_t, std::size_t>> open{{static_cast<std::uint32_t>(2 * n - 2), 0}};
    std::vector<std::uint32_t> falling;
    const auto fall_out = [&](std::uint32_t v, std::size_t branch, double at) {
        falling.assign(1, v);
        while (!falling.empty()) {
            const std::uint32_t w = falling.back();
            falling.pop_back();
            if (w >= n) {
                falling.push_back(joins[w - n].left);
                falling.push_back(joins[w - n].right);
                continue;
            }
            tree.branch_of[w] = branch;
            tree.left_at[w] = at;
            tree.branches[branch].stability += at - tree.branches[branch].birth;
            tree.branches[branch].densest = std::max(tree.branches[branch].densest, at);
        }
    };
    while (!open.empty()) {
        const auto [v, branch] = open.back();
        open.pop_back();
        if (v < n) {
            fall_out(v, branch, at_zero);
            continue;
        }
        const Join& join = joins[v - n];
        const double at = density(join);
        const bool left_stays = size_of(join.left) >= min_size, right_stays = size_of(join.right) >= min_size;
        if (left_stays && right_stays) {
            auto& parent = tree.branches[branch];
            parent.stability += static_cast<double>(join.size) * (at - parent.birth);
            parent.densest = std::max(parent.densest, at);
            for (const std::uint32_t side : {join.left, join.right}) {
                open.emplace_back(side, tree.branches.size());
                tree.branches[branch].children.push_back(tree.branches.size());
                tree.branches.push_back({.parent = branch, .birth = at});
            }
            continue;
        }
        for (const auto& [side, stays] : {std::pair(join.left, left_stays), std::pair(join.right, right_stays)}) {
            if (stays)
                open.emplace_back(side, branch);
            else
                fall_out(side, branch, at);
        }
    }
    return tree;
}

std::vector<char> select(const Condensed& tree, const HdbscanOptions& options) {
    const auto& branches = tree.branches;
    std::vector<char> chosen(branches.size(), 0);
    std::vector<double> best(branches.size(), 0);
    const auto clear_below = [&](std::size_t from) {
        std::vector<std::size_t> open = branches[from].children;
        while (!open.empty()) {
            const std::size_t b = open.back();
            open.pop_back();
            chosen[b] = 0;
            open.insert(open.end(), branches[b].children.begin(), branches[b].children.end());
        }
    };
    for (std::size_t b = branches.size(); b-- > 0;) {
        if (b == 0 && !options.allow_single_cluster) break;
        double below = 0;
        for (const std::size_t c : branches[b].children) below += best[c];
        const bool whole = branches[b].children.empty() || (!options.leaves && branches[b].stability >= below);
        best[b] = whole ? branches[b].stability : below;
        if (!whole) continue;
        chosen[b] = 1;
        clear_below(b);
    }
    if (options.merge_below > 0) {
        // A cluster that split off only below that distance gives way to its nearest ancestor that split off above it.
        for (std::size_t b = 1; b < branches.size(); ++b) {
            if (chosen[b] == 0 || 1 / branches[b].birth >= options.merge_below) continue;
            std::size_t up = b;
            while (up != 0 && 1 / branches[up].birth < options.merge_below) up = branches[up].parent;
            if (up == 0 && !options.allow_single_cluster) {  // the oldest one below the root instead
                for (up = b; branches[up].parent != 0;) up = branches[up].parent;
            }
            clear_below(up);
            chosen[up] = 1;
        }
    }
    return chosen;
}
}  // namespace

DensityClusters hdbscan(const SpanningTree& tree, const HdbscanOptions& options) {
    const std::size_t n = tree.core.size();
    DensityClusters result{.labels = std::vector<Label>(n, noise), .membership = std::vector<double>(n, 0)};
    if (n < 2) return result;
    const auto condensed = condense(single_linkage(tree), std::max<std::size_t>(options.min_cluster_size, 2));
    const auto chosen = select(condensed, options);
    for (std::size_t r = 0; r < n; ++r) {
        std::size_t b = condensed.branch_of[r];
        while (b != 0 && chosen[b] == 0) b = condensed.branches[b].parent;
        if (chosen[b] == 0) continue;
        // With a single cluster its own fringe counts as noise only by membership.
        result.labels[r] = static_cast<Label>(b);
        const double densest = condensed.branches[b].densest;
        result.membership[r] = densest > 0 ? std::min(1.0, condensed.left_at[r] / densest) : 1;
    }
    result.clusters = name_by_first_row(result.labels);
    return result;
}

Result<DensityClusters> hdbscan(MatrixView rows, const HdbscanOptions& options) {
    if (options.min_cluster_size < 2) return fail(ErrorCode::invalid_argument, "min_cluster_size must be at least 2");
    if (const auto bad = first_row_not_finite(rows))
        return fail(ErrorCode::invalid_argument, "row " + std::to_string(*bad) + " has a value that is not finite");
    const KdTree points(rows, options.threads);
    return hdbscan(spanning_tree(points, options.min_points, options.threads), options);
}

}  // namespace kn::analytics
