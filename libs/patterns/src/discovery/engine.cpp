#include "kubernaut/patterns/discovery/engine.hpp"

#include <algorithm>

#include "kubernaut/base/hash.hpp"

namespace kn::patterns {
namespace {

/// 0 .. 99, the same for a subject at all times.
int share_of(const std::string& subject) {
    const auto digest = sha256_parts({"patterns", subject});
    return static_cast<int>((static_cast<unsigned>(digest[0]) << 8U | digest[1]) % 100);
}

/// The analyzer whose strengths are probabilities by themselves.
constexpr std::string_view states_probability = "forecast";

/// The past has hardly ever reached a limit that somebody watches. So that a forecaster can be tried on it all the same, every series gets the level that it
/// has at the end as its limit; whether and when an earlier self would have said so is then known.
History with_trial_limits(History known, const History& whole) {
    for (auto& row : known.series) {
        if (!row.limit) continue;
        row.limit.reset();
        const auto full =
            std::ranges::find_if(whole.series, [&](const SeriesRow& one) { return one.name == row.name && one.cluster == row.cluster; });
        if (full == whole.series.end() || row.values.empty() || full->values.empty()) continue;
        const double end = full->values.back();
        const bool beyond = std::ranges::all_of(row.values, [&](double value) { return !(value >= end); });
        if (beyond) row.limit = end;
    }
    return known;
}

double seconds_between(SteadyTime from, SteadyTime to) { return std::chrono::duration<double>(to - from).count(); }

PatternStatus status_of(const PatternRecord& record, const EngineOptions& options) {
    if (record.missed >= options.missed_runs || (record.refuted >= 3 && record.refuted > 2 * record.confirmed)) return PatternStatus::retired;
    if (record.missed > 0 || record.failed_in_row >= 2) return PatternStatus::fading;
    return record.confirmed > 0 || record.runs >= 2 ? PatternStatus::active : PatternStatus::candidate;
}

}  // namespace

DiscoveryEngine::Analyzers builtin_analyzers() {
    return {{"trend", find_trends},           {"forecast", find_exhaustion}, {"anomaly", find_anomalies},
            {"recurrence", find_recurrences}, {"burst", find_bursts},        {"fleet", find_fleet_patterns},
            {"chain", find_chains},           {"family", find_families},     {"duration", find_duration_drifts}};
}

DiscoveryEngine::DiscoveryEngine(EngineOptions options, Watch watch) : DiscoveryEngine(std::move(options), std::move(watch), builtin_analyzers()) {}

DiscoveryEngine::DiscoveryEngine(EngineOptions options, Watch watch, Analyzers analyzers) : options_(std::move(options)), watch_(std::move(watch)) {
    for (auto& [name, analyzer] : analyzers)
        states_.push_back({.name = std::move(name), .analyzer = std::move(analyzer), .calibration = {}, .failures = {}});
}

AnalyzerSetting DiscoveryEngine::setting_of(const std::string& name) const {
    const auto found = options_.analyzers.find(name);
    return found == options_.analyzers.end() ? AnalyzerSetting{} : found->second;
}

Question DiscoveryEngine::question(const History& history, Instant now, SteadyTime began) const {
    return {.history = history, .now = now, .false_discovery_rate = options_.false_discovery_rate, .out_of_time = [this, began] {
                return watch_() - began > options_.time_limit;
            }};
}

Result<> DiscoveryEngine::learn_from_past(State& state, const History& history, Instant now, SteadyTime began) {
    Instant begin = now;
    for (const auto& row : history.incidents) begin = std::min(begin, row.opened);
    for (const auto& row : history.executions) begin = std::min(begin, row.started);
    for (const auto& row : history.series)
        if (!row.times.empty()) begin = std::min(begin, from_millis(static_cast<std::int64_t>(row.times.front() * 1000)));
    if (begin == now) return {};  // nothing is known yet: there is no past to try
    for (const int percent : {60, 70, 80, 90}) {
        const Instant then = begin + (now - begin) * percent / 100;
        History known = history.until(then);
        if (state.name == states_probability) known = with_trial_limits(std::move(known), history);
        KN_TRY(const auto found, state.analyzer(question(known, then, began)));
        for (const auto& pattern : found)
            if (const auto outcome = came_true(pattern, then, history, now)) state.calibration.add(pattern.raw, *outcome);
    }
    state.has_past = true;
    return {};
}

void DiscoveryEngine::settle(const History& history, Instant now, const std::set<std::string>& acted_on) {
    for (auto& [id, known] : known_) {
        if (known.pattern.status == PatternStatus::retired) continue;
        const bool void_now = acted_on.contains(id);
        Pattern said = known.pattern;
        if (known.promised) said.next_expected = known.promised;
        const auto outcome = void_now ? std::nullopt : came_true(said, known.predicted_at, history, now);
        if (!outcome && !void_now) continue;
        if (outcome) {
            ++(*outcome ? known.confirmed : known.refuted);
            known.failed_in_row = *outcome ? 0 : known.failed_in_row + 1;
            for (auto& state : states_)
                if (state.name == known.pattern.provenance.analyzer) state.calibration.add(known.pattern.raw, *outcome);
        }
        known.predicted_at = now;  // the next prediction begins here
        known.promised.reset();
        known.pattern.next_expected.reset();  // until it is found again it foretells nothing
    }
}

void DiscoveryEngine::keep(const Pattern& pattern, bool shadow, State* state, Instant now) {
    const auto place = known_.find(pattern.id);
    if (place == known_.end() && known_.size() >= options_.most_patterns) return;
    PatternRecord& known = known_[pattern.id];
    const bool fresh = known.runs == 0;
    const auto first_seen = fresh ? pattern.first_seen : std::min(known.pattern.first_seen, pattern.first_seen);
    known.pattern = pattern;
    known.pattern.first_seen = first_seen;
    if (fresh) known.predicted_at = now;
    // A prediction that was made stands until it is checked, whatever is expected by now.
    if (!known.promised) known.promised = pattern.next_expected;
    known.shadow = shadow;
    known.missed = 0;
    known.updated_at = now;
    ++known.runs;
    if (state != nullptr) {
        known.pattern.confidence =
            state->name == states_probability ? state->calibration.confidence_of_stated(pattern.raw) : state->calibration.confidence(pattern.raw);
        known.pattern.calibrated = state->calibration.calibrated();
    }
    known.pattern.status = status_of(known, options_);
}

void DiscoveryEngine::age(const std::set<std::string>& seen, Instant now) {
    for (auto& [id, known] : known_) {
        if (seen.contains(id)) continue;
        ++known.missed;
        known.updated_at = now;
        known.pattern.status = status_of(known, options_);
    }
    std::erase_if(known_, [&](const auto& one) { return one.second.missed > 10 * options_.missed_runs; });
}

Found DiscoveryEngine::ask(State& state, const History& history, Instant now, SteadyTime began) {
    if (!state.has_past) KN_CHECK(learn_from_past(state, history, now, began));
    KN_TRY(auto found, state.analyzer(question(history, now, began)));
    if (const double taken = seconds_between(began, watch_()); taken > std::chrono::duration<double>(options_.time_limit).count())
        return fail(ErrorCode::deadline_exceeded, "took " + format_duration(Duration{static_cast<std::int64_t>(taken * 1000)}) + ", allowed are " +
                                                      format_duration(options_.time_limit));
    return found;
}

Discovery DiscoveryEngine::run(const History& given, Instant now, const std::set<std::string>& acted_on) {
    const History history = given.until(now);
    settle(history, now, acted_on);
    Discovery out;
    std::set<std::string> seen;
    for (State& state : states_) {
        const AnalyzerSetting setting = setting_of(state.name);
        AnalyzerReport report{.name = state.name, .flag = setting.flag};
        const auto stand_in = [&](std::string error) {
            report.basic = out.basic = true;
            report.error = std::move(error);
            // Its patterns are neither seen nor missed.
            for (const auto& [id, known] : known_)
                if (known.pattern.provenance.analyzer == state.name) seen.insert(id);
        };
        while (!state.failures.empty() && state.failures.front() + options_.breaker_window < now) state.failures.pop_front();
        if (setting.flag == Flag::off) {
            out.basic = true;
        } else if (now < state.cut_off_until) {
            stand_in("cut off until " + format_rfc3339(state.cut_off_until) + " after " + std::to_string(options_.breaker_failures) + " failures");
        } else {
            const SteadyTime began = watch_();
            auto found = ask(state, history, now, began);
            report.seconds = seconds_between(began, watch_());
            if (!found) {
                state.failures.push_back(now);
                if (state.failures.size() >= options_.breaker_failures) state.cut_off_until = now + options_.breaker_pause, state.failures.clear();
                stand_in(found.error().describe());
            } else {
                for (const Pattern& pattern : *found) {
                    const bool shadow = setting.flag == Flag::shadow || share_of(pattern.subject) >= setting.percent;
                    keep(pattern, shadow, &state, now);
                    seen.insert(pattern.id);
                }
                report.found = found->size();
            }
        }
        report.checks = state.calibration.checks();
        report.brier = state.calibration.brier();
        report.calibration_error = state.calibration.expected_calibration_error();
        out.analyzers.push_back(std::move(report));
    }
    if (out.basic)
        if (const auto basics = find_basics({.history = history, .now = now, .false_discovery_rate = options_.false_discovery_rate}))
            for (const Pattern& pattern : *basics) {
                keep(pattern, false, nullptr, now);
                seen.insert(pattern.id);
            }
    age(seen, now);
    for (const auto& [id, known] : known_) (known.shadow ? out.shadow : out.patterns).push_back(known.pattern);
    return out;
}

std::vector<PatternRecord> DiscoveryEngine::records() const {
    std::vector<PatternRecord> out;
    out.reserve(known_.size());
    for (const auto& [id, known] : known_) out.push_back(known);
    return out;
}

std::vector<std::pair<std::string, std::string>> DiscoveryEngine::states() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const State& state : states_) {
        json::Array failures;
        for (const Instant at : state.failures) failures.push_back(to_millis(at));
        out.emplace_back(state.name, json::dump(json::Object{{"checks", state.calibration.save()},
                                                             {"failures", std::move(failures)},
                                                             {"cut_off_until", to_millis(state.cut_off_until)},
                                                             {"has_past", state.has_past}}));
    }
    return out;
}

Result<> DiscoveryEngine::resume(std::vector<PatternRecord> records, const std::vector<std::pair<std::string, std::string>>& states) {
    for (PatternRecord& record : records) {
        if (known_.size() >= options_.most_patterns) break;
        std::string id = record.pattern.id;
        known_.insert_or_assign(std::move(id), std::move(record));
    }
    std::string unreadable;
    for (const auto& [name, bytes] : states) {
        const auto state = std::ranges::find(states_, name, &State::name);
        if (state == states_.end()) continue;  // of an analyzer that this version does not have
        const auto value = json::parse(bytes);
        auto calibration = value ? Calibration::load(json::string_at(*value, "checks")) : Result<Calibration>(fail(value.error()));
        if (!calibration) {
            unreadable += (unreadable.empty() ? "" : ", ") + name;
            continue;
        }
        state->calibration = *std::move(calibration);
        state->has_past = json::bool_at(*value, "has_past").value_or(false);
        state->cut_off_until = from_millis(json::int_at(*value, "cut_off_until").value_or(0));
        for (const auto& at : json::array_at(*value, "failures"))
            if (const auto ms = json::to_int(&at)) state->failures.push_back(from_millis(*ms));
    }
    if (!unreadable.empty()) return fail(ErrorCode::invalid_argument, "unreadable states of analyzers: " + unreadable);
    return {};
}

}  // namespace kn::patterns
