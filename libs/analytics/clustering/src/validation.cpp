#include "kubernaut/analytics/clustering/validation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/tiles.hpp"

namespace kn::analytics {
namespace {
constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t block = 512;

// Clusters named densely; npos for noise.
struct Groups {
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
    std::vector<std::size_t> of;
    std::vector<double> sizes;
    double rows = 0;

    explicit Groups(std::span<const Label> labels) : of(labels.size(), none) {
        if (labels.empty()) return;
        const auto [low, high] = std::ranges::minmax(labels);
        std::vector<std::size_t> names(static_cast<std::size_t>(static_cast<std::int64_t>(high) - low) + 1, none);  // labels are dense, or nearly so
        for (std::size_t r = 0; r < labels.size(); ++r) {
            if (labels[r] == noise) continue;
            std::size_t& name = names[static_cast<std::size_t>(static_cast<std::int64_t>(labels[r]) - low)];
            if (name == none) {
                name = sizes.size();
                sizes.push_back(0);
            }
            of[r] = name;
            sizes[name] += 1;
            rows += 1;
        }
    }
    [[nodiscard]] std::size_t count() const { return sizes.size(); }
};

double squared(std::span<const double> a, std::span<const double> b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

Matrix means(MatrixView rows, const Groups& groups) {
    Matrix out(groups.count(), rows.cols);
    if (rows.rows == 0) return out;
    const auto shift = rows.row(0);  // sums stay small under a huge offset
    for (std::size_t r = 0; r < rows.rows; ++r)
        if (groups.of[r] != Groups::none)
            for (std::size_t c = 0; c < rows.cols; ++c) out.at(groups.of[r], c) += rows.at(r, c) - shift[c];
    for (std::size_t g = 0; g < groups.count(); ++g)
        for (std::size_t c = 0; c < rows.cols; ++c) out.at(g, c) = shift[c] + out.at(g, c) / groups.sizes[g];
    return out;
}

double sum_by_blocks(std::size_t n, unsigned threads, const std::function<double(std::size_t)>& value) {
    std::vector<double> parts((n + block - 1) / block, 0);
    parallel_blocks(n, block, threads, [&](std::size_t begin, std::size_t end) {
        double sum = 0;
        for (std::size_t r = begin; r < end; ++r) sum += value(r);
        parts[begin / block] = sum;
    });
    return std::accumulate(parts.begin(), parts.end(), 0.0);
}

double contrast(double own, double other) { return std::max(own, other) > 0 ? (other - own) / std::max(own, other) : 0; }
}  // namespace

double silhouette(MatrixView rows, std::span<const Label> labels, unsigned threads) {
    const Groups groups(labels);
    if (groups.count() < 2) return undefined;
    const Tiles<double> tiles(rows, {}, {}, threads);
    const double total = sum_by_blocks(rows.rows, threads, [&](std::size_t r) {
        const std::size_t own = groups.of[r];
        if (own == Groups::none || groups.sizes[own] < 2) return 0.0;
        std::vector<double> distances(tiles.tiles() * tile_width), sums(groups.count(), 0);
        squared_distances(tiles.tile(0), tiles.tiles(), rows.cols, rows.row(r).data(), distances.data());
        for (std::size_t other = 0; other < rows.rows; ++other)
            if (groups.of[other] != Groups::none) sums[groups.of[other]] += std::sqrt(distances[other]);
        double nearest = std::numeric_limits<double>::infinity();
        for (std::size_t g = 0; g < groups.count(); ++g)
            if (g != own) nearest = std::min(nearest, sums[g] / groups.sizes[g]);
        return contrast(sums[own] / (groups.sizes[own] - 1), nearest);
    });
    return total / groups.rows;
}

double simplified_silhouette(MatrixView rows, std::span<const Label> labels, unsigned threads) {
    const Groups groups(labels);
    if (groups.count() < 2) return undefined;
    const auto centers = means(rows, groups);
    const double total = sum_by_blocks(rows.rows, threads, [&](std::size_t r) {
        const std::size_t own = groups.of[r];
        if (own == Groups::none) return 0.0;
        double nearest = std::numeric_limits<double>::infinity(), to_own = 0;
        for (std::size_t g = 0; g < groups.count(); ++g) {
            const double to = squared(rows.row(r), centers.row(g));
            (g == own ? to_own : nearest) = g == own ? to : std::min(nearest, to);
        }
        return contrast(std::sqrt(to_own), std::sqrt(nearest));
    });
    return total / groups.rows;
}

double davies_bouldin(MatrixView rows, std::span<const Label> labels) {
    const Groups groups(labels);
    const std::size_t k = groups.count();
    if (k < 2) return undefined;
    const auto centers = means(rows, groups);
    std::vector<double> spread(k, 0);
    for (std::size_t r = 0; r < rows.rows; ++r)
        if (groups.of[r] != Groups::none)
            spread[groups.of[r]] += std::sqrt(squared(rows.row(r), centers.row(groups.of[r]))) / groups.sizes[groups.of[r]];
    double sum = 0;
    for (std::size_t a = 0; a < k; ++a) {
        double worst = 0;
        for (std::size_t b = 0; b < k; ++b) {
            if (a == b) continue;
            const double apart = std::sqrt(squared(centers.row(a), centers.row(b)));
            if (apart > 0)
                worst = std::max(worst, (spread[a] + spread[b]) / apart);
            else if (spread[a] + spread[b] > 0)
                worst = std::numeric_limits<double>::infinity();
        }
        sum += worst;
    }
    return sum / static_cast<double>(k);
}

double calinski_harabasz(MatrixView rows, std::span<const Label> labels) {
    const Groups groups(labels);
    const auto k = static_cast<double>(groups.count());
    if (k < 2 || groups.rows <= k) return undefined;
    const auto centers = means(rows, groups);
    std::vector<double> middle(rows.cols, 0);
    for (std::size_t g = 0; g < groups.count(); ++g)
        for (std::size_t c = 0; c < rows.cols; ++c) middle[c] += centers.at(g, c) * groups.sizes[g] / groups.rows;
    double between = 0, within = 0;
    for (std::size_t g = 0; g < groups.count(); ++g) between += groups.sizes[g] * squared(centers.row(g), middle);
    for (std::size_t r = 0; r < rows.rows; ++r)
        if (groups.of[r] != Groups::none) within += squared(rows.row(r), centers.row(groups.of[r]));
    if (within == 0) return std::numeric_limits<double>::infinity();
    return between / (k - 1) / (within / (groups.rows - k));
}

double density_validity(MatrixView all_rows, std::span<const Label> all_labels) {
    constexpr std::size_t enough = 4000;
    const std::size_t step = (all_rows.rows + enough - 1) / enough;
    if (step == 0) return undefined;
    MatrixView rows = all_rows;
    rows.stride *= step;
    rows.rows = (all_rows.rows + step - 1) / step;
    std::vector<Label> labels;
    for (std::size_t r = 0; r < all_rows.rows; r += step) labels.push_back(all_labels[r]);
    const Groups groups(labels);
    const std::size_t k = groups.count(), n = rows.rows;
    if (k < 2) return undefined;
    std::vector<std::vector<std::size_t>> members(k);
    for (std::size_t r = 0; r < n; ++r)
        if (groups.of[r] != Groups::none) members[groups.of[r]].push_back(r);
    // Core distance over all rows of the cluster; the exponent is kept in check, as high powers of distances overflow.
    std::vector<double> core(n, 0);
    const double power = std::min<double>(static_cast<double>(rows.cols), 16);
    for (const auto& m : members)
        for (const std::size_t a : m) {
            double sum = 0;
            for (const std::size_t b : m)
                if (a != b) sum += std::pow(std::max(std::sqrt(squared(rows.row(a), rows.row(b))), 1e-12), -power);
            if (m.size() > 1) core[a] = std::pow(sum / static_cast<double>(m.size() - 1), -1 / power);
        }
    const auto reach = [&](std::size_t a, std::size_t b) { return std::max({core[a], core[b], std::sqrt(squared(rows.row(a), rows.row(b)))}); };
    // Prim's tree in each cluster: its longest inner edge, and which rows are inner ones (more than one edge).
    std::vector<double> sparsest(k, 0);
    std::vector<std::size_t> degree(n, 0);
    for (std::size_t g = 0; g < k; ++g) {
        const auto& m = members[g];
        std::vector<double> best(m.size(), std::numeric_limits<double>::infinity());
        std::vector<std::size_t> from(m.size(), 0);
        std::vector<char> in(m.size(), 0);
        struct Edge {
            std::size_t a, b;
            double weight;
        };
        std::vector<Edge> edges;
        std::size_t at = 0;
        for (std::size_t i = 1; i < m.size(); ++i) {
            in[at] = 1;
            std::size_t next = m.size();
            for (std::size_t j = 0; j < m.size(); ++j) {
                if (in[j] != 0) continue;
                const double w = reach(m[at], m[j]);
                if (w < best[j]) {
                    best[j] = w;
                    from[j] = at;
                }
                if (next == m.size() || best[j] < best[next]) next = j;
            }
            edges.push_back({m[from[next]], m[next], best[next]});
            ++degree[m[from[next]]];
            ++degree[m[next]];
            at = next;
        }
        double any = 0;
        for (const auto& e : edges) {
            any = std::max(any, e.weight);
            if (degree[e.a] > 1 && degree[e.b] > 1) sparsest[g] = std::max(sparsest[g], e.weight);
        }
        if (sparsest[g] == 0) sparsest[g] = any;
    }
    std::vector<double> separation(k, std::numeric_limits<double>::infinity());
    for (std::size_t a = 0; a < k; ++a)
        for (std::size_t b = 0; b < a; ++b) {
            double least = std::numeric_limits<double>::infinity();
            for (const std::size_t x : members[a])
                for (const std::size_t y : members[b])
                    if ((degree[x] > 1 || members[a].size() < 3) && (degree[y] > 1 || members[b].size() < 3)) least = std::min(least, reach(x, y));
            separation[a] = std::min(separation[a], least);
            separation[b] = std::min(separation[b], least);
        }
    double sum = 0;
    for (std::size_t g = 0; g < k; ++g) sum += groups.sizes[g] / static_cast<double>(n) * contrast(sparsest[g], separation[g]);
    return sum;
}

double normalized_cut(const Neighbours& graph, std::span<const Label> labels) {
    const Groups groups(labels);
    if (groups.count() < 2) return undefined;
    std::vector<double> out(groups.count(), 0), all(groups.count(), 0);
    for (std::size_t r = 0; r < labels.size(); ++r) {
        if (groups.of[r] == Groups::none) continue;
        for (const std::uint32_t other : graph.indices_of(r)) {
            if (other == Neighbours::nobody || groups.of[other] == Groups::none) continue;
            const bool crosses = groups.of[other] != groups.of[r];
            for (const std::size_t g : {groups.of[r], groups.of[other]}) {  // a link counts for both its ends
                all[g] += 1;
                out[g] += crosses ? 1 : 0;
            }
        }
    }
    double sum = 0;
    for (std::size_t g = 0; g < groups.count(); ++g) sum += all[g] > 0 ? out[g] / all[g] : 0;
    return sum / static_cast<double>(groups.count());
}

double partition_agreement(std::span<const Label> a, std::span<const Label> b) {
    std::map<std::pair<Label, Label>, double> cells;
    std::map<Label, double> in_a, in_b;
    for (std::size_t i = 0; i < a.size(); ++i) {
        cells[{a[i], b[i]}] += 1;
        in_a[a[i]] += 1;
        in_b[b[i]] += 1;
    }
    const auto pairs = [](double n) { return n * (n - 1) / 2; };
    double together = 0, of_a = 0, of_b = 0;
    for (const auto& [cell, n] : cells) together += pairs(n);
    for (const auto& [label, n] : in_a) of_a += pairs(n);
    for (const auto& [label, n] : in_b) of_b += pairs(n);
    const double total = pairs(static_cast<double>(a.size()));
    const double expected = total > 0 ? of_a * of_b / total : 0, largest = (of_a + of_b) / 2;
    return largest == expected ? 1 : (together - expected) / (largest - expected);
}

double stability(MatrixView rows, std::span<const Label> labels, const std::function<std::vector<Label>(MatrixView)>& cluster, unsigned rounds,
                 std::uint64_t seed) {
    if (rows.rows < 4 || rounds == 0) return undefined;
    const std::size_t half = rows.rows / 2;
    double sum = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        Rng rng = Rng(seed).split(round);
        std::vector<std::size_t> drawn(rows.rows);
        std::iota(drawn.begin(), drawn.end(), 0U);
        for (std::size_t i = 0; i < half; ++i) std::swap(drawn[i], drawn[i + rng.below(rows.rows - i)]);
        Matrix part(half, rows.cols);
        std::vector<Label> whole;
        for (std::size_t i = 0; i < half; ++i) {
            std::ranges::copy(rows.row(drawn[i]), part.row(i).begin());
            whole.push_back(labels[drawn[i]]);
        }
        const auto again = cluster(part);
        if (again.size() == half) sum += partition_agreement(whole, again);
    }
    return sum / rounds;
}

}  // namespace kn::analytics
