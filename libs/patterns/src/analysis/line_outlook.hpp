#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kubernaut/analytics/series/forecast.hpp"

namespace kn::patterns {

/// A straight line (Theil, Sen) with the last seasons, and bands from how wrong such lines were from earlier origins.
/// Smoothing lets a trend fade; where the past shows that it does not, this is the better outlook.
class LineOutlook {
public:
    /// `calm`: values less seasons; `season`: their sum. Missing values are NaN in `calm`.
    LineOutlook(std::span<const double> times, std::span<const double> calm, std::span<const double> season, std::size_t longest);

    /// Mean absolute error over the last `steps` points, had the line been drawn before them; nothing when there is too little before.
    [[nodiscard]] std::optional<double> past_error(std::size_t steps) const;
    /// One for each of `levels`.
    [[nodiscard]] std::vector<analytics::series::Forecast> ahead(std::size_t steps, std::span<const double> levels) const;

private:
    [[nodiscard]] std::vector<double> from(std::size_t origin, std::size_t steps) const;

    std::span<const double> times_, calm_, season_;
    std::size_t longest_;
};

}  // namespace kn::patterns
