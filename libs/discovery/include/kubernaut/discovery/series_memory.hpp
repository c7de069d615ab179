#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/analytics/anomaly/stream/stream_detector.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/patterns/discovery/history.hpp"

namespace kn::discovery {

/// One series in constant memory (under 16 KB), value by value: its past on an even grid that grows coarser when it is full (neighbours are averaged, as
/// round-robin databases do), and a detector that judges every value as it comes. Its state can be stored and resumed.
class SeriesMemory {
public:
    /// Places of the grid. At 5 minutes a place they hold three and a half days; then 10 minutes and a week; 30 days end at 80 minutes a place.
    static constexpr std::size_t places = 1024;
    static constexpr std::size_t most_odd = 32;  ///< odd values that are remembered, the latest

    explicit SeriesMemory(Duration step) : base_(step), step_(step) {}
    /// Values in order of time; one that is not later than the last is passed over (a query that overlaps the one before).
    void add(Instant at, double value);
    /// Forgets the grid before then.
    void forget(Instant before);

    [[nodiscard]] std::optional<Instant> last() const;
    [[nodiscard]] std::size_t size() const { return values_.size(); }
    [[nodiscard]] Duration step() const { return step_; }
    /// Times, values and odd values into the row; places without a value are left out.
    void fill(patterns::SeriesRow& row) const;

    [[nodiscard]] std::string save() const;
    static Result<SeriesMemory> load(std::string_view bytes);

private:
    void coarsen();
    Duration base_, step_;       // of the values as they come; of the grid
    Instant first_{};            // of values_[0]
    std::deque<float> values_;   // NaN = missing; the mean of what fell into the place
    std::uint32_t in_last_ = 0;  // values in the last place
    std::optional<Instant> last_;
    analytics::StreamDetector detector_;
    std::deque<patterns::OddValue> odd_;
};

}  // namespace kn::discovery
