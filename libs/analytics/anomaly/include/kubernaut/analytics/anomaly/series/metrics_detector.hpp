#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kubernaut/analytics/anomaly/fusion.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

struct MetricsOptions {
    double false_positive_rate = 0.01;  ///< share of rows like the training rows that may be flagged
    std::size_t pca_window = 8;         ///< rows of a window whose reconstruction is judged
    double pca_share = 0.8;             ///< of the windows' variance that the kept components hold
    std::size_t most_components = 10;
    std::size_t smoothing = 11;  ///< rows over which evidence is gathered for the score (the flags are prompt)
};

struct MetricsJudgement {
    std::vector<double> score;            ///< for each row: evidence gathered over the rows around it; for ranking
    std::vector<double> p_value;          ///< for each row: of its own evidence, against the training rows
    std::vector<std::uint8_t> anomalous;  ///< p_value below the asked rate
};

/// One metric's part in an anomaly.
struct MetricBlame {
    std::size_t metric = 0;
    double share = 0;  ///< of the evidence at this row, all metrics sum to 1
    double value = 0;
    double low = 0, high = 0;  ///< the band that held 98 % of the training rows
    double change = 0;         ///< from five rows before
    double usual_change = 0;   ///< that 99 % of the training rows stayed below
    std::size_t since = 0;     ///< the row in which this metric became odd
};

/// Judges rows of metrics of one server against a training stretch that is taken for normal (a few outliers do no harm). Three ways: changes
/// over 1, 3 and 5 rows beyond what 99 % of training changes were; values outside the band of 98 % of the training rows; windows of all
/// metrics that the principal components of training windows do not reconstruct. Changes alone decide about flags, because a level that
/// drifts away from the training stretch for good would else be flagged for ever; changes and windows make up the score; the bands explain. Invariant to shift and
/// scale of each metric. Fit O(n d^2 w^2 / thinning + (d w)^3), judge O(n d w components); memory O((d w)^2).
class MetricsDetector {
public:
    /// Errors: failed_precondition ("insufficient data") for fewer than 64 rows or no metric that ever changes.
    static Result<MetricsDetector> fit(MatrixView training, const MetricsOptions& options = {});

    /// Missing values take the metric's value before. Errors: invalid_argument when the number of metrics differs.
    [[nodiscard]] Result<MetricsJudgement> judge(MatrixView rows) const;
    /// Which metrics made row `at` odd, the largest part first; empty when none did.
    [[nodiscard]] std::vector<MetricBlame> explain(MatrixView rows, std::size_t at) const;

    [[nodiscard]] std::size_t metrics() const { return low_.size(); }

private:
    static constexpr std::size_t lags = 3;
    struct Evidence {
        std::vector<double> change, shape;
    };
    [[nodiscard]] Matrix filled(MatrixView rows) const;
    [[nodiscard]] double change_excess(const Matrix& rows, std::size_t r, std::size_t c) const;
    [[nodiscard]] double band_excess(const Matrix& rows, std::size_t r, std::size_t c) const;
    [[nodiscard]] std::vector<double> shape_errors(const Matrix& rows) const;
    void fit_shapes(const Matrix& rows);
    [[nodiscard]] Evidence gather(const Matrix& rows) const;

    MetricsOptions options_;
    std::vector<double> low_, high_, median_, deviation_, floor_;
    std::vector<double> usual_change_;  // lags x metrics
    std::vector<double> axes_;          // components x (kept metrics * window), row-major
    std::vector<std::size_t> kept_;     // metrics that change at all
    std::size_t components_ = 0;
    double change_unit_ = 1, shape_unit_ = 1;
    std::vector<ScoreCalibration> calibration_;
};

/// How odd each row is among its own surroundings, where no training stretch is known: each metric's distance from its median over the
/// `around` rows about it, as -log10 of its empirical p-value in the whole stretch (Pareto beyond), then the mean over the `strongest`
/// metrics of the row. What lasts longer than half of `around` passes for normal. Missing values count for nothing. O(n d around).
std::vector<double> surprise_among_neighbours(MatrixView rows, std::size_t around = 61, std::size_t strongest = 5);

}  // namespace kn::analytics
