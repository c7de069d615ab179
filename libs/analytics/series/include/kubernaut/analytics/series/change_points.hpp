#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kn::analytics::series {

/// What changes at a change point.
enum class ChangeKind : std::uint8_t { mean, slope, variance };

struct ChangeOptions {
    double penalty_factor = 3;    ///< times log(n), per change, in units of the noise (BIC-like; modified BIC is about 3)
    std::size_t min_segment = 0;  ///< points; 0: 5, or the period when there is a season
    std::size_t period = 0;       ///< points; 0: found; 1: none
    bool levels_only = false;     ///< no lines: a drift is then several levels
};

struct Change {
    std::size_t index = 0;  ///< the first point of the new regime
    ChangeKind kind = ChangeKind::mean;
    double before = 0;  ///< level (mean), slope per point (slope) or standard deviation (variance) of the segment before
    double after = 0;
    double score = 0;  ///< cost saved by this change over the penalty; > 1
};

struct Changes {
    std::vector<Change> changes;          ///< of level or slope, ascending
    std::vector<Change> spread_changes;   ///< of the standard deviation, ascending
    std::vector<std::size_t> boundaries;  ///< 0, every change, n: the segments
    bool piecewise_linear = false;        ///< segments are lines, not levels
    std::size_t period = 1;               ///< season taken out beforehand; 1 = none
    double noise = 0;                     ///< standard deviation about the segments, robust, from differences
    double autocorrelation = 0;           ///< lag 1 of the noise; the penalty grows with (1 + r) / (1 - r)
};

/// Where level, slope or spread change, offline. A season is taken out first; single outliers are pulled in (a change needs more than one point);
/// the noise comes from differences, so that changes do not inflate it, and the penalty grows with its autocorrelation, so that slow noise is no
/// change. Segments by PELT (Killick, Fearnhead, Eckley 2012), once with levels and once with lines; the cheaper description wins. Changes of
/// variance are sought in what remains, and listed apart. Missing values are drawn straight. O(n^2) at worst up to 1,000 points; longer series are
/// first cut on a grid of 500 places, then each boundary is moved to its best place near by: O(n). Deterministic.
Changes find_changes(std::span<const double> values, const ChangeOptions& options = {});

/// Penalty path (CROPS-like): for each factor the changes of the mean that it leaves, from the most to the fewest.
struct PenaltyStep {
    double factor = 0;
    std::vector<std::size_t> boundaries;
};
std::vector<PenaltyStep> penalty_path(std::span<const double> values, std::span<const double> factors, std::size_t min_segment = 5);

}  // namespace kn::analytics::series
