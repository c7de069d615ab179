#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kn::analytics {

class StateReader;
class StateWriter;

/// Has the mean of a stream of about unit deviation moved? Two-sided Page-Hinkley (Page 1954): sums what exceeds `slack`, tells when a sum
/// passes `limit`, then begins anew. O(1), 40 bytes.
class PageHinkley {
public:
    explicit PageHinkley(double slack = 0.5, double limit = 30) : slack_(slack), limit_(limit) {}
    /// True when a change is told with this value. Values that are not finite are passed over.
    bool add(double value);
    [[nodiscard]] double up() const { return up_; }
    [[nodiscard]] double down() const { return down_; }
    /// How many values ago the change that is building up (or was told last) began.
    [[nodiscard]] std::uint64_t since() const { return since_; }

    void save(StateWriter& out) const;
    void load(StateReader& in);

private:
    double slack_, limit_;
    double up_ = 0, down_ = 0;
    std::uint64_t up_length_ = 0, down_length_ = 0, since_ = 0;
};

/// A window over the latest values that drops its older part when the two parts' means differ by more than chance allows (ADWIN; Bifet,
/// Gavalda 2007), in an exponential histogram: at most 5 buckets of each power of two, O(log n) time and 1.5 KB. Sums are kept as floats:
/// feed residuals, not raw values with a large offset.
class Adwin {
public:
    explicit Adwin(double confidence = 0.002) : confidence_(confidence) {}
    /// True when the window was cut with this value.
    bool add(double value);
    [[nodiscard]] double mean() const { return count_ == 0 ? 0 : sum_ / count_; }
    [[nodiscard]] double variance() const { return count_ < 2 ? 0 : squares_ / count_; }
    [[nodiscard]] double size() const { return count_; }

    void save(StateWriter& out) const;
    void load(StateReader& in);

private:
    struct Bucket {
        float sum = 0, squares = 0;  // squares: of distances from the bucket's own mean
    };
    static constexpr std::size_t per_row = 5, rows = 28;
    struct Row {
        std::array<Bucket, per_row + 1> buckets{};
        std::uint32_t used = 0;  // newest last
    };
    void insert(double value);
    bool cut();
    void drop_oldest();

    double confidence_;
    std::array<Row, rows> rows_{};
    double count_ = 0, sum_ = 0, squares_ = 0;
    std::uint32_t highest_ = 0, until_check_ = 0;
};

}  // namespace kn::analytics
