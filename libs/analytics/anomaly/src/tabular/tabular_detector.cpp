#include "kubernaut/analytics/anomaly/tabular_detector.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "kubernaut/analytics/anomaly/fair_cut_forest.hpp"
#include "kubernaut/analytics/anomaly/isolation_forest.hpp"
#include "kubernaut/analytics/anomaly/neighbours.hpp"
#include "kubernaut/analytics/anomaly/robust_pca.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "tabular/columns.hpp"

namespace kn::analytics {
namespace {
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

// The sum of four standardised views of all rows.
struct FirstLook {
    static Result<std::vector<double>> at(MatrixView rows, const TabularDetectorOptions& options, std::size_t neighbours) {
        KN_TRY(const auto near, NeighbourDistance::fit(rows, neighbours, options.threads));
        KN_TRY(const auto shape, RobustPca::fit(rows, {.seed = options.seed}));
        KN_TRY(const auto cuts, FairCutForest::fit(rows, {.trees = 100, .seed = options.seed, .threads = options.threads}));
        KN_TRY(const auto isolation, IsolationForest::fit(rows, {.seed = options.seed, .threads = options.threads}));
        std::vector<double> sum(rows.rows, 0);
        const auto add = [&](const std::vector<double>& raw, bool logarithm) {
            const Standard standard(raw, logarithm);
            for (std::size_t r = 0; r < sum.size(); ++r) sum[r] += standard(raw[r]);
        };
        add(near.score_own(options.threads), true);
        KN_TRY(const auto far, shape.distances(rows));
        add(far, true);
        KN_TRY(const auto sparse, cuts.score(rows, options.threads));
        add(sparse, false);
        KN_TRY(const auto isolated, isolation.score(rows, options.threads));
        add(isolated, true);
        return sum;
    }
};

Matrix rows_of(MatrixView rows, std::span<const std::size_t> which) {
    Matrix out(which.size(), rows.cols);
    for (std::size_t i = 0; i < which.size(); ++i) std::ranges::copy(rows.row(which[i]), out.row(i).begin());
    return out;
}
// One view of several, with its voice brought to the others' measure on the baseline.
struct Voice {
    std::optional<NeighbourDistance> neighbours{};
    std::optional<FairCutForest> cuts{};
    Standard standard{};

    [[nodiscard]] Result<std::vector<double>> raw(MatrixView rows, unsigned threads) const {
        return cuts ? cuts->score(rows, threads) : neighbours->score(rows, threads);
    }
    [[nodiscard]] Result<Matrix> contributions(MatrixView rows, unsigned threads) const {
        return cuts ? cuts->contributions(rows, threads) : neighbours->contributions(rows, threads);
    }
};

// Scores of all rows by their distance to some of them, each without itself.
Result<std::vector<double>> all_against_some(const NeighbourDistance& some, MatrixView all, std::span<const std::size_t> which, unsigned threads) {
    KN_TRY(auto scores, some.score(all, threads));
    const auto own = some.score_own(threads);
    for (std::size_t i = 0; i < which.size(); ++i) scores[which[i]] = own[i];
    return scores;
}

std::vector<std::size_t> least(const std::vector<double>& scores, double share) {
    const double limit = quantile(scores, share);
    std::vector<std::size_t> rows;
    for (std::size_t r = 0; r < scores.size(); ++r)
        if (scores[r] <= limit) rows.push_back(r);
    return rows;
}
}  // namespace

struct TabularDetector::Parts {
    std::vector<Voice> voices;
    TabularScores own;
    ScoreCalibration calibration{std::span<const double>{}};
    unsigned threads = 1;

    // Takes the voice in, with its scores of the baseline's own rows.
    void add(Voice voice, const std::vector<double>& raw) {
        voice.standard = Standard(raw, !voice.cuts);
        own.scores.resize(raw.size(), 0);
        for (std::size_t r = 0; r < raw.size(); ++r) own.scores[r] += voice.standard(raw[r]);
        voices.push_back(std::move(voice));
    }
    void calibrate() {
        for (double& s : own.scores) s /= static_cast<double>(voices.size());
        calibration = ScoreCalibration(own.scores);
        own.p_values = calibration.p_values(own.scores);
    }
    Result<> fit_clean(MatrixView baseline, const TabularDetectorOptions& options);
    Result<> fit_mixed(MatrixView baseline, const TabularDetectorOptions& options);
};

TabularDetector::TabularDetector(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
TabularDetector::TabularDetector(TabularDetector&&) noexcept = default;
TabularDetector& TabularDetector::operator=(TabularDetector&&) noexcept = default;
TabularDetector::~TabularDetector() = default;

// Nothing but normal rows: the nearest of them tell the most.
Result<> TabularDetector::Parts::fit_clean(MatrixView baseline, const TabularDetectorOptions& options) {
    const std::size_t n = baseline.rows, kept = std::min(n, std::max<std::size_t>(options.most_rows, 2));
    std::vector<std::size_t> drawn(n);
    std::iota(drawn.begin(), drawn.end(), 0U);
    Rng rng(options.seed);
    if (kept < n)
        for (std::size_t i = 0; i < kept; ++i) std::swap(drawn[i], drawn[i + rng.below(n - i)]);
    drawn.resize(kept);
    std::ranges::sort(drawn);
    const auto rows = rows_of(baseline, drawn);
    struct Look {
        std::size_t neighbours;
        NeighbourScaling scaling;
    };
    // No one scaling suits all tables: deviations, ranges and ranks each miss what another sees.
    for (const auto& [k, scaling] : {Look{1, NeighbourScaling::deviation}, Look{5, NeighbourScaling::deviation}, Look{1, NeighbourScaling::range},
                                     Look{1, NeighbourScaling::ranks}}) {
        KN_TRY(auto near, NeighbourDistance::fit(rows, k, threads, scaling));
        const auto raw = near.score_own(threads);
        add({.neighbours = std::move(near)}, raw);
    }
    return {};
}

// Anomalies among the rows: a first look by four unlike views, wide enough that small groups of anomalies do not vouch for each other, tells
// which rows are surely normal; the second look measures all rows against those.
Result<> TabularDetector::Parts::fit_mixed(MatrixView baseline, const TabularDetectorOptions& options) {
    constexpr double surely_normal = 0.7, mostly_normal = 0.9;
    const std::size_t wide = std::clamp<std::size_t>(baseline.rows / 8, 1, 50);
    KN_TRY(const auto first, FirstLook::at(baseline, options, wide));
    const auto sure = least(first, surely_normal), most = least(first, mostly_normal);
    const auto sure_rows = rows_of(baseline, sure), most_rows = rows_of(baseline, most);
    KN_TRY(auto all_cuts, FairCutForest::fit(baseline, {.trees = 200, .sample = 64, .seed = options.seed, .threads = threads}));
    KN_TRY(const auto all_cut_scores, all_cuts.score(baseline, threads));
    add({.cuts = std::move(all_cuts)}, all_cut_scores);
    if (sure.size() < 2) return {};
    KN_TRY(auto sure_cuts, FairCutForest::fit(sure_rows, {.trees = 100, .sample = 256, .seed = options.seed, .threads = threads}));
    KN_TRY(const auto sure_cut_scores, sure_cuts.score(baseline, threads));
    add({.cuts = std::move(sure_cuts)}, sure_cut_scores);
    struct Look {
        const Matrix& rows;
        const std::vector<std::size_t>& which;
        std::size_t neighbours;
    };
    for (const Look& look : {Look{sure_rows, sure, 5}, Look{most_rows, most, 5}, Look{most_rows, most, 20}}) {
        KN_TRY(auto near, NeighbourDistance::fit(look.rows, look.neighbours, threads));
        KN_TRY(const auto raw, all_against_some(near, baseline, look.which, threads));
        add({.neighbours = std::move(near)}, raw);
    }
    return {};
}

Result<TabularDetector> TabularDetector::fit(MatrixView baseline, const TabularDetectorOptions& options) {
    KN_CHECK(enough_to_fit(baseline));
    auto parts = std::make_unique<Parts>();
    parts->threads = options.threads;
    KN_CHECK(options.clean_baseline ? parts->fit_clean(baseline, options) : parts->fit_mixed(baseline, options));
    parts->calibrate();
    return TabularDetector(std::move(parts));
}

Result<TabularScores> TabularDetector::score(MatrixView rows) const {
    TabularScores out{.scores = std::vector<double>(rows.rows, 0), .p_values = {}};
    for (const auto& voice : parts_->voices) {
        KN_TRY(const auto raw, voice.raw(rows, parts_->threads));
        for (std::size_t r = 0; r < rows.rows; ++r) out.scores[r] += voice.standard(raw[r]) / static_cast<double>(parts_->voices.size());
    }
    out.p_values = parts_->calibration.p_values(out.scores);
    return out;
}

const TabularScores& TabularDetector::own() const { return parts_->own; }

double TabularDetector::threshold(double rate) const { return parts_->calibration.threshold(rate); }

Result<Matrix> TabularDetector::contributions(MatrixView rows) const {
    Matrix out(rows.rows, rows.cols);
    for (const auto& voice : parts_->voices) {
        KN_TRY(const auto part, voice.contributions(rows, parts_->threads));
        for (std::size_t r = 0; r < rows.rows; ++r) {
            double speaks = 0;
            for (const double v : part.row(r)) speaks += std::max(v, 0.0);
            for (std::size_t c = 0; c < rows.cols && speaks > 0; ++c) out.at(r, c) += std::max(part.at(r, c), 0.0) / speaks;
        }
    }
    for (std::size_t r = 0; r < rows.rows; ++r) {
        double sum = 0;
        for (const double v : out.row(r)) sum += v;
        for (double& v : out.row(r)) v = sum > 0 ? v / sum : 0;
    }
    return out;
}

}  // namespace kn::analytics
