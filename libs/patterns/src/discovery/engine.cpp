#include "kubernaut/patterns/discovery/engine.hpp"

#include <algorithm>
#include <set>

#include "kubernaut/base/hash.hpp"

namespace kn::patterns {
namespace {

/// 0 .. 99, the same for a subject at all times.
int share_of(const std::string& subject) {
    const auto digest = sha256_parts({"patterns", subject});
    return static_cast<int>((static_cast<unsigned>(digest[0]) << 8U | digest[1]) % 100);
}

std::string analyzer_of(const Pattern& pattern) { return pattern.provenance.analyzer; }

}  // namespace

std::vector<std::pair<std::string, DiscoveryEngine::Analyzer>> builtin_analyzers() {
    return {{"series", find_series_patterns}, {"recurrence", find_recurrences}, {"burst", find_bursts},
            {"chain", find_chains},           {"family", find_families},        {"duration", find_duration_drifts}};
}

DiscoveryEngine::DiscoveryEngine(EngineOptions options, Watch watch) : DiscoveryEngine(std::move(options), std::move(watch), builtin_analyzers()) {}

DiscoveryEngine::DiscoveryEngine(EngineOptions options, Watch watch, std::vector<std::pair<std::string, Analyzer>> analyzers)
    : options_(std::move(options)), watch_(std::move(watch)) {
    for (auto& [name, analyzer] : analyzers)
        states_.push_back({.name = std::move(name), .analyzer = std::move(analyzer), .calibration = {}, .failures = {}});
}

AnalyzerSetting DiscoveryEngine::setting_of(const std::string& name) const {
    const auto found = options_.analyzers.find(name);
    return found == options_.analyzers.end() ? AnalyzerSetting{} : found->second;
}

void DiscoveryEngine::learn_from_past(State& state, const History& history, Instant now) {
    Instant begin = now;
    for (const auto& row : history.incidents) begin = std::min(begin, row.opened);
    for (const auto& row : history.executions) begin = std::min(begin, row.started);
    for (const auto& row : history.series)
        if (!row.times.empty()) begin = std::min(begin, from_millis(static_cast<std::int64_t>(row.times.front() * 1000)));
    for (const int percent : {60, 70, 80, 90}) {
        const Instant then = begin + (now - begin) * percent / 100;
        const History known = history.until(then);
        const auto found = state.analyzer({.history = known, .now = then, .false_discovery_rate = options_.false_discovery_rate});
        if (!found) return;  // the run itself will say so
        for (const auto& pattern : *found)
            if (const auto outcome = came_true(pattern, then, history, now)) state.calibration.add(pattern.raw, *outcome);
    }
}

void DiscoveryEngine::settle(const History& history, Instant now) {
    for (auto& [id, known] : known_) {
        if (known.pattern.status == PatternStatus::retired) continue;
        const auto outcome = came_true(known.pattern, known.predicted_at, history, now);
        if (!outcome) continue;
        ++(*outcome ? known.confirmed : known.refuted);
        for (auto& state : states_)
            if (state.name == analyzer_of(known.pattern)) state.calibration.add(known.pattern.raw, *outcome);
        known.predicted_at = now;  // the next prediction begins here
        known.pattern.next_expected.reset();
    }
}

void DiscoveryEngine::keep(const Pattern& pattern, bool shadow, State* state, Instant now) {
    const auto place = known_.find(pattern.id);
    if (place == known_.end() && known_.size() >= options_.most_patterns) return;
    Known& known = known_[pattern.id];
    const bool fresh = known.runs == 0;
    const auto status = fresh ? PatternStatus::candidate : known.pattern.status;
    const auto first_seen = fresh ? pattern.first_seen : std::min(known.pattern.first_seen, pattern.first_seen);
    // A prediction that was made stands until it is checked.
    const auto promised = known.pattern.next_expected;
    known.pattern = pattern;
    known.pattern.first_seen = first_seen;
    known.pattern.status = status;
    if (!fresh && promised) known.pattern.next_expected = promised;
    if (fresh) known.predicted_at = now;
    known.shadow = shadow;
    known.missed = 0;
    ++known.runs;
    if (state != nullptr) {
        known.pattern.confidence = state->calibration.confidence(pattern.raw);
        known.pattern.calibrated = state->calibration.calibrated();
    }
    if (known.refuted >= 3 && known.refuted > 2 * known.confirmed)
        known.pattern.status = PatternStatus::retired;
    else if (known.confirmed > 0 || known.runs >= 2)
        known.pattern.status = PatternStatus::active;
}

void DiscoveryEngine::age(const std::vector<std::string>& seen, Instant) {
    const std::set<std::string> now_seen(seen.begin(), seen.end());
    for (auto& [id, known] : known_)
        if (!now_seen.contains(id) && ++known.missed >= options_.missed_runs) known.pattern.status = PatternStatus::retired;
    std::erase_if(known_, [&](const auto& one) { return one.second.missed > 10 * options_.missed_runs; });
}

Discovery DiscoveryEngine::run(const History& given, Instant now) {
    const History history = given.until(now);
    settle(history, now);
    Discovery out;
    std::vector<std::string> seen;
    bool any_basic = false;
    for (State& state : states_) {
        const AnalyzerSetting setting = setting_of(state.name);
        AnalyzerReport report{.name = state.name, .flag = setting.flag};
        if (setting.flag == Flag::off) {
            any_basic = true;
            out.analyzers.push_back(std::move(report));
            continue;
        }
        while (!state.failures.empty() && state.failures.front() + options_.breaker_window < now) state.failures.pop_front();
        if (now < state.cut_off_until) {
            report.basic = any_basic = true;
            report.error =
                "cut off until " + format_rfc3339(state.cut_off_until) + " after " + std::to_string(options_.breaker_failures) + " failures";
            // Its patterns are neither seen nor missed.
            for (const auto& [id, known] : known_)
                if (analyzer_of(known.pattern) == state.name) seen.push_back(id);
            out.analyzers.push_back(std::move(report));
            continue;
        }
        const SteadyTime began = watch_();
        if (first_run_) learn_from_past(state, history, now);
        auto found = state.analyzer({.history = history, .now = now, .false_discovery_rate = options_.false_discovery_rate});
        const auto taken = std::chrono::duration_cast<Duration>(watch_() - began);
        if (found && taken > options_.time_limit)
            found = fail(ErrorCode::deadline_exceeded, "took " + format_duration(taken) + ", allowed are " + format_duration(options_.time_limit));
        if (!found) {
            state.failures.push_back(now);
            if (state.failures.size() >= options_.breaker_failures) state.cut_off_until = now + options_.breaker_pause, state.failures.clear();
            report.basic = any_basic = true;
            report.error = found.error().describe();
            for (const auto& [id, known] : known_)
                if (analyzer_of(known.pattern) == state.name) seen.push_back(id);
            out.analyzers.push_back(std::move(report));
            continue;
        }
        for (const Pattern& pattern : *found) {
            const bool shadow = setting.flag == Flag::shadow || share_of(pattern.subject) >= setting.percent;
            keep(pattern, shadow, &state, now);
            seen.push_back(pattern.id);
        }
        report.found = found->size();
        report.checks = state.calibration.checks();
        report.brier = state.calibration.brier();
        report.calibration_error = state.calibration.expected_calibration_error();
        out.analyzers.push_back(std::move(report));
    }
    if (any_basic)
        if (const auto basics = find_basics({.history = history, .now = now, .false_discovery_rate = options_.false_discovery_rate}))
            for (const Pattern& pattern : *basics) {
                keep(pattern, false, nullptr, now);
                seen.push_back(pattern.id);
            }
    first_run_ = false;
    age(seen, now);
    for (const auto& [id, known] : known_) (known.shadow ? out.shadow : out.patterns).push_back(known.pattern);
    return out;
}

}  // namespace kn::patterns
