#pragma once

#include <span>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::analytics {

/// How surprising a score is, given the scores of a baseline: p = the share of the baseline that scores at least so high, (1 + count) /
/// (1 + n), which is valid whenever the row is exchangeable with the baseline (Vovk's conformal p-value). Beyond the largest 5 % of a
/// baseline with 200 scores or more, a generalised Pareto tail (probability-weighted moments; Hosking, Wallis 1987) tells how far beyond.
class ScoreCalibration {
public:
    /// Scores that are not finite are left out. Without any, every p is 1: no baseline, no confidence.
    explicit ScoreCalibration(std::span<const double> baseline);

    [[nodiscard]] double p_value(double score) const;
    [[nodiscard]] std::vector<double> p_values(std::span<const double> scores) const;
    /// The score that a share `rate` of the baseline exceeds; infinity without a baseline.
    [[nodiscard]] double threshold(double rate) const;
    [[nodiscard]] std::size_t size() const { return sorted_.size(); }

private:
    std::vector<double> sorted_;
    bool has_tail_ = false;
    double tail_from_ = 0, tail_share_ = 0, tail_scale_ = 0, tail_shape_ = 0;
};

/// One p-value of several that may depend on each other in any way (Cauchy combination; Liu, Xie 2020). Weights need not sum to 1; empty:
/// equal. Values are kept within (1e-15, 1 - 1e-15). 1 when there is none.
double cauchy_combination(std::span<const double> p_values, std::span<const double> weights = {});

}  // namespace kn::analytics
