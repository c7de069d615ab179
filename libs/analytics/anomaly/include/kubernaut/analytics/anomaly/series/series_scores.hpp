#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::analytics {

// How odd each value of a whole series is, in several ways. Each gives one score of at least 0 for each value (larger: odder), invariant to
// shift and scale. Values that are not finite are
// bridged by straight lines first. A series without any spread scores 0 everywhere.

/// Distance from the median over the MAD, and the same for the local mean of `window` values, whichever is larger ("amplitude term": level
/// and spikes). O(n).
std::vector<double> amplitude_score(std::span<const double> values, std::size_t window);

/// What a polynomial of `degree` (0..3) fitted by least squares to the `window` values around (the value itself left out) does not explain,
/// over its usual size. O(n window) (the weights are the same everywhere, as in Savitzky, Golay 1964). window is made odd.
std::vector<double> local_polynomial_score(std::span<const double> values, std::size_t window, int degree);

/// Sub-sequences of `window` values (z-normalised with a floor), projected on the principal components that hold `share` of their
/// variance; the score of a value is the mean reconstruction error of the sub-sequences over it (sub-sequence PCA; Aggarwal 2017, in
/// TSB-AD "Sub-PCA"). O(n window^2 + window^3). Errors: invalid_argument when there are fewer than 4 windows.
Result<std::vector<double>> subsequence_pca_score(std::span<const double> values, std::size_t window, double share = 0.8);

struct SeriesAnomalyOptions {
    std::size_t window = 0;  ///< 0: the strongest season's period within 8..200, else 32
    double false_positive_rate = 0.01;
};
struct SeriesAnomalies {
    std::size_t window = 0;
    std::vector<double> p_value;         ///< for each value: calibrated against the series itself, fused over the ways
    std::vector<double> score;           ///< -log10 of it
    std::vector<std::size_t> anomalous;  ///< values whose p-value is below the asked rate
};
/// All of the above and the matrix profile, each calibrated by its own scores (empirical tail, Pareto beyond), fused by the Cauchy
/// combination, calibrated once more. For a whole series after the fact; StreamDetector judges as values come. Errors: failed_precondition
/// ("insufficient data") for fewer than 64 values.
Result<SeriesAnomalies> series_anomalies(std::span<const double> values, const SeriesAnomalyOptions& options = {});

}  // namespace kn::analytics
