#include "kubernaut/analytics/anomaly/series/matrix_profile.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/analytics/anomaly/stream/state_bytes.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics {
namespace {
constexpr std::string_view kind = "stream-profile";
constexpr std::uint32_t version = 1;

// Deviations below this share of the whole series' are rounding: the window is flat.
constexpr double flat_share = 1e-7;

double correlation_of(double covariance, double inverse_a, double inverse_b) {
    if (inverse_a == 0 && inverse_b == 0) return 1;
    return covariance * inverse_a * inverse_b;
}
}  // namespace

Result<MatrixProfile> matrix_profile(std::span<const double> raw, std::size_t window) {
    if (window < 3 || raw.size() < window + 1)
        return fail(ErrorCode::invalid_argument, "a matrix profile needs windows of 3 values or more, and two of them");
    const std::size_t n = raw.size(), count = n - window + 1;
    const double center = median(raw);
    std::vector<double> x(n);
    double last = 0;
    for (std::size_t i = 0; i < n; ++i) x[i] = last = std::isfinite(raw[i]) ? raw[i] - center : last;

    const auto m = static_cast<double>(window);
    std::vector<double> mean(count), inverse(count);  // inverse: 1 / |window - its mean|, 0 when flat
    double total = 0;
    for (const double v : x) total += v * v;
    const double flat = flat_share * std::sqrt(total / static_cast<double>(n) * m);
    for (std::size_t i = 0; i < count; ++i) {
        double sum = 0, squares = 0;
        for (std::size_t k = 0; k < window; ++k) sum += x[i + k];
        mean[i] = sum / m;
        for (std::size_t k = 0; k < window; ++k) squares += (x[i + k] - mean[i]) * (x[i + k] - mean[i]);
        inverse[i] = std::sqrt(squares) <= flat ? 0 : 1 / std::sqrt(squares);
    }
    std::vector<double> best(count, -std::numeric_limits<double>::infinity());
    MatrixProfile profile{.distance = std::vector<double>(count), .neighbour = std::vector<std::size_t>(count)};
    for (std::size_t i = 0; i < count; ++i) profile.neighbour[i] = i;
    const std::size_t apart = std::max<std::size_t>(window / 2, 1);
    for (std::size_t lag = apart; lag < count; ++lag) {
        double covariance = 0;
        for (std::size_t k = 0; k < window; ++k) covariance += (x[k] - mean[0]) * (x[lag + k] - mean[lag]);
        for (std::size_t i = 0;; ++i) {
            const std::size_t j = i + lag;
            const double r = correlation_of(covariance, inverse[i], inverse[j]);
            if (r > best[i]) best[i] = r, profile.neighbour[i] = j;
            if (r > best[j]) best[j] = r, profile.neighbour[j] = i;
            if (j + 1 >= count) break;
            // Moves both windows one value on (Zimmerman's mean-centred update).
            covariance += ((x[i + window] - mean[i + 1]) * (x[j + window] - mean[j]) - (x[i] - mean[i + 1]) * (x[j] - mean[j]));
        }
    }
    for (std::size_t i = 0; i < count; ++i) profile.distance[i] = std::sqrt(2 * m * std::max(0.0, 1 - std::max(best[i], 0.0)));
    return profile;
}

StreamProfile::StreamProfile(std::size_t window, std::size_t history)
    : window_(std::max<std::size_t>(window, 3)), history_(std::max(history, 4 * std::max<std::size_t>(window, 3))) {
    values_.reserve(2 * history_);
    dots_.reserve(2 * history_);
}

double StreamProfile::add(double raw) {
    if (!begun_) offset_ = std::isfinite(raw) ? raw : 0, begun_ = true;
    last_ = std::isfinite(raw) ? raw - offset_ : last_;
    if (values_.size() == 2 * history_) {
        const auto gone = static_cast<std::ptrdiff_t>(history_);
        values_.erase(values_.begin(), values_.begin() + gone);
        dots_.erase(dots_.begin(), dots_.begin() + gone);
    }
    values_.push_back(last_);
    const std::size_t n = values_.size();
    if (n < window_) return std::numeric_limits<double>::quiet_NaN();
    const std::size_t now = n - window_;
    const std::size_t first = n > history_ ? n - history_ : 0;
    dots_.resize(now + 1, 0);
    // dot(now, j) = dot(now - 1, j - 1) - the value that left + the value that came; each is begun anew when its window begins at 0.
    for (std::size_t j = now; j > 0; --j)
        dots_[j] = now == 0 ? 0 : dots_[j - 1] - values_[now - 1] * values_[j - 1] + values_[n - 1] * values_[j + window_ - 1];
    dots_[0] = 0;
    for (std::size_t k = 0; k < window_; ++k) dots_[0] += values_[now + k] * values_[k];
    if (now < 2 * window_) return std::numeric_limits<double>::quiet_NaN();

    const auto m = static_cast<double>(window_);
    double sum = 0, squares = 0;
    for (std::size_t k = 0; k < window_; ++k) sum += values_[now + k], squares += values_[now + k] * values_[now + k];
    const double mean_now = sum / m, spread_now = std::max(0.0, squares - sum * mean_now);
    double s = 0, q = 0, best = 0, largest = squares;
    for (std::size_t k = 0; k < window_; ++k) s += values_[first + k], q += values_[first + k] * values_[first + k];
    for (std::size_t j = first; j + window_ <= now; ++j) {
        const double spread = std::max(0.0, q - s * s / m);
        largest = std::max(largest, q);
        const double flat = flat_share * largest;
        double r = 0;
        if (spread_now <= flat && spread <= flat)
            r = 1;
        else if (spread_now > flat && spread > flat)
            r = (dots_[j] - m * mean_now * (s / m)) / std::sqrt(spread_now * spread);
        best = std::max(best, r);
        s += values_[j + window_] - values_[j];
        q += values_[j + window_] * values_[j + window_] - values_[j] * values_[j];
    }
    return std::sqrt(2 * m * std::max(0.0, 1 - best));
}

std::string StreamProfile::state() const {
    StateWriter out(kind, version);
    out.put(static_cast<std::uint64_t>(window_));
    out.put(static_cast<std::uint64_t>(history_));
    out.put(static_cast<std::uint64_t>(values_.size()));
    out.put(static_cast<std::uint64_t>(dots_.size()));
    for (const double v : values_) out.put(v);
    for (const double v : dots_) out.put(v);
    out.put(offset_);
    out.put(last_);
    out.put(begun_);
    return out.take();
}

Result<StreamProfile> StreamProfile::resume(std::string_view state) {
    KN_TRY(StateReader in, StateReader::open(state, kind, version));
    const auto window = in.get<std::uint64_t>(), history = in.get<std::uint64_t>(), values = in.get<std::uint64_t>(), dots = in.get<std::uint64_t>();
    if (history > state.size() * 16 + 1024 || window > history || values > 2 * history || dots > values)
        return fail(ErrorCode::invalid_argument, "a stream profile of an impossible size");
    StreamProfile profile(window, history);
    profile.values_.resize(values);
    profile.dots_.resize(dots);
    for (double& v : profile.values_) in.get_into(v);
    for (double& v : profile.dots_) in.get_into(v);
    in.get_into(profile.offset_);
    in.get_into(profile.last_);
    in.get_into(profile.begun_);
    KN_CHECK(in.finish());
    return profile;
}

}  // namespace kn::analytics
