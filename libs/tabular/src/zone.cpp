#include "kubernaut/tabular/zone.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace kn::tabular {
namespace {

constexpr std::int64_t day = 86'400;

/// Big-endian numbers out of bytes, with a bound.
class Bytes {
public:
    explicit Bytes(std::string_view text) : text_(text) {}
    [[nodiscard]] bool has(std::size_t count) const { return text_.size() >= count; }
    std::string_view take(std::size_t count) {
        const auto part = text_.substr(0, count);
        text_.remove_prefix(std::min(count, text_.size()));
        return part;
    }
    std::int64_t number(std::size_t size) {
        std::uint64_t value = 0;
        const auto part = take(size);
        for (const char c : part) value = (value << 8U) | static_cast<unsigned char>(c);
        if (size < 8 && !part.empty() && (static_cast<unsigned char>(part[0]) & 0x80U) != 0) value |= ~std::uint64_t{0} << (8 * size);
        return static_cast<std::int64_t>(value);
    }
    [[nodiscard]] std::string_view rest() const { return text_; }

private:
    std::string_view text_;
};

struct Header {
    char version = 0;
    std::size_t utc_flags = 0, standard_flags = 0, leaps = 0, times = 0, types = 0, chars = 0;
};

std::optional<Header> read_header(Bytes& bytes) {
    if (!bytes.has(44) || bytes.take(4) != "TZif") return std::nullopt;
    Header h;
    h.version = bytes.take(1)[0];
    bytes.take(15);
    for (auto* count : {&h.utc_flags, &h.standard_flags, &h.leaps, &h.times, &h.types, &h.chars}) {
        const auto n = bytes.number(4);
        if (n < 0 || n > 100'000) return std::nullopt;
        *count = static_cast<std::size_t>(n);
    }
    return h;
}

std::size_t body_size(const Header& h, std::size_t time_size) {
    return h.times * (time_size + 1) + h.types * 6 + h.chars + h.leaps * (time_size + 4) + h.standard_flags + h.utc_flags;
}

/// Seconds of "2", "-3:30", "02:00:00"; consumed from the front.
bool take_clock(std::string_view& text, std::int64_t& seconds) {
    std::int64_t sign = 1;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        if (text[0] == '-') sign = -1;
        text.remove_prefix(1);
    }
    std::int64_t total = 0, unit = 3600;
    for (int part = 0; part < 3; ++part, unit /= 60) {
        std::int64_t value = 0;
        std::size_t digits = 0;
        while (digits < text.size() && digits < 3 && text[digits] >= '0' && text[digits] <= '9') value = 10 * value + (text[digits++] - '0');
        if (digits == 0) return false;
        total += value * unit;
        text.remove_prefix(digits);
        if (text.empty() || text[0] != ':' || part == 2) break;
        text.remove_prefix(1);
    }
    seconds = sign * total;
    return true;
}

bool take_name(std::string_view& text) {
    std::size_t n = 0;
    if (!text.empty() && text[0] == '<') {
        n = text.find('>');
        if (n == std::string_view::npos) return false;
        text.remove_prefix(n + 1);
        return true;
    }
    while (n < text.size() && ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z'))) ++n;
    text.remove_prefix(n);
    return n >= 3;
}

bool take_change(std::string_view& text, ZoneChange& change) {
    if (!text.starts_with(",M")) return false;  // days of the year (Jn, n) are in no current zone
    text.remove_prefix(2);
    for (int* part : {&change.month, &change.week, &change.weekday}) {
        if (text.empty() || text[0] < '0' || text[0] > '9') return false;
        *part = 0;
        while (!text.empty() && text[0] >= '0' && text[0] <= '9' && *part < 100) *part = 10 * *part + (text[0] - '0'), text.remove_prefix(1);
        if (part != &change.weekday) {
            if (text.empty() || text[0] != '.') return false;
            text.remove_prefix(1);
        }
    }
    if (!text.empty() && text[0] == '/') {
        text.remove_prefix(1);
        if (!take_clock(text, change.second_of_day)) return false;
    }
    return change.month >= 1 && change.month <= 12 && change.week >= 1 && change.week <= 5 && change.weekday <= 6;
}

/// Local midnight-based second at which the change happens in a year, by the wall clock before it.
std::int64_t local_of(const ZoneChange& change, int year) {
    namespace ch = std::chrono;
    const ch::year_month_day first{ch::year(year), ch::month(static_cast<unsigned>(change.month)), ch::day(1)};
    const auto first_weekday = static_cast<int>(ch::weekday(ch::sys_days(first)).c_encoding());
    int date = 1 + (change.weekday - first_weekday + 7) % 7 + 7 * (change.week - 1);
    const auto last = static_cast<int>(static_cast<unsigned>((first.year() / first.month() / ch::last).day()));
    while (date > last) date -= 7;
    return ch::sys_days(first).time_since_epoch().count() * day + (date - 1) * day + change.second_of_day;
}

int year_of(std::int64_t seconds) {
    const auto days =
        std::chrono::sys_days(std::chrono::days(std::clamp<std::int64_t>(seconds / day - (seconds % day < 0 ? 1 : 0), -10'000'000, 10'000'000)));
    return static_cast<int>(std::chrono::year_month_day(days).year());
}

}  // namespace

Zone Zone::fixed(std::int64_t seconds_east, std::string name) {
    Zone zone;
    zone.before_ = seconds_east;
    zone.name_ = std::move(name);
    return zone;
}

std::optional<Zone> Zone::from_offset(std::string_view text) {
    if (text == "UTC" || text == "utc" || text == "Z" || text == "GMT") return fixed(0, "UTC");
    if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
    std::string digits;
    for (const char c : text.substr(1)) {
        if (c == ':') continue;
        if (c < '0' || c > '9') return std::nullopt;
        digits += c;
    }
    if (digits.size() != 2 && digits.size() != 4) return std::nullopt;
    const int hours = std::atoi(digits.substr(0, 2).c_str()), minutes = digits.size() == 4 ? std::atoi(digits.substr(2).c_str()) : 0;
    if (hours > 15 || minutes > 59) return std::nullopt;
    return fixed((text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60), std::string(text));
}

bool Zone::read_rule(std::string_view rule) {
    if (rule.empty()) return false;
    std::int64_t west = 0;
    if (!take_name(rule) || !take_clock(rule, west)) return false;
    standard_ = daylight_ = -west;
    if (rule.empty()) return true;
    if (!take_name(rule)) return false;
    daylight_ = standard_ + 3600;
    if (!rule.empty() && rule[0] != ',') {
        if (!take_clock(rule, west)) return false;
        daylight_ = -west;
    }
    if (!take_change(rule, begins_) || !take_change(rule, ends_)) {
        begins_ = ends_ = {};
        return false;
    }
    return true;
}

Result<Zone> Zone::from_tzif(std::string_view text, std::string name) {
    const auto damaged = [&] { return fail(ErrorCode::invalid_argument, "the time zone file of " + name + " is damaged"); };
    Bytes bytes(text);
    auto header = read_header(bytes);
    if (!header) return damaged();
    std::size_t time_size = 4;
    if (header->version >= '2') {
        if (!bytes.has(body_size(*header, 4))) return damaged();
        bytes.take(body_size(*header, 4));
        header = read_header(bytes);
        if (!header) return damaged();
        time_size = 8;
    }
    if (header->types == 0 || !bytes.has(body_size(*header, time_size))) return damaged();
    Zone zone;
    zone.name_ = std::move(name);
    std::vector<std::int64_t> times(header->times);
    for (auto& time : times) time = bytes.number(time_size);
    std::vector<std::size_t> kinds(header->times);
    for (auto& kind : kinds) kind = static_cast<std::size_t>(bytes.number(1) & 0xff);
    std::vector<std::int64_t> offsets(header->types);
    for (auto& offset : offsets) {
        offset = bytes.number(4);
        bytes.take(2);
        if (offset < -93'600 || offset > 93'600)
            return fail(ErrorCode::invalid_argument, "the time zone file of " + zone.name_ + " holds an impossible offset");
    }
    zone.before_ = offsets[0];
    for (std::size_t i = 0; i < times.size(); ++i) {
        if (kinds[i] >= offsets.size() || (i > 0 && times[i] <= times[i - 1]))
            return fail(ErrorCode::invalid_argument, "the time zone file of " + zone.name_ + " is damaged");
        zone.transitions_.push_back({times[i], offsets[kinds[i]]});
    }
    if (time_size == 8) {
        bytes.take(body_size(*header, 8) - header->times * 9 - header->types * 6);
        auto rule = bytes.rest();
        if (rule.starts_with('\n')) {
            rule.remove_prefix(1);
            zone.has_rule_ = zone.read_rule(rule.substr(0, rule.find('\n')));
        }
    }
    return zone;
}

std::int64_t Zone::offset_at(std::int64_t utc) const {
    if (has_rule_ && (transitions_.empty() || utc >= transitions_.back().at)) {
        if (begins_.month == 0) return standard_;
        const int year = year_of(utc + standard_);
        const std::int64_t begin = local_of(begins_, year) - standard_, end = local_of(ends_, year) - daylight_;
        const bool daylight = begin < end ? utc >= begin && utc < end : utc >= begin || utc < end;
        return daylight ? daylight_ : standard_;
    }
    const auto next =
        std::upper_bound(transitions_.begin(), transitions_.end(), utc, [](std::int64_t t, const Transition& one) { return t < one.at; });
    return next == transitions_.begin() ? before_ : std::prev(next)->offset;
}

std::int64_t Zone::to_utc(std::int64_t local) const {
    // A change moves the clock by a day at most, so both candidates come from the offsets a day before and after.
    const std::int64_t before = offset_at(local - day), after = offset_at(local + day);
    const std::int64_t first = local - before, second = local - after;
    if (offset_at(first) == before && offset_at(second) == after) return std::min(first, second);
    if (offset_at(second) == after) return second;
    return first;
}

}  // namespace kn::tabular
