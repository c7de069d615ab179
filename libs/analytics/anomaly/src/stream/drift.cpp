#include "kubernaut/analytics/anomaly/stream/drift.hpp"

#include <algorithm>
#include <cmath>

#include "kubernaut/analytics/anomaly/stream/state_bytes.hpp"

namespace kn::analytics {

bool PageHinkley::add(double value) {
    if (!std::isfinite(value)) return false;
    up_ = std::max(0.0, up_ + value - slack_);
    down_ = std::max(0.0, down_ - value - slack_);
    up_length_ = up_ > 0 ? up_length_ + 1 : 0;
    down_length_ = down_ > 0 ? down_length_ + 1 : 0;
    since_ = up_ > down_ ? up_length_ : down_length_;
    if (up_ <= limit_ && down_ <= limit_) return false;
    up_ = down_ = 0;
    up_length_ = down_length_ = 0;
    return true;
}

void PageHinkley::save(StateWriter& out) const {
    out.put(std::array<double, 4>{slack_, limit_, up_, down_});
    out.put(std::array<std::uint64_t, 3>{up_length_, down_length_, since_});
}

void PageHinkley::load(StateReader& in) {
    const auto numbers = in.get<std::array<double, 4>>();
    const auto lengths = in.get<std::array<std::uint64_t, 3>>();
    slack_ = numbers[0], limit_ = numbers[1], up_ = numbers[2], down_ = numbers[3];
    up_length_ = lengths[0], down_length_ = lengths[1], since_ = lengths[2];
}

bool Adwin::add(double value) {
    if (!std::isfinite(value)) return false;
    insert(value);
    constexpr std::uint32_t check_every = 16;
    if (++until_check_ < check_every || count_ < 32) return false;
    until_check_ = 0;
    bool any = false;
    while (count_ >= 32 && cut()) any = true;
    return any;
}

void Adwin::insert(double value) {
    if (count_ > 0) {
        const double d = value - mean();
        squares_ += d * d * count_ / (count_ + 1);
    }
    sum_ += value;
    count_ += 1;
    rows_[0].buckets[rows_[0].used++] = {static_cast<float>(value), 0};
    for (std::size_t r = 0; r < rows && rows_[r].used > per_row; ++r) {
        if (r + 1 == rows) {  // 2^28 values: the oldest are let go
            drop_oldest();
            break;
        }
        // The two oldest of this size become one of the next.
        const double half = std::ldexp(1.0, static_cast<int>(r));
        const Bucket a = rows_[r].buckets[0], b = rows_[r].buckets[1];
        const double d = (static_cast<double>(a.sum) - static_cast<double>(b.sum)) / half;
        Row& next = rows_[r + 1];
        next.buckets[next.used++] = {a.sum + b.sum, a.squares + b.squares + static_cast<float>(d * d * half / 2)};
        std::copy(rows_[r].buckets.begin() + 2, rows_[r].buckets.end(), rows_[r].buckets.begin());
        rows_[r].used -= 2;
        highest_ = std::max(highest_, static_cast<std::uint32_t>(r + 1));
    }
}

void Adwin::drop_oldest() {
    Row& row = rows_[highest_];
    const double size = std::ldexp(1.0, static_cast<int>(highest_));
    const Bucket oldest = row.buckets[0];
    const double rest = count_ - size;
    const double d = static_cast<double>(oldest.sum) / size - (sum_ - static_cast<double>(oldest.sum)) / std::max(rest, 1.0);
    squares_ = std::max(0.0, squares_ - static_cast<double>(oldest.squares) - d * d * size * rest / count_);
    sum_ -= static_cast<double>(oldest.sum);
    count_ = rest;
    std::copy(row.buckets.begin() + 1, row.buckets.end(), row.buckets.begin());
    --row.used;
    while (highest_ > 0 && rows_[highest_].used == 0) --highest_;
}

bool Adwin::cut() {
    double old_count = 0, old_sum = 0;
    const double spread = variance(), log_term = std::log(2 * std::log(std::max(count_, 3.0)) / confidence_);
    for (std::size_t r = highest_ + 1; r-- > 0;) {
        const double size = std::ldexp(1.0, static_cast<int>(r));
        for (std::uint32_t b = 0; b < rows_[r].used; ++b) {
            old_count += size;
            old_sum += static_cast<double>(rows_[r].buckets[b].sum);
            const double new_count = count_ - old_count;
            if (new_count < 8) return false;
            if (old_count < 8) continue;
            const double harmonic = 1 / (1 / old_count + 1 / new_count);
            const double bound = std::sqrt(2 / harmonic * spread * log_term) + 2 / (3 * harmonic) * std::sqrt(spread) * log_term;
            if (std::abs(old_sum / old_count - (sum_ - old_sum) / new_count) <= bound) continue;
            drop_oldest();
            return true;
        }
    }
    return false;
}

void Adwin::save(StateWriter& out) const {
    out.put(confidence_);
    out.put(rows_);
    out.put(std::array<double, 3>{count_, sum_, squares_});
    out.put(highest_);
    out.put(until_check_);
}

void Adwin::load(StateReader& in) {
    in.get_into(confidence_);
    in.get_into(rows_);
    const auto numbers = in.get<std::array<double, 3>>();
    count_ = numbers[0], sum_ = numbers[1], squares_ = numbers[2];
    in.get_into(highest_);
    in.get_into(until_check_);
    highest_ = std::min<std::uint32_t>(highest_, rows - 1);
    for (Row& row : rows_) row.used = std::min<std::uint32_t>(row.used, per_row);
}

}  // namespace kn::analytics
