#include "kubernaut/discovery/series_memory.hpp"

#include <cmath>
#include <limits>

#include "kubernaut/analytics/anomaly/stream/state_bytes.hpp"

namespace kn::discovery {
namespace {

constexpr std::string_view kind = "series memory";
constexpr std::uint32_t layout = 1;
constexpr float missing = std::numeric_limits<float>::quiet_NaN();
constexpr Duration longest_step = 24h;

}  // namespace

void SeriesMemory::coarsen() {
    std::deque<float> halved;
    for (std::size_t i = 0; i < values_.size(); i += 2) {
        const float a = values_[i], b = i + 1 < values_.size() ? values_[i + 1] : missing;
        halved.push_back(std::isnan(a) ? b : std::isnan(b) ? a : (a + b) / 2);
    }
    values_ = std::move(halved);
    step_ *= 2;
}

void SeriesMemory::add(Instant at, double value) {
    if (last_ && at <= *last_) return;
    last_ = at;
    const auto verdict = detector_.add(to_millis(at) / 1000, value);
    if (!std::isfinite(value)) return;
    if (verdict.told) {
        odd_.push_back({.at = static_cast<double>(to_millis(at)) / 1000,
                        .value = verdict.value,
                        .expected = verdict.expected,
                        .p_value = verdict.p_value,
                        .sign = std::string(to_string(verdict.sign))});
        if (odd_.size() > most_odd) odd_.pop_front();
    }
    if (values_.empty()) first_ = at;
    // A jump of the clock by years would make the grid one of gaps: it begins anew.
    if (at - first_ > longest_step * places) values_.clear(), first_ = at, in_last_ = 0;
    auto place = static_cast<std::size_t>((at - first_) / step_);
    while (place >= places) coarsen(), place = static_cast<std::size_t>((at - first_) / step_);
    if (place + 1 > values_.size()) {
        values_.resize(place + 1, missing);
        in_last_ = 0;
    }
    float& slot = values_.back();
    slot = in_last_ == 0 ? static_cast<float>(value) : slot + (static_cast<float>(value) - slot) / static_cast<float>(in_last_ + 1);
    ++in_last_;
}

void SeriesMemory::forget(Instant before) {
    while (!values_.empty() && first_ + step_ <= before) values_.pop_front(), first_ += step_;
    if (values_.empty()) in_last_ = 0;
}

std::optional<Instant> SeriesMemory::last() const { return last_; }

void SeriesMemory::fill(patterns::SeriesRow& row) const {
    row.times.clear(), row.values.clear();
    for (std::size_t i = 0; i < values_.size(); ++i) {
        if (std::isnan(values_[i])) continue;
        // A mean over a place belongs to its middle.
        row.times.push_back(static_cast<double>(to_millis(first_ + static_cast<std::int64_t>(i) * step_ + (step_ - base_) / 2)) / 1000);
        row.values.push_back(static_cast<double>(values_[i]));
    }
    row.odd = std::vector<patterns::OddValue>(odd_.begin(), odd_.end());
}

std::string SeriesMemory::save() const {
    analytics::StateWriter out(kind, layout);
    out.put(static_cast<std::int64_t>(base_.count()));
    out.put(static_cast<std::int64_t>(step_.count()));
    out.put(to_millis(first_));
    out.put(in_last_);
    out.put(static_cast<std::int64_t>(last_ ? to_millis(*last_) : std::numeric_limits<std::int64_t>::min()));
    out.put(static_cast<std::uint32_t>(values_.size()));
    for (const float value : values_) out.put(value);
    out.put(static_cast<std::uint32_t>(odd_.size()));
    for (const auto& one : odd_) {
        for (const double number : {one.at, one.value, one.expected, one.p_value}) out.put(number);
        out.put_bytes(one.sign);
    }
    out.put_bytes(detector_.state());
    return out.take();
}

Result<SeriesMemory> SeriesMemory::load(std::string_view bytes) {
    KN_TRY(auto in, analytics::StateReader::open(bytes, kind, layout));
    SeriesMemory out(Duration{in.get<std::int64_t>()});
    out.step_ = Duration{in.get<std::int64_t>()};
    out.first_ = from_millis(in.get<std::int64_t>());
    out.in_last_ = in.get<std::uint32_t>();
    if (const auto last = in.get<std::int64_t>(); last != std::numeric_limits<std::int64_t>::min()) out.last_ = from_millis(last);
    const auto count = in.get<std::uint32_t>();
    if (count > places || out.step_ <= Duration::zero()) return fail(ErrorCode::invalid_argument, "more places than a series has");
    for (std::uint32_t i = 0; i < count; ++i) out.values_.push_back(in.get<float>());
    const auto odd = in.get<std::uint32_t>();
    if (odd > most_odd) return fail(ErrorCode::invalid_argument, "more odd values than a series remembers");
    for (std::uint32_t i = 0; i < odd; ++i) {
        patterns::OddValue one;
        in.get_into(one.at), in.get_into(one.value), in.get_into(one.expected), in.get_into(one.p_value);
        one.sign = in.nested();
        out.odd_.push_back(std::move(one));
    }
    const std::string detector(in.nested());
    KN_CHECK(in.finish());
    KN_TRY(out.detector_, analytics::StreamDetector::resume(detector));
    return out;
}

}  // namespace kn::discovery
