#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kubernaut/base/result.hpp"

namespace kn::analytics {

class StateReader;
class StateWriter;

struct TailOptions {
    double tail_share = 0.05;      ///< how many of the values count as the tail; the threshold follows
    double forget_after = 20'000;  ///< values; the tail's rate is an average over about so many
};

/// The upper tail of a stream of sizes (numbers from 0), as in SPOT (Siffer 2017): values over a high threshold ("peaks") follow a generalised Pareto
/// distribution, here fitted by probability-weighted moments (Hosking, Wallis 1987) to the latest 64 peaks, with a threshold that follows
/// the stream. Peaks are kept as floats: feed scaled residuals. 0.4 KB; O(1) amortised a value. Until `warm` values have come nothing is surprising.
class TailModel {
public:
    static constexpr std::uint32_t warm = 64;

    explicit TailModel(TailOptions options = {}) : options_(options) {}

    /// The probability that a value of this stream is at least `value`, from the values learned so far; 1 before there are enough.
    [[nodiscard]] double p_value(double value) const;
    /// The value that a share `rate` of the stream exceeds; infinity before there are enough.
    [[nodiscard]] double threshold(double rate) const;
    /// Learns a value. Sizes beyond the 1-in-10,000 threshold are cut to it: an outlier counts, but does not stretch the tail.
    void learn(double value);

    [[nodiscard]] bool ready() const { return seen_ >= warm; }
    [[nodiscard]] std::uint64_t seen() const { return seen_; }

    void save(StateWriter& out) const;
    void load(StateReader& in);

private:
    void begin();
    void fit();

    TailOptions options_;
    std::array<float, warm> peaks_{};  // first all values, then a ring of the values over the threshold
    std::uint32_t held_ = 0, next_ = 0, since_fit_ = 0;
    std::uint64_t seen_ = 0;
    double from_ = 0;   // the threshold
    double share_ = 0;  // of values over it
    double body_ = 0;   // the median of the first values: where the tail's ruler begins
    double scale_ = 0, shape_ = 0;
    double cut_ = 0;
};

}  // namespace kn::analytics
