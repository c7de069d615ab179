#include "kubernaut/analytics/judging/series/forecast_scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kubernaut/analytics/judging/data_files.hpp"
#include "kubernaut/analytics/numerics/parallel.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/forecast.hpp"

namespace kn::analytics::judging {
namespace {
struct Case {
    std::vector<double> history, future;
    std::size_t season = 1;
    std::vector<std::size_t> periods;
};
struct Scores {
    double smape = 0, mase = 0, coverage = 0;
};

Scores mean_scores(const std::vector<Case>& cases, unsigned threads) {
    std::vector<Scores> each(cases.size());
    parallel_blocks(cases.size(), 1, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            const Case& one = cases[i];
            const auto made = series::forecast(one.history, {.horizon = one.future.size(), .periods = one.periods});
            if (!made) continue;
            each[i] = {smape(one.future, made->values), mase(one.future, made->values, one.history, one.season),
                       coverage(one.future, made->lower, made->upper)};
        }
    });
    Scores out;
    const auto column = [&](auto member) {
        std::vector<double> values;
        for (const auto& s : each) values.push_back(s.*member);
        return mean(values);
    };
    out.smape = column(&Scores::smape);
    out.mase = column(&Scores::mase);
    out.coverage = column(&Scores::coverage);
    return out;
}

Row row(std::string set, std::string metric, double value, double best, std::optional<double> goal, bool larger = false) {
    Row out{.set = std::move(set), .metric = std::move(metric), .value = value};
    out.best_known = best;
    out.goal = goal;
    out.larger_is_better = larger;
    return out;
}

Row coverage_row(std::string set, double value) {
    // The goal is a band, so the distance from its middle is what counts.
    Row out{.set = std::move(set), .metric = "distance of 95 % coverage from .95", .value = std::abs(value - 0.95)};
    out.goal = 0.01;
    out.larger_is_better = false;
    out.note = "coverage " + std::to_string(value);
    return out;
}
}  // namespace

double smape(std::span<const double> actual, std::span<const double> forecast) {
    double sum = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        const double size = std::abs(actual[i]) + std::abs(forecast[i]);
        if (size > 0) sum += 200 * std::abs(actual[i] - forecast[i]) / size;
    }
    return sum / static_cast<double>(std::max<std::size_t>(actual.size(), 1));
}

double mase(std::span<const double> actual, std::span<const double> forecast, std::span<const double> history, std::size_t season) {
    double error = 0, naive = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) error += std::abs(actual[i] - forecast[i]) / static_cast<double>(actual.size());
    if (history.size() <= season) return std::numeric_limits<double>::quiet_NaN();
    for (std::size_t i = season; i < history.size(); ++i)
        naive += std::abs(history[i] - history[i - season]) / static_cast<double>(history.size() - season);
    return naive > 0 ? error / naive : std::numeric_limits<double>::quiet_NaN();
}

double coverage(std::span<const double> actual, std::span<const double> lower, std::span<const double> upper) {
    double inside = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) inside += actual[i] >= lower[i] && actual[i] <= upper[i] ? 1 : 0;
    return inside / static_cast<double>(std::max<std::size_t>(actual.size(), 1));
}

double owa(double smape_value, double mase_value, double naive2_smape, double naive2_mase) {
    return (smape_value / naive2_smape + mase_value / naive2_mase) / 2;
}

double expected_calibration_error(std::span<const double> probabilities, std::span<const int> happened, std::size_t bins) {
    struct Bin {
        double said = 0, came = 0, count = 0;
    };
    std::vector<Bin> all(std::max<std::size_t>(bins, 1));
    for (std::size_t i = 0; i < probabilities.size(); ++i) {
        const auto place = static_cast<std::size_t>(std::clamp(probabilities[i], 0.0, 1.0) * static_cast<double>(all.size()));
        Bin& bin = all[std::min(place, all.size() - 1)];
        bin.said += probabilities[i];
        bin.came += happened[i] != 0 ? 1 : 0;
        bin.count += 1;
    }
    double sum = 0;
    for (const Bin& bin : all) sum += std::abs(bin.said - bin.came);
    return sum / static_cast<double>(std::max<std::size_t>(probabilities.size(), 1));
}

Result<std::vector<Row>> m4_rows(const std::filesystem::path& data, unsigned threads, std::size_t stride) {
    KN_TRY(const std::string train, read_text(data / "M4" / "Hourly-odd-train.csv.gz"));
    KN_TRY(const std::string test, read_text(data / "M4" / "Hourly-odd-test.csv.gz"));
    const auto known = csv_cells(train), coming = csv_cells(test);
    if (known.size() != coming.size()) return fail(ErrorCode::invalid_argument, "M4: train and test differ in length");
    std::vector<Case> cases;
    for (std::size_t r = 1; r < known.size(); r += std::max<std::size_t>(stride, 1)) {
        Case one{.season = 24, .periods = {24, 168}};
        const auto take = [](const auto& cells, std::vector<double>& into) {
            for (std::size_t c = 1; c < cells.size(); ++c)
                if (const double v = number(cells[c]); std::isfinite(v)) into.push_back(v);
        };
        take(known[r], one.history);
        take(coming[r], one.future);
        cases.push_back(std::move(one));
    }
    const Scores s = mean_scores(cases, threads);
    constexpr double naive2_smape = 18.383, naive2_mase = 2.395;
    return std::vector{row("M4 Hourly", "OWA", owa(s.smape, s.mase, naive2_smape, naive2_mase), 0.410, 0.43),
                       row("M4 Hourly", "sMAPE", s.smape, 9.328, {}), row("M4 Hourly", "MASE", s.mase, 0.893, {}),
                       coverage_row("M4 Hourly", s.coverage)};
}

Result<std::vector<Row>> m3_rows(const std::filesystem::path& data, unsigned threads, std::size_t stride) {
    KN_TRY(const std::string text, read_text(data / "M3" / "M3.csv.gz"));
    std::vector<Case> cases;
    std::size_t line = 0;
    for (const auto& cells : csv_cells(text)) {
        if (line++ % std::max<std::size_t>(stride, 1) != 0 || cells.size() < 6) continue;
        const auto h = static_cast<std::size_t>(number(cells[3])), n = static_cast<std::size_t>(number(cells[4]));
        if (cells.size() < 5 + n + h) return fail(ErrorCode::invalid_argument, "M3: a short line for " + std::string(cells[0]));
        Case one{.season = static_cast<std::size_t>(number(cells[2]))};
        if (one.season > 1) one.periods = {one.season};
        for (std::size_t i = 0; i < n; ++i) one.history.push_back(number(cells[5 + i]));
        for (std::size_t i = 0; i < h; ++i) one.future.push_back(number(cells[5 + n + i]));
        cases.push_back(std::move(one));
    }
    const Scores s = mean_scores(cases, threads);
    return std::vector{row("M3", "sMAPE", s.smape, 12.76, 12.6), row("M3", "MASE", s.mase, 1.395, 1.37), coverage_row("M3", s.coverage)};
}

}  // namespace kn::analytics::judging
