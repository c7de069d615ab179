#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace kn::analytics::series::detail {

/// Sums over any range in O(1), after taking the mean away so that a huge offset costs no digits.
class RangeSums {
public:
    explicit RangeSums(std::span<const double> values);
    /// Squares about the mean of [begin, end).
    [[nodiscard]] double about_mean(std::size_t begin, std::size_t end) const;
    /// Squares about the least-squares line of [begin, end).
    [[nodiscard]] double about_line(std::size_t begin, std::size_t end) const;
    [[nodiscard]] double mean(std::size_t begin, std::size_t end) const;
    [[nodiscard]] double slope(std::size_t begin, std::size_t end) const;

private:
    double shift_ = 0;
    std::vector<double> y_, yy_, ty_;
};

enum class Shape : unsigned char { level, line, spread };

/// Boundaries 0, changes..., n with the least sum of cost + penalty (PELT). Cost: squares about the mean or line, divided by `noise`^2; for
/// `spread` the Gaussian cost n log(mean square) of values about 0. For long series the boundaries are first sought on a grid of places (at most
/// about 500) and then moved to the best place near by, so that the cost stays bounded when there are no changes to prune with.
std::vector<std::size_t> pelt(const RangeSums& sums, std::size_t n, Shape shape, double noise, double penalty, std::size_t min_segment);
double segment_cost(const RangeSums& sums, Shape shape, double noise, std::size_t begin, std::size_t end);

}  // namespace kn::analytics::series::detail
