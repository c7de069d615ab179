#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// A table whose rows are known to be anomalies or not.
struct LabelledTable {
    std::string name;
    Matrix rows;
    std::vector<char> anomalous;
};

/// One .npz file of ADBench: arrays X (n x d) and y (n) of numbers, either order, stored or deflated.
/// not_found; invalid_argument: damaged, or of another shape or type; resource_exhausted: an array over 1 GiB.
Result<LabelledTable> read_adbench(const std::filesystem::path& path);

/// A numeric array of NumPy's .npy format, versions 1 to 3, as a matrix (one column for a vector).
Result<Matrix> parse_npy(std::string_view bytes);

/// At most `limit` rows drawn without replacement, in their order; all when there are no more.
LabelledTable sample_rows(const LabelledTable& table, std::size_t limit, std::uint64_t seed);

}  // namespace kn::analytics::judging
