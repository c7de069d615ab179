#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kubernaut/analytics/clustering/mixed.hpp"
#include "kubernaut/analytics/clustering/similarity.hpp"

namespace kn::analytics::judging {

struct PlantedOptions {
    std::size_t rows = 1000;
    std::size_t families = 4;
    std::size_t noise_columns = 3;  ///< numbers that tell nothing
    double missing = 0.05;          ///< share of cells
    double strays = 0.02;           ///< share of rows that belong to no family
    std::uint64_t seed = 1;
};

/// Executions with families planted in them: each shares a category (with a few exceptions), keeps two of the heavy-tailed numbers in a range of
/// its own, takes its own sequence of steps and ends in its own way more often than the others.
struct PlantedFamilies {
    MixedTable table;                 ///< pool, zone (tells nothing), duration, memory, then noise columns
    std::vector<RunTrace> runs;       ///< steps, one memory curve, outcome
    std::vector<Label> truth;         ///< noise for strays
    std::vector<std::int32_t> pools;  ///< the category that each family shares
};
PlantedFamilies planted_families(const PlantedOptions& options);

}  // namespace kn::analytics::judging
