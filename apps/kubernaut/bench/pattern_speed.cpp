#include "bench/pattern_speed.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <iostream>
#include <optional>

#include "kubernaut/analytics/anomaly/isolation_forest.hpp"
#include "kubernaut/analytics/anomaly/series/matrix_profile.hpp"
#include "kubernaut/analytics/anomaly/stream/stream_detector.hpp"
#include "kubernaut/analytics/clustering/density.hpp"
#include "kubernaut/analytics/clustering/k_means.hpp"
#include "kubernaut/analytics/clustering/partition.hpp"
#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/series/decomposition.hpp"
#include "kubernaut/analytics/series/forecast.hpp"
#include "kubernaut/patterns/analysis/series_analysis.hpp"

namespace kn::app {
namespace {

using analytics::Matrix;
using analytics::MatrixView;
using analytics::judging::Row;

double seconds(const std::function<void()>& work) {
    const auto began = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}
double best_of(int runs, const std::function<void()>& work) {
    double best = seconds(work);
    for (int i = 1; i < runs; ++i) best = std::min(best, seconds(work));
    return best;
}

/// Rows around `groups` centers in [0, 10)^columns.
Matrix groups_of_points(std::size_t rows, std::size_t columns, std::size_t groups, double spread, std::uint64_t seed) {
    analytics::Rng random(seed);
    Matrix centers(groups, columns);
    for (std::size_t g = 0; g < groups; ++g)
        for (double& value : centers.row(g)) value = 10 * random.uniform();
    Matrix points(rows, columns);
    for (std::size_t r = 0; r < rows; ++r) {
        const auto center = centers.row(random.below(groups));
        const auto row = points.row(r);
        for (std::size_t c = 0; c < columns; ++c) row[c] = center[c] + spread * random.normal();
    }
    return points;
}

/// A day and a week of five minutes each, a trend and noise.
std::vector<double> five_minutes(std::size_t n) {
    analytics::Rng random(4);
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) {
        const double t = static_cast<double>(i);
        values[i] = 50 + 0.001 * t + 10 * std::sin(2 * M_PI * t / 288) + 4 * std::sin(2 * M_PI * t / 2016) + random.normal();
    }
    return values;
}

MatrixView one_column(const std::vector<double>& values) { return {.data = values.data(), .rows = values.size(), .cols = 1, .stride = 1}; }

std::string thousands(std::size_t n) {
    if (n % 1'000'000 == 0) return std::to_string(n / 1'000'000) + "M";
    return n % 1000 == 0 ? std::to_string(n / 1000) + "k" : std::to_string(n);
}

class Speed {
public:
    Speed(std::size_t rows, unsigned threads, const Peers& peers, std::vector<Row>& out, std::vector<Skipped>& skipped)
        : rows_(rows), threads_(threads), peers_(peers), out_(out), skipped_(skipped) {}

    void run() {
        if (!peers_.missing().empty()) skipped_.push_back({"speed beside peers", peers_.missing()});
        large_tables();
        density();
        choice_of_k();
        series();
        many_series();
        stream();
    }

private:
    /// Our time; `goal` in seconds.
    void told(const std::string& what, double taken, std::optional<double> goal, std::string note = {}) {
        out_.push_back({.set = "speed", .metric = what + " (ms)", .value = 1000 * taken, .larger_is_better = false, .note = std::move(note)});
        if (goal) out_.back().goal = 1000 * *goal;
    }
    void beside_peers(const std::string& what, const std::string& kind, double taken, MatrixView data) {
        if (!peers_.missing().empty()) return;
        std::cerr << "speed: peers for " << what << "\n";
        for (const PeerTime& peer : peers_.measure(kind, data)) {
            if (!peer.why.empty()) {
                skipped_.push_back({what + " beside " + peer.name, peer.why});
                continue;
            }
            char note[96];
            std::snprintf(note, sizeof note, "%.4g ms beside %.4g ms", 1000 * taken, 1000 * peer.seconds);
            out_.push_back(
                {.set = "peers", .metric = what + ": times as fast as " + peer.name, .value = peer.seconds / taken, .goal = 1, .note = note});
        }
    }
    template <class Answer> bool worked(const std::string& what, const Result<Answer>& answer) {
        if (!answer) skipped_.push_back({"speed of " + what, answer.error().describe()});
        return answer.has_value();
    }

    void large_tables() {
        std::cerr << "speed: " << rows_ << " x 16 points\n";
        const Matrix points = groups_of_points(rows_, 16, 10, 4, 2);  // overlapping, so that k-means has work to do
        const bool million = rows_ == 1'000'000;
        Result<analytics::KMeans> means;
        double taken = best_of(3, [&] { means = analytics::k_means(points, {.clusters = 10, .max_steps = 20, .seed = 1, .threads = threads_}); });
        std::string what = "k-means " + thousands(rows_) + " x 16, k 10, 20 steps";
        if (worked(what, means)) {
            told(what, taken, million ? std::optional(.316) : std::nullopt);
            beside_peers(what, "k_means", taken, points);
        }
        Result<std::vector<double>> scores;
        taken = best_of(3, [&] {
            auto forest = analytics::IsolationForest::fit(points, {.trees = 100, .sample = 256, .seed = 1, .threads = threads_});
            scores = forest ? forest->score(points, threads_) : Result<std::vector<double>>(fail(forest.error()));
        });
        what = "isolation forest " + thousands(rows_) + " x 16, fit and score";
        if (worked(what, scores)) {
            told(what, taken, million ? std::optional(.8) : std::nullopt);
            beside_peers(what, "forest", taken, points);
        }
    }

    void density() {
        const std::size_t rows = std::min<std::size_t>(100'000, rows_);
        std::cerr << "speed: density\n";
        const Matrix points = groups_of_points(rows, 8, 20, 0.5, 3);
        Result<analytics::DensityClusters> answer;
        double taken = best_of(3, [&] { answer = analytics::dbscan(points, 0.9, 10, threads_); });
        std::string what = "DBSCAN " + thousands(rows) + " x 8";
        if (worked(what, answer)) {
            told(what, taken, rows == 100'000 ? std::optional(.5) : std::nullopt, std::to_string(answer->clusters) + " clusters found");
            beside_peers(what, "dbscan", taken, points);
        }
        const std::size_t fewer = std::min<std::size_t>(20'000, rows);
        const MatrixView part{.data = points.row(0).data(), .rows = fewer, .cols = 8, .stride = MatrixView(points).stride};
        taken = best_of(3, [&] { answer = analytics::hdbscan(part, {.min_cluster_size = 10, .min_points = 10, .threads = threads_}); });
        what = "HDBSCAN* " + thousands(fewer) + " x 8";
        if (worked(what, answer)) {
            told(what, taken, std::nullopt, std::to_string(answer->clusters) + " clusters found");
            beside_peers(what, "hdbscan", taken, part);
        }
    }

    void choice_of_k() {
        std::cerr << "speed: choice of k\n";
        const Matrix points = groups_of_points(1000, 16, 5, 1, 3);
        Result<analytics::Partition> answer;
        const double taken = best_of(5, [&] { answer = analytics::partition(points, {.seed = 1, .threads = threads_}); });
        const std::string what = "choice of k, 1k x 16";
        if (!worked(what, answer)) return;
        told(what, taken, .02, std::to_string(answer->clusters) + " clusters found of 5");
        beside_peers(what, "choice_of_k", taken, points);
    }

    void series() {
        namespace series = analytics::series;
        std::cerr << "speed: a series\n";
        const auto values = five_minutes(10'000);
        std::vector<double> times(values.size());
        for (std::size_t i = 0; i < times.size(); ++i) times[i] = 300 * static_cast<double>(i);
        Result<patterns::SeriesAnalysis> answer;
        double taken = best_of(5, [&] { answer = patterns::analyze_series("speed", times, values, {}); });
        if (worked("an analysis", answer))
            told("full analysis of one series of 10k points", taken, .02, std::to_string(answer->seasons.size()) + " seasons found; one thread");
        std::size_t points = 0;
        taken = best_of(3, [&] { points = series::stl(values, 288).trend.size(); });
        told("STL, " + thousands(points) + " points, period 288", taken, std::nullopt);
        beside_peers("STL, 10k points, period 288", "stl", taken, one_column(values));
        std::vector<double> hourly;
        for (std::size_t i = 0; i < 960; ++i) hourly.push_back(values[10 * i]);
        Result<series::Forecast> outlook;
        taken = best_of(5, [&] { outlook = series::forecast(hourly, {.horizon = 48, .periods = {24}}); });
        if (worked("a forecast", outlook)) {
            told("forecast of 960 points, 48 ahead", taken, .005);
            beside_peers("forecast of 960 points, 48 ahead", "forecast", taken, one_column(hourly));
        }
        Result<analytics::MatrixProfile> profile;
        taken = best_of(3, [&] { profile = analytics::matrix_profile(values, 64); });
        if (worked("a matrix profile", profile)) {
            told("matrix profile, 10k points, window 64", taken, std::nullopt, "one thread");
            beside_peers("matrix profile, 10k points, window 64", "matrix_profile", taken, one_column(values));
        }
    }

    void many_series() {
        std::cerr << "speed: many series\n";
        constexpr std::size_t count = 1000, points = 1440;
        std::vector<double> times(points);
        for (std::size_t i = 0; i < points; ++i) times[i] = 300 * static_cast<double>(i);
        const auto values = five_minutes(points + count);
        const double taken = seconds([&] {
            analytics::parallel_blocks(count, 1, threads_, [&](std::size_t begin, std::size_t end) {
                for (std::size_t s = begin; s < end; ++s) (void)patterns::analyze_series("speed", times, std::span(values).subspan(s, points), {});
            });
        });
        told("full analysis of 1,000 series of 1,440 points", taken, 2);
    }

    void stream() {
        std::cerr << "speed: a stream\n";
        constexpr std::size_t points = 500'000;
        std::vector<double> values(points);
        analytics::Rng random(5);
        for (std::size_t i = 0; i < points; ++i) values[i] = 50 + 10 * std::sin(2 * M_PI * static_cast<double>(i) / 1440) + random.normal();
        std::size_t told_of = 0;
        const double taken = best_of(3, [&] {
            analytics::StreamDetector detector;
            told_of = 0;
            for (std::size_t i = 0; i < points; ++i) told_of += detector.add(static_cast<std::int64_t>(60 * i), values[i]).told ? 1 : 0;
        });
        out_.push_back({.set = "speed",
                        .metric = "anomalies in a stream (points/s, one core)",
                        .value = static_cast<double>(points) / taken,
                        .goal = 1e6,
                        .note = std::to_string(told_of) + " told of " + thousands(points) + " ordinary points; " +
                                std::to_string(sizeof(analytics::StreamDetector)) + " bytes a series"});
    }

    std::size_t rows_;
    unsigned threads_;
    const Peers& peers_;
    std::vector<Row>& out_;
    std::vector<Skipped>& skipped_;
};

}  // namespace

void measure_pattern_speed(std::size_t rows, unsigned threads, const Peers& peers, std::vector<Row>& out, std::vector<Skipped>& skipped) {
    Speed(rows, threads, peers, out, skipped).run();
}

}  // namespace kn::app
