#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// The file's text, unpacked when its name ends in .gz. Errors: not_found, invalid_argument (damaged), resource_exhausted (over 1 GiB unpacked).
Result<std::string> read_text(const std::filesystem::path& path);

/// Lines of cells between commas, quotes around a cell taken off, empty lines left out. For benchmark files, which hold no line breaks in cells.
std::vector<std::vector<std::string_view>> csv_cells(std::string_view text);

/// The number there, NaN for an empty cell or anything else.
double number(std::string_view cell);

}  // namespace kn::analytics::judging
