#include <array>
#include <cmath>

#include "discovery/common.hpp"
#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/series/events.hpp"

namespace kn::patterns {
namespace {

namespace series = analytics::series;
using series::RecurrenceKind;
constexpr double hour = 3600, day = 86'400;
constexpr std::size_t least_events = 6;
constexpr double any_significance = 2;  ///< every p-value is wanted: chance is held over all subjects together
constexpr std::array<const char*, 7> weekdays{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
constexpr std::array<RecurrenceKind, 3> kinds{RecurrenceKind::hour_of_day, RecurrenceKind::hour_of_week, RecurrenceKind::interval};

struct Rate {
    std::size_t hits = 0, trials = 0;
    [[nodiscard]] double share() const { return trials > 0 ? static_cast<double>(hits) / static_cast<double>(trials) : 0; }
};

/// In how many of the windows that it expected since `from` an event fell.
Rate held_back(std::span<const double> times, const series::Recurrence& early, double from, double until) {
    Rate rate;
    if (early.kind == RecurrenceKind::interval) {
        // Each event says when the next is due.
        for (std::size_t i = 1; i < times.size(); ++i) {
            if (times[i - 1] < from) continue;
            ++rate.trials;
            rate.hits += std::abs(times[i] - times[i - 1] - early.period) <= early.spread ? 1 : 0;
        }
        return rate;
    }
    for (double at = early.next_expected; at + early.spread <= until; at += early.period) {
        ++rate.trials;
        const auto first = std::lower_bound(times.begin(), times.end(), at - early.spread);
        rate.hits += first != times.end() && *first <= at + early.spread ? 1 : 0;
    }
    return rate;
}

const series::Recurrence* of_kind(const std::vector<series::Recurrence>& all, RecurrenceKind kind) {
    const auto at = std::ranges::find(all, kind, &series::Recurrence::kind);
    return at == all.end() ? nullptr : &*at;
}

std::string clock(double second_of_day) {
    const int minutes = static_cast<int>(second_of_day / 60 + 0.5) % 1440;
    return worded("%02d:%02d", minutes / 60, minutes % 60);
}

struct Candidate {
    const EventList* list = nullptr;
    series::Recurrence found;
    Rate held;
    double p_value = 1;
};

Pattern told(const Candidate& one) {
    const std::string name = one.list->name();
    const auto& r = one.found;
    const char* key = r.kind == RecurrenceKind::hour_of_day ? "daily" : r.kind == RecurrenceKind::hour_of_week ? "weekly" : "interval";
    std::string claim;
    if (r.kind == RecurrenceKind::interval) {
        claim = worded("%.120s comes back every %.3g hours (give or take %.0f minutes)", name.c_str(), r.period / hour, r.spread / 60);
    } else {
        std::string when = clock(std::fmod(r.phase, day));
        if (r.kind == RecurrenceKind::hour_of_week) when = std::string(weekdays[static_cast<std::size_t>(r.phase / day) % 7]) + " " + when;
        claim = worded("%.120s comes back %s around %s UTC (give or take %.0f minutes)", name.c_str(), key, when.c_str(), r.spread / 60);
    }
    auto pattern = make_pattern(PatternKind::recurrence, "recurrence", one.list->cluster, name, key, std::move(claim));
    pattern.raw = one.held.share();
    pattern.next_expected = TimeWindow{instant_of(r.next_begin), instant_of(r.next_end)};
    pattern.detail = json::Object{{"period_seconds", r.period}, {"phase_seconds", r.phase},        {"half_width_seconds", r.spread},
                                  {"hit_rate", r.hit_rate},     {"held_back_hits", one.held.hits}, {"held_back_trials", one.held.trials}};
    pattern.support = one.list->times.size();
    pattern.first_seen = instant_of(one.list->times.front());
    pattern.last_seen = instant_of(one.list->times.back());
    pattern.evidence = evidence_of(one.list->ids);
    return pattern;
}

/// Every kind once, the one that predicts best first; what was learnt on the first two thirds must hold in the last.
void seek(const EventList& list, double now, std::vector<Candidate>& out) {
    const std::span<const double> times(list.times);
    const std::size_t known = times.size() * 2 / 3;
    const auto all = series::find_recurrences(times, now, {}, any_significance);
    const auto early = series::find_recurrences(times.first(known), times[known - 1], {}, any_significance);
    for (const auto& found : all) {
        Candidate one{.list = &list, .found = found, .held = {}, .p_value = found.p_value};
        if (const auto* before = of_kind(early, found.kind)) one.held = held_back(times, *before, times[known - 1], now);
        // How often chance alone would fill a window.
        const double rate = static_cast<double>(times.size()) / std::max(1.0, now - times.front());
        const double chance = found.kind == RecurrenceKind::interval ? 0 : 1 - std::exp(-rate * 2 * found.spread);
        if (one.held.trials < 2 || one.held.share() < 0.5 || one.held.share() < 1.5 * chance) one.p_value = 1;
        // Whole days are told by the daily cycle.
        const double days = found.period / day;
        if (found.kind == RecurrenceKind::interval && std::abs(days - std::round(days)) < 0.02 && days > 0.9) one.p_value = 1;
        out.push_back(one);
    }
    // A kind that could not be tested is a test as well.
    for (std::size_t missing = all.size(); missing < kinds.size(); ++missing) out.push_back({.list = &list, .found = {}, .held = {}});
}

}  // namespace

Found find_recurrences(const Question& q) {
    std::vector<Candidate> candidates;
    std::vector<Pattern> found;
    const auto lists = by_subject(q.history, least_events);
    for (const EventList& list : lists) {
        KN_CHECK(in_time(q));
        seek(list, seconds_of(q.now), candidates);
    }
    std::vector<double> p;
    for (const auto& one : candidates) p.push_back(one.p_value);
    const auto adjusted = analytics::false_discovery_q(p);
    const EventList* last_told = nullptr;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        // One pattern a subject.
        if (adjusted[i] >= q.false_discovery_rate || candidates[i].list == last_told) continue;
        last_told = candidates[i].list;
        found.push_back(told(candidates[i]));
        found.back().detail["q_value"] = adjusted[i];
    }
    return found;
}

Found find_bursts(const Question& q) {
    constexpr std::size_t fewest = 8;
    constexpr double factor = 4;
    const auto lists = by_subject(q.history, fewest);
    std::vector<series::Burst> bursts;
    std::vector<double> p;
    for (const EventList& list : lists) {
        KN_CHECK(in_time(q));
        const auto all = series::find_bursts(list.times, factor, any_significance);
        const auto best = std::ranges::min_element(all, {}, &series::Burst::p_value);
        bursts.push_back(best == all.end() ? series::Burst{} : *best);
        p.push_back(bursts.back().p_value);
    }
    const auto adjusted = analytics::false_discovery_q(p);
    std::vector<Pattern> found;
    for (std::size_t i = 0; i < bursts.size(); ++i) {
        if (adjusted[i] >= q.false_discovery_rate) continue;
        const series::Burst& b = bursts[i];
        const EventList& list = lists[i];
        const std::size_t count = b.last - b.first + 1;
        const double length = std::max(60.0, b.end - b.begin), usual = b.expected / std::max(1.0, b.end - b.begin);
        auto pattern = make_pattern(PatternKind::burst, "burst", list.cluster, list.name(), std::to_string(static_cast<long long>(b.begin / hour)),
                                    worded("%.120s came %zu times within %.0f minutes, %.0f times its usual rate", list.name().c_str(), count,
                                           length / 60, static_cast<double>(count) / std::max(1e-9, usual * length)));
        pattern.raw = 1 - adjusted[i];
        pattern.support = count;
        pattern.first_seen = instant_of(b.begin);
        pattern.last_seen = instant_of(b.end);
        pattern.evidence = evidence_of(std::span(list.ids).subspan(b.first, count));
        pattern.detail = json::Object{{"count", count}, {"usual_per_hour", usual * hour}, {"q_value", adjusted[i]}};
        found.push_back(std::move(pattern));
    }
    return found;
}

}  // namespace kn::patterns
