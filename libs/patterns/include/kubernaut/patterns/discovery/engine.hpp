#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kubernaut/patterns/discovery/analyzers.hpp"
#include "kubernaut/patterns/discovery/calibration.hpp"

namespace kn::patterns {

enum class Flag : std::uint8_t { off, shadow, on };  ///< shadow: computed and checked, but not shown

struct AnalyzerSetting {
    Flag flag = Flag::on;
    int percent = 100;  ///< of subjects, by a hash that does not change
};

struct EngineOptions {
    std::map<std::string, AnalyzerSetting> analyzers;  ///< by name; on when not named
    std::size_t breaker_failures = 3;
    Duration breaker_window = 5min, breaker_pause = 10min;
    Duration time_limit = 30s;  ///< for one analyzer; longer counts as a failure
    double false_discovery_rate = 0.01;
    int missed_runs = 3;  ///< a pattern not seen for so many runs is retired
    std::size_t most_patterns = 5000;
};

struct AnalyzerReport {
    std::string name;
    Flag flag = Flag::on;
    bool basic = false;  ///< cut off by the breaker, or failed now
    std::string error{};
    std::size_t found = 0, checks = 0;
    double brier = 0, calibration_error = 0;
};

struct Discovery {
    std::vector<Pattern> patterns;  ///< all that are known, without those in shadow; by id
    std::vector<Pattern> shadow;
    std::vector<AnalyzerReport> analyzers;
};

/// Finds patterns, remembers them over runs, checks what they predicted, and says how far to trust them. Not thread-safe; no I/O.
class DiscoveryEngine {
public:
    /// An analyzer by its name, for tests and for what is added later.
    using Analyzer = std::function<Found(const Question&)>;
    using Watch = std::function<SteadyTime()>;  ///< for time limits; the host's clock
    DiscoveryEngine(EngineOptions options, Watch watch);
    DiscoveryEngine(EngineOptions options, Watch watch, std::vector<std::pair<std::string, Analyzer>> analyzers);

    /// One run over all that is known at `now`. The first run also checks what each analyzer would have said at 60, 70, 80 and 90 % of the
    /// history, so that confidence rests on held-back time from the start.
    Discovery run(const History& history, Instant now);

private:
    struct Known {
        Pattern pattern;
        bool shadow = false;
        int missed = 0, confirmed = 0, refuted = 0, runs = 0;
        Instant predicted_at{};
    };
    struct State {
        std::string name;
        Analyzer analyzer;
        Calibration calibration;
        std::deque<Instant> failures;
        Instant cut_off_until{};
    };
    [[nodiscard]] AnalyzerSetting setting_of(const std::string& name) const;
    void learn_from_past(State& state, const History& history, Instant now);
    void settle(const History& history, Instant now);
    void keep(const Pattern& pattern, bool shadow, State* state, Instant now);
    void age(const std::vector<std::string>& seen, Instant now);

    EngineOptions options_;
    Watch watch_;
    std::vector<State> states_;
    std::map<std::string, Known> known_;
    bool first_run_ = true;
};

/// The analyzers above, under the names by which flags are set: series, recurrence, burst, chain, family, duration.
std::vector<std::pair<std::string, DiscoveryEngine::Analyzer>> builtin_analyzers();

}  // namespace kn::patterns
