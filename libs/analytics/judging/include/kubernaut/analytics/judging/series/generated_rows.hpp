#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kubernaut/analytics/judging/row.hpp"

namespace kn::analytics::judging {

/// Methods on made-up series whose truth is known, `rounds` of each kind: cycles found and made up, trends and changes, recurring failures and bursts,
/// what is found in the same values in shuffled order, and how well the chances that forecasts state come true. About 10 ms a round.
std::vector<Row> generated_rows(std::size_t rounds, std::uint64_t seed);

}  // namespace kn::analytics::judging
