#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "kubernaut/analytics/judging/row.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// Right when `found` is within 5 % of any accepted period. "No season" is 1 on both sides.
bool season_is_right(double found, std::span<const double> accepted);

/// One series of the season-length benchmark (Toller, Santos, Kern 2019).
struct SeasonCase {
    std::string name;
    std::vector<double> values;
    std::vector<double> accepted;
    double found = 1;  ///< by find_seasons: the strongest, 1 = none
};

/// Every series listed in DATA/SeasonLength/expected.csv with what we find.
Result<std::vector<SeasonCase>> season_cases(const std::filesystem::path& data);
/// The share of right answers over them.
Result<std::vector<Row>> season_rows(const std::filesystem::path& data);

}  // namespace kn::analytics::judging
