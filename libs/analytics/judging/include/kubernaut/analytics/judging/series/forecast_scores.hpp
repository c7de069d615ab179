#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "kubernaut/analytics/judging/row.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// Mean of 200 |y - f| / (|y| + |f|); a step with both 0 counts 0.
double smape(std::span<const double> actual, std::span<const double> forecast);
/// Mean |y - f| over the mean in-sample |x_t - x_{t-m}|; NaN when that is 0.
double mase(std::span<const double> actual, std::span<const double> forecast, std::span<const double> history, std::size_t season);
/// Share of steps inside [lower, upper].
double coverage(std::span<const double> actual, std::span<const double> lower, std::span<const double> upper);
/// (sMAPE / sMAPE of Naive2 + MASE / MASE of Naive2) / 2.
double owa(double smape_value, double mase_value, double naive2_smape, double naive2_mase);
/// Expected calibration error of probabilities against what happened (0 or 1), equal-width bins.
double expected_calibration_error(std::span<const double> probabilities, std::span<const int> happened, std::size_t bins = 10);

/// OWA, sMAPE, MASE and 95 % coverage of `forecast` over every stride-th series of DATA/M4 (Hourly).
Result<std::vector<Row>> m4_rows(const std::filesystem::path& data, unsigned threads = 1, std::size_t stride = 1);
/// sMAPE, MASE and coverage over every stride-th series of DATA/M3.
Result<std::vector<Row>> m3_rows(const std::filesystem::path& data, unsigned threads = 1, std::size_t stride = 1);

}  // namespace kn::analytics::judging
