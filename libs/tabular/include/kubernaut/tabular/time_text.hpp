#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kubernaut/tabular/zone.hpp"

namespace kn::tabular {

/// How the times of a column are written.
enum class TimeForm : std::uint8_t {
    year_first,      ///< 2026-01-05T09:00:00Z, 2026-01-05 09:00, 2026/01/05, 2026-01, 20260105T090000Z; with an offset or in the zone given
    day_first,       ///< 05.01.2026 09:00, 5/1/2026
    month_first,     ///< 1/5/2026 9:00, also with AM and PM
    day_name_month,  ///< 05/Jan/2026:09:00:00 +0100, 5 Jan 2026 09:00
    epoch_seconds,
    epoch_millis,
    epoch_micros,
    epoch_nanos,
};
std::string_view to_string(TimeForm form);

/// Seconds since 1970, with a fraction; nothing when the text is not of this form. Dates without an offset are wall-clock times of `zone`.
std::optional<double> parse_time(std::string_view text, TimeForm form, const Zone& zone);

struct FoundForm {
    TimeForm form = TimeForm::year_first;
    double share = 0;        ///< of the texts that are not empty, how many are of it
    bool ambiguous = false;  ///< day and month could be the other way round
};
/// The form of a column: the one most texts have. Numbers count as epochs only between 1990 and 2100.
std::optional<FoundForm> find_time_form(std::span<const std::string_view> texts);

}  // namespace kn::tabular
