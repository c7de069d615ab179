#include <cmath>

#include "discovery/common.hpp"
#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::patterns {
namespace {

constexpr double window = 1800;
constexpr std::size_t least_support = 4;

struct ClassEvents {
    std::vector<double> times;
    std::vector<std::string> ids;
};

/// The first of several within a quarter of the window: one trouble of many pods is one cause.
std::vector<std::size_t> starts_of(const ClassEvents& events) {
    std::vector<std::size_t> starts;
    for (std::size_t i = 0; i < events.times.size(); ++i)
        if (starts.empty() || events.times[i] - events.times[starts.back()] > window / 4) starts.push_back(i);
    return starts;
}

}  // namespace

Found find_chains(const Question& q) {
    std::map<std::string, std::map<std::string, ClassEvents>> clusters;
    std::vector<const IncidentRow*> rows;
    for (const auto& one : q.history.incidents) rows.push_back(&one);
    std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return std::tie(a->opened, a->id) < std::tie(b->opened, b->id); });
    for (const auto* row : rows) {
        auto& events = clusters[row->cluster][row->fault_class];
        events.times.push_back(seconds_of(row->opened));
        events.ids.push_back(row->id);
    }
    std::vector<Pattern> candidates;
    std::vector<double> p;
    for (const auto& [cluster, classes] : clusters)
        for (const auto& [first, causes] : classes) {
            KN_CHECK(in_time(q));
            const auto starts = starts_of(causes);
            if (starts.size() < least_support) continue;
            for (const auto& [then, effects] : classes) {
                if (then == first || effects.times.size() < least_support) continue;
                const auto effect_starts = starts_of(effects);
                std::vector<double> delays;
                std::vector<std::string> ids;
                for (const std::size_t s : starts) {
                    const double begin = causes.times[s];
                    for (const std::size_t e : effect_starts) {
                        const double delay = effects.times[e] - begin;
                        if (delay <= 0) continue;
                        if (delay <= window) {
                            delays.push_back(delay);
                            ids.push_back(causes.ids[s]);
                            ids.push_back(effects.ids[e]);
                        }
                        break;
                    }
                }
                const double covered = std::max(seconds_of(q.now) - std::min(causes.times.front(), effects.times.front()), 2 * window);
                const double by_chance = 1 - std::exp(-static_cast<double>(effect_starts.size()) / covered * window);
                const double share = static_cast<double>(delays.size()) / static_cast<double>(starts.size());
                double chance = analytics::binomial_tail(static_cast<double>(delays.size()), static_cast<double>(starts.size()), by_chance);
                if (delays.size() < least_support || share < 0.3) chance = 1;
                const double delay = delays.empty() ? 0 : analytics::median(delays);
                auto pattern =
                    make_pattern(PatternKind::chain, "chain", cluster, then, first + " -> " + then,
                                 worded("%.80s is followed by %.80s within %.0f minutes in %.0f %% of cases, %.1f times as often as by chance",
                                        first.c_str(), then.c_str(), delays.empty() ? 0.0 : std::ceil(analytics::quantile(delays, 0.9) / 60),
                                        100 * share, share / std::max(by_chance, 1e-6)));
                pattern.raw = share;
                pattern.support = delays.size();
                pattern.first_seen = instant_of(causes.times.front());
                pattern.last_seen = instant_of(causes.times[starts.back()]);
                pattern.evidence = evidence_of(ids);
                pattern.detail = json::Object{{"first", first},
                                              {"then", then},
                                              {"cluster", cluster},
                                              {"window_seconds", window},
                                              {"median_delay_seconds", delay},
                                              {"share", share},
                                              {"lift", share / std::max(by_chance, 1e-6)}};
                candidates.push_back(std::move(pattern));
                p.push_back(chance);
            }
        }
    const auto adjusted = analytics::false_discovery_q(p);
    std::vector<Pattern> found;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (adjusted[i] >= q.false_discovery_rate) continue;
        candidates[i].detail["q_value"] = adjusted[i];
        found.push_back(std::move(candidates[i]));
    }
    return found;
}

}  // namespace kn::patterns
