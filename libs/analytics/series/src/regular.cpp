#include "kubernaut/analytics/series/regular.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics::series {

std::size_t count_finite(std::span<const double> values) {
    return static_cast<std::size_t>(std::ranges::count_if(values, [](double v) { return std::isfinite(v); }));
}

std::vector<double> fill_missing(std::span<const double> values) {
    std::vector<double> out(values.begin(), values.end());
    std::size_t last = out.size();  // the last known place so far; size = none
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (!std::isfinite(out[i])) continue;
        if (last == out.size())
            for (std::size_t j = 0; j < i; ++j) out[j] = out[i];
        else
            for (std::size_t j = last + 1; j < i; ++j)
                out[j] = out[last] + (out[i] - out[last]) * static_cast<double>(j - last) / static_cast<double>(i - last);
        last = i;
    }
    if (last == out.size())
        std::ranges::fill(out, 0.0);
    else
        for (std::size_t j = last + 1; j < out.size(); ++j) out[j] = out[last];
    return out;
}

Result<RegularSeries> regularize(std::span<const double> times, std::span<const double> values) {
    if (times.size() != values.size()) return fail(ErrorCode::invalid_argument, "a series needs as many times as values");
    RegularSeries out;
    out.points = times.size();
    std::vector<double> steps;
    for (std::size_t i = 0; i < times.size(); ++i) {
        if (!std::isfinite(times[i])) return fail(ErrorCode::invalid_argument, "time " + std::to_string(i) + " is not a finite number");
        if (i == 0) continue;
        if (times[i] < times[i - 1])
            return fail(ErrorCode::invalid_argument, "times must not go back: place " + std::to_string(i) + " lies before the one above it");
        if (times[i] > times[i - 1]) steps.push_back(times[i] - times[i - 1]);
    }
    if (times.empty()) return out;
    out.start = times.front();
    if (!steps.empty()) {
        // A value that occurs, not the mean of two: the grid must hit the measured times.
        const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
        std::nth_element(steps.begin(), middle, steps.end());
        out.step = *middle;
    }
    const double last_place = std::floor((times.back() - out.start) / out.step + 0.5);
    constexpr double always_allowed = 10'000, most_empty = 9;
    if (last_place >= always_allowed && last_place > most_empty * static_cast<double>(times.size()))
        return fail(ErrorCode::invalid_argument, "the times are too uneven for a grid: mostly " + std::to_string(out.step) +
                                                     " s apart, but there would be " + std::to_string(static_cast<long long>(last_place) + 1) +
                                                     " places for " + std::to_string(times.size()) + " points");
    out.values.assign(static_cast<std::size_t>(last_place) + 1, std::numeric_limits<double>::quiet_NaN());
    std::vector<bool> taken(out.values.size(), false);
    for (std::size_t i = 0; i < times.size(); ++i) {
        const auto place = static_cast<std::size_t>(std::floor((times[i] - out.start) / out.step + 0.5));
        if (taken[place]) ++out.duplicates;
        taken[place] = true;
        if (std::isfinite(values[i])) out.values[place] = values[i];
    }
    out.missing = out.values.size() - count_finite(out.values);
    return out;
}

}  // namespace kn::analytics::series
