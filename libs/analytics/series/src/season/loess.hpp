#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::analytics::series::detail {

/// Local linear fits with tricube weights over the `window` nearest of `points` evenly spaced values, at the places first, first + 1, ...
/// (`length` of them; beyond the ends too), every `jump`-th fitted and the ones between drawn straight. The weights are worked out once and
/// used for any values, so that seasons of thousands of short series cost little more than their sums.
class LoessPlan {
public:
    LoessPlan(std::size_t points, std::size_t window, std::size_t jump, double first, std::size_t length);
    /// `weights` (robustness; 0: missing) and `values` hold `points` each, `out` `length`. Missing values must be finite.
    void smooth(std::span<const double> values, std::span<const double> weights, std::span<double> out) const;

private:
    struct Fit {
        std::size_t at = 0;  ///< in `out`
        std::size_t left = 0, count = 0;
        std::size_t kernel = 0;  ///< its tricube weights and distances begin here
    };
    [[nodiscard]] std::size_t add_kernel(std::size_t left, std::size_t count, double x, double reach);
    [[nodiscard]] double fit(const Fit& one, std::span<const double> values, std::span<const double> weights) const;

    std::size_t points_, window_;
    double first_;
    std::vector<Fit> fits_;
    std::vector<double> tricube_, distance_;
};

}  // namespace kn::analytics::series::detail
