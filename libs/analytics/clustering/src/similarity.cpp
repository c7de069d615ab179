#include "kubernaut/analytics/clustering/similarity.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "kubernaut/analytics/numerics/parallel.hpp"

namespace kn::analytics {
namespace {
constexpr double infinite = std::numeric_limits<double>::infinity();
double squared_or_zero(double x) { return std::isfinite(x) ? x * x : 0; }
}  // namespace

double multiset_jaccard(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) {
    if (a.empty() && b.empty()) return 1;
    std::vector<std::uint32_t> left(a.begin(), a.end()), right(b.begin(), b.end()), common;
    std::ranges::sort(left);
    std::ranges::sort(right);
    std::ranges::set_intersection(left, right, std::back_inserter(common));
    return static_cast<double>(common.size()) / static_cast<double>(left.size() + right.size() - common.size());
}

double sequence_similarity(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b, std::span<const double> weight) {
    const auto worth = [&](std::uint32_t step) { return step < weight.size() ? weight[step] : 1.0; };
    double total = 0;
    for (const auto s : a) total += worth(s);
    for (const auto s : b) total += worth(s);
    if (!(total > 0)) return a.empty() == b.empty() ? 1 : 0;
    std::vector<double> before(b.size() + 1, 0), now(b.size() + 1, 0);
    for (const auto s : a) {
        for (std::size_t j = 0; j < b.size(); ++j) now[j + 1] = s == b[j] ? before[j] + worth(s) : std::max(now[j], before[j + 1]);
        std::swap(before, now);
    }
    return 2 * before.back() / total;
}

std::vector<double> step_weights(std::span<const std::vector<std::uint32_t>> runs, double least) {
    std::map<std::uint32_t, double> holding;
    for (const auto& run : runs)
        for (const auto s : std::set<std::uint32_t>(run.begin(), run.end())) holding[s] += 1;
    std::vector<double> weights(holding.empty() ? 0 : holding.rbegin()->first + 1, 1);
    for (const auto& [step, count] : holding) weights[step] = std::max(least, std::log(static_cast<double>(runs.size()) / count));
    return weights;
}

double warped_distance(std::span<const double> a, std::span<const double> b, double band, double stop_above) {
    if (a.size() > b.size()) std::swap(a, b);
    if (a.empty()) return infinite;
    const auto n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
    const double width = std::max(band * m, 1.0) + (m - n) / 2;
    const auto from = [&](std::size_t i) {
        return static_cast<std::size_t>(std::clamp(std::floor((static_cast<double>(i) + 0.5) * m / n - width), 0.0, m - 1));
    };
    const auto to = [&](std::size_t i) {
        return static_cast<std::size_t>(std::clamp(std::ceil((static_cast<double>(i) + 0.5) * m / n + width), 1.0, m));
    };
    const double limit = stop_above < infinite ? stop_above * stop_above * m : infinite;  // of the sum; a path has at least m links
    if (limit < infinite) {
        // LB_Keogh: every value of a meets some value of b within its band.
        double bound = 0;
        for (std::size_t i = 0; i < a.size() && bound <= limit; ++i) {
            const auto [low, high] =
                std::minmax_element(b.begin() + static_cast<std::ptrdiff_t>(from(i)), b.begin() + static_cast<std::ptrdiff_t>(to(i)));
            bound += a[i] < *low ? squared_or_zero(*low - a[i]) : (a[i] > *high ? squared_or_zero(a[i] - *high) : 0);
        }
        if (bound > limit) return infinite;
    }
    std::vector<double> before(b.size() + 1, infinite), now(b.size() + 1, infinite);
    before[0] = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::ranges::fill(now, infinite);
        double least = infinite;
        for (std::size_t j = from(i); j < to(i); ++j) {
            const double best = std::min({before[j], before[j + 1], now[j]});
            now[j + 1] = best + squared_or_zero(a[i] - b[j]);
            least = std::min(least, now[j + 1]);
        }
        if (least > limit) return infinite;
        std::swap(before, now);
    }
    const double distance = std::sqrt(before.back() / m);
    return distance > stop_above ? infinite : distance;
}

double run_similarity(const RunTrace& a, const RunTrace& b, const RunWeights& weights) {
    double sum = weights.steps * (sequence_similarity(a.steps, b.steps, weights.step) + multiset_jaccard(a.steps, b.steps)) / 2;
    double total = weights.steps;
    const std::size_t kinds = std::min(a.curves.size(), b.curves.size());
    for (std::size_t c = 0; c < kinds; ++c) {
        if (a.curves[c].empty() || b.curves[c].empty()) continue;
        const double scale = c < weights.curve_scale.size() && weights.curve_scale[c] > 0 ? weights.curve_scale[c] : 1;
        const double share = weights.curves / static_cast<double>(kinds);
        sum += share / (1 + warped_distance(a.curves[c], b.curves[c], weights.band) / scale);
        total += share;
    }
    sum += a.outcome == b.outcome ? weights.outcome : 0;
    total += weights.outcome;
    return total > 0 ? sum / total : 1;
}

SpanningTree spanning_tree_by(std::size_t rows, std::size_t reach, const std::function<double(std::size_t, std::size_t)>& distance,
                              unsigned threads) {
    SpanningTree tree{.edges = {}, .core = std::vector<double>(rows, 0)};
    if (rows < 2) return tree;
    if (reach > 0)
        parallel_blocks(rows, 16, threads, [&](std::size_t begin, std::size_t end) {
            std::vector<double> near;
            for (std::size_t a = begin; a < end; ++a) {
                near.clear();
                for (std::size_t b = 0; b < rows; ++b)
                    if (a != b) near.push_back(distance(std::min(a, b), std::max(a, b)));
                const auto at = near.begin() + static_cast<std::ptrdiff_t>(std::min(reach, near.size()) - 1);
                std::nth_element(near.begin(), at, near.end());
                tree.core[a] = *at;
            }
        });
    struct Link {
        double weight = infinite, plain = infinite;
        std::size_t from = 0;
    };
    std::vector<Link> best(rows);
    std::vector<char> in(rows, 0);
    std::vector<std::pair<TreeEdge, double>> edges;
    std::size_t at = 0;
    for (std::size_t step = 1; step < rows; ++step) {
        in[at] = 1;
        parallel_blocks(rows, 256, threads, [&](std::size_t begin, std::size_t end) {
            for (std::size_t b = begin; b < end; ++b) {
                if (in[b] != 0) continue;
                const double plain = distance(std::min(at, b), std::max(at, b)), weight = std::max({plain, tree.core[at], tree.core[b]});
                if (std::pair(weight, plain) < std::pair(best[b].weight, best[b].plain)) best[b] = {weight, plain, at};
            }
        });
        std::size_t next = rows;
        for (std::size_t b = 0; b < rows; ++b)
            if (in[b] == 0 && (next == rows || std::pair(best[b].weight, best[b].plain) < std::pair(best[next].weight, best[next].plain))) next = b;
        const auto [low, high] = std::minmax(best[next].from, next);
        edges.emplace_back(TreeEdge{static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high), best[next].weight}, best[next].plain);
        at = next;
    }
    std::ranges::sort(edges, [](const auto& x, const auto& y) {
        return std::tuple(x.first.weight, x.second, x.first.from, x.first.to) < std::tuple(y.first.weight, y.second, y.first.from, y.first.to);
    });
    for (const auto& [edge, plain] : edges) tree.edges.push_back(edge);
    return tree;
}

}  // namespace kn::analytics
