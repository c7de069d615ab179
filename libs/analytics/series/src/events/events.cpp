#include "kubernaut/analytics/series/events.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/change_points.hpp"

namespace kn::analytics::series {
namespace {
constexpr double day = 86'400, week = 7 * day;

bool usable(std::span<const double> times, std::size_t fewest) {
    return times.size() >= fewest && std::ranges::all_of(times, [](double t) { return std::isfinite(t); }) && std::ranges::is_sorted(times);
}

double local_of(double utc, const UtcOffset& offset) {
    return utc + (offset ? static_cast<double>(offset(static_cast<std::int64_t>(std::floor(utc)))) : 0.0);
}

/// The instant whose local time is given: the offset of the guess, looked up twice, is right except within the hour of a change.
double utc_of(double local, const UtcOffset& offset) {
    if (!offset) return local;
    double utc = local - static_cast<double>(offset(static_cast<std::int64_t>(std::floor(local))));
    utc = local - static_cast<double>(offset(static_cast<std::int64_t>(std::floor(utc))));
    return utc;
}

/// Phase test on a cycle of local time.
std::optional<Recurrence> phase_pattern(std::span<const double> times, double now, double period, double start, RecurrenceKind kind,
                                        const UtcOffset& offset) {
    // One vote a round and clump: events closer than a twelfth of the period to the vote before are part of it.
    std::vector<double> votes;
    for (const double t : times) {
        const double local = local_of(t, offset) - start;
        if (votes.empty() || local - votes.back() > period / 12) votes.push_back(local);
    }
    constexpr std::size_t fewest_rounds = 5;
    if (votes.size() < fewest_rounds || (votes.back() - votes.front()) < static_cast<double>(fewest_rounds - 2) * period) return std::nullopt;
    double c = 0, s = 0;
    for (const double v : votes) {
        c += std::cos(2 * std::numbers::pi * v / period);
        s += std::sin(2 * std::numbers::pi * v / period);
    }
    const auto n = static_cast<double>(votes.size());
    const double z = (c * c + s * s) / n;
    // Rayleigh's test with Wilkie's correction for small n.
    const double p = std::exp(std::sqrt(1 + 4 * n + 4 * (n * n - n * z)) - (1 + 2 * n));
    Recurrence out{.kind = kind, .events = times.size(), .period = period};
    double phase = std::atan2(s, c) / (2 * std::numbers::pi) * period;
    if (phase < 0) phase += period;
    std::vector<double> distances;
    for (const double v : votes) distances.push_back(std::remainder(v - phase, period));
    const double middle = median(distances);
    phase = std::fmod(phase + middle + period, period);
    for (double& d : distances) d = std::abs(std::remainder(d - middle, period));
    out.spread = std::clamp(1.5 * quantile(distances, 0.8), period / 1000, period / 4);
    out.phase = phase;
    out.p_value = std::min(1.0, p * 3);
    // Rounds whose window is observed whole.
    double rounds = 0, hits = 0;
    for (double at = std::floor(votes.front() / period) * period + phase; at - out.spread <= votes.back(); at += period) {
        if (at + out.spread < votes.front()) continue;
        rounds += 1;
        hits += std::ranges::any_of(votes, [&](double v) { return std::abs(v - at) <= out.spread; }) ? 1 : 0;
    }
    out.hit_rate = rounds > 0 ? hits / rounds : 0;
    double next = std::floor((local_of(now, offset) - start) / period) * period + phase;
    while (utc_of(next + out.spread + start, offset) <= now) next += period;
    out.next_expected = utc_of(next + start, offset);
    out.next_begin = out.next_expected - out.spread;
    out.next_end = out.next_expected + out.spread;
    return out;
}

std::optional<Recurrence> interval_pattern(std::span<const double> times, double now) {
    std::vector<double> gaps;
    for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
    constexpr std::size_t fewest = 5;
    const double total = times.back() - times.front();
    if (gaps.size() < fewest || !(total > 0)) return std::nullopt;
    // Greenwood's statistic of uniform spacings (Moran 1947): small when distances are even.
    double greenwood = 0;
    for (const double g : gaps) greenwood += g / total * (g / total);
    const auto m = static_cast<double>(gaps.size()), k = m - 1;
    const double expected = 2 / (k + 2), variance_of = 4 * k / ((k + 2) * (k + 2) * (k + 3) * (k + 4));
    const double z = (expected - greenwood) / std::sqrt(variance_of);
    Recurrence out{.kind = RecurrenceKind::interval, .events = times.size(), .period = median(gaps)};
    // The lower tail is lighter than the normal one; 1/m <= G bounds it, so z cannot exceed sqrt(m) / 2 or so.
    out.p_value = std::min(1.0, 3 * normal_tail(z));
    std::vector<double> off;
    for (const double g : gaps) off.push_back(std::abs(g - out.period));
    out.spread = std::max(1.5 * quantile(off, 0.8), out.period / 1000);
    double hits = 0;
    for (const double o : off) hits += o <= out.spread ? 1 : 0;
    out.hit_rate = hits / m;
    out.next_expected = times.back() + out.period;
    while (out.next_expected + out.spread <= now && out.period > 0) {
        const double missed = std::floor((now - out.spread - out.next_expected) / out.period) + 1;
        out.next_expected += std::max(1.0, missed) * out.period;
    }
    out.next_begin = out.next_expected - out.spread;
    out.next_end = out.next_expected + out.spread;
    if (out.spread > out.period / 3) return std::nullopt;
    return out;
}

}  // namespace

std::vector<Burst> find_bursts(std::span<const double> times, double factor, double significance) {
    std::vector<Burst> out;
    if (!usable(times, 8) || !(times.back() > times.front()) || !(factor > 1)) return out;
    const auto n = static_cast<double>(times.size());
    const double span = times.back() - times.front(), base = (n - 1) / span, fast = base * factor, enter = std::log(n);
    // Viterbi over gaps: cost of a gap g in a state of rate r is r g - log r.
    std::vector<std::array<unsigned char, 2>> from(times.size());
    double calm = 0, busy = enter;
    for (std::size_t i = 1; i < times.size(); ++i) {
        const double gap = std::max(times[i] - times[i - 1], span * 1e-9);
        const double to_calm = std::min(calm, busy), to_busy = std::min(calm + enter, busy);
        from[i] = {static_cast<unsigned char>(busy < calm), static_cast<unsigned char>(busy <= calm + enter)};
        calm = to_calm + base * gap - std::log(base);
        busy = to_busy + fast * gap - std::log(fast);
    }
    std::vector<bool> in_burst(times.size(), false);  // of the gap before the event
    bool state = busy < calm;
    for (std::size_t i = times.size() - 1; i > 0; --i) {
        in_burst[i] = state;
        state = from[i][state ? 1 : 0] != 0;
    }
    for (std::size_t i = 1; i < times.size(); ++i) {
        if (!in_burst[i]) continue;
        std::size_t last = i;
        while (last + 1 < times.size() && in_burst[last + 1]) ++last;
        Burst burst{.first = i - 1, .last = last, .begin = times[i - 1], .end = times[last]};
        const auto count = static_cast<double>(last - i + 1);  // beyond the first event, which opened it
        // The rate outside, so that a long burst does not hide itself.
        const double outside = std::max((n - 1 - count) / std::max(span - (burst.end - burst.begin), span * 1e-6), 0.2 / span);
        burst.expected = outside * (burst.end - burst.begin);
        // It could begin at any event and end at any later one.
        burst.p_value = std::min(1.0, poisson_tail(count, burst.expected) * n * std::min(n, 2 * count));
        if (burst.p_value < significance) out.push_back(burst);
        i = last;
    }
    return out;
}

std::vector<Recurrence> find_recurrences(std::span<const double> times, double now, const UtcOffset& offset, double significance) {
    std::vector<Recurrence> out;
    if (!usable(times, 5) || !std::isfinite(now)) return out;
    constexpr double first_monday = 4 * day;  // 1970-01-05
    for (auto found : {phase_pattern(times, now, day, 0, RecurrenceKind::hour_of_day, offset),
                       phase_pattern(times, now, week, first_monday, RecurrenceKind::hour_of_week, offset), interval_pattern(times, now)})
        if (found && found->p_value < significance) out.push_back(*found);
    // A distance of a day or a week is told by the clock, which says more.
    const bool by_clock = std::ranges::any_of(out, [&](const Recurrence& one) {
        return one.kind != RecurrenceKind::interval && out.back().kind == RecurrenceKind::interval &&
               std::abs(out.back().period - one.period) < 0.02 * one.period;
    });
    if (by_clock) out.pop_back();
    std::ranges::stable_sort(out, [](const Recurrence& a, const Recurrence& b) {
        // Of patterns that hit as often, the one with the narrower window says more.
        if (std::abs(a.hit_rate - b.hit_rate) > 0.1) return a.hit_rate > b.hit_rate;
        return a.spread < b.spread;
    });
    return out;
}

std::vector<DurationChange> find_duration_changes(std::span<const double> durations, double least_change) {
    std::vector<DurationChange> out;
    std::vector<double> logs;
    std::vector<std::size_t> place;
    for (std::size_t i = 0; i < durations.size(); ++i) {
        if (!(durations[i] > 0) || !std::isfinite(durations[i])) continue;
        logs.push_back(std::log(durations[i]));
        place.push_back(i);
    }
    const auto found = find_changes(logs, {.period = 1, .levels_only = true});
    for (std::size_t s = 1; s + 1 < found.boundaries.size(); ++s) {
        const std::span all(logs);
        const auto before = all.subspan(found.boundaries[s - 1], found.boundaries[s] - found.boundaries[s - 1]);
        const auto after = all.subspan(found.boundaries[s], found.boundaries[s + 1] - found.boundaries[s]);
        const double va = variance(before) / static_cast<double>(before.size()), vb = variance(after) / static_cast<double>(after.size());
        DurationChange change{.index = place[found.boundaries[s]], .before = std::exp(median(before)), .after = std::exp(median(after))};
        change.ratio = change.after / change.before;
        if (va + vb > 0) {
            const double t = (mean(after) - mean(before)) / std::sqrt(va + vb);
            const double freedom =
                (va + vb) * (va + vb) /
                (va * va / std::max(1.0, static_cast<double>(before.size() - 1)) + vb * vb / std::max(1.0, static_cast<double>(after.size() - 1)));
            change.p_value = student_two_sided(t, freedom);
        } else
            change.p_value = 0;
        constexpr double significant = 0.001;
        if (change.p_value < significant && std::abs(change.ratio - 1) >= least_change) out.push_back(change);
    }
    return out;
}

}  // namespace kn::analytics::series
