#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// Points with one or more reference partitions (labels from 1; 0 = noise that is not scored).
struct ReferenceSet {
    std::string name;
    Matrix points;
    std::vector<std::vector<std::int32_t>> references;
};

/// Every NAME.data.gz below the folder with its NAME.labels0.gz, labels1.gz ..., by battery and name.
/// not_found when there is none; invalid_argument: lines of different length, or another number of labels than points.
Result<std::vector<ReferenceSet>> read_reference_sets(const std::filesystem::path& folder);

}  // namespace kn::analytics::judging
