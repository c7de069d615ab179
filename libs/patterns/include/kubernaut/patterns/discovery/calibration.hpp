#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace kn::patterns {

/// Turns an analyzer's strength into the probability that its claim comes true, from predictions that were checked. Until there are 200 checks:
/// Wilson's lower bound (95 %, one-sided) of the share that came true among checks of about this strength; after, isotonic regression (Zadrozny,
/// Elkan 2002). Keeps the latest 5,000 checks.
class Calibration {
public:
    void add(double raw, bool came_true);
    [[nodiscard]] double confidence(double raw) const;
    [[nodiscard]] bool calibrated() const { return checks_.size() >= enough; }
    [[nodiscard]] std::size_t checks() const { return checks_.size(); }
    [[nodiscard]] double brier() const;                       ///< of the confidences it would give now
    [[nodiscard]] double expected_calibration_error() const;  ///< ten bins of equal width

    static constexpr std::size_t enough = 200;

private:
    struct Check {
        double raw = 0;
        bool came_true = false;
    };
    void refit();
    std::vector<Check> checks_;
    std::size_t since_fit_ = 0;
    std::vector<std::pair<double, double>> steps_;  // raw from which on, probability
};

/// Lower bound of a share: Wilson's score interval.
double wilson_lower(std::size_t hits, std::size_t trials, double z = 1.645);

}  // namespace kn::patterns
