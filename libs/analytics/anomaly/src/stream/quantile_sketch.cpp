#include "kubernaut/analytics/anomaly/stream/quantile_sketch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "kubernaut/analytics/anomaly/stream/state_bytes.hpp"

namespace kn::analytics {
namespace {
constexpr std::string_view kind = "quantile-sketch";
constexpr std::uint32_t version = 1;
constexpr double no_value = std::numeric_limits<double>::quiet_NaN();
}  // namespace

void QuantileSketch::add(double value, double weight) {
    if (!std::isfinite(value) || !(weight > 0)) return;
    if (total_ == 0) min_ = max_ = value;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
    points_[centroids_ + waiting_++] = {value, weight};
    total_ += weight;
    if (waiting_ == buffered) compress();
}

void QuantileSketch::merge(const QuantileSketch& other) {
    other.flush();
    for (std::uint32_t i = 0; i < other.centroids_; ++i) add(other.points_[i].mean, other.points_[i].weight);
    if (other.total_ > 0) {
        min_ = std::min(min_, other.min_);
        max_ = std::max(max_, other.max_);
    }
}

void QuantileSketch::fade(double factor) {
    compress();
    for (std::uint32_t i = 0; i < centroids_; ++i) points_[i].weight *= factor;
    total_ *= factor;
}

void QuantileSketch::compress() {
    if (waiting_ == 0) return;
    const auto count = centroids_ + waiting_;
    std::sort(points_.begin(), points_.begin() + count, [](const Centroid& a, const Centroid& b) { return a.mean < b.mean; });
    // k1: a centroid may span one unit of compression / (2 pi) * asin(2q - 1).
    const double unit = compression / (2 * std::numbers::pi);
    const auto limit_after = [&](double q) {
        const double k = unit * std::asin(std::clamp(2 * q - 1, -1.0, 1.0)) + 1;
        return k >= unit * std::numbers::pi / 2 ? 1.0 : (std::sin(k / unit) + 1) / 2;
    };
    std::uint32_t out = 0;
    double before = 0, limit = limit_after(0);
    Centroid open = points_[0];
    for (std::uint32_t i = 1; i < count; ++i) {
        const Centroid next = points_[i];
        if ((before + open.weight + next.weight) / total_ <= limit) {
            open.weight += next.weight;
            open.mean += (next.mean - open.mean) * next.weight / open.weight;
            continue;
        }
        before += open.weight;
        limit = limit_after(before / total_);
        points_[out++] = open;
        open = next;
    }
    points_[out++] = open;
    centroids_ = out;
    waiting_ = 0;
}

double QuantileSketch::quantile(double q) const {
    flush();
    if (centroids_ == 0) return no_value;
    const double target = std::clamp(q, 0.0, 1.0) * total_;
    double before = 0, left_mean = min_, left_at = 0;
    for (std::uint32_t i = 0; i < centroids_; ++i) {
        const double at = before + points_[i].weight / 2;
        if (target <= at) return at == left_at ? points_[i].mean : left_mean + (points_[i].mean - left_mean) * (target - left_at) / (at - left_at);
        left_mean = points_[i].mean;
        left_at = at;
        before += points_[i].weight;
    }
    return total_ == left_at ? max_ : left_mean + (max_ - left_mean) * (target - left_at) / (total_ - left_at);
}

double QuantileSketch::rank(double value) const {
    flush();
    if (centroids_ == 0) return no_value;
    if (value < min_) return 0;
    if (value >= max_) return 1;
    double before = 0, left_mean = min_, left_at = 0;
    for (std::uint32_t i = 0; i < centroids_; ++i) {
        const double at = before + points_[i].weight / 2;
        if (value < points_[i].mean)
            return (left_at + (points_[i].mean == left_mean ? 0 : (at - left_at) * (value - left_mean) / (points_[i].mean - left_mean))) / total_;
        left_mean = points_[i].mean;
        left_at = at;
        before += points_[i].weight;
    }
    return (left_at + (max_ == left_mean ? 0 : (total_ - left_at) * (value - left_mean) / (max_ - left_mean))) / total_;
}

double QuantileSketch::weight() const { return total_; }

std::string QuantileSketch::state() const {
    // The buffer is kept as it is, so that a resumed sketch compresses at the same points.
    StateWriter out(kind, version);
    out.put(centroids_);
    out.put(waiting_);
    out.put(total_);
    out.put(min_);
    out.put(max_);
    for (std::uint32_t i = 0; i < centroids_ + waiting_; ++i) out.put(points_[i]);
    return out.take();
}

Result<QuantileSketch> QuantileSketch::resume(std::string_view state) {
    KN_TRY(StateReader in, StateReader::open(state, kind, version));
    QuantileSketch sketch;
    in.get_into(sketch.centroids_);
    in.get_into(sketch.waiting_);
    in.get_into(sketch.total_);
    in.get_into(sketch.min_);
    in.get_into(sketch.max_);
    if (sketch.centroids_ > room || sketch.waiting_ >= buffered) return fail(ErrorCode::invalid_argument, "a sketch larger than it can be");
    for (std::uint32_t i = 0; i < sketch.centroids_ + sketch.waiting_; ++i) in.get_into(sketch.points_[i]);
    KN_CHECK(in.finish());
    return sketch;
}

}  // namespace kn::analytics
