#include <cmath>
#include <numbers>

#include "analysis/statistics.hpp"
#include "discovery/common.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/patterns/discovery/calibration.hpp"

namespace kn::patterns {
namespace {

constexpr double hour = 3600, day = 86'400;
constexpr std::size_t least_events = 6;
constexpr std::array<const char*, 7> weekdays{"Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"};  // of day 0, 1970-01-01

struct Cycle {
    const char* name;
    double period;
};
constexpr std::array cycles{Cycle{"daily", day}, Cycle{"weekly", 7 * day}};

/// One event a cycle, the first: a burst within an hour is one happening, not many.
std::vector<double> once_a_cycle(std::span<const double> times, double period) {
    std::vector<double> out;
    for (const double t : times)
        if (out.empty() || t - out.back() > period / 2) out.push_back(t);
    return out;
}

struct Phase {
    double center = 0, half = 0;  // seconds within the cycle
    double p_value = 1;
};
/// Rayleigh's test of events on a circle, and the arc that holds nearly all of them.
Phase phase_of(std::span<const double> events, double period) {
    double c = 0, s = 0;
    for (const double t : events) {
        const double angle = 2 * std::numbers::pi * std::fmod(t, period) / period;
        c += std::cos(angle);
        s += std::sin(angle);
    }
    const auto n = static_cast<double>(events.size());
    const double r = std::sqrt(c * c + s * s) / n, z = n * r * r;
    Phase phase;
    // Correction for few events (Zar 1999).
    phase.p_value = std::clamp(std::exp(std::sqrt(1 + 4 * n + 4 * (n * n - n * n * r * r)) - (1 + 2 * n)), 0.0, 1.0);
    (void)z;
    double angle = std::atan2(s, c);
    if (angle < 0) angle += 2 * std::numbers::pi;
    phase.center = angle / (2 * std::numbers::pi) * period;
    std::vector<double> off;
    for (const double t : events) {
        double d = std::fmod(t, period) - phase.center;
        if (d > period / 2) d -= period;
        if (d < -period / 2) d += period;
        off.push_back(std::abs(d));
    }
    phase.half = std::clamp(1.25 * analytics::quantile(off, 0.9), period / 96, period / 4);
    return phase;
}

struct Rate {
    std::size_t hits = 0, trials = 0;
};
/// In how many of the cycles since `from` an event fell into the arc.
Rate hit_rate(std::span<const double> times, const Phase& phase, double period, double from, double until) {
    Rate rate;
    for (double start = std::ceil((from - phase.center + phase.half) / period) * period + phase.center - phase.half; start + 2 * phase.half <= until;
         start += period) {
        ++rate.trials;
        const auto first = std::lower_bound(times.begin(), times.end(), start);
        rate.hits += first != times.end() && *first <= start + 2 * phase.half ? 1 : 0;
    }
    return rate;
}

std::string clock(double second_of_day) {
    const int minutes = static_cast<int>(second_of_day / 60 + 0.5) % 1440;
    return worded("%02d:%02d", minutes / 60, minutes % 60);
}

struct Candidate {
    Pattern pattern;
    double p_value = 1;
};

void seek_cycle(const EventList& list, const Cycle& cycle, double now, std::vector<Candidate>& out) {
    const auto events = once_a_cycle(list.times, cycle.period);
    if (events.size() < least_events || events.back() - events.front() < 4 * cycle.period) {
        out.push_back({});
        return;
    }
    const Phase phase = phase_of(events, cycle.period);
    // What was learnt on the first two thirds must hold in the last.
    const std::size_t known = events.size() * 2 / 3;
    const Phase early = phase_of(std::span(events).first(known), cycle.period);
    const Rate held_back = hit_rate(list.times, early, cycle.period, events[known - 1] + cycle.period / 2, now);
    const double chance_alone = 1 - std::exp(-static_cast<double>(list.times.size()) / std::max(1.0, now - list.times.front()) * 2 * phase.half);
    Candidate one;
    one.p_value = std::min(1.0, phase.p_value * cycles.size());
    const double share = held_back.trials > 0 ? static_cast<double>(held_back.hits) / static_cast<double>(held_back.trials) : 0;
    if (held_back.trials < 2 || share < 0.5 || share < 1.5 * chance_alone) one.p_value = 1;
    double next = std::floor((now - phase.center) / cycle.period) * cycle.period + phase.center;
    while (next + phase.half < now) next += cycle.period;
    std::string when = clock(std::fmod(phase.center, day));
    if (cycle.period > day) when = std::string(weekdays[static_cast<std::size_t>(phase.center / day) % 7]) + " " + when;
    one.pattern = make_pattern(
        PatternKind::recurrence, "recurrence", list.cluster, list.name(), cycle.name,
        worded("%.120s comes back %s around %s UTC (give or take %.0f minutes)", list.name().c_str(), cycle.name, when.c_str(), phase.half / 60));
    one.pattern.raw = share;
    one.pattern.next_expected = TimeWindow{instant_of(next - phase.half), instant_of(next + phase.half)};
    one.pattern.detail = json::Object{{"period_seconds", cycle.period},
                                      {"phase_seconds", phase.center},
                                      {"half_width_seconds", phase.half},
                                      {"held_back_hits", held_back.hits},
                                      {"held_back_trials", held_back.trials}};
    out.push_back(std::move(one));
}

/// Even intervals of an unknown length: the length comes from the first half, the test from the second.
void seek_interval(const EventList& list, double now, std::vector<Candidate>& out) {
    std::vector<double> gaps;
    for (std::size_t i = 1; i < list.times.size(); ++i)
        if (list.times[i] - list.times[i - 1] > 60) gaps.push_back(list.times[i] - list.times[i - 1]);
    Candidate one;
    if (gaps.size() < 8) {
        out.push_back({});
        return;
    }
    const std::size_t half = gaps.size() / 2;
    const double period = analytics::median(std::span(gaps).first(half));
    double v = 0;
    std::vector<double> off;
    for (std::size_t i = half; i < gaps.size(); ++i) {
        v += std::cos(2 * std::numbers::pi * gaps[i] / period);
        off.push_back(std::abs(gaps[i] - period));
    }
    const auto n = static_cast<double>(gaps.size() - half);
    one.p_value = 0.5 * std::erfc(v / n * std::sqrt(2 * n) / std::numbers::sqrt2);
    const double reach = std::clamp(1.25 * analytics::quantile(off, 0.9), period / 48, period / 4);
    std::size_t hits = 0;
    for (const double d : off) hits += d <= reach ? 1 : 0;
    // Whole days are told by the daily cycle.
    if (std::abs(period / day - std::round(period / day)) < 0.02 && period > 0.9 * day) one.p_value = 1;
    if (static_cast<double>(hits) < 0.5 * n) one.p_value = 1;
    double next = list.times.back() + period;
    while (next + reach < now) next += period;
    one.pattern =
        make_pattern(PatternKind::recurrence, "recurrence", list.cluster, list.name(), "interval",
                     worded("%.120s comes back every %.3g hours (give or take %.0f minutes)", list.name().c_str(), period / hour, reach / 60));
    one.pattern.raw = static_cast<double>(hits) / n;
    one.pattern.next_expected = TimeWindow{instant_of(next - reach), instant_of(next + reach)};
    one.pattern.detail =
        json::Object{{"period_seconds", period}, {"half_width_seconds", reach}, {"held_back_hits", hits}, {"held_back_trials", gaps.size() - half}};
    out.push_back(std::move(one));
}

}  // namespace

Found find_recurrences(const Question& q) {
    std::vector<Candidate> candidates;
    std::vector<Pattern> found;
    const double now = seconds_of(q.now);
    const auto lists = by_subject(q.history, least_events);
    std::vector<const EventList*> owner;
    for (const EventList& list : lists) {
        for (const Cycle& cycle : cycles) seek_cycle(list, cycle, now, candidates), owner.push_back(&list);
        seek_interval(list, now, candidates);
        owner.push_back(&list);
    }
    std::vector<double> p;
    for (const auto& one : candidates) p.push_back(one.p_value);
    const auto adjusted = q_values(p);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (adjusted[i] >= q.false_discovery_rate) continue;
        // A daily event is also a weekly one; the shorter cycle says more.
        const bool told = std::any_of(found.begin(), found.end(), [&](const Pattern& one) {
            return one.subject == candidates[i].pattern.subject && one.scope == candidates[i].pattern.scope;
        });
        if (told) continue;
        Pattern& pattern = candidates[i].pattern;
        pattern.support = owner[i]->times.size();
        pattern.first_seen = instant_of(owner[i]->times.front());
        pattern.last_seen = instant_of(owner[i]->times.back());
        pattern.evidence = evidence_of(owner[i]->ids);
        pattern.detail["q_value"] = adjusted[i];
        found.push_back(std::move(pattern));
    }
    return found;
}

Found find_bursts(const Question& q) {
    struct Burst {
        const EventList* list;
        std::size_t first, count;
        double window, rate, p_value;
    };
    std::vector<Burst> bursts;
    std::vector<double> p;
    const auto lists = by_subject(q.history, 5);
    for (const EventList& list : lists) {
        const double covered = std::max(day, seconds_of(q.now) - list.times.front());
        Burst best{.list = &list, .first = 0, .count = 0, .window = 0, .rate = 0, .p_value = 1};
        for (const double window : {600.0, hour, 6 * hour}) {
            std::size_t end = 0;
            for (std::size_t first = 0; first < list.times.size(); ++first) {
                while (end < list.times.size() && list.times[end] <= list.times[first] + window) ++end;
                const std::size_t count = end - first;
                if (count < 4) continue;
                // The rate of the others; each event could have begun a window, and three lengths are tried.
                const double rate = (static_cast<double>(list.times.size() - count) + 1) / covered;
                const double chance = std::min(1.0, poisson_tail(rate * window, count - 1) * static_cast<double>(list.times.size()) * 3);
                if (chance < best.p_value) best = {&list, first, count, window, rate, chance};
            }
        }
        bursts.push_back(best);
        p.push_back(best.p_value);
    }
    const auto adjusted = q_values(p);
    std::vector<Pattern> found;
    for (std::size_t i = 0; i < bursts.size(); ++i) {
        const Burst& b = bursts[i];
        if (adjusted[i] >= q.false_discovery_rate || b.count == 0) continue;
        const double begin = b.list->times[b.first], end = b.list->times[b.first + b.count - 1];
        auto pattern = make_pattern(
            PatternKind::burst, "burst", b.list->cluster, b.list->name(), std::to_string(static_cast<long long>(begin / hour)),
            worded("%.120s came %zu times within %.0f minutes, %.0f times its usual rate", b.list->name().c_str(), b.count,
                   std::max(1.0, (end - begin) / 60), static_cast<double>(b.count) / std::max(1e-9, b.rate * std::max(60.0, end - begin))));
        pattern.raw = 1 - adjusted[i];
        pattern.support = b.count;
        pattern.first_seen = instant_of(begin);
        pattern.last_seen = instant_of(end);
        pattern.evidence = evidence_of(std::span(b.list->ids).subspan(b.first, b.count));
        pattern.detail = json::Object{{"count", b.count}, {"window_seconds", b.window}, {"usual_per_hour", b.rate * hour}, {"q_value", adjusted[i]}};
        found.push_back(std::move(pattern));
    }
    return found;
}

}  // namespace kn::patterns
