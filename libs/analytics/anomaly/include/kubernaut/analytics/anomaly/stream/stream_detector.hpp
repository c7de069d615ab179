#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "kubernaut/analytics/anomaly/stream/drift.hpp"
#include "kubernaut/analytics/anomaly/stream/season_slots.hpp"
#include "kubernaut/analytics/anomaly/stream/tail_model.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

enum class StreamKind : std::uint8_t {
    gauge,    ///< values as they are
    counter,  ///< only grows; what is judged is its rate per second. A smaller value is a reset: counting began anew at 0
};

struct StreamOptions {
    StreamKind kind = StreamKind::gauge;
    double false_positive_rate = 1e-3;    ///< share of ordinary values that may be called anomalous before repeats are filtered
    std::int32_t utc_offset_seconds = 0;  ///< the wall clock whose hours of the week the baseline follows
    double repeat_share = 0.08;           ///< an anomaly fades as news over this share of the values seen so far (at least 20, at most 3,000)
    double repeat_notice = 1.5;           ///< how much surprise (mean -log10 p) makes news
    double memory = 1000;                 ///< values the slow level remembers
};

enum class StreamStatus : std::uint8_t {
    judged,
    insufficient_data,  ///< learned, but too little is known to judge: score 0, p-value 1
    missing,            ///< NaN or infinite; nothing learned
    out_of_order,       ///< not later than the one before; nothing learned
    first_of_counter,   ///< a rate needs two
};

/// What made a value surprising.
enum class StreamSign : std::uint8_t {
    none,
    far_from_usual,       ///< against all the past
    level_shift,          ///< the mean of the latest values has moved
    unlike_this_hour,     ///< against the same hour of other days
    unlike_this_weekday,  ///< against the same hour of the week
    jump,                 ///< the step from the value before
    dense,                ///< many odd values in a short time
};
std::string_view to_string(StreamSign sign);

/// The score in [0, 1) of that much fresh surprise (mean -log10 p): one half for 1.5.
inline double stream_score_of(double fresh) { return fresh / (fresh + 1.5); }

struct StreamVerdict {
    StreamStatus status = StreamStatus::insufficient_data;
    double p_value = 1;      ///< of this value or a stranger one, were all ordinary
    double score = 0;        ///< [0, 1], after repeats were filtered
    bool anomalous = false;  ///< p_value below the asked rate
    bool told = false;       ///< anomalous, and no repeat of one already told
    bool drifted = false;    ///< the level has moved for good: the baseline was moved with it
    StreamSign sign = StreamSign::none;
    double value = 0;                        ///< what was judged: the rate, for a counter
    double expected = 0, low = 0, high = 0;  ///< the band that holds all but the asked rate of ordinary values
    std::uint64_t since = 0;                 ///< for how many values it has been odd
};

/// Judges one series value by value from its past alone: constant memory (under 8 KB), O(1) a value, state that can be stored and resumed.
/// Six signs are turned into p-values by the tail each has shown so far (TailModel); the surprise is the mean of their -log10 p, each held
/// for some values so that signs which peak apart add up (as in Fisher's combination, but the signs depend on each other, so no law is
/// assumed:) the surprise is calibrated by a tail of its own, and the asked false-positive rate is held whatever the noise. What is
/// expected comes from whichever of the latest level, the hour of the day and the hour of the week has erred least lately. Invariant to
/// scale and shift.
class StreamDetector {
public:
    explicit StreamDetector(StreamOptions options = {});

    /// `time`: seconds since 1970.
    StreamVerdict add(std::int64_t time, double value);

    [[nodiscard]] std::uint64_t judged() const { return count_; }
    [[nodiscard]] std::string state() const;
    static Result<StreamDetector> resume(std::string_view state);

private:
    static constexpr std::size_t signs = 6;

    struct Place {
        std::size_t hour = 0, week_hour = 0;
    };
    struct Level {
        double center = 0, spread = 0;
    };
    [[nodiscard]] Place place_of(std::int64_t time) const;
    [[nodiscard]] Level expected_at(Place place) const;
    double news(double surprise);
    void learn(double value, Place place);

    StreamOptions options_;
    std::int64_t last_time_ = 0;
    std::uint64_t count_ = 0, rows_ = 0;
    double last_value_ = 0, last_raw_ = 0, largest_ = 0;

    Level slow_, fast_;
    std::array<double, 3> errors_{};  // mean size of the errors of the level, the hour of the day, the hour of the week
    std::array<double, 3> bias_{};    // and their latest mean
    Level smooth_, jump_;             // of the smoothed values and of the steps
    double short_mean_ = 0, odd_rate_ = 0;
    std::array<double, signs> held_{};  // the signs' surprises, fading
    double news_held_ = 0;
    std::uint64_t odd_since_ = 0;

    SeasonSlots<24> day_;
    SeasonSlots<168> week_;
    std::array<TailModel, signs> tails_;
    TailModel fused_;
    PageHinkley drift_;
};
static_assert(sizeof(StreamDetector) < 8192);

}  // namespace kn::analytics
