#include "kubernaut/tabular/time_text.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

namespace kn::tabular {
namespace {

struct Parts {
    int year = 0, month = 1, day = 1;
    std::int64_t second = 0;  // of the day
    double fraction = 0;
    std::optional<std::int64_t> offset{};
};

/// Reads forward; every function leaves the text as it was when it does not apply.
struct Cursor {
    std::string_view text;

    bool eat(char c) {
        if (text.empty() || text[0] != c) return false;
        text.remove_prefix(1);
        return true;
    }
    bool eat_any(std::string_view chars) {
        if (text.empty() || chars.find(text[0]) == std::string_view::npos) return false;
        text.remove_prefix(1);
        return true;
    }
    /// `least` to `most` digits.
    bool digits(int least, int most, int& value) {
        int count = 0, number = 0;
        while (count < most && static_cast<std::size_t>(count) < text.size() && text[static_cast<std::size_t>(count)] >= '0' &&
               text[static_cast<std::size_t>(count)] <= '9')
            number = 10 * number + (text[static_cast<std::size_t>(count++)] - '0');
        if (count < least) return false;
        text.remove_prefix(static_cast<std::size_t>(count));
        value = number;
        return true;
    }
    void spaces() {
        while (eat(' ')) {
        }
    }
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '[')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == ']')) text.remove_suffix(1);
    return text;
}

/// "Z", "+02:00", " +0100", "UTC"; or nothing at all.
bool read_offset(Cursor& c, Parts& parts) {
    c.spaces();
    if (c.text.empty()) return true;
    if (const auto zone = Zone::from_offset(c.text == "z" ? "Z" : c.text)) {
        parts.offset = zone->offset_at(0);
        c.text = {};
        return true;
    }
    return false;
}

/// " 09:00", "T09:00:00.123", "090000", and AM or PM; or nothing.
bool read_clock(Cursor& c, Parts& parts, bool compact) {
    if (c.text.empty()) return true;
    if (!c.eat_any("Tt:")) {
        if (c.text[0] != ' ') return true;  // an offset may follow the date
        c.spaces();
    }
    int hour = 0, minute = 0, second = 0;
    if (!c.digits(1, 2, hour)) return false;
    if (compact) {
        if (!c.digits(2, 2, minute)) return false;
        c.digits(2, 2, second);
    } else {
        if (!c.eat(':') || !c.digits(2, 2, minute)) return false;
        if (c.eat(':') && !c.digits(2, 2, second)) return false;
    }
    if (!c.text.empty() && (c.text[0] == '.' || c.text[0] == ',')) {
        c.eat_any(".,");
        double unit = 0.1;
        bool any = false;
        while (!c.text.empty() && c.text[0] >= '0' && c.text[0] <= '9') {
            parts.fraction += unit * (c.text[0] - '0');
            unit /= 10;
            any = true;
            c.text.remove_prefix(1);
        }
        if (!any) return false;
    }
    Cursor ahead = c;
    ahead.spaces();
    if (ahead.text.size() >= 2 && lower(ahead.text[1]) == 'm' && (lower(ahead.text[0]) == 'a' || lower(ahead.text[0]) == 'p')) {
        if (hour < 1 || hour > 12) return false;
        hour = hour % 12 + (lower(ahead.text[0]) == 'p' ? 12 : 0);
        ahead.text.remove_prefix(2);
        c = ahead;
    }
    if (hour > 24 || minute > 59 || second > 60 || (hour == 24 && (minute > 0 || second > 0))) return false;
    parts.second = hour * 3600 + minute * 60 + second;
    return true;
}

bool month_by_name(Cursor& c, int& month) {
    static constexpr std::array<std::string_view, 12> names{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
    if (c.text.size() < 3) return false;
    const std::array<char, 3> three{lower(c.text[0]), lower(c.text[1]), lower(c.text[2])};
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (std::string_view(three.data(), 3) != names[i]) continue;
        month = static_cast<int>(i) + 1;
        while (!c.text.empty() && lower(c.text[0]) >= 'a' && lower(c.text[0]) <= 'z') c.text.remove_prefix(1);
        return true;
    }
    return false;
}

bool read_date(Cursor& c, Parts& parts, TimeForm form, bool& compact) {
    int first = 0, second = 0;
    switch (form) {
        case TimeForm::year_first: {
            if (!c.digits(4, 4, parts.year)) return false;
            if (!c.eat_any("-/.")) {
                compact = true;
                return c.digits(2, 2, parts.month) && c.digits(2, 2, parts.day);
            }
            if (!c.digits(1, 2, parts.month)) return false;
            if (c.text.empty()) return true;  // a month
            return c.eat_any("-/.") && c.digits(1, 2, parts.day);
        }
        case TimeForm::day_first:
        case TimeForm::month_first:
            if (!c.digits(1, 2, first) || !c.eat_any("./-") || !c.digits(1, 2, second) || !c.eat_any("./-") || !c.digits(4, 4, parts.year))
                return false;
            parts.day = form == TimeForm::day_first ? first : second;
            parts.month = form == TimeForm::day_first ? second : first;
            return true;
        case TimeForm::day_name_month:
            return c.digits(1, 2, parts.day) && c.eat_any("/- ") && month_by_name(c, parts.month) && c.eat_any("/- ") && c.digits(4, 4, parts.year);
        default: return false;
    }
}

std::optional<double> parse_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
    return value;
}

double epoch_unit(TimeForm form) {
    switch (form) {
        case TimeForm::epoch_millis: return 1e3;
        case TimeForm::epoch_micros: return 1e6;
        case TimeForm::epoch_nanos: return 1e9;
        default: return 1;
    }
}

bool is_epoch(TimeForm form) { return form >= TimeForm::epoch_seconds; }
constexpr double earliest = 631'152'000, latest = 4'102'444'800;  // 1990, 2100

constexpr std::array forms{TimeForm::year_first,    TimeForm::day_first,    TimeForm::month_first,  TimeForm::day_name_month,
                           TimeForm::epoch_seconds, TimeForm::epoch_millis, TimeForm::epoch_micros, TimeForm::epoch_nanos};

}  // namespace

std::string_view to_string(TimeForm form) {
    switch (form) {
        case TimeForm::year_first: return "year-month-day";
        case TimeForm::day_first: return "day.month.year";
        case TimeForm::month_first: return "month/day/year";
        case TimeForm::day_name_month: return "day/Month/year";
        case TimeForm::epoch_seconds: return "seconds since 1970";
        case TimeForm::epoch_millis: return "milliseconds since 1970";
        case TimeForm::epoch_micros: return "microseconds since 1970";
        case TimeForm::epoch_nanos: return "nanoseconds since 1970";
    }
    return "unknown";
}

std::optional<double> parse_time(std::string_view text, TimeForm form, const Zone& zone) {
    text = trimmed(text);
    if (is_epoch(form)) {
        const auto number = parse_number(text);
        if (!number) return std::nullopt;
        const double seconds = *number / epoch_unit(form);
        // A number of another size in the same column is a mistake, not a time in another unit.
        return seconds < -1e11 || seconds > 1e11 ? std::nullopt : std::optional(seconds);
    }
    Cursor c{text};
    Parts parts;
    bool compact = false;
    if (!read_date(c, parts, form, compact) || !read_clock(c, parts, compact) || !read_offset(c, parts)) return std::nullopt;
    namespace ch = std::chrono;
    const ch::year_month_day date{ch::year(parts.year), ch::month(static_cast<unsigned>(parts.month)), ch::day(static_cast<unsigned>(parts.day))};
    if (!date.ok()) return std::nullopt;
    const std::int64_t local = ch::sys_days(date).time_since_epoch().count() * std::int64_t{86'400} + parts.second;
    return static_cast<double>(parts.offset ? local - *parts.offset : zone.to_utc(local)) + parts.fraction;
}

std::optional<FoundForm> find_time_form(std::span<const std::string_view> texts) {
    std::size_t known = 0;
    std::array<std::size_t, forms.size()> hits{};
    const Zone utc;
    for (const auto text : texts) {
        if (trimmed(text).empty()) continue;
        ++known;
        for (std::size_t f = 0; f < forms.size(); ++f) {
            const auto time = parse_time(text, forms[f], utc);
            if (time && (!is_epoch(forms[f]) || (*time >= earliest && *time <= latest))) ++hits[f];
        }
    }
    if (known == 0) return std::nullopt;
    std::size_t best = 0;
    for (std::size_t f = 1; f < forms.size(); ++f)
        if (hits[f] > hits[best]) best = f;
    // Equal votes for day first and month first: slashes are month first (as spreadsheets write them), dots day first.
    const bool ambiguous = hits[1] > 0 && hits[1] == hits[2] && (best == 1 || best == 2);
    if (ambiguous) {
        for (const auto text : texts)
            if (text.find('/') != std::string_view::npos) best = 2;
    }
    if (hits[best] == 0) return std::nullopt;
    return FoundForm{.form = forms[best], .share = static_cast<double>(hits[best]) / static_cast<double>(known), .ambiguous = ambiguous};
}

}  // namespace kn::tabular
