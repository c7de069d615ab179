#pragma once

#include <span>

namespace kn::analytics::judging {

// `anomalous[i]` is 1 for an anomaly, else 0; a larger score is more anomalous. NaN when there is only one kind of row. O(n log n).

/// Area under the ROC curve; ties count half.
double roc_auc(std::span<const double> scores, std::span<const char> anomalous);
/// Average precision: sum over thresholds of (recall gained) x precision; equal scores are one threshold.
double average_precision(std::span<const double> scores, std::span<const char> anomalous);
/// The largest share of anomalies found by a threshold that flags at most `rate` of the normal rows.
double true_positive_rate_at(std::span<const double> scores, std::span<const char> anomalous, double rate);

}  // namespace kn::analytics::judging
