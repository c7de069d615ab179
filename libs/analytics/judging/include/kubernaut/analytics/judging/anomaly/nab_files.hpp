#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kubernaut/analytics/judging/anomaly/nab_score.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// One file of the Numenta Anomaly Benchmark as it was recorded.
struct NabFile {
    std::string name;                 ///< "realTraffic/speed_6005.csv"
    std::vector<std::int64_t> times;  ///< seconds since 1970
    std::vector<double> values;
    std::vector<NabWindow> windows;  ///< labelled rows
};

/// Reads DIR/labels/combined_windows.json and DIR/data/<name> for each name in it that is there; ordered by name.
Result<std::vector<NabFile>> read_nab(const std::filesystem::path& dir);

}  // namespace kn::analytics::judging
