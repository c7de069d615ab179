#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kubernaut/patterns/discovery/analyzers.hpp"
#include "kubernaut/patterns/discovery/calibration.hpp"

namespace kn::patterns {

enum class Flag : std::uint8_t { off, shadow, on };  ///< shadow: computed and checked, but not shown

struct AnalyzerSetting {
    Flag flag = Flag::on;
    int percent = 100;  ///< of subjects, by a hash that does not change
    bool operator==(const AnalyzerSetting&) const = default;
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
    double brier = 0, calibration_error = 0, seconds = 0;
};

struct Discovery {
    std::vector<Pattern> patterns;  ///< all that are known, without those in shadow; by id
    std::vector<Pattern> shadow;
    std::vector<AnalyzerReport> analyzers;
    bool basic = false;  ///< something is off, cut off or failed: counts and rates stand in for it
};

/// Finds patterns, remembers them over runs, checks what they predicted, and says how far to trust them. No I/O; one thread at a time.
class DiscoveryEngine {
public:
    /// An analyzer by its name, for tests and for what is added later.
    using Analyzer = std::function<Found(const Question&)>;
    using Analyzers = std::vector<std::pair<std::string, Analyzer>>;
    using Watch = std::function<SteadyTime()>;  ///< for time limits; the host's clock, callable from the thread that runs the engine
    DiscoveryEngine(EngineOptions options, Watch watch);
    DiscoveryEngine(EngineOptions options, Watch watch, Analyzers analyzers);

    /// From the next run on.
    void set_options(EngineOptions options) { options_ = std::move(options); }

    /// One run over all that is known at `now`. The first run also checks what each analyzer would have said at 60, 70, 80 and 90 % of the
    /// history, so that confidence rests on held-back time from the start. `acted_on`: patterns whose prediction was made void because
    /// something was done about it; it counts neither for nor against them.
    Discovery run(const History& history, Instant now, const std::set<std::string>& acted_on = {});

    /// What is remembered, to be stored and resumed by another process: everything about the patterns, and each analyzer's checks and failures.
    [[nodiscard]] std::vector<PatternRecord> records() const;
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> states() const;
    /// After the constructor. An unreadable state is an error, and then that analyzer begins anew.
    Result<> resume(std::vector<PatternRecord> records, const std::vector<std::pair<std::string, std::string>>& states);

private:
    struct State {
        std::string name;
        Analyzer analyzer;
        Calibration calibration;
        std::deque<Instant> failures;
        Instant cut_off_until{};
        bool has_past = false;  ///< its past was tried
    };
    [[nodiscard]] AnalyzerSetting setting_of(const std::string& name) const;
    [[nodiscard]] Question question(const History& history, Instant now, SteadyTime began) const;
    Result<> learn_from_past(State& state, const History& history, Instant now, SteadyTime began);
    void settle(const History& history, Instant now, const std::set<std::string>& acted_on);
    void keep(const Pattern& pattern, bool shadow, State* state, Instant now);
    void age(const std::set<std::string>& seen, Instant now);
    Found ask(State& state, const History& history, Instant now, SteadyTime began);

    EngineOptions options_;
    Watch watch_;
    std::vector<State> states_;
    std::map<std::string, PatternRecord> known_;
};

/// The analyzers above, under the names by which flags are set: trend, forecast, anomaly, recurrence, burst, fleet, chain, family, duration.
DiscoveryEngine::Analyzers builtin_analyzers();

}  // namespace kn::patterns
