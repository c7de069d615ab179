#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/analytics/judging/row.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// F1 of change points against several annotators (van den Burg, Williams 2020): index 0 added to every set, matches within `margin`,
/// precision against all annotators together, recall as the mean over them.
double change_f1(const std::vector<std::vector<std::size_t>>& annotators, std::span<const std::size_t> found, std::size_t margin = 5);

/// Mean over annotators of how well our segments of [0, n) cover theirs (weighted best Jaccard).
double change_cover(const std::vector<std::vector<std::size_t>>& annotators, std::span<const std::size_t> found, std::size_t n);

/// One univariate series of the Turing Change Point Data set.
struct ChangeCase {
    std::string name;
    std::vector<double> values;
    std::vector<std::vector<std::size_t>> annotators;
    std::vector<std::size_t> found;  ///< by find_changes with its defaults
};

Result<std::vector<ChangeCase>> tcpd_cases(const std::filesystem::path& data);
/// Mean F1 and cover over the univariate series in DATA/TCPD.
Result<std::vector<Row>> tcpd_rows(const std::filesystem::path& data);

}  // namespace kn::analytics::judging
