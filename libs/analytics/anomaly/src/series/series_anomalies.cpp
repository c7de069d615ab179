#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/analytics/anomaly/fusion.hpp"
#include "kubernaut/analytics/anomaly/series/matrix_profile.hpp"
#include "kubernaut/analytics/anomaly/series/series_scores.hpp"
#include "kubernaut/analytics/series/seasonality.hpp"

namespace kn::analytics {
namespace {
constexpr std::size_t fewest_values = 64;

std::size_t window_for(std::span<const double> values) {
    constexpr std::size_t smallest = 8, largest = 200, fallback = 32;
    const std::size_t most = values.size() / 8;
    for (const auto& season : series::find_seasons(values))
        if (season.period >= smallest && season.period <= std::min(largest, most)) return season.period;
    return std::clamp(fallback, std::size_t{3}, std::max<std::size_t>(most, 3));
}

// The profile of sub-sequences as scores of values: each takes the mean over the sub-sequences that hold it.
std::vector<double> spread_over(std::span<const double> of_windows, std::size_t window, std::size_t n) {
    std::vector<double> scores(n, 0);
    double sum = 0, count = 0;
    for (std::size_t i = 0; i < n; ++i) {
        if (i < of_windows.size()) sum += of_windows[i], count += 1;
        if (i >= window) sum -= of_windows[i - window], count -= 1;
        scores[i] = std::max(0.0, sum / count);
    }
    return scores;
}
}  // namespace

Result<SeriesAnomalies> series_anomalies(std::span<const double> values, const SeriesAnomalyOptions& options) {
    const auto finite = std::ranges::count_if(values, [](double v) { return std::isfinite(v); });
    if (finite < static_cast<std::ptrdiff_t>(fewest_values))
        return fail(ErrorCode::failed_precondition,
                    "insufficient data: " + std::to_string(finite) + " values, " + std::to_string(fewest_values) + " are needed");
    SeriesAnomalies found{.window = options.window >= 3 ? std::min(options.window, values.size() / 8) : window_for(values)};
    found.window = std::max<std::size_t>(found.window, 3);
    std::vector<std::vector<double>> ways{amplitude_score(values, found.window),
                                          local_polynomial_score(values, std::min<std::size_t>(found.window, 31), 2)};
    KN_TRY(auto shapes, subsequence_pca_score(values, found.window));
    ways.push_back(std::move(shapes));
    // Beyond this length the quadratic profile would take seconds; the other ways go on without it.
    constexpr std::size_t longest_profile = 50'000;
    if (values.size() <= longest_profile) {
        KN_TRY(const auto profile, matrix_profile(values, found.window));
        ways.push_back(spread_over(profile.distance, found.window, values.size()));
    }
    for (auto& way : ways) way = ScoreCalibration(way).p_values(way);
    std::vector<double> fused(values.size()), column(ways.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        for (std::size_t w = 0; w < ways.size(); ++w) column[w] = ways[w][i];
        fused[i] = -std::log10(cauchy_combination(column));
    }
    found.p_value = ScoreCalibration(fused).p_values(fused);
    for (std::size_t i = 0; i < values.size(); ++i) {
        found.score.push_back(-std::log10(found.p_value[i]));
        if (found.p_value[i] < options.false_positive_rate) found.anomalous.push_back(i);
    }
    return found;
}

}  // namespace kn::analytics
