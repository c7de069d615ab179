#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "kubernaut/analytics/clustering/spanning_tree.hpp"

namespace kn::analytics {

// Similarities of runs, in [0, 1]; 1 = alike. Steps are codes of the caller's.

/// Shared steps, counted with repetition, over all steps: |a ∩ b| / |a ∪ b| of multisets; 1 for two empty runs. O(n log n).
double multiset_jaccard(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b);

/// Longest common subsequence in weight: 2 x weight(common) / (weight(a) + weight(b)); `weight[step]`, 1 for codes beyond it. Weighing a
/// step by -log of its share of runs lets rare steps count. 1 for two empty runs. O(|a| |b|).
double sequence_similarity(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b, std::span<const double> weight = {});

/// -log(share of runs that hold the step), at least `least`, for codes 0 .. largest.
std::vector<double> step_weights(std::span<const std::vector<std::uint32_t>> runs, double least = 0.1);

/// Dynamic time warping of two curves (Sakoe, Chiba 1978): root of the least mean squared difference along a path that stays within a band of
/// `band` (a share of the longer one) around the diagonal. Infinity as soon as it must exceed `stop_above`, or when a curve is empty. Values
/// that are not finite count as 0 difference. O(n x band); lower bound first (LB_Keogh 2005).
double warped_distance(std::span<const double> a, std::span<const double> b, double band = 0.1,
                       double stop_above = std::numeric_limits<double>::infinity());

/// A run of a workflow: the steps it took, its resource curves (each over its own time), how it ended.
struct RunTrace {
    std::vector<std::uint32_t> steps;
    std::vector<std::vector<double>> curves;  ///< same kinds in the same order for all runs; an empty one is unknown
    std::uint32_t outcome = 0;
};

struct RunWeights {
    double steps = 1, curves = 1, outcome = 0.5;
    double band = 0.1;
    std::vector<double> step{};         ///< see step_weights
    std::vector<double> curve_scale{};  ///< deviation of each kind of curve; a warped distance of so much halves the similarity; empty: 1
};

/// Weighted mean of what is known: mean of sequence similarity and multiset Jaccard; per curve 1 / (1 + distance / scale); outcome 0 or 1.
double run_similarity(const RunTrace& a, const RunTrace& b, const RunWeights& weights);

/// The minimum spanning tree under any symmetric distance, for hdbscan() and genie() over runs or mixed rows; see spanning_tree(). Prim's
/// algorithm, O(n^2) distances, each row's distances computed twice at most.
SpanningTree spanning_tree_by(std::size_t rows, std::size_t reach, const std::function<double(std::size_t, std::size_t)>& distance, unsigned threads);

}  // namespace kn::analytics
