#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kn::analytics::judging {

/// Volume under the range-aware precision-recall surface (Paparrizos 2022) in the TSB-AD form (Liu, Paparrizos 2024): the mean over buffer
/// widths 0..max_width of the area under the curve at 250 thresholds. `labels` are 0 or 1. NaN scores count as the lowest. 0 without labels.
/// O(n log n + max_width (n + 250 segments)) by prefix sums; the reference is O(max_width * 250 * n).
double vus_pr(std::span<const double> scores, std::span<const std::uint8_t> labels, std::size_t max_width);

/// The buffer width TSB-AD takes: the lag of 3..400 with the largest local maximum of the autocorrelation of the first 20,000 points;
/// 125 when there is none in 6..303.
std::size_t vus_width(std::span<const double> values);

/// Area under the ROC curve (ties count half) and average precision; 0 without both classes. O(n log n).
double roc_auc(std::span<const double> scores, std::span<const std::uint8_t> labels);
double average_precision(std::span<const double> scores, std::span<const std::uint8_t> labels);

}  // namespace kn::analytics::judging
