#include "kubernaut/base/time.hpp"

#include <array>
#include <charconv>
#include <cstdio>

namespace kn {
namespace {

struct Civil {
    int year;
    unsigned month, day;
    int hour, minute, second, millis;
};

Civil to_civil(Instant t) {
    const auto days = std::chrono::floor<std::chrono::days>(t);
    const std::chrono::year_month_day ymd{days};
    const std::chrono::hh_mm_ss hms{t - days};
    return {static_cast<int>(ymd.year()),
            static_cast<unsigned>(ymd.month()),
            static_cast<unsigned>(ymd.day()),
            static_cast<int>(hms.hours().count()),
            static_cast<int>(hms.minutes().count()),
            static_cast<int>(hms.seconds().count()),
            static_cast<int>(hms.subseconds().count())};
}

/// Reads exactly `count` digits at `at`, or -1.
int digits(std::string_view text, std::size_t at, std::size_t count) {
    if (at + count > text.size()) return -1;
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

std::unexpected<Error> bad_time(std::string_view text) {
    return fail(ErrorCode::invalid_argument, "not an RFC 3339 time: \"" + std::string(text.substr(0, 64)) + "\"");
}

}  // namespace

std::string format_rfc3339(Instant t) {
    const Civil c = to_civil(t);
    std::array<char, 64> buffer{};
    if (c.millis == 0) {
        std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour, c.minute, c.second);
    } else {
        std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", c.year, c.month, c.day, c.hour, c.minute, c.second,
                      c.millis);
    }
    return buffer.data();
}

std::string format_micro_time(Instant t) {
    const Civil c = to_civil(t);
    std::array<char, 64> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03d000Z", c.year, c.month, c.day, c.hour, c.minute, c.second,
                  c.millis);
    return buffer.data();
}

Result<Instant> parse_rfc3339(std::string_view text) {
    const int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
    const int hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return bad_time(text);
    if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' || text[16] != ':')
        return bad_time(text);
    const std::chrono::year_month_day ymd{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                          std::chrono::day{static_cast<unsigned>(day)}};
    if (!ymd.ok()) return bad_time(text);
    std::size_t at = 19;
    int millis = 0;
    if (at < text.size() && text[at] == '.') {
        ++at;
        int scale = 100;
        const std::size_t first = at;
        for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
            millis += (text[at] - '0') * scale;
            scale /= 10;
        }
        if (at == first) return bad_time(text);
    }
    int offset_minutes = 0;
    if (at >= text.size()) return bad_time(text);
    if (text[at] == 'Z' || text[at] == 'z') {
        if (at + 1 != text.size()) return bad_time(text);
    } else if (text[at] == '+' || text[at] == '-') {
        const int oh = digits(text, at + 1, 2), om = digits(text, at + 4, 2);
        if (oh < 0 || oh > 23 || om < 0 || om > 59 || text[at + 3] != ':' || at + 6 != text.size()) return bad_time(text);
        offset_minutes = (oh * 60 + om) * (text[at] == '-' ? -1 : 1);
    } else {
        return bad_time(text);
    }
    const std::chrono::sys_days days{ymd};
    return Instant{days} + std::chrono::hours{hour} + std::chrono::minutes{minute - offset_minutes} + std::chrono::seconds{second} + Duration{millis};
}

std::string format_duration(Duration d) {
    if (d == Duration::zero()) return "0s";
    std::string out = d < Duration::zero() ? "-" : "";
    std::int64_t ms = d < Duration::zero() ? -d.count() : d.count();
    const std::int64_t day = 86'400'000;
    if (ms % day == 0) return out + std::to_string(ms / day) + "d";
    const std::int64_t h = ms / 3'600'000, m = ms / 60'000 % 60, s = ms / 1000 % 60, rest = ms % 1000;
    if (h != 0) out += std::to_string(h) + "h";
    if (m != 0) out += std::to_string(m) + "m";
    if (s != 0) out += std::to_string(s) + "s";
    if (rest != 0) out += std::to_string(rest) + "ms";
    return out;
}

Result<Duration> parse_duration(std::string_view text) {
    const auto bad = [&] {
        return fail(ErrorCode::invalid_argument,
                    "not a duration: \"" + std::string(text.substr(0, 64)) + "\" (write it like 250ms, 30s, 5m, 2h or 30d)");
    };
    if (text == "0") return Duration::zero();
    std::string_view rest = text;
    double total = 0;
    if (rest.empty()) return bad();
    while (!rest.empty()) {
        double number = 0;
        const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
        if (ec != std::errc{} || number < 0) return bad();
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        struct Unit {
            std::string_view name;
            double millis;
        };
        constexpr std::array<Unit, 5> units{{{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}}};
        const Unit* found = nullptr;
        for (const Unit& unit : units) {
            if (rest.starts_with(unit.name)) {
                found = &unit;
                break;
            }
        }
        if (found == nullptr) return bad();
        rest.remove_prefix(found->name.size());
        total += number * found->millis;
        if (total > 3.2e12) return bad();  // a hundred years: certainly a mistake
    }
    return Duration{static_cast<std::int64_t>(total + 0.5)};
}

}  // namespace kn
