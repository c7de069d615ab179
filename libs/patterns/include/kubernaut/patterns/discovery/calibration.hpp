#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::patterns {

/// Turns an analyzer's strength into the probability that its claim comes true, from predictions that were checked. Until there are 200 checks:
/// Wilson's lower bound (95 %, one-sided) of the share that came true among checks of about this strength; after, isotonic regression (Zadrozny,
/// Elkan 2002). Keeps the latest 5,000 checks.
class Calibration {
public:
    void add(double raw, bool came_true);
    [[nodiscard]] double confidence(double raw) const;
    /// The same for an analyzer whose strength is a probability by itself (a forecast's intervals come from its own past errors): until there are 200
    /// checks, that probability counts as `stated_weight` checks beside those of about its strength. So it can speak from the first day, and a few false
    /// alarms silence it.
    [[nodiscard]] double confidence_of_stated(double raw) const;
    static constexpr double stated_weight = 10;
    [[nodiscard]] bool calibrated() const { return checks_.size() >= enough; }
    [[nodiscard]] std::size_t checks() const { return checks_.size(); }
    [[nodiscard]] double brier() const;                       ///< of the confidences it would give now
    [[nodiscard]] double expected_calibration_error() const;  ///< ten bins of equal width

    /// As text; load() gives one that answers the same.
    [[nodiscard]] std::string save() const;
    static Result<Calibration> load(std::string_view text);

    static constexpr std::size_t enough = 200;

private:
    struct Check {
        double raw = 0;
        bool came_true = false;
    };
    void refit();
    [[nodiscard]] std::pair<std::size_t, std::size_t> near(double raw) const;  // hits, checks
    std::vector<Check> checks_;
    std::size_t since_fit_ = 0;
    std::vector<std::pair<double, double>> steps_;  // raw from which on, probability
};

/// Lower bound of a share: Wilson's score interval.
double wilson_lower(std::size_t hits, std::size_t trials, double z = 1.645);

}  // namespace kn::patterns
