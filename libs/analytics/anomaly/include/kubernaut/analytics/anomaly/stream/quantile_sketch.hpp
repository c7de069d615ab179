#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kubernaut/base/result.hpp"

namespace kn::analytics {

/// Quantiles of an endless stream in 2.5 KB: the merging t-digest (Dunning 2019, scale function k1) with compression 64 and a buffer.
/// Invariant to shift and scale; mergeable; the error is smallest at the tails. Values that are not finite are left out.
class QuantileSketch {
public:
    void add(double value, double weight = 1);  ///< amortised O(log buffer)
    void merge(const QuantileSketch& other);    ///< as if all its values had been added here
    /// Multiplies all weights: 0.5 now and then makes the past count less.
    void fade(double factor);

    /// NaN when empty. q in [0, 1].
    [[nodiscard]] double quantile(double q) const;
    /// The share of values at most `value`; NaN when empty.
    [[nodiscard]] double rank(double value) const;
    [[nodiscard]] double weight() const;
    [[nodiscard]] double min() const { return min_; }
    [[nodiscard]] double max() const { return max_; }

    [[nodiscard]] std::string state() const;
    static Result<QuantileSketch> resume(std::string_view state);

private:
    struct Centroid {
        double mean = 0, weight = 0;
    };
    static constexpr std::size_t compression = 64, room = 96, buffered = 64;
    void compress();
    void flush() const { const_cast<QuantileSketch*>(this)->compress(); }  // merging the buffer does not change what is told

    std::array<Centroid, room + buffered> points_{};
    std::uint32_t centroids_ = 0, waiting_ = 0;  // the buffer stands behind the centroids
    double total_ = 0, min_ = 0, max_ = 0;
};

}  // namespace kn::analytics
