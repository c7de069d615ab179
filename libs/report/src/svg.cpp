#include "svg.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "kubernaut/report/render.hpp"

namespace kn::report {
namespace {

constexpr double left = 62, right = 14, top = 12, bottom = 26;

std::string fixed(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f", value);
    return text.data();
}

double nice_step(double range, int about) {
    const double raw = range / about, power = std::pow(10, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 2.5, 5.0})
        if (factor * power >= raw) return factor * power;
    return 10 * power;
}

/// Wall-clock round times, at most about eight.
std::vector<std::pair<double, std::string>> time_ticks(double from, double to, const Clock& clock) {
    std::vector<std::pair<double, std::string>> ticks;
    if (clock.rows()) {
        const double step = std::max(1.0, nice_step(std::max(1.0, to - from), 8));
        for (double t = std::ceil(from / step) * step; t <= to; t += step) ticks.emplace_back(t, number(t + 1));
        return ticks;
    }
    constexpr double minute = 60, hour = 3600, day = 86'400;
    double step = 0;
    for (const double one : {1.0, 5.0, 15.0, minute, 5 * minute, 15 * minute, hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day, 14 * day})
        if ((to - from) / one <= 9) {
            step = one;
            break;
        }
    const auto offset = [&](double t) { return static_cast<double>(clock.zone().offset_at(static_cast<std::int64_t>(t))); };
    if (step > 0) {
        for (double local = std::ceil((from + offset(from)) / step) * step; local <= to + offset(to) && ticks.size() < 20; local += step) {
            const double t = step >= hour ? static_cast<double>(clock.zone().to_utc(static_cast<std::int64_t>(local))) : local - offset(from);
            const std::string whole = Clock(clock.zone(), step < minute ? 1 : 60, false).moment(t);
            if (t >= from && t <= to) ticks.emplace_back(t, step >= day || whole.substr(11, 5) == "00:00" ? whole.substr(5, 5) : whole.substr(11));
        }
        return ticks;
    }
    // Months and years, by the calendar.
    namespace ch = std::chrono;
    const double months_covered = (to - from) / (30.44 * day);
    int months = 1;
    for (const int one : {1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200}) {
        months = one;
        if (months_covered / one <= 9) break;
    }
    const auto first = ch::floor<ch::days>(ch::sys_seconds(ch::seconds(static_cast<std::int64_t>(std::clamp(from, -1e11, 1e11)))));
    auto month = ch::year_month_day(first).year() / ch::year_month_day(first).month();
    for (int i = 0; i < 30'000 && ticks.size() < 20; ++i, month += ch::months(1)) {
        const int count = static_cast<int>(month.year()) * 12 + static_cast<int>(static_cast<unsigned>(month.month())) - 1;
        if (count % months != 0) continue;
        const auto t = static_cast<double>(clock.zone().to_utc(ch::sys_days(month / 1).time_since_epoch().count() * std::int64_t{86'400}));
        if (t > to) break;
        if (t < from) continue;
        const std::string whole = Clock(clock.zone(), day, false).moment(t);
        ticks.emplace_back(t, months >= 12 ? whole.substr(0, 4) : whole.substr(0, 7));
    }
    return ticks;
}

/// Of every bucket the first, least, most and last point: the picture of a long line without its weight.
std::vector<std::size_t> thinned(std::span<const double> values, std::size_t buckets) {
    std::vector<std::size_t> kept;
    const std::size_t n = values.size();
    if (n <= 4 * buckets) {
        for (std::size_t i = 0; i < n; ++i) kept.push_back(i);
        return kept;
    }
    for (std::size_t b = 0; b < buckets; ++b) {
        const std::size_t first = b * n / buckets, end = (b + 1) * n / buckets;
        std::array<std::size_t, 4> four{first, first, first, end - 1};
        for (std::size_t i = first; i < end; ++i) {
            if (values[i] < values[four[1]] || !std::isfinite(values[four[1]])) four[1] = i;
            if (values[i] > values[four[2]] || !std::isfinite(values[four[2]])) four[2] = i;
        }
        std::sort(four.begin(), four.end());
        for (const std::size_t i : four)
            if (kept.empty() || kept.back() != i) kept.push_back(i);
    }
    return kept;
}

}  // namespace

void Chart::hold(double time, double value) {
    if (!std::isfinite(time) || !std::isfinite(value)) return;
    if (!any_) from_ = to_ = time, low_ = high_ = value, any_ = true;
    from_ = std::min(from_, time);
    to_ = std::max(to_, time);
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
}

void Chart::line(std::span<const double> times, std::span<const double> values, std::string_view klass) {
    Stroke stroke{.times = {}, .values = {}, .high = {}, .klass = std::string(klass)};
    for (const std::size_t i : thinned(values, 600)) {
        stroke.times.push_back(times[i]);
        stroke.values.push_back(values[i]);
        hold(times[i], values[i]);
    }
    strokes_.push_back(std::move(stroke));
}

void Chart::band(std::span<const double> times, std::span<const double> low, std::span<const double> high, std::string_view klass) {
    Stroke stroke{
        .times = {times.begin(), times.end()}, .values = {low.begin(), low.end()}, .high = {high.begin(), high.end()}, .klass = std::string(klass)};
    for (std::size_t i = 0; i < times.size(); ++i) hold(times[i], low[i]), hold(times[i], high[i]);
    strokes_.push_back(std::move(stroke));
}

void Chart::dot(double time, double value, std::string_view klass, std::string tip) {
    hold(time, value);
    marks_.push_back({.time = time, .value = value, .klass = std::string(klass), .tip = std::move(tip), .kind = Mark::Kind::dot});
}
void Chart::rule(double time, std::string_view klass, std::string tip) {
    marks_.push_back({.time = time, .value = 0, .klass = std::string(klass), .tip = std::move(tip), .kind = Mark::Kind::rule});
}
void Chart::level(double value, std::string_view klass, std::string tip) {
    if (any_) hold(from_, value);
    marks_.push_back({.time = 0, .value = value, .klass = std::string(klass), .tip = std::move(tip), .kind = Mark::Kind::level});
}

std::string Chart::svg(std::string_view label) const {
    const auto [width, height] = box_;
    const double reach = high_ > low_ ? high_ - low_ : std::max(1.0, std::abs(high_));
    const double low = low_ - 0.05 * reach, high = high_ + 0.05 * reach, across = to_ > from_ ? to_ - from_ : 1;
    const auto x = [&](double t) { return left + (t - from_) / across * (width - left - right); };
    const auto y = [&](double v) { return height - bottom - (v - low) / (high - low) * (height - top - bottom); };
    std::string out = "<svg viewBox=\"0 0 " + fixed(width) + " " + fixed(height) + "\" role=\"img\" aria-label=\"" + escaped(label) + "\">";
    const double step = nice_step(high - low, 5);
    for (double v = std::ceil(low / step) * step; v <= high; v += step) {
        if (std::abs(v) < step * 1e-9) v = 0;
        out += "<line class=\"grid\" x1=\"" + fixed(left) + "\" x2=\"" + fixed(width - right) + "\" y1=\"" + fixed(y(v)) + "\" y2=\"" + fixed(y(v)) +
               "\"/>";
        out +=
            "<text class=\"tick\" text-anchor=\"end\" x=\"" + fixed(left - 6) + "\" y=\"" + fixed(y(v) + 4) + "\">" + escaped(number(v)) + "</text>";
        if (v + step == v) break;  // a step below the values' precision
    }
    for (const auto& [t, text] : named_.empty() ? time_ticks(from_, to_, clock_) : named_) {
        out += "<line class=\"grid\" x1=\"" + fixed(x(t)) + "\" x2=\"" + fixed(x(t)) + "\" y1=\"" + fixed(top) + "\" y2=\"" + fixed(height - bottom) +
               "\"/>";
        out += "<text class=\"tick\" text-anchor=\"middle\" x=\"" + fixed(x(t)) + "\" y=\"" + fixed(height - 8) + "\">" + escaped(text) + "</text>";
    }
    for (const Stroke& stroke : strokes_) {
        std::string path;
        if (!stroke.high.empty()) {
            for (std::size_t i = 0; i < stroke.times.size(); ++i)
                path += (i == 0 ? "M" : "L") + fixed(x(stroke.times[i])) + " " + fixed(y(stroke.values[i]));
            for (std::size_t i = stroke.times.size(); i-- > 0;) path += "L" + fixed(x(stroke.times[i])) + " " + fixed(y(stroke.high[i]));
            path += "Z";
        } else {
            bool pen = false;
            for (std::size_t i = 0; i < stroke.times.size(); ++i) {
                if (!std::isfinite(stroke.values[i])) {
                    pen = false;
                    continue;
                }
                path += (pen ? "L" : "M") + fixed(x(stroke.times[i])) + " " + fixed(y(stroke.values[i]));
                const bool alone = !pen && (i + 1 == stroke.times.size() || !std::isfinite(stroke.values[i + 1]));
                if (alone) path += "h0.1";  // a point between gaps is still seen
                pen = true;
            }
        }
        out += "<path class=\"" + stroke.klass + "\" d=\"" + path + "\"/>";
    }
    for (const Mark& mark : marks_) {
        const std::string tip = "<title>" + escaped(mark.tip) + "</title>";
        if (mark.kind == Mark::Kind::dot) {
            out += "<circle class=\"" + mark.klass + "\" cx=\"" + fixed(x(mark.time)) + "\" cy=\"" + fixed(y(mark.value)) + "\" r=\"4\">" + tip +
                   "</circle>";
            continue;
        }
        const bool upright = mark.kind == Mark::Kind::rule;
        const double px = upright ? x(mark.time) : left, py = upright ? top : y(mark.value);
        if (upright && (mark.time < from_ || mark.time > to_)) continue;
        out += "<line class=\"" + mark.klass + "\" x1=\"" + fixed(px) + "\" x2=\"" + fixed(upright ? px : width - right) + "\" y1=\"" + fixed(py) +
               "\" y2=\"" + fixed(upright ? height - bottom : py) + "\">" + tip + "</line>";
    }
    return out + "</svg>";
}

}  // namespace kn::report
