#pragma once

#include <cstdint>
#include <string_view>

#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// "2014-04-10 07:15:00.000000" as seconds since 1970, taken as UTC; what follows the seconds is ignored.
Result<std::int64_t> parse_time(std::string_view text);

}  // namespace kn::analytics::judging
