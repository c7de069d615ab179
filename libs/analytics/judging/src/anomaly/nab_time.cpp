#include "anomaly/nab_time.hpp"

#include <charconv>
#include <chrono>
#include <string>

namespace kn::analytics::judging {

Result<std::int64_t> parse_time(std::string_view text) {
    const auto number = [&](std::size_t at, std::size_t length) {
        int value = -1;
        if (at + length <= text.size()) std::from_chars(text.data() + at, text.data() + at + length, value);
        return value;
    };
    using namespace std::chrono;
    const year_month_day date{year{number(0, 4)}, month{static_cast<unsigned>(number(5, 2))}, day{static_cast<unsigned>(number(8, 2))}};
    const int h = number(11, 2), m = number(14, 2), s = number(17, 2);
    if (text.size() < 19 || !date.ok() || h < 0 || m < 0 || s < 0) return fail(ErrorCode::invalid_argument, "not a time: " + std::string(text));
    return duration_cast<seconds>(sys_days{date}.time_since_epoch()).count() + h * 3600LL + m * 60LL + s;
}

}  // namespace kn::analytics::judging
