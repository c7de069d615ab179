#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::analytics {

struct MatrixProfile {
    std::vector<double> distance;        ///< for each sub-sequence (n - window + 1): z-normalised Euclidean distance to its nearest other one
    std::vector<std::size_t> neighbour;  ///< where that one begins; its own place when there is none
};

/// Every sub-sequence of `window` values against every other at least `window / 2` apart: large distances are discords (STOMP's running
/// covariances along diagonals; Zhu 2016, Zimmerman 2019). O(n^2) time with a tiny constant (20k values: about 0.2 s), O(n) memory. Flat
/// sub-sequences are equal to each other and as far as can be (sqrt(2 window)) from others. Values that are not finite are taken as the
/// value before. Errors: invalid_argument when window < 3 or there are fewer than 2 windows.
Result<MatrixProfile> matrix_profile(std::span<const double> values, std::size_t window);

/// The same against the past alone, value by value, over a ring of the latest `history` values (as in DAMP; Lu 2022, with the past bounded):
/// O(history) a value by running dot products, 24 bytes a remembered value.
class StreamProfile {
public:
    /// window >= 3, history >= 4 * window; else both are raised.
    StreamProfile(std::size_t window, std::size_t history);
    /// The distance of the latest `window` values to the nearest earlier ones; NaN until 3 windows have come.
    double add(double value);

    [[nodiscard]] std::string state() const;
    static Result<StreamProfile> resume(std::string_view state);

private:
    std::size_t window_, history_;
    std::vector<double> values_;  // a sliding piece: at most 2 * history, then moved down
    std::vector<double> dots_;    // dots_[j]: of the latest window with the one that begins at j
    double offset_ = 0, last_ = 0;
    bool begun_ = false;
};

}  // namespace kn::analytics
