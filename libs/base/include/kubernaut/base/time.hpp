#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "kubernaut/base/result.hpp"

namespace kn {

using namespace std::chrono_literals;

using Duration = std::chrono::milliseconds;
/// Wall-clock time in UTC, milliseconds: what is stored and shown.
using Instant = std::chrono::sys_time<std::chrono::milliseconds>;
/// Monotonic time: what deadlines and timers use. Never stored.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

/// The latest moment at which a call may still be waiting. A parameter of everything that can wait.
struct Deadline {
    SteadyTime at = SteadyTime::max();
    static Deadline never() { return {}; }
    [[nodiscard]] bool passed(SteadyTime now) const { return now >= at; }
    /// Time left, never negative.
    [[nodiscard]] Duration left(SteadyTime now) const {
        if (at == SteadyTime::max()) return Duration::max();
        return now >= at ? Duration::zero() : std::chrono::ceil<Duration>(at - now);
    }
    [[nodiscard]] Deadline earlier(Deadline other) const { return at <= other.at ? *this : other; }
};

inline std::int64_t to_millis(Instant t) { return t.time_since_epoch().count(); }
inline Instant from_millis(std::int64_t ms) { return Instant{Duration{ms}}; }

/// "2026-11-24T16:06:49.123Z"; without milliseconds when they are zero.
std::string format_rfc3339(Instant t);
/// "2026-11-24T16:06:49.123000Z": the form that Kubernetes wants for MicroTime fields.
std::string format_micro_time(Instant t);
/// Accepts any offset and any number of fraction digits (cut to milliseconds).
Result<Instant> parse_rfc3339(std::string_view text);

/// "1m30s", "250ms", "2h"; "30d" for whole days.
std::string format_duration(Duration d);
/// The same forms back; a bare number is refused because its unit would be a guess.
Result<Duration> parse_duration(std::string_view text);

}  // namespace kn
