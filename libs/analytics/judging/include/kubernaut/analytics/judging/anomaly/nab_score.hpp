#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace kn::analytics::judging {

/// The weights of one NAB v1.1 application profile (Lavin, Ahmad 2015).
struct NabProfile {
    std::string name;
    double tp = 1, fn = 1, fp = 0.11;
};
/// standard, low FP rate, low FN rate.
std::span<const NabProfile> nab_profiles();

/// Rows [first, last], both ends in.
struct NabWindow {
    std::size_t first = 0, last = 0;
};

/// One file of the corpus with a detector's score in [0, 1] for each row.
struct NabSeries {
    std::string name;
    std::vector<NabWindow> windows;  ///< ascending, apart from each other
    std::vector<double> scores;
};

struct NabScore {
    double value = 0;      ///< 100 is perfect, 0 is a detector that flags nothing
    double threshold = 0;  ///< a row is flagged when its score is at least this
    std::size_t windows_hit = 0, windows = 0;
    std::size_t false_flags = 0;
};

/// The best threshold for the whole corpus ("flag nothing" is allowed: threshold infinite). O(N log N) for N rows.
NabScore best_nab_score(std::span<const NabSeries> corpus, const NabProfile& profile);
/// With a threshold fixed beforehand. O(N).
NabScore nab_score_at(std::span<const NabSeries> corpus, const NabProfile& profile, double threshold);

}  // namespace kn::analytics::judging
