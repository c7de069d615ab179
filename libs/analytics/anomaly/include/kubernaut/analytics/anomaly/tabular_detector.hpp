#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kubernaut/analytics/anomaly/fusion.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

struct TabularDetectorOptions {
    /// Whether the baseline is believed to hold no anomalies: then distances to its nearest rows decide. If not, a first look (neighbours, robust
    /// distance, both forests) leaves out the least normal rows, and all rows are measured against the others.
    bool clean_baseline = true;
    std::size_t most_rows = 20'000;  ///< of the baseline, drawn for the neighbour search
    std::uint64_t seed = 1;
    unsigned threads = 1;
};

struct TabularScores {
    std::vector<double> scores;    ///< per row; larger is more anomalous; in deviations of the baseline's own scores, roughly
    std::vector<double> p_values;  ///< chance that a row like the baseline's scores so high; valid for rows exchangeable with a clean baseline
};

/// One answer from several views of a table: distances to neighbours and fair-cut densities, after a look with robust Mahalanobis distances and
/// an isolation forest. Each view's logarithm is brought to the mean and deviation that it has on the baseline, and the mean of the views is
/// calibrated there. O(n log n) in few columns, O(n^2) in many. The same bits for any number of threads.
class TabularDetector {
public:
    /// invalid_argument: fewer than two rows, no columns.
    static Result<TabularDetector> fit(MatrixView baseline, const TabularDetectorOptions& options);
    TabularDetector(TabularDetector&&) noexcept;
    TabularDetector& operator=(TabularDetector&&) noexcept;
    ~TabularDetector();

    /// For rows that are not the baseline's. invalid_argument: another number of columns.
    [[nodiscard]] Result<TabularScores> score(MatrixView rows) const;
    /// The baseline's own rows, none of them its own neighbour.
    [[nodiscard]] const TabularScores& own() const;
    /// Per row and column, how much the column speaks for an anomaly: shares of the views' explanations; a row sums to 1 (0 where nothing speaks).
    [[nodiscard]] Result<Matrix> contributions(MatrixView rows) const;
    /// The score that a share `rate` of the baseline exceeds.
    [[nodiscard]] double threshold(double rate) const;

private:
    struct Parts;
    explicit TabularDetector(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace kn::analytics
