#include "kubernaut/analytics/anomaly/stream/tail_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/analytics/anomaly/stream/state_bytes.hpp"

namespace kn::analytics {
namespace {
constexpr double smallest_p = 1e-15;
constexpr double cut_rate = 1e-4;
constexpr std::uint32_t refit_after = 12;  // new peaks
}  // namespace

double TailModel::p_value(double value) const {
    if (!ready() || std::isnan(value)) return 1;
    if (value <= from_) {
        // Below the tail only the order matters: straight lines from 0 to the median to the threshold.
        if (value <= body_)
            return value >= body_ && from_ > body_ ? 0.5 : 1 - 0.5 * (from_ > body_ && body_ > 0 ? std::clamp(value / body_, 0.0, 1.0) : 0.0);
        return 0.5 + (share_ - 0.5) * (value - body_) / (from_ - body_);
    }
    if (scale_ <= 0) return std::max(share_ / static_cast<double>(held_ + 1), smallest_p);
    const double over = (value - from_) / scale_;
    const double beyond = shape_ < 1e-9 ? std::exp(-over) : std::pow(1 + shape_ * over, -1 / shape_);
    return std::max(share_ * beyond, smallest_p);
}

double TailModel::threshold(double rate) const {
    if (!ready()) return std::numeric_limits<double>::infinity();
    if (rate >= share_) return from_;
    if (scale_ <= 0) return std::nextafter(from_, std::numeric_limits<double>::infinity());
    const double ratio = rate / share_;
    return from_ + (shape_ < 1e-9 ? -scale_ * std::log(ratio) : scale_ / shape_ * (std::pow(ratio, -shape_) - 1));
}

void TailModel::begin() {
    std::ranges::sort(peaks_);
    const auto first = static_cast<std::size_t>(static_cast<double>(warm) * (1 - options_.tail_share));
    body_ = static_cast<double>(peaks_[warm / 2]);
    from_ = static_cast<double>(peaks_[first - 1]);
    held_ = 0;
    for (std::size_t i = first; i < warm; ++i)
        if (static_cast<double>(peaks_[i]) > from_) peaks_[held_++] = peaks_[i];
    next_ = held_ % warm;
    share_ = std::max(static_cast<double>(held_), 1.0) / warm;
    fit();
}

void TailModel::fit() {
    since_fit_ = 0;
    std::array<double, warm> excess{};
    std::size_t count = 0;
    for (std::size_t i = 0; i < held_; ++i)
        if (static_cast<double>(peaks_[i]) > from_) excess[count++] = static_cast<double>(peaks_[i]) - from_;
    scale_ = shape_ = 0;
    if (count > 0) {
        std::sort(excess.begin(), excess.begin() + static_cast<std::ptrdiff_t>(count));
        const auto n = static_cast<double>(count);
        double mean = 0, weighted = 0;
        for (std::size_t i = 0; i < count; ++i) {
            mean += excess[i] / n;
            weighted += count < 2 ? 0 : excess[i] * (n - 1 - static_cast<double>(i)) / (n - 1) / n;
        }
        const double spread = mean - 2 * weighted;
        // Few peaks say little about the shape: it is drawn towards the exponential tail's 0.1 in their favour.
        const double found = count < 8 || spread <= 0 ? 0 : std::clamp(2 - mean / spread, -0.2, 0.7);
        shape_ = std::max(0.0, (found * n + 0.1 * 20) / (n + 20));
        scale_ = mean * (1 - shape_);
    }
    cut_ = threshold(cut_rate);
}

void TailModel::learn(double value) {
    if (!std::isfinite(value)) return;
    if (seen_ < warm) {
        peaks_[seen_++] = static_cast<float>(value);
        if (seen_ == warm) begin();
        return;
    }
    ++seen_;
    const auto n = static_cast<double>(seen_);
    const double weight = 1 / std::min(n, options_.forget_after);
    const bool peak = value > from_;
    share_ += weight * ((peak ? 1.0 : 0.0) - share_);
    share_ = std::max(share_, weight);
    // The threshold follows, so that the wanted share lies above it: a stochastic quantile with the tail's own scale as its step.
    const double step = 4 * std::max(scale_, (from_ - body_) * 0.05) / std::min(n, options_.forget_after / 4);
    from_ += step * ((peak ? 1.0 : 0.0) - options_.tail_share) / options_.tail_share * 0.25;
    body_ += step * (value > body_ ? 0.5 : -0.5);
    if (!peak) return;
    peaks_[next_] = static_cast<float>(std::min(value, cut_ > from_ ? cut_ : value));
    next_ = (next_ + 1) % warm;
    held_ = std::min(held_ + 1, warm);
    if (++since_fit_ >= refit_after || held_ < 16) fit();
}

void TailModel::save(StateWriter& out) const {
    out.put(options_);
    out.put(peaks_);
    out.put(held_);
    out.put(next_);
    out.put(since_fit_);
    out.put(seen_);
    out.put(std::array<double, 6>{from_, share_, body_, scale_, shape_, cut_});
}

void TailModel::load(StateReader& in) {
    in.get_into(options_);
    in.get_into(peaks_);
    in.get_into(held_);
    in.get_into(next_);
    in.get_into(since_fit_);
    in.get_into(seen_);
    const auto numbers = in.get<std::array<double, 6>>();
    from_ = numbers[0], share_ = numbers[1], body_ = numbers[2], scale_ = numbers[3], shape_ = numbers[4], cut_ = numbers[5];
    held_ = std::min(held_, warm);
    next_ %= warm;
}

}  // namespace kn::analytics
