#include "kubernaut/analytics/anomaly/series/metrics_detector.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics {
namespace {
constexpr std::array<std::size_t, 3> lag_rows{1, 3, 5};
constexpr double most_excess = 5;
constexpr double change_weight = 2;
constexpr double farthest = 20;  ///< deviations: what lies further out counts as this far

std::vector<double> column(const Matrix& rows, std::size_t c) {
    std::vector<double> values(rows.rows());
    for (std::size_t r = 0; r < rows.rows(); ++r) values[r] = rows.at(r, c);
    return values;
}

std::vector<double> smoothed(std::span<const double> values, std::size_t width) {
    const std::size_t n = values.size(), half = width / 2;
    std::vector<double> sums(n + 1, 0), out(n);
    for (std::size_t i = 0; i < n; ++i) sums[i + 1] = sums[i] + values[i];
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t a = i - std::min(i, half), b = std::min(n, i + half + 1);
        out[i] = std::max(0.0, sums[b] - sums[a]) / static_cast<double>(b - a);
    }
    return out;
}

// What 99 % of the training rows stay below: makes the ways comparable.
double unit_of(std::span<const double> values) {
    const double q = quantile(values, 0.99);
    return q > 0 ? q : 1;
}
}  // namespace

Matrix MetricsDetector::filled(MatrixView rows) const {
    Matrix out(rows.rows, rows.cols);
    for (std::size_t c = 0; c < rows.cols; ++c) {
        double last = median_[c];
        for (std::size_t r = 0; r < rows.rows; ++r) out.at(r, c) = last = std::isfinite(rows.at(r, c)) ? rows.at(r, c) : last;
    }
    return out;
}

double MetricsDetector::change_excess(const Matrix& rows, std::size_t r, std::size_t c) const {
    double sum = 0;
    for (std::size_t k = 0; k < lags; ++k) {
        if (r < lag_rows[k]) continue;
        const double change = std::abs(rows.at(r, c) - rows.at(r - lag_rows[k], c));
        const double usual = usual_change_[k * metrics() + c];
        // A metric that never changed in training and does now: all that can be said is that it is odd.
        if (change > usual) sum += usual > 0 ? std::min(change / usual - 1, most_excess) : most_excess;
    }
    return sum / lags;
}

double MetricsDetector::band_excess(const Matrix& rows, std::size_t r, std::size_t c) const {
    const double value = rows.at(r, c), over = std::max(value - high_[c], low_[c] - value);
    if (over <= floor_[c]) return 0;
    const double width = std::max(high_[c] - low_[c], deviation_[c]);
    return width > 0 ? std::min(over / width, most_excess) : 1;
}

void MetricsDetector::fit_shapes(const Matrix& rows) {
    const std::size_t w = options_.pca_window, width = kept_.size() * w;
    const std::size_t count = rows.rows() - w + 1, step = std::max<std::size_t>(1, count / 2000);
    Eigen::MatrixXd moments = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(width), static_cast<Eigen::Index>(width));
    Eigen::MatrixXd block(static_cast<Eigen::Index>(width), 64);
    Eigen::Index held = 0;
    const auto flush = [&] {
        if (held > 0) moments.selfadjointView<Eigen::Lower>().rankUpdate(block.leftCols(held));
        held = 0;
    };
    for (std::size_t i = 0; i < count; i += step) {
        for (std::size_t k = 0; k < kept_.size(); ++k)
            for (std::size_t j = 0; j < w; ++j)
                block(static_cast<Eigen::Index>(k * w + j), held) =
                    std::clamp((rows.at(i + j, kept_[k]) - median_[kept_[k]]) / deviation_[kept_[k]], -farthest, farthest);
        if (++held == block.cols()) flush();
    }
    flush();
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> parts(moments);
    const Eigen::VectorXd& weight = parts.eigenvalues();
    const auto all = weight.size();
    const double wanted = options_.pca_share * weight.sum();
    double sum = 0;
    while (components_ < std::min<std::size_t>(options_.most_components, static_cast<std::size_t>(all)) && sum < wanted)
        sum += weight(all - 1 - static_cast<Eigen::Index>(components_++));
    for (std::size_t a = 0; a < components_; ++a)
        for (Eigen::Index i = 0; i < all; ++i) axes_.push_back(parts.eigenvectors()(i, all - 1 - static_cast<Eigen::Index>(a)));
}

std::vector<double> MetricsDetector::shape_errors(const Matrix& rows) const {
    const std::size_t w = options_.pca_window, width = kept_.size() * w, n = rows.rows();
    std::vector<double> errors(n, 0), covers(n, 0);
    if (n < w || components_ == 0) return errors;
    const Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> axes(
        axes_.data(), static_cast<Eigen::Index>(components_), static_cast<Eigen::Index>(width));
    constexpr std::size_t at_once = 128;
    Eigen::MatrixXd block(static_cast<Eigen::Index>(width), static_cast<Eigen::Index>(at_once));
    for (std::size_t first = 0; first + w <= n; first += at_once) {
        const std::size_t past = std::min(first + at_once, n - w + 1);
        const auto held = static_cast<Eigen::Index>(past - first);
        for (std::size_t i = first; i < past; ++i)
            for (std::size_t k = 0; k < kept_.size(); ++k)
                for (std::size_t j = 0; j < w; ++j)
                    block(static_cast<Eigen::Index>(k * w + j), static_cast<Eigen::Index>(i - first)) =
                        std::clamp((rows.at(i + j, kept_[k]) - median_[kept_[k]]) / deviation_[kept_[k]], -farthest, farthest);
        const Eigen::MatrixXd rest = block.leftCols(held) - axes.transpose() * (axes * block.leftCols(held));
        for (std::size_t i = first; i < past; ++i) {
            for (std::size_t j = 0; j < w; ++j) {
                double sum = 0;
                for (std::size_t k = 0; k < kept_.size(); ++k) {
                    const double e = rest(static_cast<Eigen::Index>(k * w + j), static_cast<Eigen::Index>(i - first));
                    sum += e * e;
                }
                errors[i + j] += sum / static_cast<double>(kept_.size());
                covers[i + j] += 1;
            }
        }
    }
    for (std::size_t i = 0; i < n; ++i) errors[i] /= std::max(covers[i], 1.0);
    return errors;
}

MetricsDetector::Evidence MetricsDetector::gather(const Matrix& rows) const {
    const std::size_t n = rows.rows(), d = metrics();
    Evidence evidence{.change = std::vector<double>(n, 0), .shape = shape_errors(rows)};
    for (std::size_t r = 0; r < n; ++r) {
        for (std::size_t c = 0; c < d; ++c) {
            evidence.change[r] += change_excess(rows, r, c) / static_cast<double>(d);
        }
    }
    return evidence;
}

Result<MetricsDetector> MetricsDetector::fit(MatrixView training, const MetricsOptions& options) {
    constexpr std::size_t fewest = 64;
    if (training.rows < fewest || training.cols == 0)
        return fail(ErrorCode::failed_precondition,
                    "insufficient data: " + std::to_string(training.rows) + " rows, " + std::to_string(fewest) + " are needed");
    MetricsDetector detector;
    detector.options_ = options;
    detector.options_.pca_window = std::clamp<std::size_t>(options.pca_window, 1, fewest / 4);
    const std::size_t d = training.cols;
    detector.median_.assign(d, 0);
    for (std::size_t c = 0; c < d; ++c) {
        std::vector<double> values;
        for (std::size_t r = 0; r < training.rows; ++r) values.push_back(training.at(r, c));
        const double center = median(values);
        detector.median_[c] = std::isfinite(center) ? center : 0;
    }
    const Matrix rows = detector.filled(training);
    detector.low_.resize(d), detector.high_.resize(d);
    detector.usual_change_.resize(lags * d);
    for (std::size_t c = 0; c < d; ++c) {
        const auto values = column(rows, c);
        detector.low_[c] = quantile(values, 0.01);
        detector.high_[c] = quantile(values, 0.99);
        const double deviation = std::sqrt(variance(values));
        const double rounding = 1e-9 * std::max(std::abs(detector.low_[c]), std::abs(detector.high_[c]));
        detector.deviation_.push_back(deviation > rounding ? deviation : 0);
        detector.floor_.push_back(rounding);
        if (detector.deviation_[c] > 0) detector.kept_.push_back(c);
        for (std::size_t k = 0; k < lags; ++k) {
            std::vector<double> changes;
            for (std::size_t r = lag_rows[k]; r < values.size(); ++r) changes.push_back(std::abs(values[r] - values[r - lag_rows[k]]));
            detector.usual_change_[k * d + c] = quantile(changes, 0.99) + 1e-3 * detector.deviation_[c] + rounding;
        }
    }
    if (detector.kept_.empty()) return fail(ErrorCode::failed_precondition, "insufficient data: no metric changes in the training rows");
    detector.fit_shapes(rows);
    const Evidence evidence = detector.gather(rows);
    detector.change_unit_ = unit_of(smoothed(evidence.change, detector.options_.smoothing));
    detector.shape_unit_ = unit_of(smoothed(evidence.shape, detector.options_.smoothing / 2));
    detector.calibration_.emplace_back(evidence.change);
    return detector;
}

Result<MetricsJudgement> MetricsDetector::judge(MatrixView view) const {
    if (view.cols != metrics())
        return fail(ErrorCode::invalid_argument, "trained on " + std::to_string(metrics()) + " metrics, not " + std::to_string(view.cols));
    const Matrix rows = filled(view);
    const Evidence evidence = gather(rows);
    MetricsJudgement judgement{.score = {}, .p_value = calibration_.front().p_values(evidence.change), .anomalous = {}};
    const auto change = smoothed(evidence.change, options_.smoothing), shape = smoothed(evidence.shape, options_.smoothing / 2);
    for (std::size_t r = 0; r < rows.rows(); ++r) {
        judgement.score.push_back(change_weight * change[r] / change_unit_ + shape[r] / shape_unit_);
        judgement.anomalous.push_back(judgement.p_value[r] < options_.false_positive_rate ? 1 : 0);
    }
    return judgement;
}

std::vector<MetricBlame> MetricsDetector::explain(MatrixView view, std::size_t at) const {
    std::vector<MetricBlame> blames;
    if (view.cols != metrics() || at >= view.rows) return blames;
    const Matrix rows = filled(view);
    const auto odd = [&](std::size_t r, std::size_t c) { return change_excess(rows, r, c) + band_excess(rows, r, c); };
    double total = 0;
    for (std::size_t c = 0; c < metrics(); ++c) {
        const double part = odd(at, c);
        if (part <= 0) continue;
        constexpr std::size_t pause = 3;  // a metric may look ordinary for so many rows and is still taken for odd
        std::size_t since = at;
        for (std::size_t r = at; r-- > 0 && since - r <= pause;)
            if (odd(r, c) > 0) since = r;
        blames.push_back({.metric = c,
                          .share = part,
                          .value = rows.at(at, c),
                          .low = low_[c],
                          .high = high_[c],
                          .change = at < lag_rows[2] ? 0 : rows.at(at, c) - rows.at(at - lag_rows[2], c),
                          .usual_change = usual_change_[2 * metrics() + c],
                          .since = since});
        total += part;
    }
    for (MetricBlame& blame : blames) blame.share /= total;
    std::ranges::sort(blames, [](const MetricBlame& a, const MetricBlame& b) { return a.share > b.share; });
    return blames;
}

}  // namespace kn::analytics
