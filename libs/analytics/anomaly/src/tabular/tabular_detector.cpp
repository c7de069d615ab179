#include "kubernaut/analytics/anomaly/tabular_detector.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kubernaut/analytics/anomaly/fair_cut_forest.hpp"
#include "kubernaut/analytics/anomaly/isolation_forest.hpp"
#include "kubernaut/analytics/anomaly/neighbours.hpp"
#include "kubernaut/analytics/anomaly/robust_pca.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "tabular/columns.hpp"

namespace kn::analytics {
namespace {
constexpr std::size_t view_count = 4;
using Views = std::array<std::vector<double>, view_count>;  // neighbours, distance, fair cuts, isolation
constexpr std::size_t neighbours_of_clean = 5;

// Distances grow without bound and isolation scores are ratios: their logarithms compare. Fair-cut scores are logarithms already.
struct Standard {
    bool logarithm = true;
    double floor = 0, center = 0, spread = 0;

    Standard() = default;
    Standard(std::span<const double> own, bool log) : logarithm(log), floor(log ? quantile(own, 0.05) + 1e-9 : 0) {
        std::vector<double> values;
        for (const double v : own) values.push_back(raw(v));
        center = mean(values);
        spread = std::sqrt(variance(values));
    }
    [[nodiscard]] double raw(double v) const { return logarithm ? std::log(std::max(v, 0.0) + floor) : v; }
    [[nodiscard]] double operator()(double v) const {
        // A view that is blind on the baseline (all its scores equal) still speaks up, with a limited voice, where it sees something.
        constexpr double least_spread = 1e-3;
        return (raw(v) - center) / std::max(spread, least_spread);
    }
};

struct Fitted {
    NeighbourDistance neighbours;
    RobustPca distance;
    FairCutForest cuts;
    IsolationForest isolation;
    Views own;
    std::array<Standard, view_count> standard{};

    static Result<Fitted> to(MatrixView rows, const TabularDetectorOptions& options, std::size_t k) {
        KN_TRY(auto neighbours, NeighbourDistance::fit(rows, k, options.threads));
        KN_TRY(auto distance, RobustPca::fit(rows, {.seed = options.seed}));
        KN_TRY(auto cuts, FairCutForest::fit(rows, {.trees = 100, .seed = options.seed, .threads = options.threads}));
        KN_TRY(auto isolation, IsolationForest::fit(rows, {.seed = options.seed, .threads = options.threads}));
        Fitted fit{.neighbours = std::move(neighbours), .distance = std::move(distance), .cuts = std::move(cuts), .isolation = std::move(isolation), .own = {}};
        KN_TRY(fit.own, fit.views(rows, options.threads));
        fit.own[0] = fit.neighbours.score_own(options.threads);
        for (std::size_t v = 0; v < view_count; ++v) fit.standard[v] = Standard(fit.own[v], v != 2);
        return fit;
    }

    [[nodiscard]] Result<Views> views(MatrixView rows, unsigned threads) const {
        Views out;
        KN_TRY(out[0], neighbours.score(rows, threads));
        KN_TRY(out[1], distance.distances(rows));
        KN_TRY(out[2], cuts.score(rows, threads));
        KN_TRY(out[3], isolation.score(rows, threads));
        return out;
    }

    [[nodiscard]] std::vector<double> fused(const Views& views, const std::array<double, view_count>& weights) const {
        std::vector<double> sum(views[0].size(), 0);
        const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
        for (std::size_t v = 0; v < view_count; ++v)
            for (std::size_t r = 0; r < sum.size(); ++r) sum[r] += weights[v] / total * standard[v](views[v][r]);
        return sum;
    }
};

Matrix rows_of(MatrixView rows, std::span<const std::size_t> which) {
    Matrix out(which.size(), rows.cols);
    for (std::size_t i = 0; i < which.size(); ++i) std::ranges::copy(rows.row(which[i]), out.row(i).begin());
    return out;
}
}  // namespace

struct TabularDetector::Parts {
    std::array<double, view_count> weights{1, 1, 1, 1};
    std::vector<Fitted> fits;  // the last one is the one that counts
    TabularScores own;
    ScoreCalibration calibration{std::span<const double>{}};
    unsigned threads = 1;
};

TabularDetector::TabularDetector(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
TabularDetector::TabularDetector(TabularDetector&&) noexcept = default;
TabularDetector& TabularDetector::operator=(TabularDetector&&) noexcept = default;
TabularDetector::~TabularDetector() = default;

Result<TabularDetector> TabularDetector::fit(MatrixView baseline, const TabularDetectorOptions& options) {
    KN_CHECK(enough_to_fit(baseline));
    auto parts = std::make_unique<Parts>();
    parts->threads = options.threads;
    const std::size_t n = baseline.rows;
    if (options.clean_baseline) {
        parts->weights = {3, 1, 1, 1};
        std::vector<std::size_t> drawn(n);
        std::iota(drawn.begin(), drawn.end(), 0U);
        const std::size_t kept = std::min(n, std::max<std::size_t>(options.most_rows, 2));
        Rng rng(options.seed);
        if (kept < n)
            for (std::size_t i = 0; i < kept; ++i) std::swap(drawn[i], drawn[i + rng.below(n - i)]);
        drawn.resize(kept);
        std::ranges::sort(drawn);
        const auto rows = rows_of(baseline, drawn);
        KN_TRY(auto fit, Fitted::to(rows, options, neighbours_of_clean));
        parts->own.scores = fit.fused(fit.own, parts->weights);
        parts->fits.push_back(std::move(fit));
    } else {
        // Wide neighbourhoods first: small groups of anomalies must not vouch for each other.
        const std::size_t wide = std::clamp<std::size_t>(n / 20, neighbours_of_clean, 50);
        KN_TRY(auto first, Fitted::to(baseline, options, wide));
        parts->own.scores = first.fused(first.own, parts->weights);
        parts->fits.push_back(std::move(first));
    }
    parts->calibration = ScoreCalibration(parts->own.scores);
    parts->own.p_values = parts->calibration.p_values(parts->own.scores);
    return TabularDetector(std::move(parts));
}

Result<TabularScores> TabularDetector::score(MatrixView rows) const {
    const auto& fit = parts_->fits.back();
    KN_TRY(const auto views, fit.views(rows, parts_->threads));
    TabularScores out{.scores = fit.fused(views, parts_->weights), .p_values = {}};
    out.p_values = parts_->calibration.p_values(out.scores);
    return out;
}

const TabularScores& TabularDetector::own() const { return parts_->own; }

double TabularDetector::threshold(double rate) const { return parts_->calibration.threshold(rate); }

Result<Matrix> TabularDetector::contributions(MatrixView rows) const {
    const auto& fit = parts_->fits.back();
    const unsigned threads = parts_->threads;
    Matrix out(rows.rows, rows.cols);
    const auto add = [&](const Matrix& part, double weight) {
        for (std::size_t r = 0; r < rows.rows; ++r) {
            double speaks = 0;
            for (const double v : part.row(r)) speaks += std::max(v, 0.0);
            for (std::size_t c = 0; c < rows.cols && speaks > 0; ++c) out.at(r, c) += weight * std::max(part.at(r, c), 0.0) / speaks;
        }
    };
    KN_TRY(const auto near, fit.neighbours.contributions(rows, threads));
    add(near, parts_->weights[0]);
    KN_TRY(const auto far, fit.distance.contributions(rows));
    add(far, parts_->weights[1]);
    KN_TRY(const auto cut, fit.cuts.contributions(rows, threads));
    add(cut, parts_->weights[2]);
    for (std::size_t r = 0; r < rows.rows; ++r) {
        double sum = 0;
        for (const double v : out.row(r)) sum += v;
        for (double& v : out.row(r)) v = sum > 0 ? v / sum : 0;
    }
    return out;
}

}  // namespace kn::analytics
