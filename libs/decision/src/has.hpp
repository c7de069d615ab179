#pragma once

#include <algorithm>
#include <functional>
#include <ranges>

namespace kn::decision {

/// Is `value` in `range`? (std::ranges::contains is not in the standard library that we build with.)
template <class Range, class Value, class Projection = std::identity> bool has(const Range& range, const Value& value, Projection projection = {}) {
    return std::ranges::find(range, value, projection) != std::ranges::end(range);
}

}  // namespace kn::decision
