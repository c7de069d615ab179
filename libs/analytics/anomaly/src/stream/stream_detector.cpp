#include "kubernaut/analytics/anomaly/stream/stream_detector.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/analytics/anomaly/stream/state_bytes.hpp"

namespace kn::analytics {
namespace {
constexpr std::string_view kind = "stream-detector";
constexpr std::uint32_t version = 1;

constexpr double largest_ratio = 1e6;  // of a deviation to a spread, when the spread is (nearly) nothing
constexpr double fast_weight = 0.1, short_weight = 0.1, dense_weight = 0.03, error_weight = 0.005;
constexpr double hold = 0.8;  // how much of a sign's surprise is left with the next value

double ratio(double deviation, double spread, double floor) {
    const double size = std::abs(deviation);
    if (size <= floor) return 0;
    return std::min(size / std::max(spread, floor), largest_ratio);
}

// A running mean and mean deviation that no single value moves by more than a few deviations.
template <class L> void follow(L& level, double value, double center_weight, double spread_weight) {
    const double error = value - level.center, size = std::abs(error);
    const double cut = level.spread > 0 ? std::min(size, 3 * level.spread) : size;
    level.center += center_weight * std::copysign(cut, error);
    level.spread += spread_weight * ((level.spread > 0 ? std::min(size, 5 * level.spread) : size) - level.spread);
}

template <std::size_t Count> double seasonal(const SeasonSlots<Count>& slots, std::size_t slot, double usual_error, double value, double floor) {
    if (slots.visits(slot) < 2) return 0;
    return ratio(value - slots.center(slot), std::max(slots.spread(slot), 0.3 * usual_error), floor);
}
}  // namespace

std::string_view to_string(StreamSign sign) {
    constexpr std::array<std::string_view, 7> names{"none", "far from usual", "level shift", "unlike this hour", "unlike this weekday",
                                                    "jump", "dense"};
    return names[static_cast<std::size_t>(sign)];
}

StreamDetector::StreamDetector(StreamOptions options) : options_(options), drift_(0.5, 60) {}

StreamDetector::Place StreamDetector::place_of(std::int64_t time) const {
    constexpr std::int64_t hour = 3600, week = 7 * 24 * hour, epoch_shift = 3 * 24 * hour;  // 1970 began on a Thursday
    std::int64_t local = (time + options_.utc_offset_seconds + epoch_shift) % week;
    if (local < 0) local += week;
    const auto of_week = static_cast<std::size_t>(local / hour);
    return {of_week % 24, of_week};
}

StreamDetector::Level StreamDetector::expected_at(Place place) const {
    constexpr std::uint32_t enough = 2;
    Level best{fast_.center, errors_[0]};
    double error = errors_[0];
    if (day_.visits(place.hour) >= enough && errors_[1] < error) {
        error = errors_[1];
        best = {day_.center(place.hour), std::max(day_.spread(place.hour), 0.3 * error)};
    }
    if (week_.visits(place.week_hour) >= enough && errors_[2] < error)
        best = {week_.center(place.week_hour), std::max(week_.spread(place.week_hour), 0.3 * errors_[2])};
    return best;
}

void StreamDetector::learn(double value, Place place) {
    const double first_weight = 1 / static_cast<double>(count_ + 1);
    const std::array<double, 3> errors{value - fast_.center, value - day_.center(place.hour), value - week_.center(place.week_hour)};
    const std::array<bool, 3> known{count_ > 0, day_.knows(place.hour), week_.knows(place.week_hour)};
    for (std::size_t k = 0; k < 3; ++k) {
        if (!known[k]) continue;
        const double size = std::abs(errors[k]), usual = errors_[k];
        errors_[k] += (usual > 0 ? error_weight : 0.2) * ((usual > 0 ? std::min(size, 5 * usual) : size) - usual);
        bias_[k] += 0.03 * ((usual > 0 ? std::clamp(errors[k], -5 * usual, 5 * usual) : errors[k]) - bias_[k]);
    }
    follow(slow_, value, std::max(first_weight, 1 / options_.memory), std::max(first_weight, 1 / options_.memory));
    follow(fast_, value, std::max(first_weight, fast_weight), std::max(first_weight, 0.01));
    day_.learn(place.hour, value, slow_.spread);
    week_.learn(place.week_hour, value, slow_.spread);
    const double weight = std::max(first_weight, 1 / options_.memory);
    follow(smooth_, short_mean_, weight, weight);
    if (count_ > 0) follow(jump_, value - last_value_, weight, weight);
}

// What is new about a surprise: what exceeds the fading rest of the last one that made news.
double StreamDetector::news(double surprise) {
    const double steps = std::clamp(options_.repeat_share * static_cast<double>(count_), 20.0, 3000.0);
    news_held_ *= 1 - 1 / steps;
    const double fresh = std::max(surprise - news_held_, 0.0);
    if (fresh >= options_.repeat_notice) news_held_ = surprise;
    return fresh;
}

StreamVerdict StreamDetector::add(std::int64_t time, double raw) {
    StreamVerdict verdict;
    if (!std::isfinite(raw)) return verdict.status = StreamStatus::missing, verdict;
    if (rows_ > 0 && time <= last_time_) return verdict.status = StreamStatus::out_of_order, verdict;
    double value = raw;
    if (options_.kind == StreamKind::counter && rows_ > 0) {
        const double grown = raw >= last_raw_ ? raw - last_raw_ : raw;
        value = grown / static_cast<double>(time - last_time_);
    }
    const bool first_of_counter = options_.kind == StreamKind::counter && rows_ == 0;
    last_time_ = time;
    last_raw_ = raw;
    ++rows_;
    if (first_of_counter) return verdict.status = StreamStatus::first_of_counter, verdict;

    const Place place = place_of(time);
    largest_ = std::max(largest_, std::abs(value));
    const double floor = 16 * std::numeric_limits<double>::epsilon() * largest_;
    if (count_ == 0) slow_.center = fast_.center = smooth_.center = short_mean_ = last_value_ = value;
    const Level expected = expected_at(place);
    short_mean_ += std::max(short_weight, 1 / static_cast<double>(count_ + 1)) * (value - short_mean_);
    std::array<double, signs> sizes{ratio(value - slow_.center, slow_.spread, floor),
                                    ratio(short_mean_ - smooth_.center, smooth_.spread, floor),
                                    seasonal(day_, place.hour, errors_[1], value, floor),
                                    seasonal(week_, place.week_hour, errors_[2], value, floor),
                                    ratio(value - last_value_ - jump_.center, jump_.spread, floor),
                                    0};
    odd_rate_ += std::max(dense_weight, 1 / static_cast<double>(count_ + 1)) * (std::min(sizes[0], 8.0) - odd_rate_);
    sizes[5] = odd_rate_;

    // A p-value from n values may not claim much more than 1 / n: what lies beyond counts by its logarithm only.
    const double earned = std::log10(static_cast<double>(count_ + 2));
    double surprise = 0;
    std::size_t strongest = 0;
    for (std::size_t s = 0; s < signs; ++s) {
        double own = -std::log10(tails_[s].p_value(sizes[s]));
        if (own > earned) own = earned + std::log1p(own - earned);
        held_[s] = std::max(own, hold * held_[s]);
        if (held_[s] > held_[strongest]) strongest = s;
        surprise += held_[s] / signs;
        // In the beginning the rulers themselves are still found out.
        if (count_ >= 10) tails_[s].learn(sizes[s]);
    }
    const bool known = fused_.ready();
    verdict.p_value = known ? fused_.p_value(surprise) : 1;
    if (tails_[0].ready()) fused_.learn(surprise);
    verdict.value = value;
    verdict.expected = expected.center;
    const double reach = tails_[0].ready() ? tails_[0].threshold(options_.false_positive_rate) * expected.spread : 0;
    verdict.low = expected.center - reach;
    verdict.high = expected.center + reach;
    const double fresh = news(surprise);
    if (known) {
        verdict.status = StreamStatus::judged;
        verdict.score = stream_score_of(fresh);
        verdict.anomalous = verdict.p_value < options_.false_positive_rate;
        verdict.told = verdict.anomalous && fresh >= options_.repeat_notice;
        odd_since_ = verdict.p_value < 0.05 ? odd_since_ + 1 : 0;
        verdict.since = odd_since_;
        if (verdict.p_value < 0.05) verdict.sign = static_cast<StreamSign>(strongest + 1);
    }
    learn(value, place);
    if (known && drift_.add(std::clamp((value - expected.center) / std::max(expected.spread, floor + 1e-300), -3.0, 3.0))) {
        verdict.drifted = true;
        slow_.center = fast_.center;
        day_.shift(bias_[1]);
        week_.shift(bias_[2]);
        bias_ = {};
    }
    last_value_ = value;
    ++count_;
    return verdict;
}

std::string StreamDetector::state() const {
    StateWriter out(kind, version);
    // Field by field: the bytes between fields are anything.
    out.put(options_.kind);
    out.put(options_.utc_offset_seconds);
    out.put(std::array<double, 4>{options_.false_positive_rate, options_.repeat_share, options_.repeat_notice, options_.memory});
    out.put(last_time_);
    out.put(count_);
    out.put(rows_);
    out.put(std::array<double, 6>{last_value_, last_raw_, largest_, short_mean_, odd_rate_, news_held_});
    out.put(std::array<Level, 4>{slow_, fast_, smooth_, jump_});
    out.put(held_);
    out.put(errors_);
    out.put(bias_);
    out.put(odd_since_);
    day_.save(out);
    week_.save(out);
    for (const TailModel& tail : tails_) tail.save(out);
    fused_.save(out);
    drift_.save(out);
    return out.take();
}

Result<StreamDetector> StreamDetector::resume(std::string_view state) {
    KN_TRY(StateReader in, StateReader::open(state, kind, version));
    StreamDetector detector;
    in.get_into(detector.options_.kind);
    in.get_into(detector.options_.utc_offset_seconds);
    const auto settings = in.get<std::array<double, 4>>();
    detector.options_.false_positive_rate = settings[0], detector.options_.repeat_share = settings[1];
    detector.options_.repeat_notice = settings[2], detector.options_.memory = settings[3];
    in.get_into(detector.last_time_);
    in.get_into(detector.count_);
    in.get_into(detector.rows_);
    const auto numbers = in.get<std::array<double, 6>>();
    detector.last_value_ = numbers[0], detector.last_raw_ = numbers[1], detector.largest_ = numbers[2];
    detector.short_mean_ = numbers[3], detector.odd_rate_ = numbers[4], detector.news_held_ = numbers[5];
    const auto levels = in.get<std::array<Level, 4>>();
    detector.slow_ = levels[0], detector.fast_ = levels[1], detector.smooth_ = levels[2], detector.jump_ = levels[3];
    in.get_into(detector.held_);
    in.get_into(detector.errors_);
    in.get_into(detector.bias_);
    in.get_into(detector.odd_since_);
    detector.day_.load(in);
    detector.week_.load(in);
    for (TailModel& tail : detector.tails_) tail.load(in);
    detector.fused_.load(in);
    detector.drift_.load(in);
    KN_CHECK(in.finish());
    return detector;
}

}  // namespace kn::analytics
