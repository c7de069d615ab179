#include <cmath>

#include "discovery/common.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/regular.hpp"

namespace kn::patterns {
namespace {

double number_of(const Pattern& p, std::string_view name) {
    const auto* value = p.detail.if_contains(name);
    return value == nullptr ? 0 : json::to_double(value).value_or(0);
}
std::string_view text_of(const Pattern& p, std::string_view name) {
    const auto* value = p.detail.if_contains(name);
    const auto* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string_view{} : json::view(*text);
}
bool in_scope(const Pattern& p, const std::string& cluster) { return p.scope == "fleet" || p.scope == "cluster/" + cluster; }

const SeriesRow* series_of(const Pattern& p, const History& history) {
    for (const auto& row : history.series)
        if (row.name == p.subject && in_scope(p, row.cluster)) return &row;
    return nullptr;
}

/// The values after the pattern was found, when they cover `span` seconds.
std::optional<std::vector<double>> later_values(const SeriesRow& row, double found_at, double span) {
    if (row.times.empty() || row.times.back() < found_at + span) return std::nullopt;
    std::vector<double> out;
    for (std::size_t i = 0; i < row.times.size(); ++i)
        if (row.times[i] > found_at && row.times[i] <= found_at + span && std::isfinite(row.values[i])) out.push_back(row.values[i]);
    if (out.size() < 5) return std::nullopt;
    return out;
}

/// A recurrence: an incident of it within the window.
std::optional<bool> recurred(const Pattern& p, const History& history, Instant now) {
    if (!p.next_expected || now < p.next_expected->to) return std::nullopt;
    return std::any_of(history.incidents.begin(), history.incidents.end(), [&](const IncidentRow& row) {
        return row.opened >= p.next_expected->from && row.opened <= p.next_expected->to && in_scope(p, row.cluster) &&
               row.fault_class + " at " + row.subject == p.subject;
    });
}

/// A trend: it keeps its sign over the next tenth of its own length.
std::optional<bool> kept_direction(const Pattern& p, Instant found_at, const History& history) {
    const auto* row = series_of(p, history);
    if (row == nullptr) return std::nullopt;
    const double length = seconds_of(p.last_seen) - seconds_of(p.first_seen);
    const auto later = later_values(*row, seconds_of(found_at), std::max(length / 10, 1.0));
    if (!later) return std::nullopt;
    const double moved = analytics::median(*later) - number_of(p, "end");
    return moved * number_of(p, "slope_per_second") > 0;
}

/// A season: at its period the later values explain at least 30 % of each other.
std::optional<bool> kept_season(const Pattern& p, Instant found_at, const History& history) {
    const auto* row = series_of(p, history);
    const double period = number_of(p, "period_seconds");
    if (row == nullptr || period <= 0 || row->times.size() < 2) return std::nullopt;
    // One more cycle, each value against the one a period before.
    if (row->times.back() < seconds_of(found_at) + period) return std::nullopt;
    double off = 0, spread = 0;
    std::vector<double> pairs_now, pairs_then;
    for (std::size_t i = 0; i < row->times.size(); ++i) {
        const double t = row->times[i];
        if (t <= seconds_of(found_at) || t > seconds_of(found_at) + period || !std::isfinite(row->values[i])) continue;
        const auto then = std::lower_bound(row->times.begin(), row->times.end(), t - period * 1.0000001);
        if (then == row->times.end()) continue;
        const double before = row->values[static_cast<std::size_t>(then - row->times.begin())];
        if (!std::isfinite(before)) continue;
        pairs_now.push_back(row->values[i]);
        pairs_then.push_back(before);
    }
    if (pairs_now.size() < 5) return std::nullopt;
    const double a = analytics::mean(pairs_now), b = analytics::mean(pairs_then);
    double own = 0;
    for (std::size_t i = 0; i < pairs_now.size(); ++i) {
        off += (pairs_now[i] - a) * (pairs_then[i] - b);
        own += (pairs_now[i] - a) * (pairs_now[i] - a);
        spread += (pairs_then[i] - b) * (pairs_then[i] - b);
    }
    const double r = own > 0 && spread > 0 ? off / std::sqrt(own * spread) : 0;
    return r > 0 && r * r >= 0.3;
}

/// A limit: it was reached within the window.
std::optional<bool> reached(const Pattern& p, Instant found_at, const History& history) {
    const auto* row = series_of(p, history);
    if (row == nullptr || !p.next_expected) return std::nullopt;
    if (const auto at = reached_at(p, found_at, history)) return *at >= p.next_expected->from && *at <= p.next_expected->to;
    if (row->times.empty() || row->times.back() < seconds_of(p.next_expected->to)) return std::nullopt;
    return false;
}

/// A chain: of the next three causes at least the promised share (less one) is followed by the effect.
std::optional<bool> followed(const Pattern& p, Instant found_at, const History& history, Instant now) {
    const auto first = text_of(p, "first"), then = text_of(p, "then");
    const double window = number_of(p, "window_seconds");
    std::size_t causes = 0, effects = 0;
    double last = -1e18;
    std::vector<const IncidentRow*> rows;
    for (const auto& row : history.incidents)
        if (row.opened > found_at && in_scope(p, row.cluster) && (row.fault_class == first || row.fault_class == then)) rows.push_back(&row);
    std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return a->opened != b->opened ? a->opened < b->opened : a->id < b->id; });
    for (const auto* cause : rows) {
        const double at = seconds_of(cause->opened);
        if (cause->fault_class != first || at - last <= window / 4 || at + window > seconds_of(now)) continue;
        last = at;
        ++causes;
        effects += std::any_of(rows.begin(), rows.end(),
                               [&](const IncidentRow* row) {
                                   return row->fault_class == then && seconds_of(row->opened) > at && seconds_of(row->opened) <= at + window;
                               })
                       ? 1
                       : 0;
        if (causes == 3) break;
    }
    if (causes < 3) return std::nullopt;
    return static_cast<double>(effects) >= std::max(1.0, 3 * number_of(p, "share") - 1);
}

/// A family: its best workflow has worked at least as often as promised in its next five runs.
std::optional<bool> worked(const Pattern& p, Instant found_at, const History& history) {
    const auto workflow = text_of(p, "best_workflow");
    if (workflow.empty()) return std::nullopt;
    std::vector<const ExecutionRow*> rows;
    for (const auto& row : history.executions)
        if (row.started > found_at && row.workflow == workflow) rows.push_back(&row);
    if (rows.size() < 5) return std::nullopt;
    std::sort(rows.begin(), rows.end(),
              [](const auto* a, const auto* b) { return a->started != b->started ? a->started < b->started : a->id < b->id; });
    std::size_t good = 0;
    for (std::size_t i = 0; i < 5; ++i) good += rows[i]->succeeded ? 1 : 0;
    return static_cast<double>(good) / 5 >= p.raw;
}

/// A drift: the next ten runs stay on the new side.
std::optional<bool> stayed(const Pattern& p, Instant found_at, const History& history) {
    std::vector<double> later;
    for (const auto& row : history.executions)
        if (row.started > found_at && row.workflow == p.subject && in_scope(p, row.cluster) && row.succeeded && later.size() < 10)
            later.push_back(row.seconds);
    if (later.size() < 10) return std::nullopt;
    const double middle = std::sqrt(std::max(1e-9, number_of(p, "before_seconds")) * std::max(1e-9, number_of(p, "now_seconds")));
    return (analytics::median(later) - middle) * (number_of(p, "ratio") - 1) > 0;
}

/// An anomaly: an incident on the same cluster within half an hour.
std::optional<bool> confirmed(const Pattern& p, const History& history, Instant now) {
    const Instant until = p.last_seen + 30min;
    if (now < until) return std::nullopt;
    return std::any_of(history.incidents.begin(), history.incidents.end(),
                       [&](const IncidentRow& row) { return in_scope(p, row.cluster) && row.opened >= p.first_seen - 5min && row.opened <= until; });
}

}  // namespace

std::optional<Instant> reached_at(const Pattern& p, Instant since, const History& history) {
    const auto* row = series_of(p, history);
    if (row == nullptr) return std::nullopt;
    const auto* rising = p.detail.if_contains("rising");
    const bool up = rising == nullptr || !rising->is_bool() || rising->get_bool();
    const double limit = number_of(p, "limit");
    for (std::size_t i = 0; i < row->times.size(); ++i) {
        if (row->times[i] <= seconds_of(since) || !std::isfinite(row->values[i])) continue;
        if (up ? row->values[i] >= limit : row->values[i] <= limit) return instant_of(row->times[i]);
    }
    return std::nullopt;
}

std::optional<bool> came_true(const Pattern& p, Instant found_at, const History& history, Instant now) {
    switch (p.kind) {
        case PatternKind::recurrence: return recurred(p, history, now);
        case PatternKind::trend: return kept_direction(p, found_at, history);
        case PatternKind::season: return kept_season(p, found_at, history);
        case PatternKind::forecast: return reached(p, found_at, history);
        case PatternKind::chain: return followed(p, found_at, history, now);
        case PatternKind::family: return worked(p, found_at, history);
        case PatternKind::duration: return stayed(p, found_at, history);
        case PatternKind::anomaly: return confirmed(p, history, now);
        default: return std::nullopt;  // a burst, a change, a rate: they tell of the past alone
    }
}

Found find_basics(const Question& q) {
    std::vector<Pattern> found;
    std::map<std::pair<std::string, std::string>, std::vector<const IncidentRow*>> classes;
    for (const auto& row : q.history.incidents) classes[{row.cluster, row.fault_class}].push_back(&row);
    for (auto& [name, rows] : classes) {
        std::sort(rows.begin(), rows.end(),
                  [](const auto* a, const auto* b) { return a->opened != b->opened ? a->opened < b->opened : a->id < b->id; });
        const double days = std::max(1.0, (seconds_of(q.now) - seconds_of(rows.front()->opened)) / 86'400);
        std::array<std::size_t, 168> hours{};
        std::vector<std::string> ids;
        for (const auto* row : rows) {
            ++hours[static_cast<std::size_t>(seconds_of(row->opened) / 3600) % 168];
            ids.push_back(row->id);
        }
        auto pattern =
            make_pattern(PatternKind::rate, "basic", name.first, name.second, "rate",
                         worded("%.80s: %zu incidents, %.3g a day", name.second.c_str(), rows.size(), static_cast<double>(rows.size()) / days));
        pattern.provenance.basic = true;
        pattern.support = rows.size();
        pattern.first_seen = rows.front()->opened;
        pattern.last_seen = rows.back()->opened;
        pattern.evidence = evidence_of(ids);
        json::Array profile;
        for (const std::size_t count : hours) profile.push_back(count);
        pattern.detail =
            json::Object{{"count", rows.size()}, {"per_day", static_cast<double>(rows.size()) / days}, {"by_hour_of_week", std::move(profile)}};
        found.push_back(std::move(pattern));
    }
    for (const auto& row : q.history.series) {
        std::vector<double> known;
        for (const double v : row.values)
            if (std::isfinite(v)) known.push_back(v);
        const double middle = analytics::median(known), spread = analytics::mad(known);
        if (known.size() < 24 || !(spread > 0) || std::abs(known.back() - middle) < 8 * spread) continue;
        auto pattern = make_pattern(PatternKind::anomaly, "basic", row.cluster, row.name, "last",
                                    worded("%.120s is %.4g, far from its median %.4g", row.name.c_str(), known.back(), middle));
        pattern.provenance.basic = true;
        pattern.support = known.size();
        pattern.first_seen = pattern.last_seen = instant_of(row.times.back());
        pattern.detail = json::Object{{"value", known.back()}, {"median", middle}, {"deviations", std::abs(known.back() - middle) / spread}};
        found.push_back(std::move(pattern));
    }
    return found;
}

}  // namespace kn::patterns
