#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "kubernaut/analytics/judging/row.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// A labelled set that methods are measured on, when its folder is there.
struct QualitySet {
    std::string_view name;
    std::string_view folder;  ///< below the data's folder; empty: made up, needs no data
    Result<std::vector<Row>> (*measure)(const std::filesystem::path& data, unsigned threads);
};

/// All that can be measured, in the order in which they are shown.
std::span<const QualitySet> quality_sets();

}  // namespace kn::analytics::judging
