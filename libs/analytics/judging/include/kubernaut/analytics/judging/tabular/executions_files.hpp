#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kubernaut/analytics/clustering/mixed.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// Tasks of one workflow family: what was measured, and the program that ran.
struct TaskFamily {
    std::string name;
    MixedTable tasks;  ///< columns as in the file but for names and the program; empty cells are missing
    std::vector<std::int32_t> programs;
    std::size_t program_count = 0;
};

/// The families of a WfInstances tasks.csv.gz, by name. not_found; invalid_argument: a header without the columns named here.
Result<std::vector<TaskFamily>> read_task_families(const std::filesystem::path& file);

}  // namespace kn::analytics::judging
