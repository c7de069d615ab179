#pragma once

#include <unordered_map>
#include <vector>

#include "kubernaut/analytics/clustering/k_means.hpp"

namespace kn::analytics {

/// Renames clusters to 0, 1, ... in the order of their first row; noise stays. Returns how many there are.
inline std::size_t name_by_first_row(std::vector<Label>& labels) {
    std::unordered_map<Label, Label> names;
    for (Label& l : labels)
        if (l != noise) l = names.try_emplace(l, static_cast<Label>(names.size())).first->second;
    return names.size();
}

}  // namespace kn::analytics
