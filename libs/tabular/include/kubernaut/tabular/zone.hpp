#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/result.hpp"

namespace kn::tabular {

/// When a day's wall clock changes in a POSIX rule: "M3.2.0/2" is the second Sunday of March at 02:00.
struct ZoneChange {
    int month = 0, week = 0, weekday = 0;  ///< month 0: no change
    std::int64_t second_of_day = 7200;
};

/// How far the wall clock is ahead of UTC, at any time.
class Zone {
public:
    Zone() = default;  ///< UTC
    static Zone fixed(std::int64_t seconds_east, std::string name);
    /// "UTC", "Z", "+02:00", "-0530". Nothing when the text is no offset (it may be a name such as Europe/Berlin).
    static std::optional<Zone> from_offset(std::string_view text);
    /// The bytes of a TZif file, versions 1 to 4 (RFC 9636), with its rule for later years. invalid_argument: damaged.
    static Result<Zone> from_tzif(std::string_view bytes, std::string name);

    [[nodiscard]] std::int64_t offset_at(std::int64_t utc_seconds) const;
    /// The moment that wall clocks showed as `local` (seconds since 1970 as if UTC). When they showed it twice, the earlier; when they skipped
    /// it, the moment that the offset before the gap gives.
    [[nodiscard]] std::int64_t to_utc(std::int64_t local) const;
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    struct Transition {
        std::int64_t at = 0;
        std::int64_t offset = 0;
    };
    bool read_rule(std::string_view rule);

    std::string name_ = "UTC";
    std::int64_t before_ = 0;  // offset before the first transition
    std::vector<Transition> transitions_;
    bool has_rule_ = false;
    std::int64_t standard_ = 0, daylight_ = 0;
    ZoneChange begins_{}, ends_{};
};

}  // namespace kn::tabular
