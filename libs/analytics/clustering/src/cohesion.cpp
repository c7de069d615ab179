#include "kubernaut/analytics/clustering/cohesion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "kubernaut/analytics/clustering/density.hpp"
#include "kubernaut/analytics/clustering/validation.hpp"

namespace kn::analytics {
namespace {
constexpr std::size_t smallest_worth_splitting = 4;

// The links of a cluster's rows among each other, by place in the cluster.
Neighbours inner_graph(const Neighbours& graph, const std::vector<std::uint32_t>& members, const std::vector<std::uint32_t>& place,
                       std::span<const Label> labels) {
    Neighbours out{.k = graph.k, .distances = {}, .indices = std::vector<std::uint32_t>(members.size() * graph.k, Neighbours::nobody)};
    for (std::size_t i = 0; i < members.size(); ++i) {
        const auto near = graph.indices_of(members[i]);
        for (std::size_t j = 0; j < near.size(); ++j)
            if (near[j] != Neighbours::nobody && labels[near[j]] == labels[members[i]]) out.indices[i * graph.k + j] = place[near[j]];
    }
    return out;
}

double best_split(MatrixView rows, const Neighbours& graph, const SpanningTree& tree, const std::vector<std::uint32_t>& members,
                  const std::vector<std::uint32_t>& place, std::span<const Label> labels, std::uint64_t seed) {
    const auto inner = inner_graph(graph, members, place, labels);
    Matrix points(members.size(), rows.cols);
    for (std::size_t i = 0; i < members.size(); ++i) std::ranges::copy(rows.row(members[i]), points.row(i).begin());
    double least = std::numeric_limits<double>::infinity();
    const auto consider = [&](const std::vector<Label>& halves) {
        const double cut = normalized_cut(inner, halves);
        if (!std::isnan(cut)) least = std::min(least, cut);
    };
    if (const auto halves = k_means(points, {.clusters = 2, .max_steps = 20, .seed = seed})) consider(halves->labels);
    // The cluster's part of the spanning tree, where it is connected; else its pieces lie apart as they are.
    SpanningTree part{.edges = {}, .core = std::vector<double>(members.size(), 0)};
    for (const auto& e : tree.edges)
        if (labels[e.from] == labels[members.front()] && labels[e.to] == labels[members.front()])
            part.edges.push_back({place[e.from], place[e.to], e.weight});
    if (part.edges.size() + 1 == members.size())
        for (const double gini : {0.3, 0.7}) consider(genie(part, 2, gini));
    return least;
}
}  // namespace

double looseness(MatrixView rows, const Neighbours& graph, const SpanningTree& tree, std::span<const Label> labels, std::uint64_t seed) {
    std::map<Label, std::vector<std::uint32_t>> clusters;
    std::vector<std::uint32_t> place(labels.size(), 0);
    for (std::uint32_t r = 0; r < labels.size(); ++r) {
        if (labels[r] == noise) continue;
        auto& members = clusters[labels[r]];
        place[r] = static_cast<std::uint32_t>(members.size());
        members.push_back(r);
    }
    if (clusters.empty()) return std::numeric_limits<double>::quiet_NaN();
    std::map<Label, double> all, out;
    for (std::size_t r = 0; r < labels.size(); ++r) {
        if (labels[r] == noise) continue;
        for (const std::uint32_t other : graph.indices_of(r)) {
            if (other == Neighbours::nobody || labels[other] == noise) continue;
            const double crosses = labels[r] != labels[other] ? 1 : 0;
            for (const Label l : {labels[r], labels[other]}) {
                all[l] += 1;
                out[l] += crosses;
            }
        }
    }
    struct Cluster {
        double outside, inside;
    };
    std::vector<Cluster> judged;
    double sum = 0, typical = 0;
    for (const auto& [label, members] : clusters) {
        if (members.size() < smallest_worth_splitting) {
            sum += 1;  // too small to say anything for it
            continue;
        }
        judged.push_back({all[label] > 0 ? out[label] / all[label] : 0, best_split(rows, graph, tree, members, place, labels, seed)});
        typical += judged.back().inside;
    }
    typical /= std::max<double>(static_cast<double>(judged.size()), 1);
    // A little of the typical inner cut on both sides: that nothing leads out must not excuse a cluster that is two.
    constexpr double share = 0.1;
    for (const auto& [outside, inside] : judged) {
        const double total = outside + inside + 2 * share * typical;
        sum += total > 0 ? (outside + share * typical) / total : 0.5;
    }
    return sum / static_cast<double>(clusters.size());
}

}  // namespace kn::analytics
